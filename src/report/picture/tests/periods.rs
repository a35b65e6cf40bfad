//! Periods to draw: two days with everything in them, two years of three certificates, every kind once, and hostile names.

use crate::model::timeline::{
    Fault, Group, Judgement, Lane, Moment, MomentKind, Role, Span, SpanKind, Timeline, Verdict, Watcher,
    WatcherState,
};
use jiff::{SignedDuration, Timestamp};

/// All kinds of moments.
pub(super) const MOMENTS: [MomentKind; 21] = [
    MomentKind::Issued,
    MomentKind::Renewed,
    MomentKind::Staged,
    MomentKind::Published,
    MomentKind::Everywhere,
    MomentKind::Stopped,
    MomentKind::Ripe,
    MomentKind::Begun,
    MomentKind::Deployed,
    MomentKind::Retiring,
    MomentKind::Rotated,
    MomentKind::Aborted,
    MomentKind::Withdrawn,
    MomentKind::Revoked,
    MomentKind::PutOff,
    MomentKind::Failed,
    MomentKind::Outside,
    MomentKind::Refused,
    MomentKind::RenewalDue,
    MomentKind::RotationDue,
    MomentKind::Expires,
];

fn at(hours: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    start + SignedDuration::from_hours(hours)
}

fn span(kind: SpanKind, from: i64, until: Option<i64>, words: &str) -> Span {
    Span { kind, from: at(from), until: until.map(at), words: words.to_owned() }
}

fn moment(hours: i64, kind: MomentKind, words: &str) -> Moment {
    Moment { at: at(hours), kind, words: words.to_owned(), caches: String::new() }
}

fn lane(label: &str, pin: &str, role: Role, spans: Vec<Span>, moments: Vec<Moment>) -> Lane {
    Lane { label: label.to_owned(), pin: pin.to_owned(), role, spans, moments }
}

pub(super) fn fault(name: &str, from: i64, until: Option<i64>) -> Fault {
    Fault { name: name.to_owned(), from: at(from), until: until.map(at) }
}

fn held(from: i64, until: Option<i64>, holds: &str, well: bool) -> WatcherState {
    WatcherState { from: at(from), until: until.map(at), holds: holds.to_owned(), well }
}

fn verdict(what: &str, value: &str, judgement: Judgement) -> Verdict {
    Verdict { what: what.to_owned(), value: value.to_owned(), judgement }
}

