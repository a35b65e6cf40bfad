//! Signatures in messages, built by hand, read by [`super`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use hickory_proto::dnssec::Algorithm;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::op::OpCode;
use hickory_proto::rr::SerialNumber;
use hickory_proto::rr::rdata::TXT;
use std::str::FromStr;

const OWNER: &str = "_25._tcp.mx1.example.org.";

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An RRSIG record over TXT at `owner`, its times in seconds modulo 2³².
fn rrsig_by(signer: &str, owner: &str, begins: u32, ends: u32) -> Record {
    let input = SigInput {
        type_covered: RecordType::TXT,
        algorithm: Algorithm::ECDSAP256SHA256,
        num_labels: 5,
        original_ttl: 3600,
        sig_expiration: SerialNumber::new(ends),
        sig_inception: SerialNumber::new(begins),
        key_tag: 1,
        signer_name: name(signer),
    };
    let data = RData::DNSSEC(DNSSECRData::RRSIG(RRSIG::from_sig(input, vec![0; 64])));
    Record::from_rdata(name(owner), 60, data)
}

fn message(answers: Vec<Record>, authorities: Vec<Record>) -> Message {
    let mut message = Message::response(1, OpCode::Query);
    message.add_answers(answers);
    message.add_authorities(authorities);
    message
}

fn txt() -> Record {
    Record::from_rdata(name(OWNER), 60, RData::TXT(TXT::new(vec!["x".into()])))
}

#[test]
fn the_first_and_the_last_end_of_the_answers_signatures_are_told() {
    let sig = |ends| rrsig_by("example.org.", OWNER, 100, ends);
    let early_denial = rrsig_by("example.org.", "example.org.", 100, 150);
    let both = message(vec![txt(), sig(300), sig(200)], vec![early_denial.clone()]);
    assert_eq!(ends(&both, at(120)), Some((at(200), at(300))));
    assert_eq!(ends(&message(vec![], vec![early_denial]), at(120)), Some((at(150), at(150))));
    assert_eq!(ends(&message(vec![txt()], vec![]), at(120)), None);
}

#[test]
fn times_are_read_across_the_turn_of_the_counter_in_2106() {
    let turn = 1_i64 << 32;
    let signed = message(vec![rrsig_by("example.org.", OWNER, u32::MAX - 9, 20)], vec![]);
    assert_eq!(ends(&signed, at(turn - 5)).map(|(first, _)| first), Some(at(turn + 20)));
    assert_eq!(out_of_date(&signed, at(turn - 5)), None);
    assert!(out_of_date(&signed, at(turn + 21)).is_some());
    assert!(out_of_date(&signed, at(turn - 11)).is_some());
}

#[test]
fn signatures_that_ended_or_have_not_begun_are_told() {
    let day = 86_400;
    let signed = message(vec![txt(), rrsig_by("example.org.", OWNER, day, 2 * day)], vec![]);
    let told = |now| out_of_date(&signed, at(now));
    assert_eq!(told(i64::from(2 * day) + 1).unwrap(), "the signature over TXT ended at 1970-01-03 00:00 UTC");
    assert!(
        told(i64::from(day) - 1)
            .unwrap()
            .starts_with("the signature over TXT begins at 1970-01-02 00:00 UTC")
    );
    assert_eq!((told(i64::from(day)), told(i64::from(2 * day))), (None, None));
    assert_eq!(missing(&signed), None);
    assert!(missing(&message(vec![txt()], vec![])).unwrap().contains("no signature"));
}

#[test]
fn a_signer_that_is_not_above_the_name_is_foreign() {
    for signer in ["example.org.", "ORG.", ".", OWNER] {
        let signed = message(vec![rrsig_by(signer, OWNER, 1, 2)], vec![]);
        assert_eq!(foreign_signer(&signed), None, "{signer}");
    }
    for signer in ["unsigned.test.", "sub.mx1.example.org.", "ample.org."] {
        let in_answer = message(vec![rrsig_by(signer, OWNER, 1, 2)], vec![]);
        let in_denial = message(vec![], vec![rrsig_by(signer, "example.org.", 1, 2)]);
        assert!(foreign_signer(&in_answer).is_some() && foreign_signer(&in_denial).is_some(), "{signer}");
    }
}

#[test]
fn the_original_ttl_is_that_of_the_asked_rrset() {
    let signed = message(vec![txt(), rrsig_by("example.org.", OWNER, 1, 2)], vec![]);
    assert_eq!(original_ttl(&signed, &name(OWNER), RecordType::TXT), Some(3600));
    assert_eq!(original_ttl(&signed, &name(OWNER), RecordType::TLSA), None);
    assert_eq!(original_ttl(&signed, &name("example.org."), RecordType::TXT), None);
}
