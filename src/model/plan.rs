//! The one place that decides what happens next to a certificate. Pure: what is wanted, what is durable, what was seen
//! and the time go in, one step comes out. The executor performs it, records it, looks again and asks again.

use crate::model::desired::Renew;
use crate::model::document::Document;
pub use crate::model::endpoint::{EndpointView, FailedProbe, Shown};
use crate::model::key::SpkiDigest;
use crate::model::renewal;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the administrator wants of one certificate, with the keys known by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// dns identifiers, sorted.
    pub names: Vec<String>,
    /// The key that is (to be) served.
    pub active: SpkiDigest,
    /// The key that is pinned but not served.
    pub backup: Option<SpkiDigest>,
    /// TLSA owner names, absolute.
    pub owners: Vec<String>,
    /// Whether a probe must show the active key before it is first pinned.
    pub proof: Proof,
    /// Owners whose zone may hold TLSA although it is not signed.
    pub unsigned_ok: BTreeSet<String>,
    /// When to renew.
    pub renew: Renew,
}

/// What the first publication of a pin rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every endpoint was probed and presents the key.
    Probe,
    /// `endpoints: unchecked`: the administrator's written word.
    Word,
}

/// What was seen in this run; `None` where nobody looked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// TLSA per owner name.
    pub pins: Option<BTreeMap<String, OwnerView>>,
    /// What the endpoints present.
    pub endpoints: Option<EndpointView>,
    /// The installed files are gone from the state directory.
    pub lost: bool,
}

/// What the authoritative servers hold at one TLSA owner name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerView {
    /// 3 1 1 digests that every server that answered has.
    pub everywhere: BTreeSet<SpkiDigest>,
    /// 3 1 1 digests that at least one server has.
    pub somewhere: BTreeSet<SpkiDigest>,
    /// TLSA records other than 3 1 1 that at least one server has.
    pub others: BTreeSet<OtherTlsa>,
    /// Servers that did not answer, with the reason.
    pub silent: Vec<String>,
    /// Servers whose answer must not be believed (bogus, signatures that end too soon, a serial that went backwards),
    /// with the reason.
    pub doubtful: Vec<String>,
    /// Why validating resolvers would ignore the record; `None`: the zone is signed.
    pub unsigned: Option<String>,
    /// When the round of questions began.
    pub asked_at: Option<Timestamp>,
    /// Largest TTL of the RRset at any server, seconds; `None`: no server has records.
    pub ttl: Option<u32>,
    /// Earliest end of a signature over the RRset at any server.
    pub signed_until: Option<Timestamp>,
    /// The name that holds the records, after aliases.
    pub target: String,
    /// Largest TTL of an alias on the way to it, seconds; `None`: there is no alias. Another target is known everywhere
    /// only after this time.
    pub alias_ttl: Option<u32>,
    /// SOA serial of the zone by server ("ns1.example.org. (192.0.2.1:53)").
    pub serials: BTreeMap<String, u32>,
}

/// A TLSA record that is not `3 1 1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherTlsa {
    /// Certificate usage, selector, matching type (RFC 6698 §2.1).
    pub kind: (u8, u8, u8),
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `live` does not point at the installed generation: a run was killed between the two.
    Relink(u64),
    /// Remove TXT records that an earlier run left.
    CleanUp,
    /// Get a certificate.
    Issue(Reason),
    /// Run the reload command for this generation.
    Reload(u64),
    /// Ask every authoritative server for the TLSA records.
    ObservePins,
    /// Probe the endpoints.
    ObserveEndpoints,
    /// Add these pins, all owners in one go.
    Publish(Vec<(String, Vec<SpkiDigest>)>),
    /// Every server has these pins: write down since when.
    RecordSeen(Vec<(String, SpkiDigest)>),
    /// Not before this time; why.
    Wait(Timestamp, String),
    /// It would break mail, or nobody could trust the result.
    Refuse(Refusal),
    /// All is as wanted until this time.
    Nothing(Timestamp),
}

/// Why a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is none.
    First,
    /// An earlier run was interrupted after it had ordered.
    Resume,
    /// The configured names differ from those of the installed certificate.
    NamesChanged,
    /// The active key is another one, and nothing pins the former.
    KeyChanged,
    /// Somebody deleted the installed files.
    Lost,
    /// Its time has come.
    Due,
}

