//! Our own books against what is seen.

use super::*;
use crate::model::document::{Document, PinRecord};
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use crate::model::rotation::{OwnerHistory, Phase, Rotation, TtlSeen};
use std::collections::BTreeMap;

const ABSOLUTE: &str = "_25._tcp.mx1.example.org.";
const BACKUP: SpkiDigest = SpkiDigest([1; 32]);

fn key(chain: &[Vec<u8>]) -> SpkiDigest {
    SpkiDigest::of(&spki(&chain[0]))
}

fn books(active: SpkiDigest) -> Document {
    let pin = |spki| PinRecord {
        owner: ABSOLUTE.into(),
        spki,
        first_published: in_hours(-2400),
        seen_everywhere: Some(in_hours(-2400)),
    };
    let history = OwnerHistory {
        owner: ABSOLUTE.into(),
        target: String::new(),
        since: in_hours(-2500),
        unheard: false,
        ttls: vec![TtlSeen { ttl: 3600, gone: None }],
        others: Default::default(),
        others_since: None,
        serials: [("ns1".to_owned(), 7)].into(),
    };
    Document { pins: vec![pin(active), pin(BACKUP)], history: vec![history], ..Document::default() }
}

/// What the books add when one thing is changed in a good house.
fn books_with(
    change: impl FnOnce(&mut HostView, &mut Document, &mut Option<SpkiDigest>),
) -> Vec<(Severity, &'static str)> {
    let chain = self_signed();
    let active = key(&chain);
    let mut host = host(&chain, &[pin(&chain), spare(1)]);
    let (mut document, mut backup) = (books(active), Some(BACKUP));
    change(&mut host, &mut document, &mut backup);
    let found = books_say(&host, &document, (Some(active), backup), &BTreeMap::new());
    // times that are told always
    let noted = |check: &str| ["backup-ripe", "replay-horizon"].contains(&check);
    summary(&found).into_iter().filter(|(_, check)| !noted(check)).collect()
}

fn books_say(
    host: &HostView,
    document: &Document,
    (active, backup): (Option<SpkiDigest>, Option<SpkiDigest>),
    differing: &BTreeMap<String, Timestamp>,
) -> Vec<Finding> {
    let policy = Policy::default();
    let ledger = Ledger { certificate: "mx1", document, active, backup, policy: &policy, differing };
    judge_ledger(&ledger, ABSOLUTE, host, now())
}

#[test]
fn books_that_agree_add_only_times() {
    assert_eq!(books_with(|_, _, _| {}), []);
    let chain = self_signed();
    let mut document = books(key(&chain));
    document.rotation = Some(Rotation {
        phase: Phase::Deploying,
        from: key(&chain),
        to: BACKUP,
        since: in_hours(-1),
        forced: false,
    });
    let mut view = host(&chain, &[pin(&chain), spare(1)]);
    view.tlsa.servers[1].answer.as_mut().unwrap().1 =
        Trust::Secure { until: in_hours(230), last: in_hours(250) };
    let found = books_say(&view, &document, (Some(key(&chain)), Some(BACKUP)), &BTreeMap::new());
    let times: Vec<_> = found.iter().map(|finding| (finding.severity, finding.check, finding.time)).collect();
    // two TTLs of an hour and the policy's slack after the pin was seen everywhere
    let ripe = in_hours(-2400) + SignedDuration::from_hours(2) + Policy::default().slack;
    let expected = [
        (Info, "backup-ripe", Some(ripe)),
        (Info, "replay-horizon", Some(in_hours(250))),
        (Info, "rotation", Some(in_hours(-1))),
    ];
    assert_eq!(times, expected);
}

#[test]
fn servers_that_differ_for_longer_than_the_refresh_time_are_an_error() {
    let chain = self_signed();
    let document = books(key(&chain));
    let mut view = host(&chain, &[pin(&chain), spare(1)]);
    view.tlsa.servers[1].answer = Ok((vec![pin(&chain)], secure()));
    view.tlsa.servers[1].serial = Some(6);
    let judged = |view: &HostView, minutes: i64| {
        let since = [(ABSOLUTE.to_owned(), now() - SignedDuration::from_mins(minutes))].into();
        let of_books = books_say(view, &document, (Some(key(&chain)), Some(BACKUP)), &since);
        let all = with_books(judge(&survey(view.clone()), now()), of_books);
        summary(&all).into_iter().filter(|(severity, _)| *severity > Info).collect::<Vec<_>>()
    };
    // the refresh time is an hour
    assert_eq!(judged(&view, 59), [(Warn, "servers-disagree")]);
    assert_eq!(judged(&view, 61), [(Error, "servers-disagree")]);
    view.tlsa.servers = at_servers(&view.tlsa.records);
    assert_eq!(judged(&view, 61), [], "what runs remember is over");
}

