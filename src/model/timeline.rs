//! What a picture shows: keys, pins and certificates over a period, from a rehearsal or from the state documents. Data
//! only; `report::picture` draws it.
//!
//! Times are half-open intervals, `from` up to and without `until`. What lies outside the period is cut off by whoever
//! draws, so nothing needs to be clipped here. Names and words are plain text: escaping is the drawer's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// The heading: `rehearsal of zones.yaml, seed 7`.
    pub title: String,
    /// The first moment that is shown.
    pub from: Timestamp,
    /// The last one; later than `from`.
    pub until: Timestamp,
    /// What is later is expected, not known; `None`: all of it has happened (a rehearsal).
    #[serde(default)]
    pub now: Option<Timestamp>,
    /// In the order in which they are drawn: one for each certificate.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What went wrong for all groups.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// How it ended, in the order in which it is told; empty: nothing to tell.
    #[serde(default)]
    pub verdict: Vec<Verdict>,
    /// Remarks, one sentence each: what the world of a rehearsal made up, what a state document does not tell.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A certificate, with the owner names at which its keys are pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The certificate's name in zones.yaml.
    pub name: String,
    /// TLSA owner names and whatever else belongs into the heading.
    #[serde(default)]
    pub about: Vec<String>,
    /// Its keys, oldest first; one lane for each key. Lanes that do not overlap in time share a row of the drawing.
    #[serde(default)]
    pub lanes: Vec<Lane>,
    /// What happened to no key in particular.
    #[serde(default)]
    pub moments: Vec<Moment>,
    /// What the name servers, the caches or the mail servers of this certificate held, a row for each.
    #[serde(default)]
    pub watchers: Vec<Watcher>,
    /// What went wrong for this group only.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// A key over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// The key's short name: a letter, or a file name.
    pub label: String,
    /// The beginning of its SPKI digest: `SpkiDigest::short`; empty: not told.
    pub pin: String,
    /// At the end of the period, or now.
    pub role: Role,
    /// In any order; kinds may overlap (a key is served and ripe at the same time).
    #[serde(default)]
    pub spans: Vec<Span>,
    /// In any order.
    #[serde(default)]
    pub moments: Vec<Moment>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Served.
    Active,
    /// Pinned, not served.
    Backup,
    /// Served once, never again.
    Retired,
    /// None of these: given up before it was served, or another certificate's.
    Other,
}

/// What a key was for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// What.
    pub kind: SpanKind,
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None`: to the end of the period and beyond.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// For people, beyond the kind: the reason of a wait, the server that lost a pin. May be empty.
    #[serde(default)]
    pub words: String,
}

/// Kinds of spans. A pin passes through `Pinned`, `Ripe`, `Retiring`; `Lost` interrupts it. `Served` is the key's own, and
/// must always stand above a ripe pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanKind {
    /// Some endpoint presents the key.
    Served,
    /// The pin is in DNS, but caches without it may be alive.
    Pinned,
    /// The pin is in DNS, and every cache without it has expired.
    Ripe,
    /// The key is served no more; its pin is on its way out of DNS.
    Retiring,
    /// The pin should be in DNS and some server lacks it, or was not heard: its clock stands.
    Lost,
    /// Something waits for its time; `words` say what for.
    Waiting,
}

/// Something that happened, or is expected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What sort.
    pub kind: MomentKind,
    /// For people, beyond the kind. May be empty.
    #[serde(default)]
    pub words: String,
    /// What the senders' caches held then, for the table; empty: not known.
    #[serde(default)]
    pub caches: String,
}

/// Sorts of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MomentKind {
    /// The first certificate.
    Issued,
    /// Another certificate for the same key.
    Renewed,
    /// A certificate for the key to come is ready.
    Staged,
    /// A pin went into DNS.
    Published,
    /// Every name server has the pin: its clock runs.
    Everywhere,
    /// The pin's clock stopped.
    Stopped,
    /// The key may be served.
    Ripe,
    /// A rotation began.
    Begun,
    /// Another key was installed, or a server took it.
    Deployed,
    /// Nobody presents the former key.
    Retiring,
    /// The rotation is done.
    Rotated,
    /// The rotation is being taken back, or was.
    Aborted,
    /// A pin was taken out of DNS; its key is used up.
    Withdrawn,
    /// The certificate was revoked.
    Revoked,
    /// What a run was to do would break mail now, so it was left to a later one.
    PutOff,
    /// A run failed, or was killed.
    Failed,
    /// Somebody else's doing: an administrator, a clock, the CA.
    Outside,
    /// A sender refused a delivery.
    Refused,
    /// The certificate is to be renewed from then on.
    RenewalDue,
    /// The schedule makes the backup key the active one.
    RotationDue,
    /// The certificate's notAfter.
    Expires,
}

/// What somebody held over time: the name servers, the caches of senders, a mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watcher {
    /// Who.
    pub name: String,
    /// In any order, without overlaps.
    #[serde(default)]
    pub states: Vec<WatcherState>,
}

/// What a watcher held for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatcherState {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None`: to the end of the period and beyond.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// What, short enough to stand in the drawing: `A B`.
    pub holds: String,
    /// Whether it is as it should be: `false` for a dead server, or a cache whose pins match nothing.
    pub well: bool,
}

/// Something that went wrong on purpose or by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name: `ns2 does not answer`.
    pub name: String,
    /// Since when, or when.
    pub from: Timestamp,
    /// Until when; the same as `from`: it took no time (a crash). `None`: to the end of the period and beyond.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// One line of how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What was counted: `deliveries refused`.
    pub what: String,
    /// The count, with its unit and limit: `0`, `2 in the busiest week, 50 allowed`.
    pub value: String,
    /// What to think of it.
    pub judgement: Judgement,
}

/// What to think of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// As it must be.
    Good,
    /// Not as it must be.
    Bad,
    /// Only told.
    Plain,
}
