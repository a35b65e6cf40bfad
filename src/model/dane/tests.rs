//! Every check of the outside view: a good house, one thing changed, the findings compared as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::survey::*;
use super::*;
use crate::model::desired::Protocol;
use crate::model::endpoint::{Algorithm, Ask, Endpoint, Failure, FailureKind, Sni, Versions};
use Severity::{Critical, Error, Info, Warn};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sha2::{Digest, Sha256, Sha512};
use std::net::{IpAddr, SocketAddr};
use x509_parser::prelude::{FromDer, X509Certificate};

const OWNER: &str = "_25._tcp.mx1.example.org";

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn in_hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

fn secure() -> Trust {
    secure_until(240)
}

fn secure_until(hours: i64) -> Trust {
    Trust::Secure { until: in_hours(hours), last: in_hours(hours) }
}

fn insecure() -> Trust {
    Trust::Insecure("no DS at the parent".into())
}

fn bogus() -> Trust {
    Trust::Bogus("a signature has expired".into())
}

fn spki(der: &[u8]) -> Vec<u8> {
    X509Certificate::from_der(der).unwrap().1.public_key().raw.to_vec()
}

fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
    Tlsa { usage, selector, matching, data: data.to_vec() }
}

/// 3 1 1 of this certificate.
fn pin(chain: &[Vec<u8>]) -> Tlsa {
    tlsa(3, 1, 1, &Sha256::digest(spki(&chain[0])))
}

/// 3 1 1 of a key that nobody serves.
fn spare(digit: u8) -> Tlsa {
    tlsa(3, 1, 1, &[digit; 32])
}

fn self_signed() -> Vec<Vec<u8>> {
    let key = KeyPair::generate().unwrap();
    vec![
        CertificateParams::new(vec!["other.example.net".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .der()
            .to_vec(),
    ]
}

/// A leaf for `name`, valid until `year`, and the CA that issued it.
fn issued(name: &str, year: i32) -> Vec<Vec<u8>> {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.distinguished_name.push(DnType::CommonName, "Test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(year, 1, 1);
    let ca_der = ca.self_signed(&ca_key).unwrap().der().to_vec();
    let issuer = Issuer::from_params(&ca, &ca_key);
    vec![leaf.signed_by(&key, &issuer).unwrap().der().to_vec(), ca_der]
}

fn at_servers<T: Clone>(records: &[T]) -> Vec<AtServer<T>> {
    let one = |server: &str| AtServer {
        server: server.into(),
        answer: Ok((records.to_vec(), secure())),
        serial: Some(7),
        refresh: Some(3600),
    };
    vec![one("ns1"), one("ns2")]
}

fn found<T: Clone>(name: &str, rtype: &'static str, records: &[T]) -> Found<T> {
    Found {
        name: name.into(),
        rtype,
        at: name.into(),
        trust: Ok(secure()),
        records: records.to_vec(),
        ttl: 3600,
        servers: at_servers(records),
    }
}

fn address() -> SocketAddr {
    "192.0.2.1:25".parse().unwrap()
}

fn probe(sni: Sni, algorithm: Algorithm, seen: Seen) -> Probe {
    Probe { address: address(), ask: Ask { sni, algorithm, versions: Versions::Both }, seen }
}

/// ECDSA only, the same with and without a name.
fn probes(chain: &[Vec<u8>]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for sni in [Sni::Sent, Sni::Absent] {
        probes.push(probe(sni, Algorithm::Ecdsa, Seen::Chain(chain.to_vec())));
        probes.push(probe(sni, Algorithm::Rsa, Seen::NothingFor));
    }
    probes
}

fn failing(kind: FailureKind) -> Vec<Probe> {
    let seen = || Seen::Failed(Failure { kind, words: "it failed".into() });
    [Algorithm::Ecdsa, Algorithm::Rsa].map(|algorithm| probe(Sni::Sent, algorithm, seen())).to_vec()
}

fn host(chain: &[Vec<u8>], records: &[Tlsa]) -> HostView {
    HostView {
        endpoint: Endpoint { protocol: Protocol::Smtp, host: "mx1.example.org".into(), port: 25 },
        a: found("mx1.example.org", "A", &["192.0.2.1".parse::<IpAddr>().unwrap()]),
        aaaa: found("mx1.example.org", "AAAA", &[]),
        tlsa: found(OWNER, "TLSA", records),
        missing_parent: None,
        wildcard: Vec::new(),
        names: vec!["mx1.example.org".into(), "example.org".into()],
        probes: probes(chain),
    }
}

fn survey(host: HostView) -> Survey {
    let mail = Mail {
        domain: "example.org".into(),
        mx: found("example.org", "MX", &[(10, "mx1.example.org".to_owned())]),
        reports: Some(true),
    };
    Survey { target: "example.org".into(), mail: Some(mail), hosts: vec![host] }
}

/// What is found in a good house with one thing changed.
fn with(change: impl FnOnce(&mut Survey, &[Vec<u8>])) -> Vec<(Severity, &'static str)> {
    let chain = self_signed();
    let mut survey = survey(host(&chain, &[pin(&chain), spare(1)]));
    change(&mut survey, &chain);
    summary(&judge(&survey, now()))
}

fn summary(findings: &[Finding]) -> Vec<(Severity, &'static str)> {
    findings.iter().map(|finding| (finding.severity, finding.check)).collect()
}

/// The records change everywhere.
fn publish(survey: &mut Survey, records: &[Tlsa]) {
    survey.hosts[0].tlsa = found(OWNER, "TLSA", records);
}

/// Chain and records of a house with these records made from the chain.
fn with_chain(chain: &[Vec<u8>], records: &[Tlsa]) -> Vec<(Severity, &'static str)> {
    summary(&judge(&survey(host(chain, records)), now()))
}

#[test]
fn a_good_house_has_no_findings() {
    assert_eq!(with(|_, _| {}), []);
}

#[test]
fn an_endpoint_that_matches_no_record_stops_mail() {
    assert_eq!(with(|s, _| publish(s, &[spare(1)])), [(Critical, "no-match")]);
    let rsa_too = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].probes[1].seen = Seen::Chain(self_signed());
        s.hosts[0].probes[3].seen = s.hosts[0].probes[1].seen.clone();
    };
    assert_eq!(with(rsa_too), [(Critical, "no-match")]);
    let second_address = |s: &mut Survey, _: &[Vec<u8>]| {
        let mut other = probe(Sni::Sent, Algorithm::Ecdsa, Seen::Chain(self_signed()));
        other.address = "[2001:db8::1]:25".parse().unwrap();
        s.hosts[0].probes.push(other);
    };
    assert_eq!(with(second_address), [(Critical, "no-match")]);
}

#[test]
fn a_server_that_lags_behind_with_other_records_stops_mail_of_those_who_ask_it() {
    let lagging = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].tlsa.servers[1].answer = Ok((vec![spare(1)], secure()));
        s.hosts[0].tlsa.servers[1].serial = Some(6);
    };
    assert_eq!(with(lagging), [(Critical, "no-match"), (Warn, "servers-disagree")]);
}

