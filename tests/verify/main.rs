//! `danesmith verify` in the test world: Postfix and Exim, signed, unsigned and bogus zones. Where there are independent
//! clients, they must think the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod look;

use look::Look;
use support::mail::{Algorithm, MailServer};
use support::{KNOT, Lab, Options};

const HOST: &str = "mx1.example.test";
const AT: &str = "mx1.example.test:25";
const TTL: u32 = 300;

/// Some key that nobody serves.
fn spare() -> String {
    format!("3 1 1 {}", "1f".repeat(32))
}

/// Publishes at `mx1` and waits for the secondary.
fn publish(lab: &Lab, records: &[String]) {
    lab.publish_tlsa(HOST, 25, TTL, records);
}

/// Is there a client that does not find its key among the records?
fn some_client_fails(lab: &Lab) -> bool {
    let opinions = lab.oracle(HOST, 25);
    assert!(opinions.iter().any(|o| o.verdict == "match" || o.verdict == "mismatch"), "{opinions:?}");
    opinions.iter().any(|opinion| opinion.verdict == "mismatch")
}

#[test]
fn what_is_published_is_held_against_what_postfix_presents() {
    let lab = Lab::start(Options::with_mail());
    let (ecdsa, rsa) = (lab.mail_key("e", Algorithm::Ecdsa), lab.mail_key("r", Algorithm::Rsa));
    lab.present(MailServer::Mx1, &[&ecdsa, &rsa]);
    let sha512 = |spki: &str| format!("3 1 2 {spki}");

    publish(&lab, &[ecdsa.pin(), rsa.pin(), spare()]);
    let look = Look::at(&lab, &[AT]).ends(0);
    assert_eq!(look.findings(), [""; 0]);
    assert_eq!(look.probes("ecdsa"), [("127.0.0.25:25".to_owned(), "match".to_owned(), ecdsa.spki.clone())]);
    assert_eq!(look.probes("rsa"), [("127.0.0.25:25".to_owned(), "match".to_owned(), rsa.spki.clone())]);
    assert!(!some_client_fails(&lab));

    for (records, findings) in [
        (vec![spare()], vec!["critical no-match"; 2]),
        // Postfix delivers, Exim defers
        (vec![ecdsa.pin(), spare()], vec!["critical no-match"]),
        // digest agility: the weaker one does not count
        (
            vec![ecdsa.pin(), rsa.pin(), sha512(&"2f".repeat(64))],
            vec!["critical no-match", "critical no-match", "warn mixed-matching"],
        ),
        (
            vec![ecdsa.pin(), rsa.pin(), sha512(&ecdsa.spki_sha512)],
            vec!["critical no-match", "warn mixed-matching", "warn no-backup"],
        ),
    ] {
        publish(&lab, &records);
        let look = Look::at(&lab, &[AT]).ends(5);
        assert_eq!(look.findings(), findings, "{records:?}");
        assert!(some_client_fails(&lab), "{records:?}");
    }

    publish(&lab, &[ecdsa.pin(), rsa.pin(), sha512(&ecdsa.spki_sha512), sha512(&rsa.spki_sha512)]);
    assert_eq!(Look::at(&lab, &[AT]).ends(0).findings(), ["warn mixed-matching", "warn no-backup"]);
    assert!(!some_client_fails(&lab));
}

#[test]
fn zones_that_are_not_signed_or_wrongly_and_servers_without_tls_are_told_apart() {
    let lab = Lab::start(Options::with_mail());
    let key = lab.mail_key("e", Algorithm::Ecdsa);
    lab.present(MailServer::Mx1, &[&key]);

    // A pin that no key matches, which nobody believes.
    let unsigned = Look::at(&lab, &["mx1.unsigned.test:25"]).ends(4);
    assert_eq!(unsigned.findings(), ["error insecure", "error no-match", "warn ttl"]);
    assert!(unsigned.message("insecure").contains("DS"), "{}", unsigned.message("insecure"));

    // Signatures that ended two days ago.
    let bogus = Look::at(&lab, &["mx1.bogus.test:25"]).ends(5);
    assert_eq!(bogus.findings()[..3], ["critical lookup-bogus"; 3]);
    assert!(bogus.message("lookup-bogus").contains("ended at"), "{}", bogus.message("lookup-bogus"));
    assert_eq!(bogus.count("no-match"), 0, "what is bogus is compared with nothing");

    publish(&lab, &[key.pin(), spare()]);
    let home = lab.dir().join("mail/mx1/etc").display().to_string();
    lab.run("mail/bin/postconf", &["-c", &home, "smtpd_tls_security_level = none"]);
    lab.reload(MailServer::Mx1);
    support::eventually(std::time::Duration::from_secs(10), "STARTTLS is gone", || {
        Look::at(&lab, &[AT]).findings() == ["critical no-starttls"]
    });
    Look::at(&lab, &["smtp://mx1.example.test"]).ends(5);
    // Nobody listens at 26; whatever may be there is unknown.
    let refused = Look::at(&lab, &["smtp://mx1.example.test:26"]).ends(4);
    assert_eq!(refused.findings(), ["error unreachable", "warn no-tlsa"]);
}

