//! What one server says of an alias.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::dns::Answer;
use std::time::Duration;

fn seen(alias: Option<&str>, security: Security) -> Observation {
    let answer = Answer {
        values: Vec::new(),
        ttl: 60,
        alias: alias.map(|alias| Name::from_ascii(alias).unwrap()),
        zone: None,
        referral: None,
        authoritative: true,
        nxdomain: alias.is_none(),
        signed: true,
        took: Duration::ZERO,
    };
    Observation { answer, security }
}

/// RFC 7671 §6: senders ask any of the servers, and follow what it says.
#[test]
fn rule_11_a_server_with_another_alias_or_none_or_a_bogus_one_is_told() {
    let target = Name::from_ascii("pins.example.net.").unwrap();
    let insecure = || Security::Insecure("no DS".into());
    let told = |seen: &Observation| stray(Ok(seen), &target);
    assert_eq!(told(&seen(Some("pins.example.net."), insecure())), None, "that weighs in elsewhere");
    assert_eq!(told(&seen(Some("old.example.net."), insecure())).unwrap(), "leads to `old.example.net.`");
    assert_eq!(told(&seen(None, insecure())).unwrap(), "is not there");
    let bogus = seen(Some("pins.example.net."), Security::Bogus("expired".into()));
    assert_eq!(told(&bogus).unwrap(), "is bogus: expired");
    assert_eq!(stray(Err("no answer"), &target).unwrap(), "is not known: no answer");
    let mut below = seen(None, insecure());
    below.answer.referral = Some(Name::from_ascii("sub.example.org.").unwrap());
    assert_eq!(told(&below), None, "another zone's servers know");
}