/// A rotation among faults, in hours.
pub(super) fn two_days() -> Timeline {
    let old = lane(
        "A",
        "1a2b3c4d",
        Role::Retired,
        vec![
            span(SpanKind::Served, -500, Some(20), ""),
            span(SpanKind::Ripe, -490, Some(22), ""),
            span(SpanKind::Retiring, 22, Some(25), ""),
        ],
        vec![
            moment(2, MomentKind::Renewed, "valid until 2027-01-07 02:00 UTC"),
            moment(25, MomentKind::Withdrawn, ""),
        ],
    );
    let new = lane(
        "B",
        "5e6f7081",
        Role::Active,
        vec![
            span(SpanKind::Pinned, 4, Some(7), "TTL 3600 s, twice, and an hour"),
            span(SpanKind::Lost, 7, Some(11), "ns2 is silent"),
            span(SpanKind::Pinned, 11, Some(14), ""),
            span(SpanKind::Ripe, 14, None, ""),
            span(SpanKind::Waiting, 14, Some(17), "until the schedule’s day"),
            span(SpanKind::Served, 17, None, ""),
        ],
        vec![
            moment(4, MomentKind::Published, ""),
            moment(16, MomentKind::Staged, ""),
            moment(17, MomentKind::Deployed, "mx1 took it at once, mx2 three hours later"),
            moment(25, MomentKind::Rotated, "from A to B"),
            moment(40, MomentKind::RenewalDue, ""),
        ],
    );
    let next = lane(
        "C",
        "92a3b4c5",
        Role::Backup,
        vec![span(SpanKind::Pinned, 26, Some(29), ""), span(SpanKind::Ripe, 29, None, "")],
        vec![],
    );
    Timeline {
        title: "two days of mx1".into(),
        from: at(0),
        until: at(48),
        now: Some(at(36)),
        groups: vec![Group {
            name: "mx1".into(),
            about: vec!["_25._tcp.mx1.example.org".into(), "_465._tcp.mx1.example.org".into()],
            lanes: vec![old, new, next],
            moments: vec![
                moment(9, MomentKind::Failed, "ns2 did not answer"),
                moment(12, MomentKind::Outside, "ns2 is mended"),
            ],
            watchers: vec![
                Watcher {
                    name: "caches".into(),
                    states: vec![
                        held(0, Some(6), "A", true),
                        held(6, Some(26), "A B", true),
                        held(26, None, "B C", true),
                    ],
                },
                Watcher {
                    name: "ns2.example.org".into(),
                    states: vec![
                        held(0, Some(7), "A B", true),
                        held(7, Some(11), "silent", false),
                        held(11, None, "A B", true),
                    ],
                },
            ],
            faults: vec![fault("ns2 does not answer", 7, Some(11)), fault("killed", 17, Some(17))],
        }],
        faults: vec![fault("the CA is down", 10, Some(13))],
        verdict: vec![
            verdict("deliveries attempted", "5,760", Judgement::Plain),
            verdict("deliveries refused", "0", Judgement::Good),
        ],
        notes: vec!["Two mail servers share the certificate.".into()],
    }
}

/// Certificates of 45 days, renewed every 30: keys change yearly, with each renewal, and with every fourth.
pub(super) fn two_years() -> Timeline {
    const YEAR: i64 = 365 * 24;
    const RENEWAL: i64 = 30 * 24;
    let groups = [("mx1", YEAR, 1), ("mx2", RENEWAL, 2), ("www", 4 * RENEWAL, 3)];
    let groups = groups.map(|(name, every, seed)| Group {
        name: name.into(),
        about: vec![format!("_25._tcp.{name}.example.org")],
        lanes: keys(every, seed),
        moments: vec![moment(seed * 2000, MomentKind::Failed, "the CA answered 503")],
        watchers: vec![Watcher { name: "caches".into(), states: caches(every) }],
        faults: vec![fault("ns2 is late", seed * 3000, Some(seed * 3000 + 400))],
    });
    Timeline {
        title: "rehearsal of zones.example.yaml, seed 7".into(),
        from: at(0),
        until: at(2 * YEAR),
        now: None,
        groups: groups.into(),
        faults: vec![fault("the CA is down", 5000, Some(5100)), fault("disk full", 11000, Some(11020))],
        verdict: vec![
            verdict("deliveries attempted", "3,153,600", Judgement::Plain),
            verdict("deliveries refused", "0", Judgement::Good),
            verdict("certificates in the busiest week", "3, the CA allows 50", Judgement::Good),
            verdict("DNS changes per month", "6 to 11", Judgement::Plain),
        ],
        notes: vec!["No secret was read; the CA and the name servers are danesmith’s own.".into()],
    }
}

