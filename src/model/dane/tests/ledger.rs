//! Our own books against what is seen.

use super::*;
use crate::model::document::{Document, PinRecord};
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use crate::model::rotation::{OwnerHistory, Phase, Rotation, TtlSeen};

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
    let policy = Policy::default();
    let ledger =
        Ledger { certificate: "mx1", document: &document, active: Some(active), backup, policy: &policy };
    summary(&judge_ledger(&ledger, ABSOLUTE, &host, now()))
}

#[test]
fn books_that_agree_add_nothing() {
    assert_eq!(books_with(|_, _, _| {}), []);
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
