//! Servers that lag or say nothing, and zones without DNSSEC.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Daemon, KNOT, Lab, Options};

const MX: &str =
    "mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}";

#[test]
fn a_silent_secondary_is_named_and_the_run_after_its_return_succeeds() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&["example.test: {provider: home, propagation: 3s, ttl: {txt: 5, tlsa: 5}}"], &[MX]);
    site.lab.freeze(Daemon::Knot);
    site.apply().ends(69).says(&["ns2.lab.test", KNOT, "within 3 s"]);
    assert!(site.lab.dig(BIND, "_acme-challenge.example.test", "TXT").is_empty(), "cleaned up");
    assert!(!site.installed("mx"));
    assert_eq!(site.lab.counts().certificates, 0, "the CA was not asked to validate");
    site.lab.resume(Daemon::Knot);
    site.lab.flush_resolver();
    site.apply().ends(0);
    assert!(site.installed("mx"));
    assert_eq!(site.pins(KNOT, "_25._tcp.mx1.example.test").len(), 2);
}

#[test]
fn binds_notify_delay_is_waited_for() {
    let site = Site::new(Lab::start(Options { notify_delay: None, ..quick() }));
    site.configure(&["example.test: {provider: home, propagation: 20s, ttl: {txt: 5, tlsa: 5}}"], &[MX]);
    site.apply().ends(0);
    assert_eq!(site.pins(KNOT, "_25._tcp.mx1.example.test").len(), 2);
}

#[test]
fn tlsa_in_an_unsigned_zone_is_refused_unless_the_administrator_says_so() {
    let site = Site::new(Lab::start(quick()));
    let mx =
        "mx: {names: [unsigned.test], keys: managed, tlsa: [_25._tcp.unsigned.test], endpoints: unchecked}";
    site.configure(&["unsigned.test: {provider: home, propagation: 15s}"], &[mx]);
    site.apply().ends(5).says(&["_25._tcp.unsigned.test", "DNSSEC", "unsigned-ok"]);
    assert!(site.installed("mx"), "the certificate is good all the same");
    assert!(site.pins(BIND, "_25._tcp.unsigned.test").is_empty());
    site.configure(&["unsigned.test: {provider: home, propagation: 15s, dnssec: unsigned-ok}"], &[mx]);
    site.apply().ends(0);
    assert_eq!(site.pins(BIND, "_25._tcp.unsigned.test").len(), 2);
}
