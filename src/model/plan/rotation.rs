//! The backup key becomes the active one: RFC 7671 §8.1 (wait before the new key is served), §8.4 (retire when nobody
//! presents the old one).

use super::certificate::patience;
use super::emergency::{Caches, earliest, restarted};
use super::pins::{Standing, standing};
use super::refusals::{self, Blocked};
use super::{Guard, Observed, Proof, Step, Wanted, Wish, emergency};
use crate::model::desired::Rotate;
use crate::model::document::{Document, Installed};
use crate::model::evidence::{NobodyPresents, Presence, Ripe};
use crate::model::key::SpkiDigest;
use crate::model::renewal;
use crate::model::ripeness::{self, ripe_everywhere};
use crate::model::rotation::{Phase, Rotation};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Signatures must outlive the waiting by this much: the next look may be an hour away (RFC 7671 §11).
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// Without it senders that ask there defer mail for as long as it is missing: no TTL bounds that.
const SHOW_THE_PIN: &str =
    "have at least one name server answer, and every one that answers show the new pin";

pub(super) fn rotation(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    let Some(rotation) = &durable.rotation else {
        return idle(wanted, durable, observed, now);
    };
    let abort = wanted.wish == Some(Wish::Abort);
    match rotation.phase {
        Phase::Deploying => Some(deploying(wanted, durable, rotation, observed, now)),
        Phase::Aborting => Some(aborting(wanted, durable, rotation, observed, now)),
        Phase::Retiring if abort => Some(Step::Refuse(refusals::too_late_to_abort(rotation))),
        Phase::Retiring => retiring(wanted, durable, rotation, observed, now),
    }
}

/// No rotation is under way: is one asked for, or due?
fn idle(wanted: &Wanted, durable: &Document, observed: &Observed, now: Timestamp) -> Option<Step> {
    let forced = match wanted.wish {
        Some(Wish::Abort) => return Some(Step::Refuse(refusals::nothing_to_abort())),
        Some(Wish::Emergency { switch_now }) => switch_now,
        Some(Wish::Rotate) => false,
        None if due(wanted, durable).is_some_and(|due| due <= now) => false,
        None => return None,
    };
    let blocked = match may_begin(wanted, durable, observed, forced, now) {
        Ok(step) => return Some(step),
        Err(blocked) => blocked,
    };
    let refusal = emergency::told(wanted, durable, &blocked, now);
    Some(match blocked.until {
        Some(until) if wanted.wish.is_some() => Step::Hold(until, refusal),
        Some(until) => Step::Wait(until, format!("the scheduled rotation waits: {}", refusal.cause)),
        None => Step::Refuse(refusal),
    })
}

/// Everything that must hold before another key is served; looks at what has not been looked at yet.
fn may_begin(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    forced: bool,
    now: Timestamp,
) -> Result<Step, Blocked> {
    if wanted.owners.is_empty() {
        return Err(refusals::nothing_pinned().into());
    }
    let Some(backup) = wanted.backup else {
        return Err(Blocked::from(refusals::no_backup()).but_first("name a new backup key"));
    };
    if durable.retired.contains(&backup) {
        return Err(Blocked::from(refusals::backup_used_up(backup)).but_first("name a new backup key"));
    }
    if !wanted.backup_usable {
        let refusal = refusals::backup_by_digest(backup, earliest(wanted, durable, backup, now));
        return Err(Blocked::from(refusal).but_first("bring the backup key's CSR or private key"));
    }
    if wanted.deploys_without_key {
        return Err(refusals::key_elsewhere(backup).into());
    }
    if wanted.proof == Proof::Word {
        return Err(refusals::endpoints_unchecked().into());
    }
    let evidence = ripe(wanted, durable, observed, backup, forced, now)?;
    let Some(view) = &observed.endpoints else { return Ok(Step::ObserveEndpoints) };
    let presence = Presence::new(wanted, durable, view, now);
    let strangers = presence.others_than(&[wanted.active, backup]);
    if !strangers.is_empty() {
        let refusal = refusals::third_key(&strangers, earliest(wanted, durable, backup, now));
        return Err(Blocked::until(soon(now, now), refusal).but_first("mend that server"));
    }
    let bare = presence.bare();
    if !bare.is_empty() {
        let refusal = refusals::only_beside(&bare, earliest(wanted, durable, backup, now));
        return Err(Blocked::until(soon(now, now), refusal).but_first("mend that server"));
    }
    if !staged(wanted, durable.spare.as_ref(), backup, now) {
        return Ok(patience(durable, now).unwrap_or(Step::Stage(backup)));
    }
    match &observed.unmatched {
        None => Ok(Step::JudgeOthers),
        Some(unmatched) if unmatched.is_empty() || !wanted.holds(Guard::Others) => Ok(Step::Begin(evidence)),
        Some(unmatched) => Err(refusals::others_would_match_nothing(unmatched).into()),
    }
}

