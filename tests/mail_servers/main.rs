//! Probes against the servers that people run: Postfix and Dovecot, each protocol at its own port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use danesmith::model::endpoint::{Endpoint, Protocol};
use danesmith::verify::{Algorithm, Endpoints, FailureKind, Outcome, Presented, Prober, ProberConfig, Sni};
use house::{House, IP, Identity, alone};
use std::collections::BTreeSet;
use std::net::SocketAddr;

async fn probe(protocol: Protocol, port: u16) -> Vec<Presented> {
    let endpoint = Endpoint { protocol, host: "mx1.example.test".into(), port };
    let address = SocketAddr::new(IP.parse().unwrap(), port);
    Prober::new(ProberConfig::default()).unwrap().probe_at(&endpoint, &BTreeSet::from([address])).await
}

/// Eight answers: the ECDSA ones with this certificate, the RSA ones with that.
fn both_are_shown(port: u16, answers: &[Presented], ecdsa: &Identity, rsa: &Identity) {
    assert_eq!(answers.len(), 8);
    for answer in answers {
        let expected = if answer.ask.algorithm == Algorithm::Ecdsa { ecdsa } else { rsa };
        assert_eq!(answer.outcome, Outcome::Chain(vec![expected.der.clone()]), "{port}: {}", answer.ask);
    }
}

#[test]
fn postfix_shows_both_its_keys_by_starttls_and_by_tls() {
    alone("postfix_shows_both_its_keys_by_starttls_and_by_tls", async |house: House| {
        let (ecdsa, rsa) = (house.ecdsa("ecdsa"), house.rsa("rsa"));
        house.postfix(&[&ecdsa, &rsa], &[]);
        for (protocol, port) in [(Protocol::Smtp, 25), (Protocol::Submission, 587), (Protocol::Tls, 465)] {
            both_are_shown(port, &probe(protocol, port).await, &ecdsa, &rsa);
        }
        for answer in probe(Protocol::Smtp, 26).await {
            let Outcome::Failed(failure) = answer.outcome else { panic!("{answer:?}") };
            assert_eq!(failure.kind, FailureKind::NoStarttls);
        }
        for answer in probe(Protocol::Tls, 25).await {
            let Outcome::Failed(failure) = answer.outcome else { panic!("{answer:?}") };
            assert_eq!(failure.words, "TLS handshake: what came is not TLS");
        }
    });
}

#[test]
fn postfix_with_a_map_of_names_shows_the_host_its_own_key() {
    alone("postfix_with_a_map_of_names_shows_the_host_its_own_key", async |house: House| {
        let (mine, fallback) = (house.ecdsa("mine"), house.ecdsa("fallback"));
        house.postfix(&[&fallback], &[("mx1.example.test", &mine)]);
        let answers = probe(Protocol::Smtp, 25).await;
        assert_eq!(answers.len(), 8);
        for answer in answers {
            let expected = match (answer.ask.algorithm, answer.ask.sni) {
                (Algorithm::Rsa, _) => Outcome::NothingFor,
                (_, Sni::Sent) => Outcome::Chain(vec![mine.der.clone()]),
                (_, Sni::Absent) => Outcome::Chain(vec![fallback.der.clone()]),
            };
            assert_eq!(answer.outcome, expected, "{}", answer.ask);
        }
    });
}

#[test]
fn dovecot_shows_both_its_keys_in_every_protocol() {
    alone("dovecot_shows_both_its_keys_in_every_protocol", async |house: House| {
        let (ecdsa, rsa) = (house.ecdsa("ecdsa"), house.rsa("rsa"));
        house.dovecot(&ecdsa, &rsa);
        for (protocol, port) in [
            (Protocol::Imap, 143),
            (Protocol::Tls, 993),
            (Protocol::Pop3, 110),
            (Protocol::Tls, 995),
            (Protocol::Sieve, 4190),
        ] {
            both_are_shown(port, &probe(protocol, port).await, &ecdsa, &rsa);
        }
    });
}
