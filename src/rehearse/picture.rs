//! A rehearsal as a picture's data: a lane for each key, from the events.

use crate::model::rehearsal::{Event, Rehearsal, What, thousands};
use crate::model::timeline::{
    Fault, Group, Judgement, Lane, Moment, MomentKind, Role, Span, SpanKind, Timeline, Verdict, Watcher,
    WatcherState,
};
use jiff::Timestamp;

/// What to draw.
pub fn timeline(rehearsal: &Rehearsal, source: &str) -> Timeline {
    let seed = rehearsal.seed.map(|seed| format!(", faults of seed {seed}")).unwrap_or_default();
    let mut timeline = Timeline {
        title: format!("rehearsal of {source}{seed}"),
        from: rehearsal.from,
        until: rehearsal.until,
        now: None,
        groups: Vec::new(),
        faults: Vec::new(),
        verdict: verdict(rehearsal),
        notes: rehearsal.notes.clone(),
    };
    for event in &rehearsal.events {
        if event.certificate.is_empty() {
            let fault =
                Fault { name: event.words.clone(), from: event.at, until: event.until.or(Some(event.at)) };
            timeline.faults.push(fault);
        } else {
            add(group(&mut timeline.groups, &event.certificate), event);
        }
    }
    if let Some(refusal) = &rehearsal.refusal {
        group(&mut timeline.groups, &refusal.certificate).moments.push(Moment {
            at: refusal.at,
            kind: MomentKind::Refused,
            words: refusal.words.clone(),
            caches: String::new(),
        });
    }
    // As zones.yaml is listed everywhere else: a page of another seed has them in the same places.
    timeline.groups.sort_by(|a, b| a.name.cmp(&b.name));
    timeline
}

fn group<'g>(groups: &'g mut Vec<Group>, name: &str) -> &'g mut Group {
    let place = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
        groups.push(Group { name: name.to_owned(), ..Group::default() });
        groups.len() - 1
    });
    &mut groups[place]
}

fn lane<'g>(group: &'g mut Group, letter: &str) -> &'g mut Lane {
    let place = group.lanes.iter().position(|lane| lane.label == letter).unwrap_or_else(|| {
        let (label, pin) = (letter.to_owned(), String::new());
        group.lanes.push(Lane { label, pin, role: Role::Backup, spans: Vec::new(), moments: Vec::new() });
        group.lanes.len() - 1
    });
    &mut group.lanes[place]
}

fn add(group: &mut Group, event: &Event) {
    let caches: Vec<String> = event.caches.iter().map(|(held, count)| format!("{held} {count}")).collect();
    let caches = caches.join(", ");
    if !caches.is_empty() {
        watch(group, event.at, &caches);
    }
    let moment = Moment { at: event.at, kind: kind(event.what), words: event.words.clone(), caches };
    match event.keys.first() {
        Some(first) => lane(group, first).moments.push(moment),
        None => group.moments.push(moment),
    }
    for (place, letter) in event.keys.iter().enumerate() {
        change(lane(group, letter), event.what, place == 0, event.at);
    }
}

/// What an event means for a key; `first`: it is the one that the event names first.
fn change(lane: &mut Lane, what: What, first: bool, at: Timestamp) {
    let pins = [SpanKind::Pinned, SpanKind::Ripe, SpanKind::Lost];
    match (what, first) {
        (What::Serves | What::Issued | What::Switched, true) => {
            open(lane, SpanKind::Served, at);
            lane.role = Role::Active;
        }
        (What::Stands | What::Pinned | What::Everywhere, _) => {
            close(lane, &[SpanKind::Lost], at);
            if !is_open(lane, SpanKind::Ripe) {
                open(lane, SpanKind::Pinned, at);
            }
        }
        (What::Stopped, _) => {
            close(lane, &pins, at);
            open(lane, SpanKind::Lost, at);
        }
        (What::Ripe, _) => {
            close(lane, &pins, at);
            open(lane, SpanKind::Ripe, at);
        }
        (What::Begun, true) => open(lane, SpanKind::Waiting, at),
        (What::Rotated, true) => close(lane, &[SpanKind::Waiting], at),
        (What::Retiring, _) => {
            close(lane, &[SpanKind::Served, SpanKind::Pinned, SpanKind::Ripe, SpanKind::Lost], at);
            open(lane, SpanKind::Retiring, at);
        }
        (What::Retired, _) => {
            close(lane, &[SpanKind::Retiring], at);
            lane.role = Role::Retired;
        }
        (What::Aborted, true) => {
            open(lane, SpanKind::Served, at);
            lane.role = Role::Active;
        }
        (What::Aborted, false) => {
            close(lane, &[SpanKind::Served, SpanKind::Waiting], at);
            lane.role = Role::Backup;
        }
        _ => {}
    }
}