fn staged(wanted: &Wanted, spare: Option<&Installed>, key: SpkiDigest, now: Timestamp) -> bool {
    spare.is_some_and(|s| {
        s.spki == key
            && s.names == wanted.names
            && s.revoked.is_none()
            && renewal::by_lifetime(s, wanted.renew) > now
    })
}

/// The key's pin is ripe at every owner, and this round of questions says so (RFC 7671 §8.1, §11; RFC 7672 §2.1.2, §2.2).
fn ripe(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    key: SpkiDigest,
    forced: bool,
    now: Timestamp,
) -> Result<Ripe, Blocked> {
    let unseen = BTreeMap::new();
    let views = observed.pins.as_ref().unwrap_or(&unseen);
    let again = restarted(wanted, durable, now);
    let not_yet = |refusal| Blocked::until(soon(now, now), refusal);
    for owner in &wanted.owners {
        let view = views.get(owner).cloned().unwrap_or_default();
        if let Some(reason) = view.unsigned.as_ref().filter(|_| !wanted.unsigned_ok.contains(owner)) {
            let refusal = refusals::unsigned_rotation(owner, reason, again);
            return Err(not_yet(refusal).but_first("mend the zone"));
        }
        let stands = view.everywhere.contains(&key);
        // Who forces the switch minds no server that is silent, if others are seen to have the pin.
        let sure = view.silent.is_empty() && view.doubtful.is_empty();
        if !(sure || forced && stands) {
            let blocked = not_yet(refusals::not_sure(owner, &view, again));
            return Err(if stands { blocked } else { blocked.but_first(SHOW_THE_PIN) });
        }
        if !stands {
            return Err(not_yet(refusals::not_everywhere(owner, key, again)).but_first(SHOW_THE_PIN));
        }
        let needed = SignedDuration::from_secs(i64::from(view.ttl.unwrap_or(0))) + CHECK_INTERVAL;
        if let Some(end) = view.signed_until.filter(|end| end.duration_since(now) <= needed) {
            let refusal = refusals::signatures_end(owner, end, earliest(wanted, durable, key, now));
            return Err(not_yet(refusal).but_first("have the zone signed again"));
        }
    }
    if forced || !wanted.holds(Guard::Wait) {
        return Ok(Ripe::believed(key));
    }
    match ripe_everywhere(durable, &wanted.owners, key, &wanted.policy) {
        Some(ripe) if ripe <= now => Ok(Ripe::believed(key)),
        Some(ripe) => {
            let caches = Caches::of(wanted, durable, now);
            Err(Blocked::until(ripe, refusals::unripe(key, ripe, &caches)))
        }
        None => Err(not_yet(refusals::clock_stands(key, again))),
    }
}

fn deploying(
    wanted: &Wanted,
    durable: &Document,
    rotation: &Rotation,
    observed: &Observed,
    now: Timestamp,
) -> Step {
    if durable.installed.as_ref().is_none_or(|i| i.spki != rotation.to) {
        // A run ended between the decision and the switch: what was true then must be true now.
        return match ripe(wanted, durable, observed, rotation.to, rotation.forced, now) {
            Ok(_) if staged(wanted, durable.spare.as_ref(), rotation.to, now) => {
                Step::ServeSpare(rotation.to)
            }
            Ok(_) => Step::Withdraw("the certificate for the new key is gone".into()),
            Err(blocked) => Step::Withdraw(blocked.refusal.cause),
        };
    }
    let Some(view) = &observed.endpoints else { return Step::ObserveEndpoints };
    let presence = Presence::new(wanted, durable, view, now);
    let mut late = presence.others_than(&[rotation.to]);
    late.extend(presence.failed());
    late.extend(presence.bare());
    if !wanted.holds(Guard::AllInstances) {
        late.clear();
    }
    match NobodyPresents::of(rotation.from, &presence) {
        Some(evidence) if late.is_empty() => Step::Retire(evidence),
        _ => Step::Wait(
            soon(rotation.since, now),
            format!("not every server presents the new key {} yet: {}", rotation.to, who(wanted, &late)),
        ),
    }
}

