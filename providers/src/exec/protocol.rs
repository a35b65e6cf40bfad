//! The words of the protocol: one JSON document per line in each direction. `providers/PLUGINS.md` is its description.

use crate::{Atomicity, Capabilities, Class, Error, Semantics};
use hickory_proto::rr::RecordType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;
use zeroize::Zeroizing;

/// The version that is spoken.
pub(super) const PROTOCOL: u32 = 1;

/// One setting of a plugin.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Setting {
    /// Public: may be shown.
    Plain(Value),
    /// Never shown; it reaches the plugin's standard input and nothing else.
    #[serde(serialize_with = "in_clear")]
    Secret(Zeroizing<String>),
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Plain(value) => write!(f, "{value}"),
            Setting::Secret(_) => f.write_str("[secret]"),
        }
    }
}

fn in_clear<S: serde::Serializer>(secret: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret)
}

/// What `hello` hands over.
pub type Settings = BTreeMap<String, Setting>;

/// A request line.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) operation: Operation<'a>,
    /// Milliseconds until we stop waiting and kill the plugin.
    pub(super) deadline_ms: u64,
}

/// What is asked.
#[derive(Serialize, Clone, Copy)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Operation<'a> {
    Hello {
        protocol: u32,
        config: &'a Settings,
    },
    Zone {
        name: &'a str,
    },
    List {
        zone: &'a Value,
        name: &'a str,
        #[serde(rename = "type")]
        rtype: &'a str,
    },
    Apply {
        zone: &'a Value,
        changes: &'a [WireChange],
    },
}

impl Operation<'_> {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Operation::Hello { .. } => "hello",
            Operation::Zone { .. } => "zone",
            Operation::List { .. } => "list",
            Operation::Apply { .. } => "apply",
        }
    }
}

/// One owner name and type of an `apply`.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub(super) struct WireChange {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) ttl: u32,
    pub(super) add: Vec<String>,
    pub(super) remove: Vec<String>,
}

/// An answer line. Members we do not know are left alone: a later plugin may say more.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) ok: Option<Value>,
    #[serde(default)]
    pub(super) error: Option<Failure>,
}

/// A refusal.
#[derive(Deserialize)]
pub(super) struct Failure {
    class: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
    #[serde(default)]
    hint: Option<String>,
}

impl Failure {
    /// The error as ours; the texts still have to be cleaned by `clean`.
    pub(super) fn into_error(self, label: &str, clean: impl Fn(&str) -> String) -> Error {
        let said = clean(&self.message);
        let (class, text) = match class(&self.class) {
            Some(class) => (class, format!("{label}: {said}")),
            None => (
                Class::Internal,
                format!("{label} failed with the unknown class `{}`: {said}", clean(&self.class)),
            ),
        };
        Error {
            class,
            message: text,
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            hint: self.hint.as_deref().map(clean),
        }
    }
}

fn class(word: &str) -> Option<Class> {
    Some(match word {
        "auth" => Class::Auth,
        "not-found" => Class::NotFound,
        "rate-limited" => Class::RateLimited,
        "conflict" => Class::Conflict,
        "transient" => Class::Transient,
        "rejected" => Class::Rejected,
        "unsupported" => Class::Unsupported,
        "internal" => Class::Internal,
        _ => return None,
    })
}

/// Answer to `hello`.
#[derive(Deserialize)]
pub(super) struct Hello {
    protocol: u32,
    types: Vec<String>,
    #[serde(default)]
    semantics: Option<String>,
    #[serde(default)]
    atomic: Option<String>,
    #[serde(default)]
    ttl: Ttl,
}

#[derive(Deserialize, Default)]
struct Ttl {
    #[serde(default)]
    min: Option<u32>,
    #[serde(default)]
    max: Option<u32>,
}

impl Hello {
    /// Errors: what makes no sense in it.
    pub(super) fn capabilities(&self) -> Result<Capabilities, String> {
        if self.protocol != PROTOCOL {
            return Err(format!("it speaks protocol {}, danesmith speaks {PROTOCOL}", self.protocol));
        }
        let known = [RecordType::TXT, RecordType::TLSA];
        let types: Vec<RecordType> =
            self.types.iter().filter_map(|word| RecordType::from_str(word).ok()).collect();
        let types: Vec<RecordType> = known.into_iter().filter(|rtype| types.contains(rtype)).collect();
        if types.is_empty() {
            return Err("it handles neither TXT nor TLSA".to_owned());
        }
        let semantics = match self.semantics.as_deref() {
            None => None,
            Some("record") => Some(Semantics::Record),
            Some("rrset") => Some(Semantics::RrSet),
            Some("value") => Some(Semantics::Value),
            Some(_) => return Err("`semantics` is none of record, rrset and value".to_owned()),
        };
        let atomicity = match self.atomic.as_deref() {
            None | Some("none") => Atomicity::None,
            Some("value") => Atomicity::Value,
            Some("cas") => Atomicity::CompareAndSwap,
            Some("batch") => Atomicity::Batch,
            Some(_) => return Err("`atomic` is none of none, value, cas and batch".to_owned()),
        };
        let largest = i32::MAX.unsigned_abs(); // RFC 2181 §8
        let (min_ttl, max_ttl) = (self.ttl.min.unwrap_or(0), self.ttl.max.unwrap_or(largest).min(largest));
        if min_ttl > max_ttl {
            return Err("its smallest TTL is larger than its largest".to_owned());
        }
        Ok(Capabilities { types, semantics, atomicity, min_ttl, max_ttl })
    }
}

/// Answer to `zone`; the whole object goes back with each request.
#[derive(Deserialize)]
pub(super) struct Zone {
    pub(super) name: String,
}

/// Answer to `list`.
#[derive(Deserialize)]
pub(super) struct List {
    pub(super) records: Vec<Record>,
}

/// One record of a `list`.
#[derive(Deserialize)]
pub(super) struct Record {
    pub(super) value: String,
    pub(super) ttl: u32,
}
