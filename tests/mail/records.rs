//! What the records say: scenarios that need no time. Each looks with both stacks and with the single-shot oracles.

use crate::support::mail::{MailServer, Opinion};
use crate::support::sender::{Client, Level, Verdict};
use crate::{HOST, Pair, assert_bounced, assert_deferred, both, world};

/// What `who` says about each algorithm, `ecdsa` first.
fn verdicts<'a>(opinions: &'a [Opinion], who: &str) -> Vec<&'a str> {
    opinions.iter().filter(|opinion| opinion.who == who).map(|opinion| opinion.verdict.as_str()).collect()
}

const AGILE: [&str; 3] = ["openssl", "posttls-finger", "ldns-dane"];
const EVERYBODY: [&str; 4] = [AGILE[0], AGILE[1], AGILE[2], "danetool"];

#[test]
fn everybody_is_content_where_every_key_is_pinned() {
    let lab = world();
    let keys = Pair::new(&lab, "a");
    for server in [MailServer::Mx1, MailServer::Mx2, MailServer::Mx3] {
        keys.serve_at(&lab, server);
        for port in [25, 465, 587] {
            lab.publish_tlsa(&server.host(), port, 5, &keys.pins());
        }
        for client in [Client::Postfix, Client::Exim] {
            assert_eq!(lab.send(client, Level::Mandatory, &server.host()), Verdict::Verified);
        }
        for port in [25, 465, 587] {
            let opinions = lab.oracle(&server.host(), port);
            assert_eq!(verdicts(&opinions, "delv"), ["match"]);
            for who in EVERYBODY {
                assert_eq!(verdicts(&opinions, who), ["match", "match"], "{who} {port}: {opinions:#?}");
            }
        }
    }
}

#[test]
fn s5_a_key_of_one_algorithm_that_is_not_pinned_stops_the_stack_that_chooses_it() {
    let lab = world();
    let keys = Pair::new(&lab, "a");
    keys.serve_at(&lab, MailServer::Mx1);
    lab.publish_tlsa(HOST, 25, 5, &[keys.ecdsa().pin()]);
    assert_eq!(lab.send(Client::Postfix, Level::Mandatory, HOST), Verdict::Verified);
    assert_deferred(&lab.send(Client::Exim, Level::Mandatory, HOST), "DANE");
    assert_deferred(&lab.send(Client::Exim, Level::Opportunistic, HOST), "DANE");
    let opinions = lab.oracle(HOST, 25);
    for who in EVERYBODY {
        assert_eq!(verdicts(&opinions, who), ["match", "mismatch"], "{opinions:#?}");
    }
}

#[test]
fn s6_the_next_key_pinned_with_a_stronger_digest_stops_mail_to_the_current_one() {
    let lab = world();
    let (now, next) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    now.serve_at(&lab, MailServer::Mx1);
    let sha512 = [next.ecdsa(), next.rsa()].map(|key| format!("3 1 2 {}", key.spki_sha512));
    lab.publish_tlsa(HOST, 25, 5, &[now.pins(), sha512.to_vec()].concat());
    // digest agility (RFC 7671 §9): of equal usage and selector only the strongest digest counts
    assert_deferred(&lab.send(Client::Postfix, Level::Mandatory, HOST), "not verified");
    let opinions = lab.oracle(HOST, 25);
    for who in AGILE {
        assert_eq!(verdicts(&opinions, who), ["mismatch", "mismatch"], "{opinions:#?}");
    }
    // GnuTLS, and so Exim with it, has no digest agility and takes any record that matches
    assert_eq!(verdicts(&opinions, "danetool"), ["match", "match"], "{opinions:#?}");
    assert_eq!(lab.send(Client::Exim, Level::Mandatory, HOST), Verdict::Verified);
}

#[test]
fn s7_a_foreign_trust_anchor_record_does_no_harm() {
    let lab = world();
    let keys = Pair::new(&lab, "a");
    keys.serve_at(&lab, MailServer::Mx1);
    let foreign = format!("2 1 1 {}", "5e".repeat(32));
    lab.publish_tlsa(HOST, 25, 5, &[keys.pins(), vec![foreign]].concat());
    for client in [Client::Postfix, Client::Exim] {
        assert_eq!(lab.send(client, Level::Mandatory, HOST), Verdict::Verified);
    }
    let opinions = lab.oracle(HOST, 25);
    for who in EVERYBODY {
        assert_eq!(verdicts(&opinions, who), ["match", "match"], "{opinions:#?}");
    }
}

#[test]
fn s8_a_bogus_answer_defers_mail_whatever_the_level() {
    let lab = world();
    for client in [Client::Postfix, Client::Exim] {
        for level in [Level::Mandatory, Level::Opportunistic] {
            assert_deferred(&lab.send(client, level, "mx1.bogus.test"), "");
        }
    }
    let opinions = lab.oracle("mx1.bogus.test", 25);
    assert_eq!(verdicts(&opinions, "delv"), ["bogus"]);
    assert_eq!(verdicts(&opinions, "dig"), ["bogus"]);
}

#[test]
fn s9_records_without_dnssec_are_ignored_and_protect_nothing() {
    let lab = world();
    // the pin there matches no key
    for client in [Client::Postfix, Client::Exim] {
        assert_eq!(lab.send(client, Level::Opportunistic, "mx1.unsigned.test"), Verdict::Unverified);
    }
    let mandatory = |client| lab.send(client, Level::Mandatory, "mx1.unsigned.test");
    assert_deferred(&mandatory(Client::Postfix), "no TLSA records found");
    assert_bounced(&mandatory(Client::Exim), "DANE");
    assert_eq!(verdicts(&lab.oracle("mx1.unsigned.test", 25), "delv"), ["insecure"]);
}

#[test]
fn backup_pins_do_no_harm() {
    let lab = world();
    let (now, next) = (Pair::new(&lab, "a"), Pair::new(&lab, "b"));
    now.serve_at(&lab, MailServer::Mx1);
    lab.publish_tlsa(HOST, 25, 5, &both(&now, &next));
    for client in [Client::Postfix, Client::Exim] {
        assert_eq!(lab.send(client, Level::Mandatory, HOST), Verdict::Verified);
    }
}
