//! What the state directory knows of the past, and what follows from it for the time to come, as a picture shows it.
//! Documents keep what is needed after a crash, no history: what they do not tell is not drawn, and said so.

use crate::clock::minute;
use crate::model::document::{Document, Installed};
use crate::model::key::SpkiDigest;
use crate::model::memory::End;
use crate::model::outcome::{Facts, PinFacts};
use crate::model::plan::Step;
use crate::model::rotation::{Phase, Rotation};
use crate::model::timeline::{
    Group, Judgement, Lane, Moment, MomentKind, Role, Span, SpanKind, Timeline, Verdict,
};
use jiff::{SignedDuration, Timestamp};

/// The furthest that is shown before and after now: what lies beyond would make the rest too small to read.
const FURTHEST: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);
/// At least this much is shown on either side of now.
const NEAREST: SignedDuration = SignedDuration::from_hours(24);
/// Renewals that are foretold; certificates of six days for two years would have 180.
const RENEWALS: usize = 200;

/// The picture of these certificates.
pub fn timeline(all: &[Facts], now: Timestamp) -> Timeline {
    let mut groups: Vec<Group> = all.iter().map(|facts| group(facts, now)).collect();
    let (from, until) = period(&groups, now);
    for (group, facts) in groups.iter_mut().zip(all) {
        renewals(group, facts, until);
    }
    let retired: usize = all.iter().map(|facts| facts.document.retired.len()).sum();
    let mut notes = vec![
        "The state directory keeps what is needed now, no history: former keys and renewals are not drawn.".to_owned(),
        "What is expected assumes that each renewal brings a certificate of the same lifetime, and an apply each hour."
            .to_owned(),
    ];
    if retired > 0 {
        notes.push(format!("Keys that were retired and will never be served again: {retired}."));
    }
    Timeline {
        title: "danesmith status".to_owned(),
        from,
        until,
        now: Some(now),
        groups,
        faults: Vec::new(),
        verdict: all.iter().flat_map(|facts| verdict(facts, now)).collect(),
        notes,
    }
}

fn group(facts: &Facts, now: Timestamp) -> Group {
    let mut owners: Vec<&str> = facts.pins.iter().map(|pin| pin.record.owner.trim_end_matches('.')).collect();
    owners.sort_unstable();
    owners.dedup();
    Group {
        name: facts.certificate.clone(),
        about: facts.names.iter().map(String::as_str).chain(owners).map(str::to_owned).collect(),
        lanes: keys_of(facts).into_iter().map(|key| lane(facts, key, now)).collect(),
        moments: happened(facts),
        ..Group::default()
    }
}

