//! DNSSEC validated by ourselves, at the real servers of the test world: BIND, Knot and unbound below a root of their own.
//!
//! `answers_are_judged_as_a_validating_resolver_would` builds the world, puts records into it and runs the tests of
//! `inside` there, in the world's network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{Lab, Options, eventually};

/// 3 1 1 data that nobody serves.
fn pin(digit: u8) -> String {
    format!("3 1 1 {}", format!("{digit:02x}").repeat(32))
}

#[test]
fn answers_are_judged_as_a_validating_resolver_would() {
    let lab = Lab::start(Options { extra_zones: 0, notify_delay: Some(0), ..Options::default() });
    for (zone, owner, rtype, data) in [
        ("example.test", "_25._tcp.mx1.example.test", "TLSA", pin(1)),
        ("example.test", "*._tcp.wild.example.test", "TLSA", pin(2)),
        ("example.test", "_25._tcp.alias.example.test", "CNAME", "dane.knot.test.".into()),
        ("example.test", "_25._tcp.weak.example.test", "CNAME", "dane.unsigned.test.".into()),
        ("example.test", "strong.example.test", "CNAME", "mx1.example.test.".into()),
        ("unsigned.test", "dane.unsigned.test", "TLSA", pin(4)),
        ("unsigned.test", "_25._tcp.back.unsigned.test", "CNAME", "dane.knot.test.".into()),
        ("knot.test", "dane.knot.test", "TLSA", pin(3)),
        ("knot.test", "*._tcp.wild.knot.test", "TLSA", pin(2)),
    ] {
        lab.add_record(zone, owner, rtype, &data);
    }
    // What was added last to each zone.
    let last = [
        ("strong.example.test", "CNAME"),
        ("_25._tcp.back.unsigned.test", "CNAME"),
        ("_1._tcp.wild.knot.test", "TLSA"),
    ];
    for server in [support::BIND, support::KNOT] {
        for (owner, rtype) in last {
            eventually(std::time::Duration::from_secs(10), &format!("{owner} at {server}"), || {
                lab.dig(server, owner, rtype).len() == 1
            });
        }
    }
    // Knot keeps what it has while BIND goes on: a server that lags.
    lab.run("knotc", &["-s", "knot/knot.sock", "zone-freeze", "-b", "other.test"]);
    lab.add_record("other.test", "_25._tcp.mx1.other.test", "TLSA", &pin(5));
    eventually(std::time::Duration::from_secs(10), "the signed zone follows", || {
        lab.dig(support::BIND, "_25._tcp.mx1.other.test", "TLSA").len() == 1
    });
    assert!(lab.validates("_25._tcp.mx1.example.test", "TLSA"), "unbound agrees that the world is sound");

    let tests = std::env::current_exe().unwrap();
    let mut command = lab.command(tests.to_str().unwrap());
    let output = command.args(["--ignored", "--test-threads=1"]).output().unwrap();
    let text =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("test result: ok. 16 passed"), "{text}");
}

mod inside {
    use super::support::{BIND, KNOT, UNBOUND};
    use danesmith::dns::{
        Lookup, Observation, Reads, Resolver, ResolverConfig, Security, Server, TrustAnchor, Validation,
    };
    use danesmith::error::Kind;
    use hickory_proto::dnssec::Algorithm;
    use hickory_proto::dnssec::rdata::sig::SigInput;
    use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::TLSA;
    use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
    use hickory_proto::rr::{Name, RData, Record, RecordType, SerialNumber};
    use jiff::{Timestamp, ToSpan};
    use std::path::Path;
    use std::str::FromStr;

    const EVERYWHERE: [(&str, &str); 4] =
        [(BIND, "example.test."), (KNOT, "example.test."), (BIND, "knot.test."), (KNOT, "knot.test.")];

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn resolver(validation: Validation) -> Resolver {
        let resolvers = vec![format!("{UNBOUND}:53").parse().unwrap()];
        Resolver::new(ResolverConfig { resolvers, validation, ..ResolverConfig::default() })
    }

