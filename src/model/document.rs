//! The state document of one certificate: what must be known after a crash. Replaced as a whole; nothing in it is secret.
//!
//! Readers refuse a newer `version` than they know, and unknown fields: an older danesmith must not drop what a newer
//! one wrote.

use crate::model::key::SpkiDigest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Format version written by this program.
pub const VERSION: u32 = 1;

/// Everything durable about one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Format version.
    pub version: u32,
    /// The keys danesmith made; for keys of the administrator only the digests that were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyPair>,
    /// The order in flight, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderInFlight>,
    /// TXT values that stand in DNS, or may, and are ours to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<OwedTxt>,
    /// The installed certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Installed>,
    /// TLSA records of ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<PinRecord>,
    /// Failed attempts since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// This generation is not yet deployed and reloaded: files copied, reload command ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_owed: Option<u64>,
}

/// Active and backup key by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// Served now.
    pub active: SpkiDigest,
    /// Pinned, not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<SpkiDigest>,
}

/// An order that the CA knows and we have not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderInFlight {
    /// The order's URL.
    pub url: String,
    /// Account it belongs to, by directory URL and account URL.
    pub account: String,
    /// Its identifiers, sorted.
    pub names: Vec<String>,
    /// The key it is for.
    pub spki: SpkiDigest,
    /// When we asked for it.
    pub created: Timestamp,
}

/// A TXT value that we must remove some day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwedTxt {
    /// Zone apex that holds it.
    pub zone: String,
    /// Owner name, after aliases.
    pub owner: String,
    /// The value.
    pub value: String,
    /// The configured zone whose provider writes there.
    pub via: String,
}

/// The certificate that `live` points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Generation number: the folder `generations/N`.
    pub generation: u64,
    /// Names it carries, sorted.
    pub names: Vec<String>,
    /// Its key.
    pub spki: SpkiDigest,
    /// RFC 5280 §4.1.2.5.
    pub not_before: Timestamp,
    /// RFC 5280 §4.1.2.5.
    pub not_after: Timestamp,
    /// Hexadecimal serial number.
    pub serial: String,
    /// Issuer's distinguished name, readable.
    pub issuer: String,
}

/// One TLSA 3 1 1 record of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinRecord {
    /// Owner name, as configured.
    pub owner: String,
    /// The key.
    pub spki: SpkiDigest,
    /// When the request that published it was about to be sent.
    pub first_published: Timestamp,
    /// Start of the round in which every authoritative server was seen to have it; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_everywhere: Option<Timestamp>,
}

/// Why and since when attempts fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// No new order before this time.
    pub not_before: Timestamp,
    /// What went wrong last, for `status`.
    pub last: String,
}

impl Document {
    /// Stops the clocks of pins that are no longer on every server; says whether anything changed. A weakening fact: it
    /// belongs on disk before anything else is done.
    pub fn stop_clocks(&mut self, owner: &str, everywhere: &BTreeSet<SpkiDigest>) -> bool {
        let mut changed = false;
        for pin in self.pins.iter_mut().filter(|p| p.owner == owner && !everywhere.contains(&p.spki)) {
            changed |= pin.seen_everywhere.take().is_some();
        }
        changed
    }
}

impl Default for Document {
    fn default() -> Self {
        Document {
            version: VERSION,
            keys: None,
            order: None,
            owed: Vec::new(),
            installed: None,
            pins: Vec::new(),
            failures: None,
            reload_owed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_clock_of_a_pin_stops_when_a_server_no_longer_has_it() {
        let pin = |spki| PinRecord {
            owner: "_25._tcp.mx1.example.org.".into(),
            spki,
            first_published: Timestamp::UNIX_EPOCH,
            seen_everywhere: Some(Timestamp::UNIX_EPOCH),
        };
        let (a, b) = (SpkiDigest([1; 32]), SpkiDigest([2; 32]));
        let mut document = Document { pins: vec![pin(a), pin(b)], ..Document::default() };
        let everywhere = BTreeSet::from([a]);
        assert!(!document.stop_clocks("_465._tcp.mx1.example.org.", &everywhere));
        assert!(document.stop_clocks("_25._tcp.mx1.example.org.", &everywhere));
        assert_eq!(document.pins[0].seen_everywhere, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(document.pins[1].seen_everywhere, None);
        assert!(!document.stop_clocks("_25._tcp.mx1.example.org.", &everywhere), "said once");
    }

    #[test]
    fn a_document_of_a_newer_danesmith_is_not_read_as_ours() {
        let text = r#"{"version": 1, "rotation": {"phase": "deploying"}}"#;
        assert!(serde_json::from_str::<Document>(text).unwrap_err().to_string().contains("unknown field"));
    }
}
