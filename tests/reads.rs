//! Questions to name servers: a real BIND on loopback, and small fakes for what BIND would never do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod reads_lab;

use danesmith::dns::{Answer, Reads, Resolver, ResolverConfig, Security, Server};
use danesmith::error::Kind;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use reads_lab::{Bind, Fake};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn txt(value: &str) -> RData {
    RData::TXT(TXT::new(vec![value.into()]))
}

fn server(address: SocketAddr) -> Server {
    Server { name: "ns1.plain.test.".into(), address }
}

fn resolver(recursive: SocketAddr, port: u16) -> Resolver {
    Resolver::new(ResolverConfig {
        resolvers: vec![recursive],
        port,
        timeout: Duration::from_secs(3),
        ..ResolverConfig::default()
    })
}

/// For questions to authoritative servers only.
fn direct() -> Resolver {
    resolver("127.0.0.1:9".parse().unwrap(), 53)
}

async fn ask(bind: &Bind, owner: &str, rtype: RecordType) -> Answer {
    direct().ask(&server(bind.authority), &name(owner), rtype).await.unwrap()
}

/// An authoritative reply to `question` with these answers.
fn reply(question: &Message, answers: &[Record]) -> Message {
    let mut message = question.clone().into_response();
    message.metadata.authoritative = true;
    message.add_answers(answers.to_vec());
    message
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

#[tokio::test]
async fn bind_answers_values_ttl_and_signatures() {
    let bind = Bind::start().await;
    let plain = ask(&bind, "two.PLAIN.test.", RecordType::TXT).await;
    assert_eq!(plain.values.len(), 2);
    assert!(plain.values.contains(&txt("one")) && plain.values.contains(&txt("two")));
    assert_eq!((plain.ttl, plain.authoritative, plain.signed), (120, true, false));
    let signed = ask(&bind, "two.signed.test.", RecordType::TXT).await;
    assert!(signed.signed && signed.values.len() == 2);
    let denied = ask(&bind, "none.signed.test.", RecordType::TXT).await;
    assert!(denied.signed && denied.nxdomain && denied.values.is_empty());
}

#[tokio::test]
async fn the_zone_cut_shows_in_negative_answers_of_a_server_with_both_zones() {
    let bind = Bind::start().await;
    let nodata = ask(&bind, "two.plain.test.", RecordType::TLSA).await;
    assert_eq!((nodata.zone, nodata.nxdomain), (Some(name("plain.test.")), false));
    let below = ask(&bind, "_acme-challenge.deep.sub.plain.test.", RecordType::TXT).await;
    assert_eq!((below.zone, below.nxdomain), (Some(name("sub.plain.test.")), true));
    let apex = ask(&bind, "sub.plain.test.", RecordType::SOA).await;
    assert_eq!(apex.zone, Some(name("sub.plain.test.")));
}

#[tokio::test]
async fn aliases_and_referrals_are_told_apart() {
    let bind = Bind::start().await;
    let alias = ask(&bind, "alias.plain.test.", RecordType::TXT).await;
    assert_eq!((alias.alias, alias.values), (Some(name("two.plain.test.")), vec![]));
    let referral = ask(&bind, "_acme-challenge.away.plain.test.", RecordType::TXT).await;
    assert_eq!(referral.referral, Some(name("away.plain.test.")));
    assert!(!referral.authoritative && !referral.nxdomain);
}

#[tokio::test]
async fn a_truncated_answer_is_read_over_tcp() {
    let bind = Bind::start().await;
    assert_eq!(ask(&bind, "many.plain.test.", RecordType::TXT).await.values.len(), 40);
}

#[tokio::test]
async fn a_truncated_answer_without_tcp_is_never_taken_for_an_empty_one() {
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        let mut message = reply(question, &[]);
        message.metadata.truncation = true;
        vec![message]
    })
    .await;
    let asked = direct().ask(&server(fake.address), &name("a.plain.test."), RecordType::TLSA).await;
    let cause = asked.unwrap_err().cause;
    assert!(cause.starts_with("TCP: Connection refused"), "{cause}");
}

