//! Settings whose names are the provider's: text, numbers, true or false, or where a secret is.

use crate::config::problem::Sink;
use crate::config::read::{At, Map, Read};
use crate::config::resolve::secret;
use crate::config::spec::Secret;
use crate::config::tree::{Node, Value};
use crate::model::desired;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::path::Path;

/// One value.
#[derive(Debug)]
pub(in crate::config) enum Setting {
    Text(String),
    Number(u64),
    Flag(bool),
    Secret(Secret),
}

/// Values by name.
pub(in crate::config) type Settings = Map<Setting>;

/// Values of environment variables by name: text, or where a secret is.
#[derive(Debug)]
pub(in crate::config) struct Environment(Settings);

/// Last words of names that say that a secret stands there: `CF_Token`, `auth_key`, `secret`.
const SECRET_WORDS: [&str; 10] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "token",
    "key",
    "apikey",
    "credential",
    "credentials",
];
/// What `key` is the end of without being a secret itself.
const PUBLIC_KEYS: [&str; 1] = ["public_key"];

impl Setting {
    /// The value for the provider; a secret stays where it is.
    pub(in crate::config) fn checked(&self, folder: &Path, sink: &mut Sink) -> Option<desired::Setting> {
        Some(match self {
            Setting::Text(text) => desired::Setting::Text(text.clone()),
            Setting::Number(number) => desired::Setting::Number(*number),
            Setting::Flag(flag) => desired::Setting::Flag(*flag),
            Setting::Secret(spec) => desired::Setting::Secret(secret(spec, folder, sink)?),
        })
    }
}

impl Read for Setting {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Secret::read(node, path, sink).map(Setting::Secret),
            Value::Int(number) => Some(Setting::Number(*number)),
            Value::Bool(flag) => Some(Setting::Flag(*flag)),
            _ => String::read(node, path, sink).map(Setting::Text),
        }
    }
}

impl Read for Environment {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        Settings::read(node, path, sink).map(Environment)
    }
}

impl Environment {
    /// Checks names and values; numbers are text in an environment.
    pub(in crate::config) fn checked(&self, folder: &Path, sink: &mut Sink) -> Option<desired::Settings> {
        let mut fits = true;
        for (name, _) in &self.0.0 {
            let plain = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.value.starts_with(|c: char| c.is_ascii_digit());
            if !plain {
                sink.say(&name.place, "is not the name of an environment variable");
            }
            fits &= plain;
        }
        let values = settings(&self.0, folder, sink)?;
        let text = |value| match value {
            desired::Setting::Number(number) => desired::Setting::Text(number.to_string()),
            desired::Setting::Flag(flag) => desired::Setting::Text(flag.to_string()),
            other => other,
        };
        fits.then(|| values.into_iter().map(|(name, value)| (name, text(value))).collect())
    }
}

/// Checks all of them. A name that says "secret" wants a reference: a value written there would be in the file.
pub(in crate::config) fn settings(
    map: &Settings,
    folder: &Path,
    sink: &mut Sink,
) -> Option<desired::Settings> {
    let mut checked = desired::Settings::new();
    let mut complete = true;
    for (At { value: name, place }, setting) in &map.0 {
        let Some(setting) = setting else {
            complete = false;
            continue;
        };
        if sounds_secret(name) && !matches!(setting, Setting::Secret(_) | Setting::Flag(_)) {
            let hint = "write where it is: {file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}";
            sink.say_with(
                place,
                "its name says that it is a secret, which must not stand in zones.yaml",
                hint,
            );
            complete = false;
            continue;
        }
        match setting.checked(folder, sink) {
            Some(value) => {
                checked.insert(name.clone(), value);
            }
            None => complete = false,
        }
    }
    complete.then_some(checked)
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    SECRET_WORDS.contains(&last) && !PUBLIC_KEYS.iter().any(|public| name.ends_with(public))
}

impl JsonSchema for Setting {
    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Secret>();
        schemars::json_schema!({
            "description": "Text, a number, true or false, or where a secret is.",
            "anyOf": [{"type": ["string", "integer", "boolean"]}, secret],
        })
    }
}

impl JsonSchema for Environment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Environment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::sounds_secret;

    #[test]
    fn names_that_say_secret_are_known() {
        for name in ["secret", "CF_Token", "auth_key", "API_KEY", "password", "INWX_Password", "tsig-secret"]
        {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["server", "key_name", "key_file", "CF_Account_ID", "public_key", "tokenizer", "port"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }
}
