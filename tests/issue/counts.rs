//! How often servers are asked: the floor is what the protocols need.

use crate::first::quick;
use crate::site::Site;
use crate::support::Lab;

#[test]
fn a_renewal_of_two_names_costs_ten_requests_and_two_updates() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let zones = ["example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}"];
    site.configure(&zones, &["www: {names: [example.test, '*.example.test'], keys: managed}"]);
    site.apply().ends(0);
    site.age("www");
    let before = site.lab.counts();
    let first = site.leaf("www");
    site.apply().ends(0);
    assert_ne!(site.leaf("www"), first);
    let after = site.lab.counts();
    assert_eq!(after.updates - before.updates, 2, "one to add, one to remove");
    assert!(after.requests - before.requests <= 10, "{} requests", after.requests - before.requests);
}