#[test]
fn bogus_or_failing_look_ups_stop_mail() {
    type Set = fn(&mut Survey, Result<Trust, String>);
    let trust: [Set; 4] = [
        |s, trust| s.mail.as_mut().unwrap().mx.trust = trust,
        |s, trust| s.hosts[0].a.trust = trust,
        |s, trust| s.hosts[0].aaaa.trust = trust,
        |s, trust| s.hosts[0].tlsa.trust = trust,
    ];
    for set in trust {
        assert_eq!(with(|s, _| set(s, Ok(bogus()))), [(Critical, "lookup-bogus")]);
        assert_eq!(with(|s, _| set(s, Err("SERVFAIL".into()))), [(Critical, "lookup-failed")]);
    }
}

#[test]
fn a_resolver_that_alone_says_bogus_is_suspected_itself() {
    let chain = self_signed();
    let mut survey = survey(host(&chain, &[pin(&chain), spare(1)]));
    survey.hosts[0].a.trust = Ok(bogus());
    let suspected = |survey: &Survey| judge(survey, now())[0].words.contains("ask another resolver");
    assert!(suspected(&survey));
    survey.hosts[0].a.servers[0].answer.as_mut().unwrap().1 = bogus();
    assert!(!suspected(&survey));
}

#[test]
fn one_authoritative_server_that_fails_or_lies_is_enough() {
    let answer = |answer, serial| {
        with(|s, _| {
            s.hosts[0].tlsa.servers[1].answer = answer;
            s.hosts[0].tlsa.servers[1].serial = serial;
        })
    };
    let chain = self_signed();
    assert_eq!(answer(Ok((vec![pin(&chain)], bogus())), Some(7))[0], (Critical, "lookup-bogus"));
    assert_eq!(answer(Err("REFUSED".into()), Some(7)), [(Critical, "lookup-failed")]);
    // Silent to everything: resolvers ask the next one.
    assert_eq!(answer(Err("timeout".into()), None), [(Error, "server-silent")]);
    let nobody = |s: &mut Survey, _: &[Vec<u8>]| {
        for server in &mut s.hosts[0].tlsa.servers {
            (server.answer, server.serial) = (Err("timeout".into()), None);
        }
    };
    assert_eq!(with(nobody), [(Critical, "server-silent"); 2]);
}

