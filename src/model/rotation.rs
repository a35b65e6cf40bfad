//! The durable side of a rotation: its phase, what was seen of TTLs and serials, keys that are used up. RFC 7671 §8.1 and
//! §8.4 are why each of these must survive a crash.

use crate::model::key::SpkiDigest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A rotation under way: the backup key becomes the active one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How far it is.
    pub phase: Phase,
    /// The key that was served when it began.
    pub from: SpkiDigest,
    /// The key that shall be served.
    pub to: SpkiDigest,
    /// When it began.
    pub since: Timestamp,
    /// The administrator switched although the new pin was not ripe: `rotate --emergency --switch-now`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// How far a rotation is. Both keys are pinned in all phases but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The new key is served where it has arrived.
    Deploying,
    /// `--abort`: the former key is served again where it has arrived.
    Aborting,
    /// Nobody presents the former key; its pin is being removed.
    Retiring,
}

impl Phase {
    /// For people and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Deploying => "deploying",
            Phase::Aborting => "aborting",
            Phase::Retiring => "retiring",
        }
    }
}

/// What was seen of the TLSA RRset at one owner name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerHistory {
    /// Owner name, as configured.
    pub owner: String,
    /// When we first looked, or first found this target. What stood there before is unknown.
    pub since: Timestamp,
    /// Some server has not answered yet: what it holds is as unknown as what stood before, so `since` moves on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unheard: bool,
    /// The name that holds the records, after aliases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// TTLs that were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ttls: Vec<TtlSeen>,
    /// Usable records of others beside ours when we last looked, as in a zone file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub others: BTreeSet<String>,
    /// Start of the round that first saw them so; `None`: they are as they were when we first looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_since: Option<Timestamp>,
    /// SOA serial of each server when it was last asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub serials: BTreeMap<String, u32>,
}

/// A TTL of the RRset. Caches may hold what came with it until it has passed after `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TtlSeen {
    /// Seconds.
    pub ttl: u32,
    /// End of the round of questions that no longer saw it; `None`: the last round saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
}

/// A withdrawn pin. Who holds its key and the signed set can show both to senders until the signature ends (RFC 7671 §13).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The key.
    pub spki: SpkiDigest,
    /// End of the last signature over a set with its pin, of all servers and owner names.
    pub until: Timestamp,
}

/// A host that the administrator says is gone for good: it no longer counts as an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoneHost {
    /// Host name or address, as `rotate --gone` was told.
    pub host: String,
    /// When the last cached address of it has expired: from then on it may be left out.
    pub from: Timestamp,
}