/// The former key is served again while somebody presents it anyway, or when its pin is ripe: somebody may have deleted it
/// since the last server left it.
fn back(
    wanted: &Wanted,
    durable: &Document,
    rotation: &Rotation,
    observed: &Observed,
    now: Timestamp,
) -> Step {
    let switch = Step::ServeSpare(rotation.from);
    let blocked = match ripe(wanted, durable, observed, rotation.from, rotation.forced, now) {
        Err(blocked) if wanted.holds(Guard::AbortRipe) => blocked,
        _ => return switch,
    };
    let Some(view) = &observed.endpoints else { return Step::ObserveEndpoints };
    if Presence::new(wanted, durable, view, now).shows(rotation.from) {
        return switch;
    }
    let until = blocked.until.unwrap_or_else(|| soon(rotation.since, now));
    Step::Wait(until, format!("the former key is not served again yet: {}", blocked.refusal.cause))
}

/// An abort comes before what may fail because of the new certificate: its order, its deployment, its reload command. It goes
/// ahead of them only where the former pin stands.
pub(super) fn turn_back(
    wanted: &Wanted,
    durable: &Document,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    let rotation = durable.rotation.as_ref()?;
    let served = durable.installed.as_ref().map(|i| i.spki);
    if refusals::keys_changed_meanwhile(wanted, durable).is_some() {
        return None;
    }
    match rotation.phase {
        Phase::Deploying => (wanted.wish == Some(Wish::Abort)).then_some(Step::Abort),
        Phase::Aborting if served == Some(rotation.to) && former_staged(wanted, durable, rotation) => {
            let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
            let stands = |owner| views.get(owner).is_some_and(|v| v.everywhere.contains(&rotation.from));
            let step =
                wanted.owners.iter().all(stands).then(|| back(wanted, durable, rotation, observed, now));
            step.filter(|step| !matches!(step, Step::Wait(..)))
        }
        _ => None,
    }
}

fn former_staged(wanted: &Wanted, durable: &Document, rotation: &Rotation) -> bool {
    durable.spare.as_ref().is_some_and(|spare| spare.spki == rotation.from && spare.names == wanted.names)
}

/// A run was killed after it had decided to switch, and before anything was switched. What was true then must be true now,
/// else the switch is undone on disk: `live` never left the other certificate.
pub(super) fn decided(
    wanted: &Wanted,
    durable: &Document,
    live: Option<u64>,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    let (rotation, to) = (durable.rotation.as_ref()?, durable.installed.as_ref()?.spki);
    let spare = durable.spare.as_ref().filter(|s| Some(s.generation) == live && s.spki != to)?;
    if !wanted.holds(Guard::DecidedAgain) {
        return None;
    }
    if observed.pins.is_none() {
        return Some(Step::ObservePins);
    }
    let blocked = ripe(wanted, durable, observed, to, rotation.forced, now).is_err();
    blocked.then_some(Step::ServeSpare(spare.spki))
}

fn aborting(
    wanted: &Wanted,
    durable: &Document,
    rotation: &Rotation,
    observed: &Observed,
    now: Timestamp,
) -> Step {
    if durable.installed.as_ref().is_some_and(|i| i.spki != rotation.from) {
        return if former_staged(wanted, durable, rotation) {
            back(wanted, durable, rotation, observed, now)
        } else {
            patience(durable, now).unwrap_or(Step::Stage(rotation.from))
        };
    }
    let Some(view) = &observed.endpoints else { return Step::ObserveEndpoints };
    let presence = Presence::new(wanted, durable, view, now);
    let mut late = presence.others_than(&[rotation.from]);
    late.extend(presence.failed());
    late.extend(presence.bare());
    if late.is_empty() && presence.shows(rotation.from) {
        return Step::Settle;
    }
    Step::Wait(
        soon(rotation.since, now),
        format!("not every server presents the former key {} again: {}", rotation.from, who(wanted, &late)),
    )
}

