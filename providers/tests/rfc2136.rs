//! The RFC 2136 provider against real servers (BIND's `named`, Knot DNS' `knotd`) on loopback, and against one that
//! lies. Each test starts its own server; without the packages it fails and says which to install.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "rfc2136/lies.rs"]
mod lies;
#[path = "rfc2136/outages.rs"]
mod outages;
mod support;

use danesmith_providers::rfc2136::{Algorithm, Config, Counters, Rfc2136, Transport};
use danesmith_providers::{Applied, Change, Class, Provider};
use futures_util::future::join_all;
use hickory_proto::rr::RecordType::{TLSA, TXT};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::*;
use zeroize::Zeroizing;

const CHALLENGE: &str = "_acme-challenge.mx.example.test.";
const PINS: &str = "_25._tcp.mx.example.test.";

/// Two challenge values and two pins.
fn four() -> Vec<Change> {
    vec![change(CHALLENGE, &[txt("a"), txt("b")], &[]), change(PINS, &[tlsa(1), tlsa(2)], &[])]
}

/// The changes that take `changes` back.
fn undone(changes: &[Change]) -> Vec<Change> {
    changes.iter().map(|c| Change { remove: c.add.clone(), add: vec![], ..c.clone() }).collect()
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Server) -> F) {
    for kind in [Kind::Bind, Kind::Knot] {
        test(Server::start(kind)).await;
    }
}

#[tokio::test]
async fn two_txt_and_two_tlsa_travel_in_one_message_over_every_transport() {
    on_both(async |server: Server| {
        let plain = [Transport::Tcp, Transport::Udp];
        for (address, transport) in
            plain.iter().flat_map(|t| [(server.address(), t), (server.address_v6(), t)])
        {
            let provider = provider(address, |c| c.transport = transport.clone());
            assert_eq!(
                provider.apply(&zone(), &four()).await.unwrap(),
                Applied { writes: 1 },
                "{transport:?}"
            );
            assert_eq!(provider.counters(), Counters { updates: 1, preflights: 0, queries: 4 });
            assert_eq!(standing(&provider, CHALLENGE, TXT).await, (60, texts(&[txt("a"), txt("b")])));
            assert_eq!(standing(&provider, PINS, TLSA).await, (60, texts(&[tlsa(1), tlsa(2)])));

            assert_eq!(provider.apply(&zone(), &undone(&four())).await.unwrap(), Applied { writes: 1 });
            assert_eq!(standing(&provider, PINS, TLSA).await.1.len(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn tls_carries_updates_when_the_server_proves_its_name() {
    let server = Server::start(Kind::Bind);
    let tls = |name: &str| Transport::Tls { server_name: name.into(), root_pem: Some(server.root_pem()) };
    let good = provider(server.tls_address(), |c| c.transport = tls("ns.example.test"));
    assert_eq!(good.apply(&zone(), &four()).await.unwrap(), Applied { writes: 1 });

    let misnamed = provider(server.tls_address(), |c| c.transport = tls("other.example.test"));
    let error = misnamed.apply(&zone(), &four()).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected, "{error}");
    assert!(error.message.contains("TLS handshake") && error.message.contains("nothing was sent"), "{error}");

    let other = rcgen::generate_simple_self_signed(vec!["ns.example.test".into()]).unwrap();
    let root_pem = Some(other.cert.pem().into_bytes());
    let strange = provider(server.tls_address(), |c| {
        c.transport = Transport::Tls { server_name: "ns.example.test".into(), root_pem };
    });
    assert!(strange.preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap_err().message.contains("TLS"));
}

#[tokio::test]
async fn every_algorithm_signs() {
    on_both(async |server: Server| {
        for (key, algorithm) in [("k384.", Algorithm::HmacSha384), ("k512.", Algorithm::HmacSha512)] {
            let provider = provider(server.address(), |c| {
                c.key_name = name(key);
                c.algorithm = algorithm;
            });
            provider.preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn foreign_values_survive_and_keep_their_ttl() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let names = ["_acme-challenge.kept.example.test.", "_25._tcp.kept.example.test."];
        let before = (standing(&provider, names[0], TXT).await, standing(&provider, names[1], TLSA).await);
        assert_eq!((before.0.0, before.1.0), (300, 1200));

        let add = [change(names[0], &[txt("ours")], &[]), change(names[1], &[tlsa(7)], &[])];
        provider.apply(&zone(), &add).await.unwrap();
        let with_ours = standing(&provider, names[1], TLSA).await;
        assert_eq!((with_ours.0, with_ours.1.len()), (1200, 2));
        assert_eq!(standing(&provider, names[0], TXT).await, (300, texts(&[txt("foreign"), txt("ours")])));

        let remove = [change(names[0], &[], &[txt("ours")]), change(names[1], &[], &[tlsa(7)])];
        provider.apply(&zone(), &remove).await.unwrap();
        let after = (standing(&provider, names[0], TXT).await, standing(&provider, names[1], TLSA).await);
        assert_eq!(after, before);
    })
    .await;
}

#[tokio::test]
async fn applying_twice_writes_once() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        provider.apply(&zone(), &four()).await.unwrap();
        let serial = server.serial();
        assert_eq!(provider.apply(&zone(), &four()).await.unwrap(), Applied { writes: 0 });
        let gone = [change(CHALLENGE, &[], &[txt("never there")])];
        assert_eq!(provider.apply(&zone(), &gone).await.unwrap(), Applied { writes: 0 });
        // the second message asked the server itself whether the value is gone; nothing was changed by it
        assert_eq!((server.serial(), provider.counters().updates), (serial, 2));
    })
    .await;
}

#[tokio::test]
async fn twelve_writers_at_one_name_lose_nothing() {
    on_both(async |server: Server| {
        let writers: Vec<Rfc2136> = (0..12).map(|_| provider(server.address(), |_| {})).collect();
        let writes = writers.iter().enumerate().map(async |(n, writer)| {
            writer.apply(&zone(), &[change(CHALLENGE, &[txt(&format!("writer {n}"))], &[])]).await
        });
        for outcome in join_all(writes).await {
            outcome.unwrap();
        }
        assert_eq!(standing(&writers[0], CHALLENGE, TXT).await.1.len(), 12);
    })
    .await;
}

#[tokio::test]
async fn an_alias_at_the_owner_is_refused_and_its_target_named() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let error =
            provider.apply(&zone(), &[change("alias.example.test.", &[txt("a")], &[])]).await.unwrap_err();
        assert_eq!(error.class, Class::Conflict);
        assert!(error.message.contains("alias.example.test is an alias of mx.example.test"), "{error}");
        assert_eq!(provider.counters().updates, 0);
    })
    .await;
}

