//! A CA that refuses nonces, reuses authorizations or takes its time.

use crate::first::quick;
use crate::site::Site;
use crate::support::{Lab, Options};

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test, '*.example.test', www.example.test], keys: managed}";

#[test]
fn refused_nonces_and_forgotten_authorizations_do_not_hinder_a_certificate() {
    let site = Site::new(Lab::start(
        quick().pebble("PEBBLE_WFE_NONCEREJECT", "20").pebble("PEBBLE_AUTHZREUSE", "0"),
    ));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    site.age("www");
    site.apply().ends(0);
    assert_eq!(site.lab.counts().certificates, 2);
    assert!(site.lab.read("pebble/pebble.log").contains("badNonce") || site.lab.counts().requests > 20);
    site.no_challenge_left(&["example.test", "www.example.test"]);
}

#[test]
fn authorizations_that_are_still_valid_need_no_update_at_all() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "100")));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    site.age("www");
    let before = site.lab.counts();
    site.apply().ends(0);
    let after = site.lab.counts();
    assert_eq!((after.certificates - before.certificates, after.updates - before.updates), (1, 0));
}

#[test]
fn a_ca_that_validates_slowly_is_waited_for_without_being_pestered() {
    let mut options = quick().pebble("PEBBLE_VA_SLEEPTIME", "3").pebble("PEBBLE_AUTHZREUSE", "0");
    options.pebble.retain(|(name, _)| name != "PEBBLE_VA_NOSLEEP");
    let site = Site::new(Lab::start(Options { retry_after: (1, 1), ..options }));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    site.age("www");
    let before = site.lab.counts();
    site.apply().ends(0);
    let requests = site.lab.counts().requests - before.requests;
    assert!(requests <= 20, "{requests} requests");
}
