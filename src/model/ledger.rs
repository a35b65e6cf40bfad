//! Every change of the state document, as a pure function. The executor writes the document down after each: what weakens
//! trust (a clock that stops, a pin to be removed) before the effect, what strengthens it after the observation.

use crate::model::dane_others;
use crate::model::document::{Document, Installed, KeyPair, PinRecord, RenewalInfo};
use crate::model::endpoint::EndpointView;
use crate::model::key::SpkiDigest;
use crate::model::plan::{Guard, OwnerView, Wanted};
use crate::model::ripeness;
use crate::model::rotation::{OwnerHistory, Phase, Replay, Rotation, TtlSeen};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Owner names with the keys whose pins are meant.
pub type Pins = [(String, Vec<SpkiDigest>)];

/// Takes in one round of questions: TTLs, serials, and clocks that must stop. `views` learn what only the history can
/// tell, a serial that went backwards. Says whether the document changed.
pub fn learn(
    document: &mut Document,
    views: &mut BTreeMap<String, OwnerView>,
    wanted: &Wanted,
    now: Timestamp,
) -> bool {
    let before = document.clone();
    document.replayable.retain(|replay| replay.until > now);
    for (owner, view) in views {
        if view.unheard && view.target.is_empty() {
            // Nobody knows where the records are, let alone what they are.
            stop_clocks(document, owner, view, wanted);
            continue;
        }
        let heard = view.silent.is_empty() && view.doubtful.is_empty() || !wanted.holds(Guard::SilentTtl);
        let history = history(document, owner, view, now);
        if history.unheard {
            (history.since, history.unheard) = (view.asked_at.unwrap_or(now), !heard);
        }
        serials(history, view);
        others(history, view, wanted, now);
        ttls(history, view, wanted, now);
        stop_clocks(document, owner, view, wanted);
    }
    *document != before
}

/// The owner's history. Behind another alias stands another RRset: what is known of the former one says nothing of it, and
/// caches may follow the former alias for its TTL (RFC 7671 §6).
fn history<'a>(
    document: &'a mut Document,
    owner: &str,
    view: &mut OwnerView,
    now: Timestamp,
) -> &'a mut OwnerHistory {
    let at = document.history.iter().position(|h| h.owner == owner).unwrap_or_else(|| {
        document.history.push(OwnerHistory {
            owner: owner.to_owned(),
            since: view.asked_at.unwrap_or(now),
            unheard: true,
            target: view.target.clone(),
            ttls: Vec::new(),
            others: dane_others::usable(&view.others),
            others_since: None,
            serials: BTreeMap::new(),
        });
        document.history.len() - 1
    });
    let history = &mut document.history[at];
    if history.target != view.target {
        view.doubtful
            .push(format!("its records are now at {}, before they were at {}", view.target, history.target));
        (history.target, history.since) = (view.target.clone(), now);
    }
    history
}

/// A serial that goes backwards (RFC 1982 §3.2) says that a server lost changes: ours may be among them.
fn serials(history: &mut OwnerHistory, view: &mut OwnerView) {
    for (server, serial) in &view.serials {
        match history.serials.insert(server.clone(), *serial) {
            Some(former) if serial.wrapping_sub(former) > 1 << 31 => view
                .doubtful
                .push(format!("{server}: the zone's serial went backwards, from {former} to {serial}")),
            _ => {}
        }
    }
}

/// Caches may hold the RRset with the records of others as they were before.
fn others(history: &mut OwnerHistory, view: &OwnerView, wanted: &Wanted, now: Timestamp) {
    if !wanted.holds(Guard::OthersGone) {
        return;
    }
    let others = dane_others::usable(&view.others);
    if view.others_differ || others != history.others {
        (history.others, history.others_since) = (others, Some(view.asked_at.unwrap_or(now)));
    }
}

