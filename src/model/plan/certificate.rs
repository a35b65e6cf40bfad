//! Whether a certificate is asked for: an order in flight is finished first, whatever else is due.

use super::rotation::soon;
use super::{Observed, OwnerView, Reason, Refusal, Step, Wanted, beside, refusals, rotation};
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::renewal;
use jiff::Timestamp;
use std::collections::BTreeMap;

pub(super) fn certificate(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    if let Some(changed) = refusals::keys_changed_meanwhile(wanted, durable) {
        return Some(Step::Refuse(changed));
    }
    let key = served(wanted, durable);
    let reason = issue_reason(wanted, durable, key, observed.lost, now)?;
    if reason == Reason::KeyChanged && !durable.pins.is_empty() {
        return Some(Step::Refuse(refusals::unpinned_switch(wanted, durable)));
    }
    if matches!(reason, Reason::Due | Reason::Suggested) && rotation::instead_of_renewal(wanted, durable, now)
    {
        return None;
    }
    if let Some(wait) = patience(durable, now) {
        return Some(wait);
    }
    // A key that was never installed may meet pins that our state does not know of: those of an earlier setup, or of a
    // state directory that was lost.
    let was_served = durable.installed.as_ref().is_some_and(|i| i.spki == key);
    if !was_served && !wanted.owners.is_empty() {
        let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
        if let Some((owner, view)) = views.iter().find(|(_, view)| view.unheard) {
            return Some(Step::Hold(soon(now, now), refusals::unheard(owner, view)));
        }
        if let Some(step) = beside::join(wanted, durable, views, now) {
            return Some(step);
        }
        if let Some(refusal) = pinned_otherwise(Some(key), views) {
            return Some(Step::Refuse(refusal));
        }
    }
    Some(Step::Issue(reason, key))
}

/// A CA that fails must not keep pins from being put back, or a rotation from going on: the certificate that is served
/// goes on being served. Files that are gone cannot be.
pub(super) fn can_wait(step: &Step, durable: &Document, observed: &Observed) -> bool {
    let Some(installed) = durable.installed.as_ref().filter(|_| !observed.lost) else { return false };
    match step {
        Step::Issue(_, key) => observed.unissued && *key == installed.spki,
        Step::Wait(..) => durable.order.as_ref().is_none_or(|order| order.spki == installed.spki),
        _ => false,
    }
}

/// The key that the installed certificate is for, or shall be: during a rotation, the one of the two that it is for now.
fn served(wanted: &Wanted, durable: &Document) -> SpkiDigest {
    match (&durable.rotation, &durable.installed) {
        (Some(rotation), Some(installed)) if installed.spki == rotation.to => rotation.to,
        _ => wanted.active,
    }
}

/// The CA refused us: it is left alone for a while.
pub(super) fn patience(durable: &Document, now: Timestamp) -> Option<Step> {
    let failures = durable.failures.as_ref().filter(|f| f.not_before > now)?;
    let why = format!("{} attempt(s) failed, the last because: {}", failures.count, failures.last);
    Some(Step::Wait(failures.not_before, why))
}

/// Where there are pins, but none for this key (`None`: a key yet to be made), serving it would stop mail (RFC 7671
/// §8.1).
pub fn pinned_otherwise(active: Option<SpkiDigest>, views: &BTreeMap<String, OwnerView>) -> Option<Refusal> {
    let unpinned = |view: &OwnerView| active.is_none_or(|key| !view.everywhere.contains(&key));
    let (owner, view) = views.iter().find(|(_, view)| !view.somewhere.is_empty() && unpinned(view))?;
    Some(refusals::pinned_otherwise(active, owner, view))
}

fn issue_reason(
    wanted: &Wanted,
    durable: &Document,
    key: SpkiDigest,
    lost: bool,
    now: Timestamp,
) -> Option<Reason> {
    let resumable = durable.order.as_ref().is_some_and(|o| o.names == wanted.names && o.spki == key);
    let fresh = match &durable.installed {
        None => Some(Reason::First),
        Some(i) if i.spki != key => Some(Reason::KeyChanged),
        Some(i) if i.names != wanted.names => Some(Reason::NamesChanged),
        Some(_) if lost => Some(Reason::Lost),
        Some(i) if renewal::due(i, wanted.renew, durable.renewal_info.as_ref()) > now => None,
        Some(i) if i.revoked.is_some() => Some(Reason::Revoked),
        Some(i) if renewal::by_lifetime(i, wanted.renew) <= now => Some(Reason::Due),
        Some(_) => Some(Reason::Suggested),
    };
    // A key change is judged before an order for it is resumed.
    if fresh != Some(Reason::KeyChanged) && resumable {
        return Some(Reason::Resume);
    }
    fresh
}
