//! What servers answered, summed up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dns::Answer;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{SOA, TLSA};
use jiff::Timestamp;
use std::str::FromStr;
use std::time::Duration;

type Look = (String, Result<Observation, String>);

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn key(digit: u8) -> SpkiDigest {
    SpkiDigest([digit; 32])
}

fn until(second: i64) -> Security {
    let end = Timestamp::from_second(second).unwrap();
    Security::Secure { until: end, last: end }
}

fn seen(values: Vec<RData>, ttl: u32, security: Security) -> Observation {
    let answer = Answer {
        values,
        ttl,
        alias: None,
        zone: None,
        referral: None,
        authoritative: true,
        nxdomain: false,
        signed: true,
        took: Duration::ZERO,
    };
    Observation { answer, security }
}

fn look(server: &str, keys: &[u8], ttl: u32, security: Security) -> Look {
    let values = keys.iter().map(|digit| pin::tlsa(key(*digit))).collect();
    (server.to_owned(), Ok(seen(values, ttl, security)))
}

fn apex(server: &str, serial: u32, security: Security) -> Look {
    let soa = SOA::new(name("ns."), name("admin."), serial, 1, 1, 1, 1);
    (server.to_owned(), Ok(seen(vec![RData::SOA(soa)], 60, security)))
}

fn sum(tlsa: Vec<Look>, apexes: Vec<Look>) -> OwnerView {
    summary(&name("_25._tcp.mx.test."), &Looks { tlsa, apexes, ..Looks::default() })
}

fn alias(ttl: u32, security: Security) -> (Name, Result<Lookup, String>) {
    let asked = name("alias.test.");
    let found = Lookup {
        asked: asked.clone(),
        name: asked.clone(),
        links: vec![],
        records: vec![],
        ttl,
        nxdomain: false,
        security,
    };
    (asked, Ok(found))
}

#[test]
fn a_pin_is_everywhere_when_every_witness_has_it() {
    let view = sum(
        vec![look("a", &[1, 2], 300, until(500)), look("b", &[1, 3], 600, until(400))],
        vec![apex("a", 7, until(500)), apex("b", 6, until(500))],
    );
    assert_eq!(view.everywhere, BTreeSet::from([key(1)]));
    assert_eq!(view.somewhere, BTreeSet::from([key(1), key(2), key(3)]));
    assert_eq!((view.ttl, view.signed_until), (Some(600), Some(Timestamp::from_second(400).unwrap())));
    assert_eq!(view.serials.into_iter().collect::<Vec<_>>(), [("a".into(), 7), ("b".into(), 6)]);
    assert_eq!((view.unsigned, view.silent.len(), view.doubtful.len()), (None, 0, 0));
    assert_eq!(view.target, "_25._tcp.mx.test.");
}

/// RFC 7671 §11, §13: what must hold ends with the first signature, what can be replayed with the last.
#[test]
fn the_first_signature_to_end_limits_trust_and_the_last_one_limits_replay() {
    let two = |until, last| Security::Secure {
        until: Timestamp::from_second(until).unwrap(),
        last: Timestamp::from_second(last).unwrap(),
    };
    let view = sum(vec![look("a", &[1], 300, two(500, 700)), look("b", &[1], 300, two(400, 900))], vec![]);
    assert_eq!(view.signed_until, Some(Timestamp::from_second(400).unwrap()));
    assert_eq!(view.replayable_until, Some(Timestamp::from_second(900).unwrap()));
}

#[test]
fn servers_that_are_silent_one_and_all_leave_nothing_known() {
    let silent = |server: &str| (server.to_owned(), Err("no answer within 5 s".to_owned()));
    let view = sum(vec![silent("a"), silent("b")], vec![]);
    assert!(view.unheard && view.everywhere.is_empty() && view.silent.len() == 2, "{view:?}");
    assert!(!sum(vec![look("a", &[], 0, until(500)), silent("b")], vec![]).unheard);
}

#[test]
fn a_server_that_proves_absence_is_a_witness_against_the_pin() {
    let view = sum(vec![look("a", &[1], 300, until(500)), look("b", &[], 0, until(400))], vec![]);
    assert_eq!((view.everywhere.len(), view.somewhere.len()), (0, 1));
    assert_eq!((view.ttl, view.signed_until), (Some(300), Some(Timestamp::from_second(500).unwrap())));
}