#[test]
fn a_server_that_is_silent_to_every_question_is_told_once_and_as_the_worst_it_is() {
    let silent = |s: &mut Survey, _: &[Vec<u8>]| {
        let host = &mut s.hosts[0];
        (host.a.servers[1].answer, host.a.servers[1].serial) = (Err("timeout".into()), None);
        for server in &mut host.tlsa.servers {
            (server.answer, server.serial) = (Err("timeout".into()), None);
        }
    };
    assert_eq!(with(silent), [(Critical, "server-silent"); 2]);
}

#[test]
fn records_of_served_keys_only_leave_nothing_for_the_next_one() {
    assert_eq!(with(|s, chain| publish(s, &[pin(chain)])), [(Warn, "no-backup")]);
    // RSA beside ECDSA: two keys, and a backup of neither
    let both = |s: &mut Survey, chain: &[Vec<u8>]| {
        let rsa = self_signed();
        publish(s, &[pin(chain), pin(&rsa)]);
        s.hosts[0].probes[1].seen = Seen::Chain(rsa);
    };
    assert_eq!(with(both), [(Warn, "no-backup")]);
    // where nobody presents it, that is the worse finding; where nothing could be probed, nobody knows
    assert_eq!(with(|s, _| publish(s, &[spare(1)])), [(Critical, "no-match")]);
    let unseen = |s: &mut Survey, chain: &[Vec<u8>]| {
        publish(s, &[pin(chain)]);
        s.hosts[0].probes = failing(FailureKind::Timeout);
    };
    assert_eq!(with(unseen), [(Error, "unreachable")]);
    // the issuing CA's record outlives the key
    let chain = issued("mx1.example.org", 2040);
    let anchor = tlsa(2, 1, 1, &Sha256::digest(spki(&chain[1])));
    assert_eq!(with_chain(&chain, &[pin(&chain), anchor]), []);
}

#[test]
fn endpoints_without_tls_stop_mail_where_there_are_records() {
    let fails = |kind, pinned: bool| {
        with(|s, _| {
            s.hosts[0].probes = failing(kind);
            if !pinned {
                publish(s, &[]);
            }
        })
    };
    assert_eq!(fails(FailureKind::NoStarttls, true), [(Critical, "no-starttls")]);
    assert_eq!(fails(FailureKind::NoStarttls, false), [(Warn, "no-tlsa"), (Warn, "no-starttls")]);
    assert_eq!(fails(FailureKind::Handshake, true), [(Critical, "tls-failed")]);
    for kind in [FailureKind::Refused, FailureKind::Timeout, FailureKind::Dialogue] {
        assert_eq!(fails(kind, true), [(Error, "unreachable")]);
    }
    assert_eq!(fails(FailureKind::NoRoute, true), [(Warn, "not-reached")]);
    let nothing = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].probes.iter_mut().for_each(|probe| probe.seen = Seen::NothingFor);
    };
    assert_eq!(with(nothing), [(Critical, "no-tls")]);
    let homeless = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].a = found("mx1.example.org", "A", &[]);
        s.hosts[0].probes.clear();
    };
    assert_eq!(with(homeless), [(Error, "no-address")]);
}

#[test]
fn signatures_that_end_soon_are_told_before_they_do() {
    let ends = |hours| with(|s, _| s.hosts[0].tlsa.trust = Ok(secure_until(hours)));
    // TTL 1 h and an hour until the next look
    assert_eq!(ends(1), [(Critical, "rrsig-expires")]);
    assert_eq!(ends(3), [(Warn, "rrsig-expires")]);
    assert_eq!(ends(71), [(Warn, "rrsig-expires")]);
    assert_eq!(ends(73), []);
    let one_server = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].a.servers[0].answer.as_mut().unwrap().1 = secure_until(1);
    };
    assert_eq!(with(one_server), [(Critical, "rrsig-expires")]);
}

#[test]
fn a_triple_with_past_or_future_keys_only_is_an_error() {
    let sha512 = |s: &mut Survey, chain: &[Vec<u8>]| {
        publish(s, &[spare(1), tlsa(3, 1, 2, &Sha512::digest(spki(&chain[0])))]);
    };
    assert_eq!(with(sha512), [(Error, "stale-triple"), (Warn, "mixed-matching")]);
}

#[test]
fn a_weaker_digest_counts_for_nothing_beside_a_stronger_one() {
    let next = |s: &mut Survey, chain: &[Vec<u8>]| publish(s, &[pin(chain), tlsa(3, 1, 2, &[9; 64])]);
    assert_eq!(with(next), [(Critical, "no-match"), (Warn, "mixed-matching")]);
    let chain = self_signed();
    let finding = &judge(&survey(host(&chain, &[pin(&chain), tlsa(3, 1, 2, &[9; 64])])), now())[0];
    assert!(finding.words.contains("counts for nothing beside a stronger digest"), "{finding}");
}

