//! Names: as people write them, many of them, and names that lead elsewhere.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Daemon, Lab};

const EXAMPLE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const ACME: &str = "acme.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";

#[test]
fn names_are_written_as_people_write_them_and_ordered_once_each() {
    let site = Site::new(Lab::start(quick()));
    site.configure(
        &[EXAMPLE, "bücher.test: {provider: home, propagation: 15s, ttl: {txt: 5}}"],
        &["www: {names: [bücher.test, '*.BÜCHER.test', WWW.Example.TEST., www.example.test], keys: managed, \
            tlsa: [_25._tcp.bücher.test], endpoints: unchecked}"],
    );
    site.apply().ends(0);
    assert_eq!(site.names("www"), ["*.xn--bcher-kva.test", "www.example.test", "xn--bcher-kva.test"]);
    site.no_challenge_left(&["xn--bcher-kva.test", "www.example.test"]);
    assert_eq!(site.pins(BIND, "_25._tcp.xn--bcher-kva.test").len(), 2);
    site.run(&["provider", "check", "bücher.test"]).ends(0);
    site.run(&["plan", "--detailed-exitcode"]).ends(0);
}

#[test]
fn a_hundred_names_in_many_zones_cost_one_update_per_zone_each_way() {
    let site = Site::new(Lab::start(quick()));
    let zones: Vec<String> =
        (1..=20).map(|n| format!("z{n:02}.test")).chain(["example.test".into()]).collect();
    let lines: Vec<String> =
        zones.iter().map(|z| format!("{z}: {{provider: home, propagation: 20s, ttl: {{txt: 5}}}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let names: Vec<String> = (0..100).map(|n| format!("n{n}.{}", zones[n % zones.len()])).collect();
    let before = site.lab.counts();
    site.configure(&lines, &[&format!("big: {{names: [{}], keys: managed}}", names.join(", "))]);
    site.apply().ends(0);
    let after = site.lab.counts();
    assert_eq!(site.names("big").len(), 100);
    // credentials tried, added, removed
    assert_eq!(after.updates - before.updates, 3 * 21);
    site.no_challenge_left(&["n0.z01.test", "n20.example.test", "n99.z16.test"]);

    site.age("big");
    site.apply().ends(0);
    let last = site.lab.counts();
    assert!(last.updates - after.updates <= 2 * 21, "{} UPDATEs", last.updates - after.updates);
}

#[test]
fn a_delegated_challenge_goes_where_its_alias_leads() {
    let site = Site::new(Lab::start(quick()));
    let www = "www: {names: [delegated.example.test], keys: managed}";
    for (provider, orders) in [("none", 1), ("home", 2)] {
        let example = format!("example.test: {{provider: {provider}, propagation: 15s}}");
        site.configure(&[&example, ACME], &[www]);
        let serial = site.lab.serial(BIND, "example.test");
        site.apply().ends(0);
        assert_eq!(site.lab.serial(BIND, "example.test"), serial, "the parent is not written to");
        assert_eq!(site.lab.counts().orders, orders);
        assert!(site.lab.dig(BIND, "delegated.acme.test", "TXT").is_empty());
        site.age("www");
    }
    assert!(site.lab.read("bind/update.log").contains("adding an RR at 'delegated.acme.test' TXT"));

    // The parent alone: the alias leads to a zone that nobody gave us.
    site.configure(&[EXAMPLE], &[www]);
    let before = site.lab.counts();
    site.apply().ends(78).says(&["_acme-challenge.delegated.example.test", "delegated.acme.test", "covers"]);
    assert_eq!(site.lab.counts().orders, before.orders);
}

#[test]
fn an_alias_of_an_alias_is_followed_through_two_zones() {
    let site = Site::new(Lab::start(quick()));
    let hops = [
        ("example.test", "_acme-challenge.far.example.test", "hop.other.test"),
        ("other.test", "hop.other.test", "far.acme.test"),
    ];
    for (zone, from, to) in hops {
        site.lab.add_record(zone, from, "CNAME", &format!("{to}."));
        crate::support::eventually(
            std::time::Duration::from_secs(10),
            "the alias is on both servers",
            || !site.lab.dig(crate::support::KNOT, from, "CNAME").is_empty(),
        );
    }
    site.configure(
        &["example.test: {provider: none}", "other.test: {provider: none}", ACME],
        &["www: {names: [far.example.test, '*.far.example.test'], keys: managed}"],
    );
    site.apply().ends(0);
    assert_eq!(site.names("www"), ["*.far.example.test", "far.example.test"]);
    assert!(site.lab.read("bind/update.log").contains("adding an RR at 'far.acme.test' TXT"));
    assert!(site.lab.dig(BIND, "far.acme.test", "TXT").is_empty());
}

#[test]
fn aliases_in_a_circle_are_told_before_an_order_is_made() {
    let site = Site::new(Lab::start(quick()));
    site.lab.add_record(
        "example.test",
        "_acme-challenge.loop.example.test",
        "CNAME",
        "_acme-challenge.pool.example.test.",
    );
    site.lab.add_record(
        "example.test",
        "_acme-challenge.pool.example.test",
        "CNAME",
        "_acme-challenge.loop.example.test.",
    );
    site.configure(&[EXAMPLE], &["www: {names: [loop.example.test], keys: managed}"]);
    crate::support::eventually(std::time::Duration::from_secs(10), "the loop is on both servers", || {
        !site.lab.dig(crate::support::KNOT, "_acme-challenge.pool.example.test", "CNAME").is_empty()
    });
    site.apply().ends(69).says(&["circle", "_acme-challenge.loop.example.test", "Nothing was ordered"]);
    assert_eq!(site.lab.counts().orders, 0);
}

#[test]
fn a_zone_cut_below_the_configured_zone_is_found() {
    let site = Site::new(Lab::start(quick()));
    let www = "www: {names: [sub.example.test, a.sub.example.test, example.test], keys: managed}";
    site.configure(&[EXAMPLE], &[www]);
    site.apply().ends(0);
    assert!(site.lab.read("bind/update.log").contains("updating zone 'sub.example.test/IN': adding an RR"));
    site.age("www");
    site.configure(&[EXAMPLE, "sub.example.test: {provider: home, propagation: 15s}"], &[www]);
    site.apply().ends(0);
    assert_eq!(site.lab.counts().certificates, 2);
    site.no_challenge_left(&["sub.example.test", "a.sub.example.test", "example.test"]);
}

#[test]
fn a_name_that_the_ca_refuses_is_named_with_its_reason() {
    let site = Site::new(Lab::start(quick()));
    // what pebble refuses by default exists in no zone
    let settings = site.lab.read("pebble/config.json").replace("blocked.test", "other.test");
    std::fs::write(site.lab.dir().join("pebble/config.json"), settings).unwrap();
    site.lab.stop_daemon(Daemon::Pebble);
    site.lab.start_daemon(Daemon::Pebble);
    site.wait_for_pebble();
    site.configure(
        &[EXAMPLE, "other.test: {provider: home, propagation: 15s}"],
        &[
            "www: {names: [other.test, example.test], keys: managed}",
            "mx: {names: [mx1.example.test], keys: managed}",
        ],
    );
    let run = site.apply().ends(4).says(&["other.test", "rejectedIdentifier"]);
    assert_eq!((run.outcome("www"), run.outcome("mx")), ("failed".into(), "changed".into()));
    assert_eq!(site.lab.counts().certificates, 1);
    site.no_challenge_left(&["other.test", "example.test", "mx1.example.test"]);
}