#[tokio::test]
async fn a_refusal_names_server_and_rcode() {
    let bind = Bind::start().await;
    let refused = direct().ask(&server(bind.authority), &name("example.org."), RecordType::TXT).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind, Kind::Remote);
    let expected = format!(
        "could not ask ns1.plain.test. ({}) for TXT at `example.org.`: the server answered REFUSED (it does not serve \
         this name, or not to us)",
        bind.authority
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn name_servers_of_parent_and_child_are_found_once_per_address() {
    let bind = Bind::start().await;
    let reads = resolver(bind.recursive, bind.authority.port());
    let found = reads.name_servers(&name("plain.test.")).await.unwrap();
    let at = |host: &str, last| Server {
        name: host.into(),
        address: (Ipv4Addr::new(127, 0, 0, last), bind.authority.port()).into(),
    };
    assert_eq!(found, [at("ns1.plain.test.", 1), at("ns2.plain.test.", 2)]);
    // NS; A and AAAA of three names; NS again at each of the two addresses; the parent's NS, its address, its delegation.
    assert_eq!(reads.questions(), 1 + 6 + 2 + 3);
}

#[tokio::test]
async fn a_name_that_is_no_zone_has_no_name_servers() {
    let bind = Bind::start().await;
    let reads = resolver(bind.recursive, bind.authority.port());
    for owner in ["two.plain.test.", "none.plain.test."] {
        let error = reads.name_servers(&name(owner)).await.unwrap_err();
        assert!(error.cause.contains(&format!("is `{owner}` a zone?")), "{error}");
    }
}

#[tokio::test]
async fn foreign_aliases_come_from_the_resolver() {
    let bind = Bind::start().await;
    let reads = resolver(bind.recursive, bind.authority.port());
    assert_eq!(reads.alias(&name("alias.plain.test.")).await.unwrap(), Some(name("two.plain.test.")));
    assert_eq!(reads.alias(&name("two.plain.test.")).await.unwrap(), None);
    assert_eq!(reads.alias(&name("none.plain.test.")).await.unwrap(), None);
}

#[tokio::test]
async fn written_servers_are_located_without_questions() {
    let reads = resolver("127.0.0.1:9".parse().unwrap(), 5300);
    let located = async |text: &str| reads.addresses(text).await.unwrap();
    let one =
        |text: &str, address: &str| vec![Server { name: text.into(), address: address.parse().unwrap() }];
    assert_eq!(located("192.0.2.1").await, one("192.0.2.1", "192.0.2.1:5300"));
    assert_eq!(located("[::1]:53").await, one("[::1]:53", "[::1]:53"));
    assert!(located("localhost:54").await.contains(&one("localhost:54", "127.0.0.1:54")[0]));
    assert_eq!(reads.questions(), 0);
}

#[tokio::test]
async fn what_the_child_knows_more_than_the_parent_is_looked_at_too() {
    let child = Fake::at(Ipv4Addr::new(127, 0, 0, 1), 0, |question| {
        let both = ["ns1.plain.test.", "NS2.plain.test."];
        vec![reply(question, &both.map(|host| record("plain.test.", RData::NS(NS(name(host))))))]
    })
    .await;
    let parent = Fake::at(Ipv4Addr::new(127, 0, 0, 1), 0, |question| {
        let asked = &question.queries[0];
        let last = if asked.name == name("ns1.plain.test.") { 1 } else { 7 };
        let answer = match asked.query_type {
            RecordType::NS => vec![record("plain.test.", RData::NS(NS(name("ns1.plain.test."))))],
            RecordType::A => {
                vec![record(&asked.name.to_ascii(), RData::A(A(Ipv4Addr::new(127, 0, 0, last))))]
            }
            _ => vec![],
        };
        vec![reply(question, &answer)]
    })
    .await;
    let found =
        resolver(parent.address, child.address.port()).name_servers(&name("plain.test.")).await.unwrap();
    let addresses: Vec<_> = found.iter().map(|server| server.address.ip().to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1", "127.0.0.7"]);
}

#[tokio::test]
async fn a_name_server_that_cannot_be_looked_up_is_not_forgotten() {
    let broken = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        let mut message = reply(question, &[]);
        match question.queries[0].query_type {
            RecordType::NS => {
                message.add_answer(record("plain.test.", RData::NS(NS(name("ns1.lame.test.")))));
            }
            _ => message.metadata.response_code = ResponseCode::ServFail,
        }
        vec![message]
    })
    .await;
    let error = resolver(broken.address, 53).name_servers(&name("plain.test.")).await.unwrap_err();
    assert!(error.cause.contains("A of `ns1.lame.test.`") && error.cause.contains("SERVFAIL"), "{error}");
    assert!(error.hints[0].contains("check:"));
}

#[tokio::test]
async fn name_servers_without_any_address_are_an_error() {
    let empty = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        let ns = record("plain.test.", RData::NS(NS(name("ns1.gone.test."))));
        let answers = if question.queries[0].query_type == RecordType::NS { vec![ns] } else { vec![] };
        vec![reply(question, &answers)]
    })
    .await;
    let error = resolver(empty.address, 53).name_servers(&name("plain.test.")).await.unwrap_err();
    assert!(error.cause.contains("none of ns1.gone.test. has an address"), "{error}");
}

