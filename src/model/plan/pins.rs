//! Which pins stand in DNS. Adding never waits; a pin of a key that no endpoint presents may stand beside one that
//! matches, never alone (RFC 7671 §8.1). Removing needs evidence.

use super::rotation::soon;
use super::{Guard, Observed, OwnerView, Proof, Step, Wanted, Wish, beside, refusals};
use crate::model::document::Document;
use crate::model::evidence::{NobodyPresents, Presence};
use crate::model::key::SpkiDigest;
use crate::model::rotation::Phase;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Adds what is missing, and writes down since when every server has a pin.
pub(super) fn publish(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    if wanted.owners.is_empty() {
        return None;
    }
    let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
    let keys = pinned(wanted, durable);
    let mut missing = Vec::new();
    let mut seen = Vec::new();
    for owner in &wanted.owners {
        let view = views.get(owner).cloned().unwrap_or_default();
        // The refusal of a rotation says more: when it may succeed.
        let rotates = matches!(wanted.wish, Some(Wish::Rotate | Wish::Emergency { .. }));
        if let Some(reason) = view.unsigned.as_ref().filter(|_| !wanted.unsigned_ok.contains(owner)) {
            if !rotates {
                return Some(Step::Refuse(refusals::unsigned(owner, reason)));
            }
            continue;
        }
        if view.unheard {
            if !rotates {
                return Some(Step::Hold(soon(now, now), refusals::unheard(owner, &view)));
            }
            continue;
        }
        if view.unbelieved {
            // With a wish the rotation says more, unless there is something to publish first.
            if wanted.wish.is_none() || !keys.is_subset(&view.somewhere) {
                return Some(Step::Hold(soon(now, now), refusals::unbelieved(owner, &view)));
            }
            continue;
        }
        let absent: Vec<_> = keys.iter().copied().filter(|k| !view.everywhere.contains(k)).collect();
        if !absent.is_empty() {
            missing.push((owner.clone(), absent));
        }
        if view.silent.is_empty() && view.doubtful.is_empty() {
            let new = keys.iter().filter(|k| view.everywhere.contains(k) && !recorded(durable, owner, **k));
            seen.extend(new.map(|k| (owner.clone(), *k)));
        }
    }
    if missing.is_empty() {
        return (!seen.is_empty()).then_some(Step::RecordSeen(seen));
    }
    let stopped = proven(wanted, durable, observed, &missing, now);
    let stopped = stopped.or_else(|| beside::late(wanted, observed, &missing, now));
    beside::along(wanted, observed, &mut missing);
    Some(stopped.unwrap_or(Step::Publish(missing)))
}

/// What stops the publication: a pin set that some endpoint does not match would stop its mail. When the active key's pin
/// stands already, adding another beside it is always safe.
fn proven(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    missing: &[(String, Vec<SpkiDigest>)],
    now: Timestamp,
) -> Option<Step> {
    let presented: Vec<_> = match &durable.rotation {
        None => vec![wanted.active],
        Some(rotation) if rotation.phase == Phase::Retiring => vec![rotation.to],
        Some(rotation) => vec![rotation.from, rotation.to],
    };
    let needed = missing.iter().any(|(_, keys)| keys.iter().any(|k| presented.contains(k)));
    if !needed || wanted.proof == Proof::Word || !wanted.holds(Guard::DeployFirst) {
        return None;
    }
    let Some(view) = &observed.endpoints else { return Some(Step::ObserveEndpoints) };
    let presence = Presence::new(wanted, durable, view, now);
    // Older state than the servers': they present the backup key, and where its pin stands another may join it.
    let stands = |owner: &String, key| {
        observed.pins.as_ref().and_then(|views| views.get(owner)).is_some_and(|v| v.everywhere.contains(&key))
    };
    if durable.rotation.is_none()
        && let Some(backup) = wanted.backup
        && presence.failed().is_empty()
        && presence.others_than(&[wanted.active, backup]).is_empty()
        && view.shown.iter().all(|s| missing.iter().all(|(owner, _)| stands(owner, s.key)))
        && presence.shows(backup)
    {
        return None;
    }
    let mut wrong = presence.others_than(&presented);
    // A host that is down does not keep a vanished pin away where others stand: one more cannot make it worse.
    let joins = |owner: &String| {
        observed.pins.as_ref().and_then(|views| views.get(owner)).is_some_and(|v| !v.everywhere.is_empty())
    };
    if !missing.iter().all(|(owner, _)| joins(owner)) {
        wrong.extend(presence.failed());
    }
    let nobody = !presented.iter().any(|k| presence.shows(*k));
    // A server that was told to reload may need a moment.
    let others = |owner: &String| {
        observed.pins.as_ref().and_then(|views| views.get(owner)).is_some_and(|v| !v.somewhere.is_empty())
    };
    let others = missing.iter().any(|(owner, _)| others(owner));
    (nobody || !wrong.is_empty())
        .then(|| Step::Hold(soon(now, now), refusals::not_served(wanted.active, missing, &wrong, others)))
}