/// One key after the other, each a backup before it is served.
fn keys(every: i64, seed: i64) -> Vec<Lane> {
    let end = 2 * 365 * 24;
    let mut lanes = Vec::new();
    for number in 0..=end / every + 1 {
        let (served, gone) = (number * every, (number + 1) * every);
        let pinned = (served - every + 6).max(2);
        if pinned > end {
            break;
        }
        let role = match (served <= end, gone <= end) {
            (true, true) => Role::Retired,
            (true, false) => Role::Active,
            _ => Role::Backup,
        };
        let mut moments = vec![moment(pinned, MomentKind::Published, "")];
        if served <= end {
            let first = if number == 0 { MomentKind::Issued } else { MomentKind::Deployed };
            moments.push(moment(served.max(1), first, ""));
            if number > 0 {
                moments.push(moment(served - 1, MomentKind::Staged, ""));
                moments.push(moment(served + 5, MomentKind::Rotated, ""));
            }
            let renewals = (1..).map(|n| served + n * 30 * 24).take_while(|at| *at < gone.min(end));
            moments.extend(renewals.map(|at| moment(at, MomentKind::Renewed, "")));
        }
        let mut spans = vec![
            span(SpanKind::Pinned, pinned, Some(pinned + 4), ""),
            span(SpanKind::Ripe, pinned + 4, (gone <= end).then_some(gone + 2), ""),
        ];
        if served <= end {
            spans.push(span(SpanKind::Served, served, (gone <= end).then_some(gone), ""));
        }
        if gone <= end {
            spans.push(span(SpanKind::Retiring, gone + 2, Some(gone + 5), ""));
        }
        let pin = format!("{:08x}", (seed * 7919 + number * 104_729) * 48_611 % 0xffff_ffff);
        lanes.push(lane(&letters(number), &pin, role, spans, moments));
    }
    lanes
}

/// A, B, … Z, AA, …
fn letters(number: i64) -> String {
    let letter = |n: i64| char::from(b'A' + u8::try_from(n % 26).unwrap());
    if number < 26 {
        letter(number).to_string()
    } else {
        format!("{}{}", letter(number / 26 - 1), letter(number))
    }
}

fn caches(every: i64) -> Vec<WatcherState> {
    let count = 2 * 365 * 24 / every;
    let state = |n: i64| {
        let holds = format!("{} {}", letters(n), letters(n + 1));
        held(n * every, (n < count).then_some((n + 1) * every), &holds, true)
    };
    (0..=count).map(state).collect()
}

/// Each kind of span, moment, fault and state at least once.
pub(super) fn every_kind() -> Timeline {
    let spans =
        super::SPANS.iter().zip(0..).map(|(kind, n)| span(*kind, n * 5, Some(n * 5 + 4), "why")).collect();
    let moments = MOMENTS.iter().zip(0..).map(|(kind, n)| moment(n * 2 + 1, *kind, "details")).collect();
    Timeline {
        title: "every kind".into(),
        now: Some(at(24)),
        groups: vec![Group {
            name: "all".into(),
            lanes: vec![lane("A", "00000000", Role::Active, spans, moments)],
            watchers: vec![Watcher {
                name: "ns1".into(),
                states: vec![held(0, Some(9), "A", true), held(9, None, "-", false)],
            }],
            ..Group::default()
        }],
        ..two_days()
    }
}

/// Text that wants to be more than text, in every place that takes some.
pub(super) fn hostile() -> Timeline {
    const EVIL: &str =
        "\u{202e}</title></style><script src=https://evil.example/x.js>\" onload=\"alert(1)' -->";
    let mut timeline = every_kind();
    let evil = || EVIL.to_owned();
    timeline.title = evil();
    timeline.notes = vec![evil()];
    timeline.verdict = vec![verdict(EVIL, EVIL, Judgement::Bad)];
    timeline.faults = vec![fault(EVIL, 1, Some(9))];
    for group in &mut timeline.groups {
        (group.name, group.about) = (evil(), vec![evil()]);
        group.moments = vec![Moment { caches: evil(), ..moment(3, MomentKind::Failed, EVIL) }];
        group.faults = vec![fault(EVIL, 3, None)];
        group.watchers = vec![Watcher { name: evil(), states: vec![held(0, None, EVIL, false)] }];
        for lane in &mut group.lanes {
            (lane.label, lane.pin) = (evil(), evil());
            lane.spans.iter_mut().for_each(|span| span.words = evil());
            lane.moments.iter_mut().for_each(|moment| moment.words = evil());
        }
    }
    timeline
}