#[tokio::test]
async fn a_name_below_a_delegation_is_refused() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let at = "_acme-challenge.child.example.test.";
        let error = provider.apply(&zone(), &[change(at, &[txt("a")], &[])]).await.unwrap_err();
        assert_eq!(error.class, Class::NotFound, "{error}");
        assert!(error.message.contains("below child.example.test"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_a_wildcard_answers_for_gets_records_of_its_own() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let (challenge, pins) = ("_acme-challenge.wild.example.test.", "_25._tcp.wild.example.test.");
        let add = [change(challenge, &[txt("ours")], &[]), change(pins, &[tlsa(9)], &[])];
        provider.apply(&zone(), &add).await.unwrap();
        assert_eq!(standing(&provider, challenge, TXT).await.1, texts(&[txt("ours")]));
        let (ttl, values) = standing(&provider, pins, TLSA).await;
        assert_eq!((ttl, values.len()), (900, 2), "the wildcard's pin is copied: {values:?}");

        let remove = [change(challenge, &[], &[txt("ours")])];
        provider.apply(&zone(), &remove).await.unwrap();
        assert_eq!(standing(&provider, challenge, TXT).await.1, texts(&[txt("wild")]), "the wildcard again");
    })
    .await;
}

#[tokio::test]
async fn a_preflight_tests_everything_and_leaves_nothing() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let serial = server.serial();
        let start = Instant::now();
        let kept = "_acme-challenge.kept.example.test.";
        let targets = [(name(CHALLENGE), TXT), (name(PINS), TLSA), (name(kept), TXT)];
        provider.preflight(&zone(), &targets).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(provider.counters(), Counters { updates: 1, preflights: 1, queries: 0 });
        assert_eq!(server.serial(), serial);
        assert_eq!(standing(&provider, kept, TXT).await, (300, texts(&[txt("foreign")])));
        assert_eq!(standing(&provider, CHALLENGE, TXT).await.1.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_denies_one_name_is_quoted_with_that_name() {
    on_both(async |server: Server| {
        let narrow = provider(server.address(), |c| c.key_name = name("narrow."));
        narrow.preflight(&zone(), &[(name(CHALLENGE), TXT)]).await.unwrap();
        let targets = [(name(CHALLENGE), TXT), (name(PINS), TLSA)];
        let error = narrow.preflight(&zone(), &targets).await.unwrap_err();
        assert_eq!(error.class, Class::Auth, "{error}");
        assert!(error.message.contains("TLSA at _25._tcp.mx.example.test"), "{error}");
        assert!(!error.message.contains("_acme-challenge"), "{error}");
        assert!(error.hint.unwrap().starts_with("allow the key narrow"));

        let error = narrow.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap_err();
        assert_eq!(error.class, Class::Auth, "{error}");
        assert!(error.hint.unwrap().starts_with("allow the key narrow"));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_may_not_be_asked_whether_a_value_is_gone_is_looked_at() {
    on_both(async |server: Server| {
        let narrow = provider(server.address(), |c| c.key_name = name("narrow."));
        let gone = [change(PINS, &[], &[tlsa(1)])];
        assert_eq!(narrow.apply(&zone(), &gone).await.unwrap(), Applied { writes: 0 });
        let wide = provider(server.address(), |_| {});
        wide.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap();
        assert_eq!(narrow.apply(&zone(), &gone).await.unwrap_err().class, Class::Auth);
    })
    .await;
}

/// What a preflight with these settings says.
async fn complaint(server: &Server, adjust: impl FnOnce(&mut Config)) -> danesmith_providers::Error {
    let error =
        provider(server.address(), adjust).preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap_err();
    assert!(error.hint.is_some(), "{error}");
    error
}

#[tokio::test]
async fn wrong_credentials_are_told_apart() {
    on_both(async |server: Server| {
        let secret = complaint(&server, |c| c.secret = Zeroizing::new(vec![1; 32])).await;
        assert_eq!(secret.class, Class::Auth);
        assert!(secret.message.contains("BADSIG") && secret.message.contains("not signed"), "{secret}");

        let key = complaint(&server, |c| c.key_name = name("nosuch.")).await;
        assert_eq!(key.class, Class::Auth);
        assert!(key.message.contains("BADKEY"), "{key}");
        assert!(key.hint.unwrap().contains("nosuch (hmac-sha256)"));

        let algorithm = complaint(&server, |c| c.algorithm = Algorithm::HmacSha512).await;
        assert_eq!(algorithm.class, Class::Auth);
        assert!(algorithm.message.contains("BADKEY"), "{algorithm}");
    })
    .await;
}

#[tokio::test]
async fn clocks_that_differ_are_both_shown() {
    on_both(async |server: Server| {
        let error = complaint(&server, |c| c.clock = Arc::new(|| now() - 1200)).await;
        assert_eq!(error.class, Class::Auth, "{error}");
        let seconds: u64 = error.message.split(' ').nth(4).unwrap().parse().unwrap();
        assert!((1199..=1202).contains(&seconds), "{error}");
        assert_eq!(error.message.matches(" UTC").count(), 2, "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_zone_that_is_not_served_is_named() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |_| {});
        let other = name("other.test.");
        let target = name("_25._tcp.other.test.");
        let preflight = provider.preflight(&other, &[(target.clone(), TLSA)]).await.unwrap_err();
        assert_eq!(preflight.class, Class::NotFound, "{preflight}");
        let list = provider.list(&other, &target, TLSA).await.unwrap_err();
        assert_eq!(list.class, Class::NotFound, "{list}");
        assert!(list.hint.unwrap().contains("does not serve zone other.test"));
    })
    .await;
}

#[tokio::test]
async fn a_closed_port_is_transient_and_nothing_was_sent() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for transport in [Transport::Tcp, Transport::Udp] {
        let error = provider(address, |c| c.transport = transport).apply(&zone(), &four()).await.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
        assert!(error.message.contains("cannot be reached"), "{error}");
    }
}

#[tokio::test]
async fn a_second_address_serves_when_the_first_does_not() {
    let server = Server::start(Kind::Knot);
    let mut config = config(vec![server.address()]);
    config.servers.insert(0, "127.0.0.1:1".parse().unwrap());
    let provider = Rfc2136::new(config).unwrap();
    assert_eq!(provider.apply(&zone(), &four()).await.unwrap(), Applied { writes: 1 });
}

#[tokio::test]
async fn sixty_names_go_by_tcp_in_one_message_even_when_udp_is_asked_for() {
    on_both(async |server: Server| {
        let provider = provider(server.address(), |c| c.transport = Transport::Udp);
        let add =
            |n: u32| change(&format!("_acme-challenge.n{n}.example.test."), &[txt(&"x".repeat(43))], &[]);
        let changes: Vec<Change> = (0..60).map(add).collect();
        assert_eq!(provider.apply(&zone(), &changes).await.unwrap(), Applied { writes: 1 });
        // An answer of more than 1,232 octets comes truncated and is asked for again by TCP.
        let long: Vec<_> = (0..30).map(|n| txt(&format!("{n} {}", "y".repeat(60)))).collect();
        provider.apply(&zone(), &[change(CHALLENGE, &long, &[])]).await.unwrap();
        assert_eq!(standing(&provider, CHALLENGE, TXT).await.1.len(), 30);
    })
    .await;
}

#[tokio::test]
async fn more_than_64_kib_travel_in_several_messages() {
    let server = Server::start(Kind::Bind);
    let provider = provider(server.address(), |_| {});
    let long = txt(&"x".repeat(250));
    let changes: Vec<Change> =
        (0..300).map(|n| change(&format!("n{n}.example.test."), std::slice::from_ref(&long), &[])).collect();
    let applied = provider.apply(&zone(), &changes).await.unwrap();
    assert_eq!(applied, Applied { writes: 2 });
    assert_eq!(provider.apply(&zone(), &changes).await.unwrap(), Applied { writes: 0 });
}

#[test]
fn the_secret_is_in_no_debug_output() {
    let config = config(vec!["127.0.0.1:53".parse().unwrap()]);
    let text = format!("{config:?} {:?}", Rfc2136::new(config.clone()).unwrap());
    let secret = std::str::from_utf8(SECRET).unwrap();
    assert!(!text.contains(secret) && !text.contains(&format!("{:?}", SECRET)), "{text}");
    assert!(text.contains("[secret]"));
}