#[test]
fn signatures_must_outlive_the_ttls_of_the_past_too() {
    let chain = self_signed();
    let mut document = books(key(&chain));
    let mut view = host(&chain, &[pin(&chain), spare(1)]);
    view.tlsa.trust = Ok(secure_until(5));
    let judged = |document: &Document| {
        let of_books = books_say(&view, document, (Some(key(&chain)), Some(BACKUP)), &BTreeMap::new());
        let all = with_books(judge(&survey(view.clone()), now()), of_books);
        summary(&all).into_iter().filter(|(severity, _)| *severity > Info).collect::<Vec<_>>()
    };
    assert_eq!(judged(&document), [(Warn, "rrsig-expires")], "an hour's TTL today");
    let day = 86_400;
    document.history[0].ttls.push(TtlSeen { ttl: day, gone: Some(in_hours(-23)) });
    assert_eq!(judged(&document), [(Critical, "rrsig-expires")], "a day's TTL that caches may still hold");
    document.history[0].ttls[1].gone = Some(in_hours(-25));
    assert_eq!(judged(&document), [(Warn, "rrsig-expires")], "and that nobody holds any more");
}

#[test]
fn a_pin_of_ours_that_is_gone_is_an_error() {
    assert_eq!(books_with(|host, _, _| host.tlsa.records.truncate(1)), [(Error, "pin-missing")]);
}

#[test]
fn a_pin_of_nobody_is_told() {
    assert_eq!(books_with(|host, _, _| host.tlsa.records.push(spare(7))), [(Warn, "pin-unknown")]);
    // one that some server presents is somebody's
    let served = |host: &mut HostView, _: &mut Document, _: &mut Option<SpkiDigest>| {
        let other = self_signed();
        host.tlsa.records.push(pin(&other));
        host.probes[1].seen = Seen::Chain(other);
    };
    assert_eq!(books_with(served), []);
}

#[test]
fn no_backup_or_a_green_one_is_told() {
    assert_eq!(books_with(|_, _, backup| *backup = None), [(Warn, "no-backup")]);
    let young = |_: &mut HostView, document: &mut Document, _: &mut Option<SpkiDigest>| {
        document.pins[1].seen_everywhere = Some(in_hours(-2));
    };
    assert_eq!(books_with(young), [(Warn, "backup-unripe")]);
    let unseen = |_: &mut HostView, document: &mut Document, _: &mut Option<SpkiDigest>| {
        document.pins[1].seen_everywhere = None;
    };
    assert_eq!(books_with(unseen), [(Warn, "backup-unripe")]);
}

#[test]
fn a_serial_that_went_backwards_is_an_error() {
    let serial = |to| books_with(|host, _, _| host.tlsa.servers[0].serial = Some(to));
    assert_eq!(serial(6), [(Error, "serial-backwards")]);
    assert_eq!(serial(8), []);
    // RFC 1982: past the end it begins anew
    assert_eq!(
        books_with(|host, document, _| {
            document.history[0].serials.insert("ns1".into(), u32::MAX);
            host.tlsa.servers[0].serial = Some(0);
        }),
        []
    );
}

#[test]
fn a_rotation_is_told() {
    let rotating = |_: &mut HostView, document: &mut Document, _: &mut Option<SpkiDigest>| {
        document.rotation = Some(Rotation {
            phase: Phase::Deploying,
            from: SpkiDigest([2; 32]),
            to: BACKUP,
            since: in_hours(-1),
            forced: false,
        });
    };
    assert_eq!(books_with(rotating), [(Info, "rotation")]);
}

#[test]
fn a_backup_key_that_is_presented_before_its_pin_is_ripe_is_an_error() {
    let chain = self_signed();
    let presented = key(&chain);
    let with = |hours| {
        books_with(|host, document, backup| {
            host.probes[0].seen = Seen::Chain(chain.clone());
            host.tlsa.records[1] = pin(&chain);
            document.pins[1].spki = presented;
            document.pins[1].seen_everywhere = Some(in_hours(hours));
            *backup = Some(presented);
        })
    };
    assert_eq!(with(-2), [(Error, "served-unripe"), (Warn, "backup-unripe")]);
    assert!(!with(-2400).iter().any(|(_, check)| *check == "served-unripe"));
}

#[test]
fn the_pin_that_a_rotation_has_just_removed_is_not_missing() {
    let gone = |phase| {
        books_with(|host, document, _| {
            let former = SpkiDigest([2; 32]);
            document.pins.push(PinRecord { spki: former, ..document.pins[0].clone() });
            let since = in_hours(-1);
            document.rotation = Some(Rotation { phase, from: former, to: BACKUP, since, forced: false });
            host.tlsa.records.truncate(2);
        })
    };
    assert_eq!(gone(Phase::Retiring), [(Info, "rotation")]);
    assert_eq!(gone(Phase::Deploying), [(Error, "pin-missing"), (Info, "rotation")]);
}