#[test]
fn servers_that_differ_are_told() {
    let differs = |serial| {
        with(|s, chain| {
            s.hosts[0].tlsa.servers[1].answer = Ok((vec![pin(chain)], secure()));
            s.hosts[0].tlsa.servers[1].serial = Some(serial);
        })
    };
    assert_eq!(differs(7), [(Error, "servers-disagree")]);
    assert_eq!(differs(6), [(Warn, "servers-disagree")]);
}

#[test]
fn without_dnssec_there_is_no_protection_and_no_harm() {
    let insecure_at: [fn(&mut Survey); 4] = [
        |s| s.mail.as_mut().unwrap().mx.trust = Ok(insecure()),
        |s| s.hosts[0].a.trust = Ok(insecure()),
        |s| s.hosts[0].aaaa.trust = Ok(insecure()),
        |s| s.hosts[0].tlsa.trust = Ok(insecure()),
    ];
    for set in insecure_at {
        assert_eq!(with(|s, _| set(s)), [(Error, "insecure")]);
        let mismatched = |s: &mut Survey, _: &[Vec<u8>]| {
            publish(s, &[spare(1)]);
            set(s);
        };
        let errors = with(mismatched);
        assert_eq!(errors.iter().map(|(severity, _)| *severity).max(), Some(Error), "{errors:?}");
        assert!(errors.contains(&(Error, "no-match")), "{errors:?}");
    }
    assert_eq!(
        with(|s, _| {
            publish(s, &[]);
            s.hosts[0].tlsa.trust = Ok(insecure());
        }),
        [(Warn, "no-tlsa")]
    );
}

#[test]
fn a_missing_parent_of_the_owner_name_is_an_error() {
    let change =
        |s: &mut Survey, _: &[Vec<u8>]| s.hosts[0].missing_parent = Some("_tcp.mx1.example.org".into());
    assert_eq!(with(change), [(Error, "nxdomain-above")]);
}

#[test]
fn a_host_without_records_is_told() {
    assert_eq!(with(|s, _| publish(s, &[])), [(Warn, "no-tlsa")]);
    let second = |s: &mut Survey, chain: &[Vec<u8>]| s.hosts.push(host(chain, &[]));
    assert_eq!(with(second), [(Warn, "mx-without-tlsa")]);
}

#[test]
fn a_resolver_that_remembers_the_time_before_the_records_is_told() {
    let before = |s: &mut Survey, _: &[Vec<u8>]| s.hosts[0].tlsa.records.clear();
    assert_eq!(with(before), [(Warn, "resolver-behind")]);
}

#[test]
fn a_wildcard_that_does_not_count_is_told() {
    assert_eq!(with(|s, _| s.hosts[0].wildcard = vec![spare(5)]), [(Warn, "owner-shadows-wildcard")]);
    assert_eq!(with(|s, _| s.hosts[0].wildcard = s.hosts[0].tlsa.records.clone()), []);
}

#[test]
fn domains_are_told_what_they_miss() {
    assert_eq!(with(|s, _| s.mail.as_mut().unwrap().reports = Some(false)), [(Info, "no-tlsrpt")]);
    let null = |s: &mut Survey, _: &[Vec<u8>]| {
        s.mail.as_mut().unwrap().mx = found("example.org", "MX", &[(0, String::new())]);
        s.hosts.clear();
    };
    assert_eq!(with(null), [(Info, "null-mx")]);
}

#[test]
fn what_nameless_clients_see_is_the_servers_choice_but_they_must_see_something() {
    let other = |s: &mut Survey, _: &[Vec<u8>]| s.hosts[0].probes[2].seen = Seen::Chain(self_signed());
    assert_eq!(with(other), [(Info, "fallback")]);
    let none = |s: &mut Survey, _: &[Vec<u8>]| s.hosts[0].probes[2].seen = Seen::NothingFor;
    assert_eq!(with(none), [(Warn, "sni-required")]);
    // An endpoint that is an address has no name to send: what it shows counts.
    let address = |s: &mut Survey, _: &[Vec<u8>]| {
        s.hosts[0].probes.retain(|probe| probe.ask.sni == Sni::Absent);
        s.hosts[0].probes[0].seen = Seen::Chain(self_signed());
    };
    assert_eq!(with(address)[0], (Critical, "no-match"));
}

#[test]
fn the_worst_comes_first_and_nothing_twice() {
    let all = with(|s, _| {
        publish(s, &[spare(1)]);
        s.hosts[0].tlsa.ttl = 60;
        s.mail.as_mut().unwrap().reports = Some(false);
        let same = s.hosts[0].clone();
        s.hosts.push(same);
    });
    assert_eq!(all, [(Critical, "no-match"), (Warn, "ttl"), (Info, "no-tlsrpt")]);
}

mod ledger;
mod records;
