//! The JSON schema of zones.yaml, for editors; `zones.schema.json` is this, written by a test.

use super::spec;
use serde_json::Value;

/// The schema. An absent option is left out, never written as null, so null is taken out of it.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(spec::Zones).to_value();
    without_null(&mut schema);
    schema
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}