#[test]
fn a_bogus_answer_is_no_witness_but_what_it_shows_is_somewhere() {
    let view = sum(
        vec![look("a", &[1], 300, until(500)), look("b", &[1, 2], 900, Security::Bogus("why".into()))],
        vec![],
    );
    assert_eq!(view.everywhere, BTreeSet::from([key(1)]));
    assert_eq!(view.somewhere, BTreeSet::from([key(1), key(2)]));
    assert_eq!(view.doubtful, ["b: bogus TLSA answer: why"]);
    assert!(!view.unbelieved, "the other is a witness");
    let alone = sum(vec![look("b", &[1], 300, Security::Bogus("why".into()))], vec![]);
    assert!(alone.unbelieved && alone.everywhere.is_empty());
    assert_eq!((view.ttl, view.signed_until), (Some(900), Some(Timestamp::from_second(500).unwrap())));
    let alone = sum(vec![look("b", &[1], 300, Security::Bogus("why".into()))], vec![]);
    assert_eq!((alone.everywhere.len(), alone.somewhere.len()), (0, 1));
}

#[test]
fn a_silent_server_is_named() {
    let silent = ("b".to_owned(), Err("no answer within 5 s".to_owned()));
    let view = sum(vec![look("a", &[1], 300, until(500)), silent], vec![]);
    assert_eq!((view.everywhere.len(), view.silent), (1, vec!["b: no answer within 5 s".to_owned()]));
}

#[test]
fn an_insecure_zone_is_unsigned_and_its_servers_are_witnesses() {
    let why = || Security::Insecure("no DS".into());
    let view = sum(vec![look("a", &[1], 300, why())], vec![apex("a", 1, why())]);
    assert_eq!((view.unsigned.as_deref(), view.everywhere.len()), (Some("no DS"), 1));
    // Nobody could ask for the SOA: the doubt stays.
    assert_eq!(sum(vec![look("a", &[], 0, why())], vec![]).unsigned.as_deref(), Some("no DS"));
}

#[test]
fn an_opt_out_denial_does_not_make_a_signed_zone_unsigned() {
    let opt_out = || Security::Insecure("opt-out".into());
    let view = sum(vec![look("a", &[], 0, opt_out())], vec![apex("a", 1, until(500))]);
    assert_eq!(view.unsigned, None);
    let records = sum(vec![look("a", &[1], 0, opt_out())], vec![apex("a", 1, until(500))]);
    assert_eq!(records.unsigned.as_deref(), Some("opt-out"));
}

#[test]
fn records_of_other_kinds_are_kept_apart() {
    let other = TLSA::new(CertUsage::DaneTa, Selector::Spki, Matching::Sha256, vec![9; 32]);
    let short = TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![8; 31]);
    let values = vec![pin::tlsa(key(1)), RData::TLSA(other), RData::TLSA(short)];
    let view = sum(vec![("a".into(), Ok(seen(values, 60, until(500))))], vec![]);
    let kept: Vec<_> = view.others.iter().map(|other| (other.kind, other.data.len())).collect();
    assert_eq!(kept, [((2, 1, 1), 32), ((3, 1, 1), 31)]);
    assert_eq!(view.everywhere, BTreeSet::from([key(1)]));
    assert!(!view.others_differ);
}

#[test]
fn servers_that_differ_in_records_of_others_are_noticed() {
    let other = RData::TLSA(TLSA::new(CertUsage::DaneTa, Selector::Spki, Matching::Sha256, vec![9; 32]));
    let with = ("a".to_owned(), Ok(seen(vec![pin::tlsa(key(1)), other], 60, until(500))));
    let view = sum(vec![with, look("b", &[1], 60, until(500))], vec![]);
    assert!(view.others_differ);
    assert_eq!(view.others.len(), 1);
}

/// RFC 7672 §2.2.3.
#[test]
fn rule_7_an_alias_is_as_strong_as_the_whole_way() {
    let through = |alias| {
        let tlsa = vec![look("a", &[1], 300, until(500))];
        summary(&name("target.test."), &Looks { tlsa, aliases: vec![alias], ..Looks::default() })
    };
    let secure = through(alias(120, until(500)));
    assert_eq!((secure.alias_ttl, secure.unsigned.clone(), secure.everywhere.len()), (Some(120), None, 1));
    let early = through(alias(120, until(450)));
    assert_eq!(early.signed_until, Some(Timestamp::from_second(450).unwrap()), "its signature counts, too");
    let weak = through(alias(120, Security::Insecure("no DS".into())));
    assert_eq!(weak.unsigned.as_deref(), Some("the alias `alias.test.`: no DS"));
    let bogus = through(alias(120, Security::Bogus("why".into())));
    assert_eq!((bogus.everywhere.len(), bogus.somewhere.len()), (0, 1));
    assert_eq!(bogus.doubtful, ["the alias `alias.test.`: bogus: why"]);
    let unknown = through((name("alias.test."), Err("SERVFAIL".into())));
    assert_eq!((unknown.everywhere.len(), unknown.doubtful.len()), (0, 1));
    assert!(bogus.unbelieved && unknown.unbelieved);
}