#[test]
fn a_domain_is_looked_at_through_its_mx_and_its_aliases() {
    let lab = Lab::start(Options::with_mail());
    let (ecdsa, rsa) = (lab.mail_key("e", Algorithm::Ecdsa), lab.mail_key("r", Algorithm::Rsa));
    for server in [MailServer::Mx1, MailServer::Mx2, MailServer::Mx3] {
        lab.present(server, &[&ecdsa, &rsa]);
    }
    for (owner, rtype, data) in [
        ("mail.other.test", "MX", "10 mx.example.test."),
        ("mail.other.test", "MX", "20 alias.example.test."),
        ("mail.other.test", "MX", "30 mx2.example.test."),
        ("_smtp._tls.mail.other.test", "TXT", "\"v=TLSRPTv1; rua=mailto:tls@example.test\""),
        ("alias.example.test", "CNAME", "mx3.example.test."),
        ("null.other.test", "MX", "0 ."),
    ] {
        // BIND takes no MX for an alias in the same zone.
        let zone = if owner.ends_with("other.test") { "other.test" } else { "example.test" };
        lab.add_record(zone, owner, rtype, data);
    }
    for host in ["mx.example.test", "mx3.example.test"] {
        lab.publish_tlsa(host, 25, TTL, &[ecdsa.pin(), rsa.pin(), spare()]);
    }
    // What was added last; BIND's signed zone follows its NOERROR too.
    support::eventually(std::time::Duration::from_secs(10), "the secondary follows", || {
        !lab.dig(KNOT, "null.other.test", "MX").is_empty()
    });
    lab.flush_resolver();

    let look = Look::at(&lab, &["mail.other.test"]).ends(0);
    assert_eq!(look.findings(), ["warn mx-without-tlsa"]);
    let hosts = look.hosts();
    assert_eq!(
        hosts.iter().map(|host| host["endpoint"].as_str().unwrap()).collect::<Vec<_>>(),
        ["smtp://mx.example.test:25", "smtp://alias.example.test:25", "smtp://mx2.example.test:25"]
    );
    // Both addresses of the first; TLSA of the second where its alias leads (RFC 7672 §2.2.3), behind an Exim.
    let matched = |host: usize| {
        let probes = hosts[host]["probes"].as_array().unwrap().clone();
        let matched = probes.iter().filter(|probe| probe["result"] == "match");
        let places: std::collections::BTreeSet<_> = matched
            .map(|probe| {
                format!("{} {}", probe["address"].as_str().unwrap(), probe["algorithm"].as_str().unwrap())
            })
            .collect();
        places.into_iter().collect::<Vec<_>>().join(", ")
    };
    assert_eq!(matched(0), "127.0.0.25:25 ecdsa, 127.0.0.25:25 rsa, 127.0.0.26:25 ecdsa, 127.0.0.26:25 rsa");
    assert_eq!(hosts[1]["tlsa"]["name"], "_25._tcp.mx3.example.test");
    assert_eq!(matched(1), "127.0.0.27:25 ecdsa, 127.0.0.27:25 rsa");

    let null = Look::at(&lab, &["null.other.test"]).ends(0);
    assert_eq!(null.findings(), ["info null-mx"]);
    let text = look::text(&lab, &["mail.other.test", "mx1.unsigned.test:25"]);
    assert!(text.contains("mail.other.test: 1 warning\n"), "{text}");
    let null = look::text(&lab, &["null.other.test"]);
    assert!(null.contains("null.other.test: all is well, 1 note\n"), "{null}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_secondary_that_lags_behind_is_held_against_the_endpoints_too() {
    let lab = Lab::start(Options::with_mail());
    let (old, new) = (lab.mail_key("a", Algorithm::Ecdsa), lab.mail_key("b", Algorithm::Ecdsa));
    lab.present(MailServer::Mx1, &[&new]);
    publish(&lab, &[old.pin(), spare()]);
    lab.freeze_secondary("example.test");
    lab.set_tlsa(HOST, 25, TTL, &[new.pin(), spare()]);
    lab.flush_resolver();
    let look = Look::at(&lab, &[AT]).ends(5);
    assert_eq!(look.findings(), ["critical no-match", "warn servers-disagree"]);
    lab.thaw_secondary("example.test");
    lab.wait_for_tlsa(KNOT, HOST, 25, &[new.pin(), spare()]);
    support::eventually(std::time::Duration::from_secs(10), "the secondary has caught up", || {
        lab.flush_resolver();
        Look::at(&lab, &[AT]).findings().is_empty()
    });
}

#[test]
fn the_command_line_is_checked_before_anything_is_asked() {
    let lab = Lab::start(Options { extra_zones: 0, ..Options::default() });
    for (host, why) in
        [("192.0.2.1", "does not say what to speak"), ("ftp://x.test", "the scheme is not one of")]
    {
        let look = Look::at(&lab, &[host]).ends(64);
        assert!(look.json["error"].to_string().contains(why), "{}", look.json);
    }
    // Without hosts it is about zones.yaml, and there is none.
    Look::at(&lab, &[]).ends(78);
}

/// The words are part of the interface.
#[test]
fn every_check_is_documented() {
    let documented = include_str!("../../docs/verify.md");
    let mut words = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/dane")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() || path.ends_with("tests.rs") {
            continue;
        }
        for text in std::fs::read_to_string(path).unwrap().split('"').skip(1).step_by(2) {
            let is_word =
                text.contains('-') && text.bytes().all(|b| b.is_ascii_lowercase() || b"-0".contains(&b));
            if is_word || ["insecure", "unreachable", "ttl", "fallback", "rotation"].contains(&text) {
                words.insert(text.to_owned());
            }
        }
    }
    // Outcomes of probes, not checks.
    for outcome in ["no-records", "not-offered"] {
        assert!(words.remove(outcome), "{outcome}");
    }
    assert!(words.len() > 35, "{words:?}");
    for word in words {
        assert!(documented.contains(&format!("`{word}`")), "{word} is not in docs/verify.md");
    }
}
