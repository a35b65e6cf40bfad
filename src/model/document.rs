//! The state document of one certificate: what must be known after a crash. Replaced as a whole; nothing in it is secret.
//!
//! Readers refuse a newer `version` than they know, and unknown fields: an older danesmith must not drop what a newer
//! one wrote.

use crate::model::key::SpkiDigest;
use crate::model::rotation::{GoneHost, OwnerHistory, Phase, Replay, Rotation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Format version written by this program.
pub const VERSION: u32 = 1;

/// Everything durable about one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// What the CA said of the installed certificate's renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<RenewalInfo>,
    /// Failed attempts since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// This generation is not yet deployed and reloaded: files copied, reload command ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_owed: Option<u64>,
    /// A whole certificate that is not served: for the new key before a switch, for the former one after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<Installed>,
    /// A rotation under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Keys that were active once: never a backup again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retired: BTreeSet<SpkiDigest>,
    /// What was seen of the TLSA RRsets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<OwnerHistory>,
    /// Hosts that count no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneHost>,
    /// Endpoints that are not listed and answered once: from then on their silence counts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub answered: BTreeSet<String>,
    /// The largest signed TTL of the endpoints' address records, seconds, by host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub address_ttls: BTreeMap<String, u32>,
    /// Pins that were withdrawn, and until when somebody can replay them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replayable: Vec<Replay>,
    /// Since when the active key is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_since: Option<Timestamp>,
    /// How often its certificate was renewed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub renewals: u32,
    /// When this document was last written: the clock must not be before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Timestamp>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Active and backup key by digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// Served now.
    pub active: SpkiDigest,
    /// Pinned, not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<SpkiDigest>,
}

/// An order that the CA knows and we have not finished.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// What the CA calls it in renewal information (RFC 9773 §4.1); `None`: it names no issuer's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// When the CA revoked it because the administrator asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// What the CA says of a certificate's renewal (RFC 9773 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalInfo {
    /// The certificate that it is about.
    pub certificate_id: String,
    /// The CA that said it, by directory URL.
    pub directory: String,
    /// When it would like the certificate to be replaced; `None`: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// A page that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// The CA is not asked again before.
    pub ask_again: Timestamp,
}

impl RenewalInfo {
    /// Nothing is known of this certificate's renewal yet.
    pub fn unknown(certificate_id: String, directory: String, ask_again: Timestamp) -> RenewalInfo {
        RenewalInfo { certificate_id, directory, window: None, explanation: None, ask_again }
    }
}

/// RFC 9773 §4.2, suggestedWindow; it may lie in the past (a certificate that was revoked).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its begin.
    pub start: Timestamp,
    /// Its end, after the begin.
    pub end: Timestamp,
}

/// One TLSA 3 1 1 record of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// How many in a row.
    pub count: u32,
    /// No new order before this time.
    pub not_before: Timestamp,
    /// What went wrong last, for `status`.
    pub last: String,
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
            renewal_info: None,
            failures: None,
            reload_owed: None,
            spare: None,
            rotation: None,
            retired: BTreeSet::new(),
            history: Vec::new(),
            gone: Vec::new(),
            answered: BTreeSet::new(),
            address_ttls: BTreeMap::new(),
            replayable: Vec::new(),
            serving_since: None,
            renewals: 0,
            written: None,
        }
    }
}

impl Document {
    /// The number of the next generation folder: greater than every one that this document names.
    pub fn next_generation(&self) -> u64 {
        let named = [&self.installed, &self.spare].into_iter().flatten();
        named.map(|i| i.generation).max().unwrap_or(0) + 1
    }

    /// The rotation's phase.
    pub fn phase(&self) -> Option<Phase> {
        self.rotation.as_ref().map(|r| r.phase)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_of_a_newer_danesmith_is_not_read_as_ours() {
        let text = r#"{"version": 1, "rehearsal": {"seed": 7}}"#;
        assert!(serde_json::from_str::<Document>(text).unwrap_err().to_string().contains("unknown field"));
    }
}
