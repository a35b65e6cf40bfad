//! What is worth remembering between runs but may be lost without harm: it saves requests, it decides nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kept in `memory.json` of the state directory; unreadable or missing means empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// When credentials were last seen to work, by "provider zone owner type".
    #[serde(default)]
    pub proven: BTreeMap<String, Timestamp>,
    /// How long a CA took from our answer to a ready order, milliseconds, by directory URL.
    #[serde(default)]
    pub validation_ms: BTreeMap<String, u64>,
}

/// How long a proof that credentials work is believed: long enough to spare hourly runs, short enough to find a
/// replaced key before the next order.
const PROOF_LASTS: SignedDuration = SignedDuration::from_hours(24);

impl Memory {
    /// Whether these credentials were seen to work within the last 24 hours.
    pub fn is_proven(&self, what: &str, now: Timestamp) -> bool {
        self.proven.get(what).is_some_and(|at| *at <= now && now.duration_since(*at) < PROOF_LASTS)
    }

    /// Forgets proofs that are too old to count.
    pub fn tidy(&mut self, now: Timestamp) {
        self.proven.retain(|_, at| *at <= now && now.duration_since(*at) < PROOF_LASTS);
    }
}