fn ttls(history: &mut OwnerHistory, view: &OwnerView, wanted: &Wanted, now: Timestamp) {
    let standing = view.ttl.map(|ttl| ttl.saturating_add(view.alias_ttl.unwrap_or(0)));
    // A server that was not heard, or is not believed, may go on giving the former TTL to caches.
    let heard = view.silent.is_empty() && view.doubtful.is_empty() || !wanted.holds(Guard::SilentTtl);
    for seen in history.ttls.iter_mut().filter(|seen| seen.gone.is_none() && Some(seen.ttl) != standing) {
        seen.gone = heard.then_some(now);
    }
    if let Some(ttl) = standing {
        match history.ttls.iter_mut().find(|seen| seen.ttl == ttl) {
            Some(seen) => seen.gone = None,
            None => history.ttls.push(TtlSeen { ttl, gone: None }),
        }
    }
    let expired = |gone: Timestamp, ttl| {
        gone.checked_add(ripeness::waiting(&wanted.policy, ttl)).is_ok_and(|end| end < now)
    };
    let history_counts = wanted.holds(Guard::TtlHistory);
    history.ttls.retain(|seen| seen.gone.is_none_or(|gone| history_counts && !expired(gone, seen.ttl)));
}

/// ARCHITECTURE.md, "Rules of pins": a pin that some server lacks, or may lack, is not on its way to being ripe. In a zone that
/// is not signed senders see no pins at all (RFC 7672 §2.2): their caches learn of them when it is signed again.
fn stop_clocks(document: &mut Document, owner: &str, view: &OwnerView, wanted: &Wanted) {
    if !wanted.holds(Guard::ClockReset) {
        return;
    }
    let unsigned = view.unsigned.is_some() && !wanted.unsigned_ok.contains(owner);
    let unknown = unsigned || !view.silent.is_empty() || !view.doubtful.is_empty();
    let pins = document.pins.iter_mut().filter(|p| p.owner == owner);
    for pin in pins.filter(|p| unknown || !view.everywhere.contains(&p.spki)) {
        pin.seen_everywhere = None;
    }
}

/// Before pins are added: a pin in DNS is always one that we know, and its clock does not run yet.
pub fn note_pins(document: &mut Document, pins: &Pins, now: Timestamp) {
    for (owner, spki) in each(pins) {
        match document.pins.iter_mut().find(|p| p.owner == *owner && p.spki == spki) {
            Some(known) => known.seen_everywhere = None,
            None => document.pins.push(PinRecord {
                owner: owner.clone(),
                spki,
                first_published: now,
                seen_everywhere: None,
            }),
        }
    }
}

/// Since `at`, the start of the round of questions, every server has these pins.
pub fn record_seen(document: &mut Document, seen: &[(String, SpkiDigest)], at: Timestamp) {
    for (owner, spki) in seen {
        match document.pins.iter_mut().find(|p| p.owner == *owner && p.spki == *spki) {
            Some(pin) => pin.seen_everywhere = pin.seen_everywhere.or(Some(at)),
            None => document.pins.push(PinRecord {
                owner: owner.clone(),
                spki: *spki,
                first_published: at,
                seen_everywhere: Some(at),
            }),
        }
    }
}

/// Before pins are removed: their clocks stop, on disk.
pub fn clear_clocks(document: &mut Document, pins: &Pins) {
    for (owner, spki) in each(pins) {
        for pin in document.pins.iter_mut().filter(|p| p.owner == *owner && p.spki == spki) {
            pin.seen_everywhere = None;
        }
    }
}

/// No server has these pins any more.
pub fn forget_pins(document: &mut Document, pins: &Pins) {
    for (owner, spki) in each(pins) {
        document.pins.retain(|p| p.owner != *owner || p.spki != spki);
    }
}

/// A certificate for the served key is installed.
pub fn install(document: &mut Document, certificate: Installed, reload: bool, now: Timestamp) {
    match &document.installed {
        Some(former) if former.spki == certificate.spki => document.renewals += 1,
        _ => (document.serving_since, document.renewals) = (Some(now), 0),
    }
    document.reload_owed = reload.then_some(certificate.generation);
    document.installed = Some(certificate);
    document.renewal_info = None;
    document.order = None;
    document.failures = None;
}

/// The CA was asked when it would like the installed certificate to be replaced.
pub fn note_renewal_info(document: &mut Document, info: RenewalInfo) {
    document.renewal_info = Some(info);
}