/// Every key that the document speaks of: the served one first, then those to come, then those on their way out.
fn keys_of(facts: &Facts) -> Vec<SpkiDigest> {
    let rotation = facts.document.rotation.iter().flat_map(|r| [r.from, r.to]);
    let roles = facts.keys.iter().flat_map(|(active, backup)| [Some(*active), *backup]).flatten();
    let documents = [&facts.document.installed, &facts.document.spare].into_iter().flatten().map(|i| i.spki);
    let mut keys = Vec::new();
    for key in rotation.chain(roles).chain(documents).chain(facts.pins.iter().map(|p| p.record.spki)) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn lane(facts: &Facts, key: SpkiDigest, now: Timestamp) -> Lane {
    let (role, label) = role(facts, key);
    let pins: Vec<&PinFacts> = facts.pins.iter().filter(|pin| pin.record.spki == key).collect();
    let mut lane = Lane {
        label: label.to_owned(),
        pin: key.short(),
        role,
        spans: pin_spans(&facts.document, key, &pins, now),
        moments: Vec::new(),
    };
    lane.spans.extend(served(facts, key, now));
    lane.spans.extend(waiting(facts, key, now));
    for PinFacts { record, .. } in &pins {
        let owner = record.owner.trim_end_matches('.');
        lane.moments.push(moment(record.first_published, MomentKind::Published, owner.to_owned()));
        lane.moments
            .extend(record.seen_everywhere.map(|at| moment(at, MomentKind::Everywhere, owner.to_owned())));
    }
    lane.moments.extend(ripe(&pins).map(|at| moment(at, MomentKind::Ripe, String::new())));
    lane.moments.extend(certificates(facts, key));
    lane
}

/// The roles are those that the keys have while the former one may still be served: they shift when nobody presents it.
fn role(facts: &Facts, key: SpkiDigest) -> (Role, &'static str) {
    let (active, backup) = match (&facts.document.rotation, &facts.keys) {
        (Some(r), _) if r.phase == Phase::Retiring => (Some(r.to), None),
        (Some(r), _) => (Some(r.from), Some(r.to)),
        (None, Some((active, backup))) => (Some(*active), *backup),
        (None, None) => (None, None),
    };
    let leaves = facts.document.rotation.as_ref().is_some_and(|r| r.from == key);
    match key {
        key if active == Some(key) => (Role::Active, "active"),
        key if backup == Some(key) => (Role::Backup, "backup"),
        key if leaves || facts.document.retired.contains(&key) => (Role::Retired, "former"),
        _ => (Role::Other, "other"),
    }
}

/// The pins of a key at all owners, taken together: as ripe as the last of them.
fn pin_spans(document: &Document, key: SpkiDigest, pins: &[&PinFacts], now: Timestamp) -> Vec<Span> {
    let Some(published) = pins.iter().map(|pin| pin.record.first_published).min() else { return Vec::new() };
    if let Some(r) = document.rotation.as_ref().filter(|r| r.phase == Phase::Retiring && r.from == key) {
        let untold = "when it became ripe, and when nobody presented it any more, is not kept";
        return vec![
            span(SpanKind::Pinned, published, Some(r.since), untold),
            span(SpanKind::Retiring, r.since, Some(now), "since the rotation began at the earliest"),
        ];
    }
    match ripe(pins) {
        Some(ripe) => {
            vec![span(SpanKind::Pinned, published, Some(ripe), ""), span(SpanKind::Ripe, ripe, None, "")]
        }
        None => {
            let silent = pins.iter().filter(|pin| pin.ripe.is_none());
            let owners: Vec<&str> = silent.map(|pin| pin.record.owner.trim_end_matches('.')).collect();
            let why = format!("not seen on every server: its clock does not run at {}", owners.join(", "));
            vec![span(SpanKind::Pinned, published, Some(now), &why)]
        }
    }
}

/// When the last of these pins is ripe; `None`: some clock does not run, or there are none.
fn ripe(pins: &[&PinFacts]) -> Option<Timestamp> {
    pins.iter().map(|pin| pin.ripe).try_fold(None, |latest, ripe| Some(latest.max(Some(ripe?)))).flatten()
}

fn served(facts: &Facts, key: SpkiDigest, now: Timestamp) -> Option<Span> {
    let installed = facts.document.installed.as_ref()?;
    let since = facts.document.serving_since.unwrap_or(installed.not_before);
    if let Some(Rotation { phase, from, to, since: begun, .. }) = &facts.document.rotation {
        let arriving = "where it has arrived";
        return match phase {
            _ if key == *from && *phase == Phase::Retiring => Some(span(
                SpanKind::Served,
                since,
                Some(*begun),
                "the rotation began then; the last server left it later",
            )),
            Phase::Aborting if key == *from => Some(span(SpanKind::Served, since, None, "")),
            Phase::Aborting if key == *to => Some(span(SpanKind::Served, *begun, Some(now), arriving)),
            _ if key == *from => {
                Some(span(SpanKind::Served, since, Some(now), "until every server presents the new key"))
            }
            Phase::Deploying if key == *to && installed.spki != key => None,
            _ if key == *to => Some(span(SpanKind::Served, *begun, None, arriving)),
            _ => None,
        };
    }
    let to_come = facts.keys.and_then(|(_, backup)| backup).zip(facts.rotation_due);
    match to_come {
        Some((backup, due)) if key == backup => {
            let ripe = facts.backup_ripe.filter(|ripe| *ripe > due);
            Some(span(SpanKind::Served, ripe.unwrap_or(due).max(now), None, "by the schedule"))
        }
        Some((_, due)) if key == installed.spki => {
            Some(span(SpanKind::Served, since, Some(due.max(facts.backup_ripe.unwrap_or(due)).max(now)), ""))
        }
        _ if key == installed.spki => Some(span(SpanKind::Served, since, None, "")),
        _ => None,
    }
}

/// What `apply` would wait for, on the lane of the key that waits.
fn waiting(facts: &Facts, key: SpkiDigest, now: Timestamp) -> Vec<Span> {
    let rotation = facts.document.rotation.as_ref().map(|r| r.to);
    let waits =
        rotation.or(facts.keys.and_then(|(_, backup)| backup)).or(facts.keys.map(|(active, _)| active));
    let mut spans = Vec::new();
    if waits == Some(key) {
        match &facts.next {
            Some(Step::Wait(until, why)) if *until > now => {
                spans.push(span(SpanKind::Waiting, now, Some(*until), why))
            }
            Some(Step::Hold(until, refusal)) if *until > now => {
                spans.push(span(SpanKind::Waiting, now, Some(*until), &refusal.cause));
            }
            _ => {}
        }
    }
    if let Some(order) = facts.document.order.as_ref().filter(|order| order.spki == key) {
        spans.push(span(
            SpanKind::Waiting,
            order.created,
            Some(now),
            &format!("order in flight: {}", order.url),
        ));
    }
    spans
}

/// Issue and end of the certificates that there are, and what the schedule has in mind.
fn certificates(facts: &Facts, key: SpkiDigest) -> Vec<Moment> {
    let mut moments = Vec::new();
    let until = |i: &Installed| format!("serial {}, valid until {}", i.serial, minute(i.not_after));
    if let Some(i) = facts.document.installed.as_ref().filter(|i| i.spki == key) {
        let kind = if facts.document.renewals > 0 { MomentKind::Renewed } else { MomentKind::Issued };
        moments.push(moment(i.not_before, kind, until(i)));
        let unless = format!("serial {}, unless it is renewed", i.serial);
        moments.push(moment(i.not_after, MomentKind::Expires, unless));
    }
    if let Some(spare) = facts.document.spare.as_ref().filter(|i| i.spki == key) {
        moments.push(moment(spare.not_before, MomentKind::Staged, until(spare)));
    }
    if let Some(r) = facts.document.rotation.as_ref().filter(|r| r.to == key) {
        let forced = if r.forced { ", before its pin was ripe" } else { "" };
        moments.push(moment(
            r.since,
            MomentKind::Begun,
            format!("from {} to {}{forced}", r.from.short(), r.to.short()),
        ));
    }
    if let Some(due) =
        facts.rotation_due.filter(|_| facts.keys.is_some_and(|(_, backup)| backup == Some(key)))
    {
        moments.push(moment(due, MomentKind::RotationDue, "by the schedule".to_owned()));
    }
    moments
}

/// Renewals that are to come, on the lane of the key that is served then.
fn renewals(group: &mut Group, facts: &Facts, until: Timestamp) {
    let Some((installed, first)) = facts.document.installed.as_ref().zip(facts.renewal_due) else { return };
    let every = first.duration_since(installed.not_before).max(SignedDuration::from_hours(1));
    let dues = std::iter::successors(Some(first), |due| due.checked_add(every).ok());
    for due in dues.take_while(|due| *due <= until).take(RENEWALS) {
        let served = |lane: &&mut Lane| {
            let mut spans = lane.spans.iter().filter(|span| span.kind == SpanKind::Served);
            spans.any(|span| span.from <= due && span.until.is_none_or(|end| end > due))
        };
        if let Some(lane) = group.lanes.iter_mut().find(served) {
            lane.moments.push(moment(due, MomentKind::RenewalDue, String::new()));
        }
    }
}

fn happened(facts: &Facts) -> Vec<Moment> {
    let failed = facts.last_run.as_ref().filter(|run| run.end == End::Failed);
    failed.map(|run| moment(run.since, MomentKind::Failed, run.why.clone())).into_iter().collect()
}

/// One line for the certificate's end, one for what comes next.
fn verdict(facts: &Facts, now: Timestamp) -> Vec<Verdict> {
    let line = |what: &str, value: String, judgement| Verdict {
        what: format!("{}: {what}", facts.certificate),
        value,
        judgement,
    };
    let end = match &facts.document.installed {
        None => line("certificate", "none yet".to_owned(), Judgement::Bad),
        Some(i) if i.not_after <= now => {
            line("certificate", format!("EXPIRED {}", minute(i.not_after)), Judgement::Bad)
        }
        Some(i) => line("certificate", format!("valid until {}", minute(i.not_after)), Judgement::Good),
    };
    let next = match (&facts.trouble, &facts.next) {
        (Some(e), _) => line("next", e.to_string(), Judgement::Bad),
        (None, Some(step @ Step::Refuse(_))) => line("next", super::describe(facts, step), Judgement::Bad),
        (None, Some(step)) => line("next", super::describe(facts, step), Judgement::Plain),
        (None, None) => {
            line("next", "make the keys, then the first certificate".to_owned(), Judgement::Plain)
        }
    };
    vec![end, next]
}

/// All that is known and expected, with a margin, within bounds around now.
fn period(groups: &[Group], now: Timestamp) -> (Timestamp, Timestamp) {
    let lanes = || groups.iter().flat_map(|group| &group.lanes);
    let spans = lanes().flat_map(|l| &l.spans).flat_map(|s| std::iter::once(s.from).chain(s.until));
    let of_keys = lanes().flat_map(|lane| &lane.moments);
    let moments = groups.iter().flat_map(|group| &group.moments).chain(of_keys).map(|moment| moment.at);
    let (mut from, mut until) = (now - NEAREST, now + NEAREST);
    for at in spans.chain(moments) {
        (from, until) = (from.min(at), until.max(at));
    }
    let (from, until) = (from.max(now - FURTHEST), until.min(now + FURTHEST));
    let margin = until.duration_since(from) / 40;
    (from.checked_sub(margin).unwrap_or(from), until.checked_add(margin).unwrap_or(until))
}

fn span(kind: SpanKind, from: Timestamp, until: Option<Timestamp>, words: &str) -> Span {
    Span { kind, from, until, words: words.to_owned() }
}

fn moment(at: Timestamp, kind: MomentKind, words: String) -> Moment {
    Moment { at, kind, words, caches: String::new() }
}