impl Reason {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Reason::First => "there is none yet",
            Reason::Resume => "an order of an interrupted run is finished",
            Reason::NamesChanged => "its names changed",
            Reason::KeyChanged => "its key changed",
            Reason::Lost => "its installed files are not complete",
            Reason::Due => "renewal is due",
        }
    }
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused: completes "could not …".
    pub action: String,
    /// The reason.
    pub cause: String,
    /// What remains true.
    pub remains: String,
    /// What to do next.
    pub hint: String,
}

/// Says which step comes next. `live` is the generation that `live` points to.
pub fn plan(
    wanted: &Wanted,
    durable: &Document,
    live: Option<u64>,
    observed: &Observed,
    now: Timestamp,
) -> Step {
    if let Some(installed) = &durable.installed
        && live != Some(installed.generation)
        && !observed.lost
    {
        return Step::Relink(installed.generation);
    }
    if let Some(step) = certificate(wanted, durable, observed, now) {
        return step;
    }
    if !durable.owed.is_empty() {
        return Step::CleanUp;
    }
    if let Some(generation) = durable.reload_owed {
        return Step::Reload(generation);
    }
    if let Some(step) = pins(wanted, durable, observed) {
        return step;
    }
    Step::Nothing(durable.installed.as_ref().map_or(now, |i| renewal::due(i, wanted.renew)))
}

/// Issuing: an order in flight is finished first, whatever else is due.
fn certificate(wanted: &Wanted, durable: &Document, observed: &Observed, now: Timestamp) -> Option<Step> {
    let reason = issue_reason(wanted, durable, observed.lost, now)?;
    if reason == Reason::KeyChanged && !durable.pins.is_empty() {
        return Some(Step::Refuse(unpinned_switch(wanted, durable)));
    }
    if let Some(failures) = durable.failures.as_ref().filter(|f| f.not_before > now) {
        let why = format!("{} attempt(s) failed, the last because: {}", failures.count, failures.last);
        return Some(Step::Wait(failures.not_before, why));
    }
    // A key that was never installed may meet pins that our state does not know of: those of an earlier setup, or of a
    // state directory that was lost.
    let served = durable.installed.as_ref().is_some_and(|i| i.spki == wanted.active);
    if !served && !wanted.owners.is_empty() {
        let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
        if let Some(refusal) = pinned_otherwise(Some(wanted.active), views) {
            return Some(Step::Refuse(refusal));
        }
    }
    Some(Step::Issue(reason))
}

/// Where there are pins, but none for this key (`None`: a key yet to be made), serving it would stop mail (RFC 7671
/// §8.1).
pub fn pinned_otherwise(active: Option<SpkiDigest>, views: &BTreeMap<String, OwnerView>) -> Option<Refusal> {
    let unpinned = |view: &OwnerView| active.is_none_or(|key| !view.everywhere.contains(&key));
    let (owner, view) = views.iter().find(|(_, view)| !view.somewhere.is_empty() && unpinned(view))?;
    let there: Vec<_> = view.somewhere.iter().map(SpkiDigest::to_string).collect();
    let ours = active.map_or_else(|| "a new key".to_owned(), |key| format!("the active key {key}"));
    let owner = owner.trim_end_matches('.');
    Some(Refusal {
        action: format!("get a certificate for {ours}"),
        cause: format!("TLSA at `{owner}` pins other keys only ({})", there.join(", ")),
        remains: "Mail is safe: nothing was ordered, no TLSA record was changed.".into(),
        hint: "if the state directory was lost, restore it from a backup; else give the key that the server presents \
               now as `active`, or publish the active key's record beside those that are there, wait two TTLs, and \
               run again"
            .into(),
    })
}

fn issue_reason(wanted: &Wanted, durable: &Document, lost: bool, now: Timestamp) -> Option<Reason> {
    let resumable =
        durable.order.as_ref().is_some_and(|o| o.names == wanted.names && o.spki == wanted.active);
    let fresh = match &durable.installed {
        None => Some(Reason::First),
        Some(i) if i.spki != wanted.active => Some(Reason::KeyChanged),
        Some(i) if i.names != wanted.names => Some(Reason::NamesChanged),
        Some(_) if lost => Some(Reason::Lost),
        Some(i) if renewal::due(i, wanted.renew) <= now => Some(Reason::Due),
        Some(_) => None,
    };
    // A key change is judged before an order for it is resumed.
    if fresh != Some(Reason::KeyChanged) && resumable {
        return Some(Reason::Resume);
    }
    fresh
}

