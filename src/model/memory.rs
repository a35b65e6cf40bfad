//! What is worth remembering between runs but may be lost without harm: it saves requests, it decides nothing.

use crate::model::outcome::Outcome;
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
    /// How the last runs ended, by certificate: for `status` only.
    #[serde(default)]
    pub runs: BTreeMap<String, LastRun>,
    /// Since when the servers have had different TLSA records, by owner name: for `verify` only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub differing: BTreeMap<String, Timestamp>,
}

/// How the last run for a certificate ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// The end.
    pub end: End,
    /// When a run ended like this for the first time; those since then ended the same way.
    pub since: Timestamp,
    /// What it waits for, or what failed; empty when all is as wanted.
    #[serde(default)]
    pub why: String,
}

/// Ends of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// All is as wanted.
    Done,
    /// Something waits for its time.
    Waits,
    /// It failed, or was refused.
    Failed,
}

impl End {
    /// All of them.
    pub const ALL: [End; 3] = [End::Done, End::Waits, End::Failed];

    /// For people and metrics.
    pub fn word(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Waits => "waits",
            End::Failed => "failed",
        }
    }
}

/// How long a proof that credentials work is believed: long enough to spare hourly runs, short enough to find a
/// replaced key before the next order.
const PROOF_LASTS: SignedDuration = SignedDuration::from_hours(24);

impl Memory {
    /// Whether these credentials were seen to work within the last 24 hours.
    pub fn is_proven(&self, what: &str, now: Timestamp) -> bool {
        self.proven.get(what).is_some_and(|at| *at <= now && now.duration_since(*at) < PROOF_LASTS)
    }

    /// Notes how a run ended. A run that ends like the one before changes nothing, so that nothing is written.
    pub fn note_run(&mut self, certificate: &str, outcome: &Outcome, now: Timestamp) {
        let (end, why) = match outcome {
            Outcome::Done(_) => (End::Done, String::new()),
            Outcome::Waits(_, why) => (End::Waits, why.clone()),
            Outcome::Failed(e) => (End::Failed, e.to_string()),
        };
        let former = self.runs.get(certificate).filter(|former| former.end == end);
        let since = former.map_or(now, |former| former.since);
        self.runs.insert(certificate.to_owned(), LastRun { end, since, why });
    }

    /// Notes whether the servers had the same TLSA records when a run looked last.
    pub fn note_servers(&mut self, owner: &str, differ: bool, now: Timestamp) {
        if differ {
            self.differing.entry(owner.to_owned()).or_insert(now);
        } else {
            self.differing.remove(owner);
        }
    }

    /// Forgets proofs that are too old to count.
    pub fn tidy(&mut self, now: Timestamp) {
        self.proven.retain(|_, at| *at <= now && now.duration_since(*at) < PROOF_LASTS);
    }
}
