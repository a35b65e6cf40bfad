//! A DNS host that a file describes: the file's `config` says which fields there are, which of them are secret, and
//! which must be given.

use super::setting::Setting;
use crate::config::defaults;
use crate::config::keys::readable;
use crate::config::problem::Sink;
use crate::config::read::{At, DurationText, Fields, Read};
use crate::config::resolve::{duration_in, optional};
use crate::config::spec::Secret;
use crate::config::tree::{Node, Value};
use crate::model::desired::{self, Described, Settings};
use danesmith_providers::http::{Field, Spec, check_address, check_base};
use std::collections::BTreeMap;
use std::path::Path;

/// Checks the fields against the host's file.
pub(super) fn described(
    spec: &Spec,
    node: &Node,
    path: &str,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Described> {
    let known: Vec<&str> = spec
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .chain(Spec::OPTIONS.map(|(name, _)| name))
        .collect();
    let fields = Fields::open(node, path, &known, sink)?;
    let root = fields.take::<Option<At<String>>>("root", sink);
    let allow_http = fields.take::<Option<bool>>("allow_http", sink);
    let timeout = fields.take::<Option<At<DurationText>>>("timeout", sink);
    let allow_http = allow_http?.unwrap_or(false);
    let mut settings = Some(Settings::new());
    for field in &spec.fields {
        match (setting(field, &fields, path, allow_http, folder, sink), &mut settings) {
            (Some(Some(value)), Some(settings)) => {
                settings.insert(field.name.clone(), value);
            }
            (Some(_), _) => {}
            (None, settings) => *settings = None,
        }
    }
    let root = optional(root?.as_ref(), |at| readable(at, folder, sink));
    let timeout = optional(timeout?.as_ref(), |at| duration_in(at, &defaults::TIMEOUT_RANGE, sink));
    let settings = settings?;
    address(spec, &settings, allow_http).map_err(|why| sink.say(fields.place(), why)).ok()?;
    Some(Described { kind: spec.name.clone(), settings, root: root?, allow_http, timeout: timeout? })
}

/// The address that the settings make; not where one of them is read from elsewhere.
fn address(spec: &Spec, settings: &Settings, allow_http: bool) -> Result<(), String> {
    let mut texts = BTreeMap::new();
    for (name, setting) in settings {
        match setting {
            desired::Setting::Text(text) => {
                texts.insert(name.clone(), text.clone());
            }
            _ if spec.field(name).is_some_and(|field| field.secret) => {}
            _ => return Ok(()),
        }
    }
    check_base(spec, &texts, allow_http)
}

/// `Some(None)` where nothing stands and nothing must, `None` when there is a problem.
fn setting(
    field: &Field,
    fields: &Fields<'_>,
    path: &str,
    allow_http: bool,
    folder: &Path,
    sink: &mut Sink,
) -> Option<Option<desired::Setting>> {
    let path = crate::config::read::join(path, &field.name);
    let Some(node) = fields.get(&field.name) else {
        if !field.required {
            return Some(None);
        }
        if !sink.blames(&path) {
            sink.say_with(fields.place(), format!("`{}` is missing", field.name), advice(field));
        }
        return None;
    };
    if field.secret {
        return Secret::read(node, &path, sink)
            .and_then(|secret| Setting::Secret(secret).checked(folder, sink))
            .map(Some);
    }
    let value = match &node.value {
        Value::Map(_) => Setting::Secret(Secret::read(node, &path, sink)?),
        // A customer's number is text to the host's interface.
        Value::Int(number) => Setting::Text(number.to_string()),
        _ => Setting::Text(String::read(node, &path, sink)?),
    };
    if let Setting::Text(text) = &value
        && text.contains("://")
        && let Err(why) = check_address(text, allow_http)
    {
        sink.say_with(
            &node.place(&path),
            why,
            "secrets go there: write an https URL without user name or query",
        );
        return None;
    }
    value.checked(folder, sink).map(Some)
}

/// What the field is, and how it is written.
fn advice(field: &Field) -> String {
    let doc = field.doc.as_deref().map(|doc| format!("{doc}; ")).unwrap_or_default();
    match (field.secret, field.env.first()) {
        (true, Some(variable)) => {
            format!("{doc}write `{}: {{env: {variable}}}`, or {{file: PATH}}", field.name)
        }
        (true, None) => format!("{doc}write `{}: {{file: PATH}}`, or {{env: NAME}}", field.name),
        (false, _) => format!("{doc}write `{}: …`", field.name),
    }
}