/// The keys whose pins shall stand.
pub(super) fn pinned(wanted: &Wanted, durable: &Document) -> BTreeSet<SpkiDigest> {
    match &durable.rotation {
        Some(rotation) if rotation.phase == Phase::Retiring => [rotation.to].into(),
        Some(rotation) => [rotation.from, rotation.to].into(),
        None => [Some(wanted.active), wanted.backup].into_iter().flatten().collect(),
    }
}

fn recorded(durable: &Document, owner: &str, key: SpkiDigest) -> bool {
    durable.pins.iter().any(|p| p.owner == owner && p.spki == key && p.seen_everywhere.is_some())
}

/// Pins of ours for keys that are wanted no more: removed when nobody presents the key, else left.
pub(super) fn drop_unwanted(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    if durable.rotation.is_some() || wanted.proof == Proof::Word {
        return None;
    }
    let keys = pinned(wanted, durable);
    let unwanted = |key: &SpkiDigest| !keys.contains(key) && !wanted.is_sibling(key);
    let pins = durable.pins.iter().filter(|p| wanted.owners.contains(&p.owner));
    let key = pins.map(|p| p.spki).find(unwanted)?;
    let owners: Vec<_> = wanted.owners.iter().filter(|o| known(durable, o, key)).cloned().collect();
    remove(wanted, durable, observed, owners, key, now)
}

fn known(durable: &Document, owner: &str, key: SpkiDigest) -> bool {
    durable.pins.iter().any(|p| p.owner == owner && p.spki == key)
}

fn remove(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    owners: Vec<String>,
    key: SpkiDigest,
    now: Timestamp,
) -> Option<Step> {
    let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
    match standing(views, &owners, key) {
        Standing::Nowhere => Some(Step::Forget(owners, key)),
        Standing::Unknown => None,
        Standing::Here(owners) => {
            let Some(view) = &observed.endpoints else { return Some(Step::ObserveEndpoints) };
            let evidence = NobodyPresents::of(key, &Presence::new(wanted, durable, view, now))?;
            Some(Step::Unpublish(owners, evidence))
        }
    }
}

/// Where a pin that shall go still stands.
pub(super) enum Standing {
    /// Every server answered, and none has it.
    Nowhere,
    /// None of those that answered has it.
    Unknown,
    /// At these owners.
    Here(Vec<String>),
}

pub(super) fn standing(views: &BTreeMap<String, OwnerView>, owners: &[String], key: SpkiDigest) -> Standing {
    let view = |owner: &String| views.get(owner).cloned().unwrap_or_default();
    let here: Vec<_> = owners.iter().filter(|o| view(o).somewhere.contains(&key)).cloned().collect();
    if !here.is_empty() {
        return Standing::Here(here);
    }
    let sure = owners.iter().map(view).all(|v| v.silent.is_empty() && v.doubtful.is_empty());
    if sure { Standing::Nowhere } else { Standing::Unknown }
}