fn is_open(lane: &Lane, kind: SpanKind) -> bool {
    lane.spans.iter().any(|span| span.kind == kind && span.until.is_none())
}

fn open(lane: &mut Lane, kind: SpanKind, from: Timestamp) {
    if !is_open(lane, kind) {
        let words = if kind == SpanKind::Waiting { "a rotation is under way" } else { "" };
        lane.spans.push(Span { kind, from, until: None, words: words.to_owned() });
    }
}

fn close(lane: &mut Lane, kinds: &[SpanKind], at: Timestamp) {
    for span in lane.spans.iter_mut().filter(|span| span.until.is_none() && kinds.contains(&span.kind)) {
        span.until = Some(at);
    }
}

/// The caches of senders, from one event to the next.
fn watch(group: &mut Group, at: Timestamp, holds: &str) {
    if group.watchers.is_empty() {
        group.watchers.push(Watcher { name: "caches of senders".into(), states: Vec::new() });
    }
    let Some(states) = group.watchers.first_mut().map(|watcher| &mut watcher.states) else { return };
    match states.last_mut() {
        Some(last) if last.holds == holds => return,
        Some(last) => last.until = Some(at),
        None => {}
    }
    states.push(WatcherState { from: at, until: None, holds: holds.to_owned(), well: true });
}

fn kind(what: What) -> MomentKind {
    match what {
        What::Serves => MomentKind::Deployed,
        What::Stands => MomentKind::Published,
        What::Issued => MomentKind::Issued,
        What::Renewed => MomentKind::Renewed,
        What::Staged => MomentKind::Staged,
        What::Pinned => MomentKind::Published,
        What::Everywhere => MomentKind::Everywhere,
        What::Stopped => MomentKind::Stopped,
        What::Ripe => MomentKind::Ripe,
        What::Begun => MomentKind::Begun,
        What::Switched => MomentKind::Deployed,
        What::Retiring => MomentKind::Retiring,
        What::Rotated => MomentKind::Rotated,
        What::Aborted => MomentKind::Aborted,
        What::Retired => MomentKind::Withdrawn,
        What::Revoked => MomentKind::Revoked,
        What::Outside => MomentKind::Outside,
        What::PutOff => MomentKind::PutOff,
        What::Failed => MomentKind::Failed,
    }
}

fn verdict(rehearsal: &Rehearsal) -> Vec<Verdict> {
    let counts = &rehearsal.counts;
    let line = |what: &str, value: String, judgement| Verdict { what: what.to_owned(), value, judgement };
    let refused = if rehearsal.refusal.is_none() { Judgement::Good } else { Judgement::Bad };
    let plain = Judgement::Plain;
    let mut lines = vec![
        line("deliveries", thousands(counts.deliveries), plain),
        line("deliveries refused", u64::from(rehearsal.refusal.is_some()).to_string(), refused),
        line(
            "runs of danesmith",
            format!(
                "{}, {} put off, {} failed, {} killed",
                thousands(counts.runs),
                thousands(counts.put_off),
                thousands(counts.failed),
                thousands(counts.killed)
            ),
            plain,
        ),
        line("rotations", counts.rotations.to_string(), plain),
        line("certificates", format!("{}, by {} orders", counts.certificates, counts.orders), plain),
    ];
    lines.extend(counts.budgets.iter().map(|budget| {
        let judgement = if budget.most < budget.limit { Judgement::Good } else { Judgement::Bad };
        line(budget.what, format!("at most {}, the CA allows {}", budget.most, budget.limit), judgement)
    }));
    let (total, average, most) = rehearsal.dns_changes();
    lines.push(line("DNS changes", format!("{total}, {average:.1} a month, at most {most} in one"), plain));
    lines
}
