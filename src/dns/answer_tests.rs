//! Answers of name servers, classified: built by hand, read by [`super`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dns::transport::{Asked, question};
use hickory_proto::op::OpCode;
use hickory_proto::rr::rdata::{CNAME, NS, SOA, TXT};
use std::str::FromStr;

const NAME: &str = "_acme-challenge.sub.example.org.";

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

/// An authoritative NOERROR without records, over the wire and back as the transport sees it.
fn answer() -> Message {
    let mut message = question(&name(NAME), RecordType::TXT, Asked::Authority).into_response();
    message.metadata.authoritative = true;
    message
}

fn read_txt(message: &Message) -> Result<Answer, String> {
    let decoded = Message::from_vec(&message.to_vec().unwrap()).unwrap();
    read(&decoded, &name(NAME), RecordType::TXT, Duration::from_millis(7))
}

fn txt(owner: &str, ttl: u32, value: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::TXT(TXT::new(vec![value.into()])))
}

fn soa(owner: &str) -> Record {
    let data = SOA::new(name("ns.example.org."), name("admin.example.org."), 1, 3600, 600, 86400, 60);
    Record::from_rdata(name(owner), 60, RData::SOA(data))
}

fn ns_at(owner: &str) -> Record {
    Record::from_rdata(name(owner), 3600, RData::NS(NS(name("ns.elsewhere.example."))))
}

fn cname(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
}

/// What a plain NODATA looks like to us.
fn nothing() -> Answer {
    Answer {
        values: vec![],
        ttl: 0,
        alias: None,
        zone: None,
        referral: None,
        authoritative: true,
        nxdomain: false,
        signed: false,
        took: Duration::from_millis(7),
    }
}

#[test]
fn a_positive_answer_gives_exactly_the_asked_values_and_their_lowest_ttl() {
    let mut message = answer();
    message.add_answer(txt("_ACME-challenge.sub.Example.org.", 300, "one"));
    message.add_answer(txt(NAME, 60, "two"));
    message.add_answer(txt("other.example.org.", 5, "foreign"));
    message.add_authority(ns_at("sub.example.org."));
    let values = ["one", "two"].map(|v| RData::TXT(TXT::new(vec![v.into()]))).to_vec();
    assert_eq!(read_txt(&message).unwrap(), Answer { values, ttl: 60, ..nothing() });
}

#[test]
fn nodata_names_the_zone_of_its_soa() {
    let mut message = answer();
    message.add_authority(soa("Example.org."));
    assert_eq!(read_txt(&message).unwrap(), Answer { zone: Some(name("example.org.")), ..nothing() });
}

#[test]
fn nxdomain_with_the_soa_of_a_child_names_the_child() {
    let mut message = answer();
    message.metadata.response_code = ResponseCode::NXDomain;
    message.add_authority(soa("sub.example.org."));
    let expected = Answer { zone: Some(name("sub.example.org.")), nxdomain: true, ..nothing() };
    assert_eq!(read_txt(&message).unwrap(), expected);
}

#[test]
fn a_soa_that_is_not_above_the_name_is_no_zone_of_it() {
    let mut message = answer();
    message.add_authority(soa("example.net."));
    assert_eq!(read_txt(&message).unwrap(), nothing());
}

#[test]
fn a_soa_answer_names_the_zone() {
    let apex = name("sub.example.org.");
    let mut message = question(&apex, RecordType::SOA, Asked::Authority).into_response();
    message.metadata.authoritative = true;
    message.add_answer(soa("sub.example.org."));
    let read = read(&message, &apex, RecordType::SOA, Duration::ZERO).unwrap();
    assert_eq!(read.zone, Some(apex));
    assert_eq!(read.values.len(), 1);
}

#[test]
fn behind_an_alias_rcode_and_soa_belong_to_the_target() {
    let mut message = answer();
    message.metadata.response_code = ResponseCode::NXDomain;
    message.add_answer(cname(NAME, "Target.example.org."));
    message.add_authority(soa("example.org."));
    assert_eq!(read_txt(&message).unwrap(), Answer { alias: Some(name("target.example.org.")), ..nothing() });
}

#[test]
fn values_at_the_target_of_an_alias_are_not_values_of_the_name() {
    let mut message = answer();
    message.add_answer(cname(NAME, "target.example.org."));
    message.add_answer(txt("target.example.org.", 60, "elsewhere"));
    let read = read_txt(&message).unwrap();
    assert_eq!((read.values, read.ttl), (vec![], 0));
}

#[test]
fn a_referral_names_the_cut() {
    let mut message = answer();
    message.metadata.authoritative = false;
    message.add_authority(ns_at("Sub.example.org."));
    let expected = Answer { referral: Some(name("sub.example.org.")), authoritative: false, ..nothing() };
    assert_eq!(read_txt(&message).unwrap(), expected);
}

#[test]
fn a_referral_to_the_root_means_not_authoritative() {
    let mut message = answer();
    message.metadata.authoritative = false;
    message.add_authority(ns_at("."));
    assert!(read_txt(&message).unwrap_err().contains("not authoritative"));
}

#[test]
fn an_answer_from_a_cache_is_not_believed() {
    let mut message = answer();
    message.metadata.authoritative = false;
    message.add_answer(txt(NAME, 60, "cached"));
    assert!(read_txt(&message).unwrap_err().contains("not authoritative"));
    message.answers.clear();
    message.add_authority(soa("example.org."));
    assert!(read_txt(&message).unwrap_err().contains("not authoritative"));
}

#[test]
fn other_rcodes_are_named() {
    let words = [
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::from(0, 10), "rcode 10"),
    ];
    for (code, word) in words {
        let mut message = Message::error_msg(1, OpCode::Query, code);
        message.metadata.authoritative = true;
        assert!(read_txt(&message).unwrap_err().contains(word), "{word}");
    }
}
