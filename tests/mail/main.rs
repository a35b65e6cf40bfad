//! Real senders and real mail servers in the test world, at what stops mail with DANE and what does not. danesmith
//! has no part in it: these tests show that the world sees what a rotation may do wrong. `docs/dane-scenarios.md` has the
//! table; danesmith's own rotations are in `tests/rotate`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod records;
mod timing;

use std::time::Duration;
use support::mail::{Algorithm, Key, MailServer};
use support::sender::{Client, Message, Summary, Verdict};
use support::{Lab, Options};

/// The host of most tests: one Postfix.
pub(crate) const HOST: &str = "mx1.example.test";
/// Handshakes by algorithm: what neither Postfix nor Exim would choose is seen as well.
pub(crate) const FINGERS: [Client; 2] =
    [Client::Finger(Algorithm::Ecdsa, 25), Client::Finger(Algorithm::Rsa, 25)];

/// An ECDSA and an RSA key, as a server with two certificates has them.
pub(crate) struct Pair(Key, Key);

impl Pair {
    pub(crate) fn new(lab: &Lab, name: &str) -> Pair {
        let key = |kind, algorithm| lab.mail_key(&format!("{name}-{kind}"), algorithm);
        Pair(key("ecdsa", Algorithm::Ecdsa), key("rsa", Algorithm::Rsa))
    }

    pub(crate) fn ecdsa(&self) -> &Key {
        &self.0
    }

    pub(crate) fn rsa(&self) -> &Key {
        &self.1
    }

    pub(crate) fn pins(&self) -> Vec<String> {
        vec![self.0.pin(), self.1.pin()]
    }

    pub(crate) fn serve_at(&self, lab: &Lab, server: MailServer) {
        lab.present(server, &[&self.0, &self.1]);
    }
}

pub(crate) fn both(one: &Pair, other: &Pair) -> Vec<String> {
    [one.pins(), other.pins()].concat()
}

pub(crate) fn world() -> Lab {
    Lab::start(Options::with_mail())
}

/// Shown by `tests/run mail --success-output final`; the numbers of docs/dane-scenarios.md.
pub(crate) fn show(scenario: &str, summary: &Summary) {
    let mut json = summary.json();
    let shown = json["failures"].as_array().map_or(0, Vec::len).min(3);
    json["failures"].as_array_mut().expect("a list").truncate(shown);
    eprintln!("{scenario}: {json}");
}

#[track_caller]
pub(crate) fn assert_nothing_failed(summary: &Summary) {
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

/// Messages that left between two moments.
pub(crate) fn between(summary: &Summary, from: Duration, to: Duration) -> Vec<&Message> {
    summary.messages.iter().filter(|message| message.at >= from && message.at < to).collect()
}

#[track_caller]
pub(crate) fn assert_deferred(verdict: &Verdict, word: &str) {
    let matches = matches!(verdict, Verdict::Deferred(reason) if reason.contains(word));
    assert!(matches, "not deferred with `{word}`: {verdict:?}");
}

#[track_caller]
pub(crate) fn assert_bounced(verdict: &Verdict, word: &str) {
    let matches = matches!(verdict, Verdict::Bounced(reason) if reason.contains(word));
    assert!(matches, "not bounced with `{word}`: {verdict:?}");
}