    fn own() -> Resolver {
        resolver(Validation::Own(TrustAnchor::read(Path::new("root.key")).unwrap()))
    }

    fn server(address: &str) -> Server {
        Server { name: address.into(), address: format!("{address}:53").parse().unwrap() }
    }

    async fn observe(at: &str, zone: &str, owner: &str) -> Observation {
        let seen = own().observe(&server(at), &name(zone), &name(owner), RecordType::TLSA).await;
        seen.unwrap()
    }

    async fn lookup(owner: &str, rtype: RecordType) -> Lookup {
        own().lookup(&name(owner), rtype).await.unwrap()
    }

    /// Secure until a time in the future that the zones' signers would choose: they sign for four days.
    #[track_caller]
    fn assert_secure(security: &Security) {
        let Security::Secure { until, .. } = security else { panic!("{security:?}") };
        let now = Timestamp::now();
        assert!(*until > now && *until < now + (5 * 24).hours(), "{until}");
    }

    #[track_caller]
    fn assert_insecure(security: &Security, zone: &str) {
        assert_eq!(*security, Security::Insecure(format!("the parent of `{zone}` proves that it has no DS")));
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn signed_answers_of_bind_and_knot_are_secure() {
        for at in [BIND, KNOT] {
            let seen = observe(at, "example.test.", "_25._tcp.mx1.example.test.").await;
            assert_secure(&seen.security);
            assert_eq!((seen.answer.values.len(), seen.answer.ttl), (1, 5));
            assert_secure(&observe(at, "knot.test.", "dane.knot.test.").await.security);
        }
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_proved_absence_is_secure() {
        // example.test has NSEC, knot.test NSEC3.
        for (at, zone) in EVERYWHERE {
            let missing = observe(at, zone, &format!("_25._tcp.mx9.{zone}")).await;
            assert!(missing.answer.nxdomain && missing.answer.values.is_empty());
            assert_secure(&missing.security);
            let other_type = observe(at, zone, zone).await;
            assert!(!other_type.answer.nxdomain && other_type.answer.values.is_empty());
            assert_secure(&other_type.security);
        }
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_wildcard_answer_is_secure() {
        for (at, zone) in EVERYWHERE {
            let seen = observe(at, zone, &format!("_465._tcp.wild.{zone}")).await;
            assert_secure(&seen.security);
            assert_eq!(seen.answer.values.len(), 1);
        }
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_server_that_lags_proves_that_it_lags() {
        let ahead = observe(BIND, "other.test.", "_25._tcp.mx1.other.test.").await;
        let behind = observe(KNOT, "other.test.", "_25._tcp.mx1.other.test.").await;
        assert_eq!((ahead.answer.values.len(), behind.answer.values.len()), (1, 0));
        assert_secure(&ahead.security);
        assert_secure(&behind.security);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_zone_below_a_signed_one_has_its_own_chain() {
        let (at, apex) = (server(BIND), name("sub.example.test."));
        let seen = own().observe(&at, &apex, &apex, RecordType::SOA).await.unwrap();
        assert_secure(&seen.security);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn an_unsigned_zone_is_insecure_because_the_parent_says_so() {
        for (owner, values) in [("dane.unsigned.test.", 1), ("nothing.unsigned.test.", 0)] {
            let seen = observe(BIND, "unsigned.test.", owner).await;
            assert_insecure(&seen.security, "unsigned.test.");
            assert_eq!(seen.answer.values.len(), values);
        }
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn signatures_that_ended_make_the_answer_bogus() {
        let seen = observe(BIND, "expired.test.", "_25._tcp.mx1.expired.test.").await;
        let why = "the signature over TLSA ended at 2020-02-01 00:00 UTC".to_owned();
        assert_eq!(seen.security, Security::Bogus(why));
        assert_eq!(seen.answer.values.len(), 1);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_ds_that_fits_no_key_makes_the_answer_bogus() {
        for owner in ["_25._tcp.mx1.wrongds.test.", "_26._tcp.mx1.wrongds.test."] {
            let seen = observe(BIND, "wrongds.test.", owner).await;
            let why = "no DS of `wrongds.test.` at its parent matches a DNSKEY of the zone".to_owned();
            assert_eq!(seen.security, Security::Bogus(why));
        }
    }

    /// Somebody on the way who sends this record, and this signature, whatever is asked.
    async fn forger(records: Vec<Record>) -> Server {
        let socket = tokio::net::UdpSocket::bind("127.0.0.99:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let mut answer = Message::from_vec(&buffer[..length]).unwrap().into_response();
                answer.metadata.authoritative = true;
                answer.add_answers(records.clone());
                socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
            }
        });
        Server { name: "forger".into(), address }
    }

    fn forged(owner: &Name) -> Record {
        let data = TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![6; 32]);
        Record::from_rdata(owner.clone(), 60, RData::TLSA(data))
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn an_answer_stripped_of_its_signatures_is_bogus() {
        let owner = name("_25._tcp.mx1.example.test.");
        let forger = forger(vec![forged(&owner)]).await;
        let seen = own().observe(&forger, &name("example.test."), &owner, RecordType::TLSA).await.unwrap();
        let why = "no signature came with it, although the zone is signed".to_owned();
        assert_eq!(seen.security, Security::Bogus(why));
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_signature_of_an_unsigned_zone_does_not_make_a_forgery_merely_insecure() {
        let owner = name("_25._tcp.mx1.example.test.");
        let now = u32::try_from(Timestamp::now().as_second()).unwrap();
        let input = SigInput {
            type_covered: RecordType::TLSA,
            algorithm: Algorithm::ECDSAP256SHA256,
            num_labels: 5,
            original_ttl: 60,
            sig_expiration: SerialNumber::new(now + 3600),
            sig_inception: SerialNumber::new(now - 3600),
            key_tag: 1,
            signer_name: name("unsigned.test."),
        };
        let signature = RData::DNSSEC(DNSSECRData::RRSIG(RRSIG::from_sig(input, vec![0; 64])));
        let forger = forger(vec![forged(&owner), Record::from_rdata(owner.clone(), 60, signature)]).await;
        let seen = own().observe(&forger, &name("example.test."), &owner, RecordType::TLSA).await.unwrap();
        let Security::Bogus(why) = seen.security else { panic!("{:?}", seen.security) };
        assert!(why.contains("claims to be by `unsigned.test.`"), "{why}");
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn another_root_makes_everything_bogus() {
        let wrong = resolver(Validation::Own(TrustAnchor::root()));
        let owner = name("_25._tcp.mx1.example.test.");
        let seen =
            wrong.observe(&server(BIND), &name("example.test."), &owner, RecordType::TLSA).await.unwrap();
        assert!(matches!(seen.security, Security::Bogus(_)), "{:?}", seen.security);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn the_chain_of_trust_is_fetched_once() {
        let reads = own();
        let owner = name("_25._tcp.mx1.example.test.");
        let look = async |at| {
            let before = reads.questions();
            let seen = reads.observe(&server(at), &name("example.test."), &owner, RecordType::TLSA).await;
            assert_secure(&seen.unwrap().security);
            reads.questions() - before
        };
        // The question itself; DNSKEY of the root, DS and DNSKEY of `test` (no zone) and of `example.test`.
        assert_eq!(look(BIND).await, 1 + 5);
        assert_eq!(look(KNOT).await, 1);
        let both = own();
        let zone = name("example.test.");
        let (one, two) = (server(BIND), server(KNOT));
        let (one, two) = tokio::join!(
            both.observe(&one, &zone, &owner, RecordType::TLSA),
            both.observe(&two, &zone, &owner, RecordType::TLSA)
        );
        assert_secure(&one.unwrap().security);
        assert_secure(&two.unwrap().security);
        assert_eq!(both.questions(), 2 + 5);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn the_parents_and_the_childs_name_servers_are_all_looked_at() {
        let servers = own().name_servers(&name("split.test.")).await.unwrap();
        let mut addresses: Vec<String> = servers.iter().map(|s| s.address.ip().to_string()).collect();
        addresses.sort();
        assert_eq!(addresses, ["127.0.0.11", "127.0.0.12", "127.0.0.13"]);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn every_link_of_a_look_up_has_its_own_verdict() {
        let secure = lookup("_25._tcp.alias.example.test.", RecordType::TLSA).await;
        assert_eq!((secure.name, secure.records.len(), secure.ttl), (name("dane.knot.test."), 1, 5));
        assert_secure(&secure.security);
        assert_eq!((secure.links.len(), secure.links[0].ttl), (1, 5));

        let weak_end = lookup("_25._tcp.weak.example.test.", RecordType::TLSA).await;
        assert_insecure(&weak_end.security, "unsigned.test.");
        assert_secure(&weak_end.links[0].security);

        let weak_link = lookup("_25._tcp.back.unsigned.test.", RecordType::TLSA).await;
        assert!(matches!(weak_link.security, Security::Insecure(_)), "{:?}", weak_link.security);
        assert_insecure(&weak_link.links[0].security, "unsigned.test.");
        assert_eq!(weak_link.records.len(), 1);

        let denied = lookup("_25._tcp.nobody.example.test.", RecordType::TLSA).await;
        assert!(denied.nxdomain && denied.records.is_empty());
        assert_secure(&denied.security);

        let bogus = lookup("mx1.expired.test.", RecordType::A).await;
        assert!(matches!(bogus.security, Security::Bogus(_)), "{:?}", bogus.security);
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn mx_addresses_and_tlsa_of_a_mail_host_are_judged_each_by_itself() {
        let reads = own();
        let lookup = async |text: &str, rtype| reads.lookup(&name(text), rtype).await.unwrap();
        for (text, rtype) in [
            ("example.test.", RecordType::MX),
            ("mx1.example.test.", RecordType::A),
            ("mx1.example.test.", RecordType::AAAA),
            ("_25._tcp.mx1.example.test.", RecordType::TLSA),
        ] {
            assert_secure(&lookup(text, rtype).await.security);
        }
        // An alias: the addresses, and the TLSA base domain, are where it leads.
        let alias = lookup("strong.example.test.", RecordType::A).await;
        assert_eq!(alias.name, name("mx1.example.test."));
        assert!(alias.links.iter().all(|link| link.security.is_secure()) && alias.security.is_secure());
        for (text, rtype) in
            [("mx1.unsigned.test.", RecordType::A), ("_25._tcp.mx1.unsigned.test.", RecordType::TLSA)]
        {
            assert!(!lookup(text, rtype).await.security.is_secure(), "{text}");
        }
    }

    #[tokio::test]
    #[ignore = "runs in a world"]
    async fn a_resolver_that_is_believed_says_what_unbound_says() {
        let reads = resolver(Validation::Resolver);
        let owner = name("_25._tcp.mx1.example.test.");
        let seen =
            reads.observe(&server(KNOT), &name("example.test."), &owner, RecordType::TLSA).await.unwrap();
        assert_secure(&seen.security);
        assert_secure(&reads.lookup(&owner, RecordType::TLSA).await.unwrap().security);
        let open = reads.lookup(&name("dane.unsigned.test."), RecordType::TLSA).await.unwrap();
        assert_eq!(open.security, Security::Insecure("the resolver does not set the AD bit".into()));
        let broken = reads.lookup(&name("mx1.wrongds.test."), RecordType::A).await.unwrap_err();
        assert_eq!(broken.kind, Kind::Remote);
        assert!(broken.cause.contains("SERVFAIL"), "{broken}");
    }
}