fn retiring(
    wanted: &Wanted,
    durable: &Document,
    rotation: &Rotation,
    observed: &Observed,
    now: Timestamp,
) -> Option<Step> {
    let Some(views) = &observed.pins else { return Some(Step::ObservePins) };
    match standing(views, &wanted.owners, rotation.from) {
        Standing::Nowhere => Some(Step::Shift),
        Standing::Unknown => Some(Step::Wait(
            soon(rotation.since, now),
            "not every name server answered: whether the former key's pin is gone is unknown".into(),
        )),
        Standing::Here(owners) => {
            let Some(view) = &observed.endpoints else { return Some(Step::ObserveEndpoints) };
            let presence = Presence::new(wanted, durable, view, now);
            Some(match NobodyPresents::of(rotation.from, &presence) {
                Some(evidence) => Step::Unpublish(owners, evidence),
                None => {
                    let mut late = presence.others_than(&[rotation.to]);
                    late.extend(presence.failed());
                    late.extend(presence.bare());
                    Step::Wait(
                        soon(rotation.since, now),
                        format!(
                            "the former key's pin stays while somebody may present it: {}",
                            who(wanted, &late)
                        ),
                    )
                }
            })
        }
    }
}

/// Who keeps a rotation from going on.
fn who(wanted: &Wanted, late: &[String]) -> String {
    match late {
        [] if wanted.proof == Proof::Word => {
            "`endpoints: unchecked` leaves nobody to see it; list the endpoints in zones.yaml until the rotation is done".into()
        }
        [] if wanted.owners.is_empty() => {
            "no endpoint showed a key of this certificate, and zones.yaml names no TLSA owner name for it now; put `tlsa` back until the rotation is done".into()
        }
        [] => "no endpoint showed a key of this certificate".into(),
        late => late.join("; "),
    }
}

/// When a rotation that is driven by the schedule is due; `None`: never, or not yet known.
fn due(wanted: &Wanted, durable: &Document) -> Option<Timestamp> {
    let installed = durable.installed.as_ref()?;
    wanted.backup.filter(|b| !durable.retired.contains(b))?;
    match wanted.schedule {
        Rotate::Manual => None,
        Rotate::Every(period) => {
            durable.serving_since?.checked_add(SignedDuration::try_from(period).ok()?).ok()
        }
        Rotate::Renewals(count) if durable.renewals >= count => {
            Some(renewal::due(installed, wanted.renew, durable.renewal_info.as_ref()))
        }
        Rotate::Renewals(_) => None,
    }
}

/// When the schedule asks for a rotation next.
pub fn next(wanted: &Wanted, durable: &Document) -> Option<Timestamp> {
    if durable.rotation.is_some() || wanted.owners.is_empty() {
        return None;
    }
    due(wanted, durable)
}

/// Whether the certificate that is due is rather asked for with the backup key. Not when its end is near: a rotation that
/// cannot begin must not let a certificate expire. Once it has begun, the very next step serves the other certificate, or
/// withdraws.
pub(super) fn instead_of_renewal(wanted: &Wanted, durable: &Document, now: Timestamp) -> bool {
    let Some(installed) = &durable.installed else { return false };
    if let Some(rotation) = &durable.rotation {
        return rotation.phase == Phase::Deploying && installed.spki == rotation.from;
    }
    let left = installed.not_after.duration_since(now);
    let lifetime = installed.not_after.duration_since(installed.not_before);
    matches!(wanted.schedule, Rotate::Renewals(_)) && next(wanted, durable).is_some() && left > lifetime / 6
}

/// When to look again at something that heals by itself: after an eighth of the time it has taken so far, 2 s to 60 s.
pub(super) fn soon(since: Timestamp, now: Timestamp) -> Timestamp {
    let pause = now.duration_since(since) / 8;
    let pause = pause.clamp(SignedDuration::from_secs(2), SignedDuration::from_secs(60));
    now.checked_add(pause).unwrap_or(now)
}

/// When the pins of this key are ripe everywhere, for reports.
pub fn ripe_time(wanted: &Wanted, durable: &Document, key: SpkiDigest) -> Option<Timestamp> {
    ripeness::ripe_everywhere(durable, &wanted.owners, key, &wanted.policy)
}
