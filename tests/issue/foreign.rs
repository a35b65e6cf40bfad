//! Records of others at the very names we write to.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Daemon, Lab};

#[test]
fn records_of_others_survive_issue_renewal_and_failure() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let (challenge, pin) = ("_acme-challenge.example.test", "_25._tcp.mx1.example.test");
    let foreign = format!("2 1 1 {}", "AB".repeat(32));
    site.lab.add_record("example.test", challenge, "TXT", "\"not ours\"");
    site.lab.add_record("example.test", pin, "TLSA", &foreign);
    let before = site.rrset(challenge, "TXT");
    assert!(before[0].contains(" 5 IN TXT"), "{before:?}");
    let zone = |propagation| {
        format!("example.test: {{provider: home, propagation: {propagation}, ttl: {{txt: 60, tlsa: 60}}}}")
    };
    let mx = format!(
        "mx: {{names: [example.test, '*.example.test'], keys: managed, tlsa: [{pin}], endpoints: unchecked}}"
    );
    site.configure(&[&zone("15s")], &[&mx]);

    site.apply().ends(0);
    assert_eq!(site.rrset(challenge, "TXT"), before, "issue");
    let pins = site.rrset(pin, "TLSA");
    assert_eq!(pins.len(), 3);
    assert!(pins.iter().any(|l| l.contains("TLSA 2 1 1 ABAB")));
    assert!(pins.iter().all(|l| l.contains(" 5 IN TLSA")), "the TTL of the set is theirs: {pins:?}");

    site.age("mx");
    site.apply().ends(0);
    assert_eq!(site.rrset(challenge, "TXT"), before, "renewal");

    site.age("mx");
    site.configure(&[&zone("1s")], &[&mx]);
    site.lab.freeze(Daemon::Knot);
    site.apply().ends(69);
    site.lab.resume(Daemon::Knot);
    assert_eq!(site.rrset(challenge, "TXT"), before, "failure");
    assert_eq!(site.rrset(pin, "TLSA"), pins);
    assert_eq!(site.lab.dig(BIND, challenge, "TXT"), ["\"not ours\""]);
}

#[test]
fn a_renamed_certificate_is_told_and_refused_and_its_old_name_puts_all_right() {
    let site = Site::new(Lab::start(quick()));
    let pin = "_25._tcp.mx1.example.test";
    let zone = ["example.test: {provider: home, propagation: 15s, ttl: {txt: 1, tlsa: 60}}"];
    let named = |name: &str| {
        format!("{name}: {{names: [mx1.example.test], keys: managed, tlsa: [{pin}], endpoints: unchecked}}")
    };
    site.configure(&zone, &[&named("mx")]);
    let first = site.apply().ends(0);
    assert!(!first.stderr.contains("not in zones.yaml"), "{}", first.stderr);
    let pins = site.rrset(pin, "TLSA");
    assert_eq!(pins.len(), 2);

    // Keys of its own would be served beside pins of the other's.
    site.configure(&zone, &[&named("mail")]);
    let told =
        ["certificate mx is not in zones.yaml now", "2 TLSA records stay at _25._tcp.mx1.example.test;"];
    site.run(&["plan"]).ends(5).says(&told);
    let orders = site.lab.counts().orders;
    site.apply().ends(5).says(&told);
    assert_eq!(site.lab.counts().orders, orders);
    assert!(!site.installed("mail"));
    assert_eq!(site.rrset(pin, "TLSA"), pins);

    site.configure(&zone, &[&named("mx")]);
    let run = site.apply().ends(0);
    assert_eq!(run.outcome("mx"), "unchanged", "{:#}", run.json);
    assert!(!run.stderr.contains("mx is not in"), "{}", run.stderr);
    assert_eq!(site.rrset(pin, "TLSA"), pins);
}
