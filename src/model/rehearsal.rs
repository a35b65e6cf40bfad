//! What a rehearsal tells: what happened when, what the caches held then, and how it ended.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// Something that happened to a certificate, its keys or its pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The certificate's name in zones.yaml; empty: it concerns all.
    pub certificate: String,
    /// When it ends, where it lasts.
    pub until: Option<Timestamp>,
    /// What sort.
    pub what: What,
    /// For people, keys by their letters.
    pub words: String,
    /// Letters of the keys that it is about; of two the new one, or the one that stays, is the first.
    pub keys: Vec<String>,
    /// How many caches of senders held which pins at this moment: letters of keys, `+` for a record of somebody else,
    /// "none".
    pub caches: BTreeMap<String, u64>,
}

/// Sorts of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What was there before the rehearsal: the key that is served.
    Serves,
    /// The same: keys whose pins stand in DNS.
    Stands,
    /// The first certificate.
    Issued,
    /// Another certificate for the same key.
    Renewed,
    /// A certificate for the key to come is ready.
    Staged,
    /// A pin goes into DNS.
    Pinned,
    /// Every name server has it: its clock runs.
    Everywhere,
    /// Its clock stopped: some server lacks it or was not heard.
    Stopped,
    /// Its key may be served.
    Ripe,
    /// A rotation begins.
    Begun,
    /// Another key is installed.
    Switched,
    /// Nobody presents the former key: its pin goes.
    Retiring,
    /// The rotation is done.
    Rotated,
    /// The rotation is being taken back, or was.
    Aborted,
    /// A key is used up.
    Retired,
    /// The CA revokes a certificate.
    Revoked,
    /// Somebody else's doing: an administrator, a clock, the CA.
    Outside,
    /// What a run was to do would break mail now, so it was left to a later one.
    PutOff,
    /// A run failed, or was killed.
    Failed,
}

impl What {
    /// One word, for people and JSON.
    pub fn word(self) -> &'static str {
        match self {
            What::Serves => "serves",
            What::Stands => "stands",
            What::Issued => "issued",
            What::Renewed => "renewed",
            What::Staged => "staged",
            What::Pinned => "pinned",
            What::Everywhere => "everywhere",
            What::Stopped => "stopped",
            What::Ripe => "ripe",
            What::Begun => "begun",
            What::Switched => "switched",
            What::Retiring => "retiring",
            What::Rotated => "rotated",
            What::Aborted => "aborted",
            What::Retired => "retired",
            What::Revoked => "revoked",
            What::Outside => "outside",
            What::PutOff => "put-off",
            What::Failed => "failed",
        }
    }
}

/// A delivery that a sender refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// The certificate that was presented, or should have been.
    pub certificate: String,
    /// Who presented what to whom.
    pub words: String,
    /// The last things that happened before, oldest first.
    pub trace: Vec<String>,
}

/// The most that one of the CA's limits counted at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What is limited, for people.
    pub what: &'static str,
    /// The same in one word, for programs.
    pub word: &'static str,
    /// The most that there was.
    pub most: u64,
    /// The most that there may be.
    pub limit: u64,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that senders attempted.
    pub deliveries: u64,
    /// Runs of `apply` and `rotate`, those below among them.
    pub runs: u64,
    /// Runs that put something off because it would break mail, and failed for no certificate.
    pub put_off: u64,
    /// Runs that failed for some certificate.
    pub failed: u64,
    /// Runs that were killed.
    pub killed: u64,
    /// Orders at the CA.
    pub orders: u64,
    /// Certificates.
    pub certificates: u64,
    /// Orders by ISO 8601 week ("2026-W48").
    pub weeks: BTreeMap<String, u64>,
    /// What the CA's limits counted.
    pub budgets: Vec<Budget>,
    /// Rotations that ended.
    pub rotations: u64,
    /// Changes of zones by month ("2026-11"): TLSA, and challenges.
    pub changes: BTreeMap<String, (u64, u64)>,
}

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// The simulated time it spans.
    pub from: Timestamp,
    /// Its end: earlier than asked for when a delivery was refused.
    pub until: Timestamp,
    /// The seed of its faults; `None`: nothing went wrong.
    pub seed: Option<u64>,
    /// What the world made up, for people.
    pub notes: Vec<String>,
    /// In the order of their times.
    pub events: Vec<Event>,
    /// What was counted.
    pub counts: Counts,
    /// Must be none.
    pub refusal: Option<Refusal>,
    /// SHA-256 over every step that was taken, hexadecimal: equal runs have equal ones.
    pub trace_digest: String,
    /// Every step with its time, where they were to be kept.
    pub steps: Vec<String>,
}

impl Rehearsal {
    /// Changes of zones: all, those of a month on average, and those of the busiest month.
    pub fn dns_changes(&self) -> (u64, f64, u64) {
        let months = || self.counts.changes.values().map(|(pins, texts)| pins + texts);
        let total: u64 = months().sum();
        // A month has 730.5 h on average; less than one is no rate.
        let length = (self.until.duration_since(self.from).as_hours() as f64 / 730.5).max(1.0);
        (total, total as f64 / length, months().max().unwrap_or(0))
    }
}

/// 1234567 as "1,234,567".
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let told = [0, 7, 999, 1000, 123_456, 1_234_567].map(thousands);
        assert_eq!(told, ["0", "7", "999", "1,000", "123,456", "1,234,567"]);
    }
}