#[tokio::test]
async fn forged_datagrams_are_skipped() {
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        let forged = reply(question, &[record("a.plain.test.", txt("forged"))]);
        let (mut id, mut name_, mut rtype) = (forged.clone(), forged.clone(), forged);
        id.metadata.id ^= 0x5555;
        name_.queries[0].name = name("b.plain.test.");
        rtype.queries[0].query_type = RecordType::TLSA;
        vec![id, name_, rtype, reply(question, &[record("a.plain.test.", txt("true"))])]
    })
    .await;
    let answer = direct().ask(&server(fake.address), &name("a.plain.test."), RecordType::TXT).await.unwrap();
    assert_eq!(answer.values, [txt("true")]);
}

#[tokio::test]
async fn only_forged_datagrams_are_no_answer() {
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        let mut forged = reply(question, &[record("a.plain.test.", txt("forged"))]);
        forged.metadata.id ^= 1;
        vec![forged]
    })
    .await;
    let quick = ResolverConfig { timeout: Duration::from_millis(250), ..ResolverConfig::default() };
    let asked =
        Resolver::new(quick).ask(&server(fake.address), &name("a.plain.test."), RecordType::TXT).await;
    let cause = asked.unwrap_err().cause;
    assert_eq!(cause, "no answer within 0.25 s (1 datagram came that does not answer our question)");
}

#[tokio::test]
async fn a_silent_server_gets_less_time_until_it_answers_again() {
    let awake = Arc::new(AtomicBool::new(false));
    let listens = Arc::clone(&awake);
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, move |question| match listens.load(Ordering::SeqCst) {
        true => vec![reply(question, &[record("a.plain.test.", txt("here"))])],
        false => vec![],
    })
    .await;
    let reads = Resolver::new(ResolverConfig { timeout: Duration::from_millis(500), ..Default::default() });
    let (server, owner) = (server(fake.address), name("a.plain.test."));
    let ask = || reads.ask(&server, &owner, RecordType::TXT);
    for waited in ["no answer within 0.5 s", "no answer within 0.2 s", "no answer within 0.2 s"] {
        assert_eq!(ask().await.unwrap_err().cause, waited);
    }
    awake.store(true, Ordering::SeqCst);
    assert_eq!(ask().await.unwrap().values, [txt("here")]);
    awake.store(false, Ordering::SeqCst);
    assert_eq!(ask().await.unwrap_err().cause, "no answer within 0.5 s", "an answer clears it");
}

#[tokio::test]
async fn a_lost_question_is_sent_again_after_300_ms() {
    let heard = std::sync::atomic::AtomicU32::new(0);
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, move |question| {
        match heard.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => vec![],
            _ => vec![reply(question, &[record("a.plain.test.", txt("late"))])],
        }
    })
    .await;
    let (reads, started) = (direct(), Instant::now());
    let answer = reads.ask(&server(fake.address), &name("a.plain.test."), RecordType::TXT).await.unwrap();
    assert_eq!(answer.values, [txt("late")]);
    assert!((300..1300).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!(reads.questions(), 1);
}

#[tokio::test]
async fn a_closed_port_is_told_at_once() {
    let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = direct().ask(&server(address), &name("a.plain.test."), RecordType::TXT).await.unwrap_err();
    assert!(error.cause.contains("UDP: Connection refused"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails() {
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| {
        vec![reply(question, &[record("a.plain.test.", RData::CNAME(CNAME(name("B.plain.test."))))])]
    })
    .await;
    let config = ResolverConfig { resolvers: vec![closed, good.address], ..ResolverConfig::default() };
    let alias = Resolver::new(config).alias(&name("a.plain.test.")).await.unwrap();
    assert_eq!(alias, Some(name("b.plain.test.")));
}

#[tokio::test]
async fn a_resolver_that_does_not_recurse_is_not_believed() {
    let fake = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| vec![question.clone().into_response()]).await;
    let error = resolver(fake.address, 53).name_servers(&name("plain.test.")).await.unwrap_err();
    assert!(error.cause.ends_with("it does not recurse for us"), "{error}");
}

#[tokio::test]
async fn a_resolver_that_leaves_signatures_out_is_named() {
    let bind = Bind::start().await;
    let stripping = Fake::at(Ipv4Addr::LOCALHOST, 0, |question| vec![reply(question, &[])]).await;
    let reads = resolver(stripping.address, bind.authority.port());
    let (zone, owner) = (name("signed.test."), name("two.signed.test."));
    let seen = reads.observe(&server(bind.authority), &zone, &owner, RecordType::TXT).await.unwrap();
    assert_eq!(seen.answer.values.len(), 2);
    let expected = format!(
        "DNSKEY of `.`: resolver {}: it does not pass on DNSSEC signatures; name one that does under `resolvers:`",
        stripping.address
    );
    assert_eq!(seen.security, Security::Bogus(expected));
}