/// ARCHITECTURE.md, "Rules of pins": a key is served only after its pin is ripe. Another active key without a rotation
/// would be served unpinned (RFC 7671 §8.1).
fn unpinned_switch(wanted: &Wanted, durable: &Document) -> Refusal {
    let former = durable.installed.as_ref().map(|i| i.spki.to_string()).unwrap_or_default();
    Refusal {
        action: "get a certificate for another key".into(),
        cause: format!("the active key is now {}, but {former} is pinned and served", wanted.active),
        remains: "Mail is safe: nothing was ordered, the installed certificate and the TLSA records are as they were.".into(),
        hint: "give the former CSR or key as `active` again; another key may be served only after its pin has been \
               published for two TTLs"
            .into(),
    }
}

/// Publishing: adding only. A pin of a key that no endpoint presents may stand beside one that matches, never alone
/// (RFC 7671 §8.1).
fn pins(wanted: &Wanted, durable: &Document, observed: &Observed) -> Option<Step> {
    if wanted.owners.is_empty() {
        return None;
    }
    let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
    let mut publish = Vec::new();
    let mut seen = Vec::new();
    let mut active_missing = false;
    for owner in &wanted.owners {
        let view = views.get(owner).cloned().unwrap_or_default();
        if let Some(reason) = view.unsigned.as_ref().filter(|_| !wanted.unsigned_ok.contains(owner)) {
            return Some(Step::Refuse(unsigned(owner, reason)));
        }
        let keys = [Some(wanted.active), wanted.backup];
        let missing: Vec<_> = keys.into_iter().flatten().filter(|k| !view.everywhere.contains(k)).collect();
        active_missing |= missing.contains(&wanted.active);
        let unrecorded = keys
            .into_iter()
            .flatten()
            .filter(|k| view.everywhere.contains(k) && !recorded(durable, owner, k));
        if view.silent.is_empty() {
            seen.extend(unrecorded.map(|k| (owner.clone(), k)));
        }
        if !missing.is_empty() {
            publish.push((owner.clone(), missing));
        }
    }
    if publish.is_empty() {
        return (!seen.is_empty()).then_some(Step::RecordSeen(seen));
    }
    if active_missing && wanted.proof == Proof::Probe {
        match &observed.endpoints {
            None => return Some(Step::ObserveEndpoints),
            Some(view) if !view.without(wanted.active).is_empty() || view.with(wanted.active) == 0 => {
                return Some(Step::Refuse(not_served(wanted, &publish, view)));
            }
            Some(_) => {}
        }
    }
    Some(Step::Publish(publish))
}

fn recorded(durable: &Document, owner: &str, key: &SpkiDigest) -> bool {
    durable.pins.iter().any(|p| p.owner == owner && p.spki == *key && p.seen_everywhere.is_some())
}

/// The first owner whose zone is not signed, unless the administrator says that it may be so.
pub fn unsigned_zone(unsigned_ok: &BTreeSet<String>, views: &BTreeMap<String, OwnerView>) -> Option<Refusal> {
    let mut open = views.iter().filter(|(owner, _)| !unsigned_ok.contains(*owner));
    open.find_map(|(owner, view)| view.unsigned.as_ref().map(|reason| unsigned(owner, reason)))
}

/// RFC 7671 §2.1, RFC 7672 §2.2: senders ignore TLSA records that are not DNSSEC-secure.
fn unsigned(owner: &str, reason: &str) -> Refusal {
    Refusal {
        action: format!("publish TLSA at `{}`", owner.trim_end_matches('.')),
        cause: format!("the zone is not secured by DNSSEC: {reason}; senders ignore such records"),
        remains: "No TLSA record was changed.".into(),
        hint: "sign the zone and have its DS at the parent, or write `dnssec: unsigned-ok` for this zone"
            .into(),
    }
}

fn not_served(wanted: &Wanted, publish: &[(String, Vec<SpkiDigest>)], view: &EndpointView) -> Refusal {
    let owners: Vec<_> = publish.iter().map(|(o, _)| format!("`{}`", o.trim_end_matches('.'))).collect();
    let without = view.without(wanted.active);
    let who = if without.is_empty() { "no endpoint answered".to_owned() } else { without.join("; ") };
    Refusal {
        action: format!("publish TLSA at {}", owners.join(", ")),
        cause: format!("not every endpoint presents the active key {}: {who}", wanted.active),
        remains: "Mail is safe: no TLSA record was changed; a pin that no server matches would stop it.".into(),
        hint: "install the certificate on the server, reload it, and run again; or write `endpoints: unchecked` if \
               you vouch for it"
            .into(),
    }
}

#[cfg(test)]
mod tests;
