//! The JSON schema of a provider: the kinds that are built in, and the hosts in the catalog, each with its fields.

use super::spec::{AcmeSh, Exec, HttpReq, LegoExec, Lexicon, Provider, Rfc2136};
use crate::config::spec::Secret;
use danesmith_providers::catalog::Catalog;
use danesmith_providers::http::{Field, Spec};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

impl JsonSchema for Provider {
    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut kinds = Map::new();
        let mut built_in = |name: &str, schema: Schema| kinds.insert(name.to_owned(), schema.to_value());
        built_in("rfc2136", generator.subschema_for::<Rfc2136>());
        built_in("exec", generator.subschema_for::<Exec>());
        built_in("acme_sh", generator.subschema_for::<AcmeSh>());
        built_in("lexicon", generator.subschema_for::<Lexicon>());
        built_in("lego_exec", generator.subschema_for::<LegoExec>());
        built_in("httpreq", generator.subschema_for::<HttpReq>());
        let secret = generator.subschema_for::<Secret>().to_value();
        let catalog = Catalog::builtin().unwrap_or_default();
        kinds.extend(catalog.iter().map(|spec| (spec.name.clone(), host(spec, &secret))));
        schemars::json_schema!({
            "description": "A DNS provider; the key names its kind: one of these, or a file of `provider_files`.",
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": kinds,
            "additionalProperties": {"type": "object"},
        })
    }
}

fn host(spec: &Spec, secret: &Value) -> Value {
    let mut properties: Map<String, Value> =
        spec.fields.iter().map(|field| (field.name.clone(), property(field, secret))).collect();
    for (name, doc) in Spec::OPTIONS {
        let kind = if name == "allow_http" { "boolean" } else { "string" };
        properties.insert(name.to_owned(), json!({"type": kind, "description": doc}));
    }
    let required: Vec<&str> =
        spec.fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    json!({
        "description": spec.title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(field: &Field, secret: &Value) -> Value {
    let mut property = match field.secret {
        true => json!({ "allOf": [secret] }),
        false => json!({ "anyOf": [{"type": ["string", "integer"]}, secret] }),
    };
    if let Some(doc) = &field.doc {
        property["description"] = json!(doc);
    }
    property
}
