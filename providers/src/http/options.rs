//! What the caller gives: the settings a file asks for, and how patient the engine is.

use super::spec::Spec;
use crate::rfc2136::Clock;
use crate::{Class, Error};
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// A setting's value.
#[derive(Clone)]
pub enum Setting {
    /// May be shown.
    Plain(String),
    /// Never shown. The expressions' copy of it is not wiped, this one is.
    Secret(Zeroizing<String>),
}

impl Setting {
    fn text(&self) -> &str {
        match self {
            Setting::Plain(text) => text,
            Setting::Secret(text) => text,
        }
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Plain(text) => write!(f, "{text:?}"),
            Setting::Secret(_) => f.write_str("[secret]"),
        }
    }
}

/// Everything else the engine needs.
#[derive(Clone)]
pub struct Options {
    /// How long one call of the contract may take with all its waiting.
    pub deadline: Duration,
    /// How long one request may take, connecting included.
    pub timeout: Duration,
    /// Where the lock file of each zone is kept, so that no two processes of this machine change one zone at a time; nobody
    /// else may be able to write there. None: only within this process.
    pub locks: Option<PathBuf>,
    /// PEM trust roots instead of those of the system.
    pub root_pem: Option<Vec<u8>>,
    /// Lets secrets travel unencrypted to other hosts than this one.
    pub allow_http: bool,
    /// Unix seconds, for signatures and dates.
    pub clock: Clock,
}

impl Options {
    /// Usual patience: two minutes for a call, 30 s for a request; no lock file.
    pub fn new(clock: Clock) -> Options {
        let (deadline, timeout) = (Duration::from_secs(120), Duration::from_secs(30));
        Options { deadline, timeout, locks: None, root_pem: None, allow_http: false, clock }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("deadline", &self.deadline)
            .field("timeout", &self.timeout)
            .field("locks", &self.locks)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// All fields of a file with their values; none where nothing is given.
pub(super) fn resolve(spec: &Spec, given: &BTreeMap<String, Setting>) -> Result<(Value, Secrets), Error> {
    let name = &spec.name;
    if let Some(unknown) = given.keys().find(|key| spec.field(key).is_none()) {
        let known: Vec<&str> = spec.fields.iter().map(|field| field.name.as_str()).collect();
        let message = format!("provider {name} has no setting `{unknown}`; it has {}", known.join(", "));
        return Err(Error::new(Class::Rejected, message));
    }
    let secrets = Secrets::default();
    let mut values = BTreeMap::new();
    for field in &spec.fields {
        let value = given.get(&field.name);
        if value.is_none() && field.required {
            let message = format!("provider {name} lacks its setting `{}`", field.name);
            let doc = field.doc.as_deref().unwrap_or(&field.name);
            return Err(Error::new(Class::Rejected, message).hint(format!("`{}`: {doc}", field.name)));
        }
        if let Some(value) = value
            && (field.secret || matches!(value, Setting::Secret(_)))
        {
            secrets.add(value.text());
        }
        let text = value.map(Setting::text).or(field.default.as_deref());
        values.insert(field.name.clone(), text.map_or_else(|| Value::from(()), Value::from));
    }
    Ok((Value::from_pairs(values), secrets))
}

/// Texts that must not be shown, in the forms that requests give them.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<RwLock<Vec<Zeroizing<String>>>>);

/// Shorter ones would black out every second word.
const SHORTEST: usize = 4;

impl Secrets {
    pub(super) fn add(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        let forms = [
            secret.to_owned(),
            super::expression::escaped(secret, ""),
            data_encoding::BASE64.encode(secret.as_bytes()),
            json.trim_matches('"').to_owned(),
        ];
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms.into_iter().map(Zeroizing::new) {
            if !all.contains(&form) {
                all.push(form);
            }
        }
        // A secret may contain another one.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text with every secret blacked out.
    pub(super) fn redact(&self, text: &str) -> String {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }
}