/// Takes the CA for asked when nobody may ask it: what it said before stands.
pub fn asked(document: &mut Document) {
    let Some(certificate_id) = document.installed.as_ref().and_then(|i| i.certificate_id.clone()) else {
        return;
    };
    let known = document.renewal_info.take().filter(|info| info.certificate_id == certificate_id);
    let known = known.unwrap_or_else(|| RenewalInfo::unknown(certificate_id, String::new(), Timestamp::MAX));
    document.renewal_info = Some(RenewalInfo { ask_again: Timestamp::MAX, ..known });
}

/// A certificate for the key to come is there; nothing that is served changed.
pub fn stage(document: &mut Document, certificate: Installed) {
    document.spare = Some(certificate);
    document.order = None;
    document.failures = None;
}

/// The rotation begins.
pub fn begin(document: &mut Document, from: SpkiDigest, to: SpkiDigest, forced: bool, now: Timestamp) {
    document.keys = Some(KeyPair { active: from, backup: Some(to) });
    document.rotation = Some(Rotation { phase: Phase::Deploying, from, to, since: now, forced });
}

/// The spare certificate becomes the installed one, and the other way round.
pub fn serve_spare(document: &mut Document, reload: bool) {
    std::mem::swap(&mut document.installed, &mut document.spare);
    document.reload_owed =
        document.installed.as_ref().filter(|_| reload).map(|installed| installed.generation);
}

/// The former key shall be served again.
pub fn abort(document: &mut Document) {
    enter(document, Phase::Aborting);
}

/// The former key is served everywhere again: the rotation never was; the new key keeps its clock.
pub fn settle(document: &mut Document) {
    document.rotation = None;
}

/// Nobody presents the former key; its pin is about to be removed, so its clock stops.
pub fn retire(document: &mut Document) {
    enter(document, Phase::Retiring);
    if let Some(from) = document.rotation.as_ref().map(|r| r.from) {
        for pin in document.pins.iter_mut().filter(|p| p.spki == from) {
            pin.seen_everywhere = None;
        }
    }
}

/// Before a pin is withdrawn: until when what was signed with it can be replayed.
pub fn note_replay(document: &mut Document, spki: SpkiDigest, views: &BTreeMap<String, OwnerView>) {
    let with_pin = views.values().filter(|view| view.somewhere.contains(&spki));
    let Some(until) = with_pin.filter_map(|view| view.replayable_until).max() else { return };
    match document.replayable.iter_mut().find(|replay| replay.spki == spki) {
        Some(replay) => replay.until = replay.until.max(until),
        None => document.replayable.push(Replay { spki, until }),
    }
}

/// What a look at the endpoints adds to what is known of them. Says whether the document changed.
pub fn learn_endpoints(document: &mut Document, view: &EndpointView) -> bool {
    let before = (document.answered.clone(), document.address_ttls.clone());
    document.answered.extend(view.answered.iter().cloned());
    for (host, ttl) in &view.address_ttls {
        let known = document.address_ttls.entry(host.clone()).or_default();
        *known = (*known).max(*ttl);
    }
    before != (document.answered.clone(), document.address_ttls.clone())
}

fn enter(document: &mut Document, phase: Phase) {
    if let Some(rotation) = &mut document.rotation {
        rotation.phase = phase;
    }
}

/// The end of a rotation: the roles shift. No server has the former pin at these owners; elsewhere, at names that zones.yaml
/// no longer has, it may stand, and is remembered until somebody looks.
pub fn shift(document: &mut Document, owners: &[String], backup: Option<SpkiDigest>, now: Timestamp) {
    let Some(rotation) = document.rotation.take() else { return };
    document.keys = Some(KeyPair { active: rotation.to, backup });
    document.pins.retain(|p| p.spki != rotation.from || !owners.contains(&p.owner));
    document.retired.insert(rotation.from);
    document.spare = None;
    (document.serving_since, document.renewals) = (Some(now), 0);
}

fn each(pins: &Pins) -> impl Iterator<Item = (&String, SpkiDigest)> {
    pins.iter().flat_map(|(owner, keys)| keys.iter().map(move |key| (owner, *key)))
}
