//! Text, JSON and metrics of `status`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::document::{Document, PinRecord};
use crate::model::plan::Reason;
use crate::model::rotation::{Phase, Replay};
use crate::model::timeline::{Judgement, Lane, MomentKind, Role, Span};
use crate::report::metrics;

fn at(text: &str) -> Timestamp {
    format!("{text}:00Z").parse().unwrap()
}

fn installed() -> Installed {
    Installed {
        generation: 1,
        names: vec!["mx1.example.org".into()],
        spki: SpkiDigest([1; 32]),
        not_before: at("2026-08-01T00:00"),
        not_after: at("2026-11-01T00:00"),
        serial: "0a".into(),
        issuer: "CN=test".into(),
        certificate_id: None,
        revoked: None,
    }
}

fn facts() -> Facts {
    Facts {
        certificate: "mx1".into(),
        names: vec!["mx1.example.org".into()],
        document: Document { installed: Some(installed()), ..Document::default() },
        keys: Some((SpkiDigest([1; 32]), None)),
        pins: Vec::new(),
        backup_ripe: None,
        renewal_due: Some(at("2026-10-01T00:00")),
        rotation_due: None,
        last_run: None,
        next: Some(Step::Issue(Reason::Due, SpkiDigest([0xaa; 32]))),
        live: "state/certificates/mx1/live".into(),
        trouble: None,
    }
}

/// A rotation under way: one server does not follow.
fn rotating() -> Facts {
    let pin = |key: u8, role, seen: Option<&str>, ripe: Option<&str>| PinFacts {
        record: PinRecord {
            owner: "_25._tcp.mx1.example.org.".into(),
            spki: SpkiDigest([key; 32]),
            first_published: at("2026-08-01T00:01"),
            seen_everywhere: seen.map(at),
        },
        role,
        ripe: ripe.map(at),
    };
    let rotation = Rotation {
        phase: Phase::Deploying,
        from: SpkiDigest([1; 32]),
        to: SpkiDigest([2; 32]),
        since: at("2026-09-05T10:00"),
        forced: false,
    };
    Facts {
        document: Document {
            installed: Some(installed()),
            rotation: Some(rotation),
            reload_owed: Some(1),
            serving_since: Some(at("2025-08-01T00:00")),
            renewals: 4,
            ..Document::default()
        },
        keys: Some((SpkiDigest([1; 32]), Some(SpkiDigest([2; 32])))),
        pins: vec![
            pin(1, "active", Some("2026-08-01T00:02"), Some("2026-08-03T00:02")),
            pin(2, "backup", Some("2026-09-05T09:00"), Some("2026-09-07T10:00")),
            pin(3, "former", None, None),
        ],
        backup_ripe: Some(at("2026-09-07T10:00")),
        rotation_due: Some(at("2027-08-01T00:00")),
        last_run: Some(LastRun {
            end: End::Waits,
            since: at("2026-09-05T10:01"),
            why: "not every server presents the new key yet: smtp://mx1.example.org:25 (192.0.2.25, ECDSA) presents 0101…"
                .into(),
        }),
        next: Some(Step::ObserveEndpoints),
        ..facts()
    }
}

#[test]
fn an_expired_certificate_is_called_that() {
    let text = status(&[facts()], at("2026-11-23T12:00")).text;
    let expected = format!(
        "mx1\n\
         \x20 names     mx1.example.org\n\
         \x20 installed serial 0a, by CN=test\n\
         \x20           EXPIRED on 2026-11-01 00:00 UTC (22 days ago)\n\
         \x20           state/certificates/mx1/live\n\
         \x20 active    {}\n\
         \x20 next      get a certificate (renewal is due)\n",
        "01".repeat(32)
    );
    assert_eq!(text, expected);
}

#[test]
fn a_rotation_is_told_with_its_clocks_and_who_blocks_it() {
    let text = status(&[rotating()], at("2026-09-06T00:00")).text;
    let (one, two) = ("01".repeat(32), "02".repeat(32));
    let (first, second, third) =
        (SpkiDigest([1; 32]).short(), SpkiDigest([2; 32]).short(), SpkiDigest([3; 32]).short());
    let expected = format!(
        "mx1\n\
         \x20 names     mx1.example.org\n\
         \x20 installed serial 0a, by CN=test\n\
         \x20           valid until 2026-11-01 00:00 UTC (56 days)\n\
         \x20           to be renewed from 2026-10-01 00:00 UTC on\n\
         \x20           state/certificates/mx1/live\n\
         \x20           not yet deployed, or its server not yet reloaded\n\
         \x20 active    {one}\n\
         \x20           installed since 2025-08-01 00:00 UTC, renewed 4 times\n\
         \x20 backup    {two}\n\
         \x20           may be served from 2026-09-07 10:00 UTC on\n\
         \x20 pin       {first} (active) at _25._tcp.mx1.example.org\n\
         \x20           on every server since 2026-08-01 00:02 UTC\n\
         \x20           ripe since 2026-08-03 00:02 UTC\n\
         \x20 pin       {second} (backup) at _25._tcp.mx1.example.org\n\
         \x20           on every server since 2026-09-05 09:00 UTC\n\
         \x20           ripe at 2026-09-07 10:00 UTC\n\
         \x20 pin       {third} (former) at _25._tcp.mx1.example.org\n\
         \x20           not seen on every server\n\
         \x20 rotation  deploying since 2026-09-05 10:00 UTC, from {first} to {second}\n\
         \x20 rotation  due 2027-08-01 00:00 UTC\n\
         \x20 last run  waits, since 2026-09-05 10:01 UTC: not every server presents the new\n\
         \x20           key yet: smtp://mx1.example.org:25 (192.0.2.25, ECDSA) presents\n\
         \x20           0101…\n\
         \x20 next      look at the keys that the endpoints present\n",
    );
    assert_eq!(text, expected);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// RFC 7671 §13.
#[test]
fn a_withdrawn_pin_is_told_as_long_as_somebody_can_replay_it() {
    let mut facts = facts();
    let (spki, until) = (SpkiDigest([7; 32]), at("2026-12-01T00:00"));
    facts.document.replayable.push(Replay { spki, until });
    let told = status(&[facts], at("2026-11-30T23:59"));
    let words = "  withdrawn pin 07070707, can be replayed until its last signature ends,\n            2026-12-01 00:00 UTC\n";
    assert!(told.text.contains(words), "{}", told.text);
    let json = &told.json["certificates"][0]["withdrawn"][0];
    assert_eq!((&json["spki"], &json["until"]), (&json!("07".repeat(32)), &json!("2026-12-01T00:00:00Z")));
    let mut later = self::facts();
    later.document.replayable.push(Replay { spki, until });
    assert!(!status(&[later], until).text.contains("withdrawn"));
}

#[test]
fn programs_get_times_and_phases() {
    let json = status(&[rotating()], at("2026-09-06T00:00")).json;
    let one = &json["certificates"][0];
    assert_eq!(one["rotation"]["phase"], "deploying");
    assert_eq!(one["pins"][1]["ripe"], "2026-09-07T10:00:00Z");
    assert_eq!(one["pins"][2]["seen_everywhere"], Value::Null);
    assert_eq!((&one["deployment_owed"], &one["renewals"]), (&json!(true), &json!(4)));
    assert_eq!(one["last_run"]["end"], "waits");
    assert_eq!(one["backup_ripe"], "2026-09-07T10:00:00Z");
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let mut second = facts();
    second.certificate = "odd\"name\\".into();
    let text = metrics::text(&[rotating(), second]);
    let (first, backup, former) =
        (SpkiDigest([1; 32]).short(), SpkiDigest([2; 32]).short(), SpkiDigest([3; 32]).short());
    let owner = "certificate=\"mx1\",owner=\"_25._tcp.mx1.example.org\"";
    for expected in [
        "# TYPE danesmith_certificate_not_after_timestamp_seconds gauge".to_owned(),
        "danesmith_certificate_not_after_timestamp_seconds{certificate=\"mx1\"} 1793491200".to_owned(),
        "danesmith_certificate_renewal_due_timestamp_seconds{certificate=\"mx1\"} 1790812800".to_owned(),
        "danesmith_certificate_installed{certificate=\"odd\\\"name\\\\\"} 1".to_owned(),
        "danesmith_deployment_owed{certificate=\"mx1\"} 1".to_owned(),
        "danesmith_last_run{certificate=\"mx1\",end=\"waits\"} 1".to_owned(),
        "danesmith_last_run{certificate=\"mx1\",end=\"failed\"} 0".to_owned(),
        "danesmith_rotation_phase{certificate=\"mx1\",phase=\"deploying\"} 1".to_owned(),
        "danesmith_rotation_phase{certificate=\"mx1\",phase=\"none\"} 0".to_owned(),
        "danesmith_rotation_phase{certificate=\"odd\\\"name\\\\\",phase=\"none\"} 1".to_owned(),
        format!(
            "danesmith_pin_ripe_timestamp_seconds{{{owner},role=\"backup\",key=\"{backup}\"}} 1788775200"
        ),
        format!(
            "danesmith_pin_everywhere_timestamp_seconds{{{owner},role=\"active\",key=\"{first}\"}} 1785542520"
        ),
        format!(
            "danesmith_pin_published_timestamp_seconds{{{owner},role=\"former\",key=\"{former}\"}} 1785542460"
        ),
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
    }
    assert!(!text.contains(
        "pin_ripe_timestamp_seconds{certificate=\"mx1\",owner=\"_25._tcp.mx1.example.org\",role=\"former\""
    ));
    // Each family once, each series once, every value a number.
    let helps: Vec<_> = text.lines().filter(|line| line.starts_with("# HELP")).collect();
    let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for lines in [&helps, &series] {
        let names: std::collections::BTreeSet<_> =
            lines.iter().map(|l| l.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(names.len(), lines.len(), "{text}");
    }
    assert!(series.iter().all(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().is_ok()), "{text}");
}

/// Kinds of a lane's spans, with the days and hours that they begin and end at.
fn spans(lane: &Lane) -> Vec<String> {
    let day = |at: Timestamp| at.strftime("%m-%d %H:%M").to_string();
    let told = |s: &Span| format!("{:?} {} – {}", s.kind, day(s.from), s.until.map_or("…".into(), day));
    lane.spans.iter().map(told).collect()
}

#[test]
fn a_switch_that_servers_follow_one_by_one_is_drawn_for_both_keys() {
    let mut facts = rotating();
    let now = at("2026-09-06T00:00");
    let lanes = timeline::timeline(&[facts], now).groups.remove(0).lanes;
    let labels: Vec<_> = lanes.iter().map(|l| (l.label.as_str(), l.role)).collect();
    assert_eq!(labels, [("active", Role::Active), ("backup", Role::Backup), ("other", Role::Other)]);
    assert_eq!(
        spans(&lanes[0]),
        ["Pinned 08-01 00:01 – 08-03 00:02", "Ripe 08-03 00:02 – …", "Served 08-01 00:00 – 09-06 00:00"]
    );
    // Nothing is installed for the new key yet; the pin of a third key has no clock.
    assert_eq!(spans(&lanes[1]), ["Pinned 08-01 00:01 – 09-07 10:00", "Ripe 09-07 10:00 – …"]);
    assert_eq!(spans(&lanes[2]), ["Pinned 08-01 00:01 – 09-06 00:00"]);
    assert!(lanes[2].spans[0].words.contains("its clock does not run at _25._tcp.mx1.example.org"));

    facts = rotating();
    facts.document.installed = Some(Installed { spki: SpkiDigest([2; 32]), ..installed() });
    let lanes = timeline::timeline(&[facts], now).groups.remove(0).lanes;
    assert_eq!(spans(&lanes[1])[2], "Served 09-05 10:00 – …");
}

#[test]
fn a_key_on_its_way_out_is_drawn_without_what_nobody_wrote_down() {
    let mut facts = rotating();
    let former = facts.document.rotation.as_mut().unwrap();
    former.phase = Phase::Retiring;
    facts.document.installed = Some(Installed { spki: SpkiDigest([2; 32]), ..installed() });
    facts.last_run =
        Some(LastRun { end: End::Failed, since: at("2026-09-05T23:00"), why: "ns2 is silent".into() });
    let drawn = timeline::timeline(&[facts], at("2026-09-06T00:00"));
    let group = &drawn.groups[0];
    assert_eq!((group.lanes[0].label.as_str(), group.lanes[0].role), ("former", Role::Retired));
    assert_eq!(
        spans(&group.lanes[0]),
        [
            "Pinned 08-01 00:01 – 09-05 10:00",
            "Retiring 09-05 10:00 – 09-06 00:00",
            "Served 08-01 00:00 – 09-05 10:00"
        ]
    );
    assert_eq!((group.lanes[1].label.as_str(), group.lanes[1].role), ("active", Role::Active));
    assert_eq!(group.moments.len(), 1);
    assert_eq!(
        (group.moments[0].kind, group.moments[0].words.as_str()),
        (MomentKind::Failed, "ns2 is silent")
    );
}

#[test]
fn an_expired_certificate_is_no_good_verdict_and_what_lies_years_away_is_cut_off() {
    let now = at("2026-11-23T12:00");
    let drawn = timeline::timeline(&[facts()], now);
    assert_eq!(drawn.verdict[0].judgement, Judgement::Bad);
    assert_eq!(drawn.verdict[0].value, "EXPIRED 2026-11-01 00:00 UTC");

    let mut far = facts();
    far.document.installed = Some(Installed { not_after: at("2036-01-01T00:00"), ..installed() });
    far.renewal_due = Some(at("2035-01-01T00:00"));
    let drawn = timeline::timeline(&[far], now);
    assert!(drawn.from < now && drawn.until > now);
    assert!(drawn.until < at("2029-01-01T00:00"), "{}", drawn.until);
    assert_eq!(drawn.verdict[0].judgement, Judgement::Good);
}
