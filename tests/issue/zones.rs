//! Several zones and certificates in one run.

use crate::first::quick;
use crate::site::Site;
use crate::support::Lab;

fn zone(name: &str) -> String {
    format!("{name}: {{provider: home, propagation: 20s, ttl: {{txt: 5, tlsa: 5}}}}")
}

fn configure(site: &Site, zones: &[String], certificates: &[String]) {
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let certificates: Vec<&str> = certificates.iter().map(String::as_str).collect();
    site.configure(&zones, &certificates);
}

#[test]
fn a_refusing_zone_does_not_stop_the_certificates_of_the_others() {
    let site = Site::new(Lab::start(quick()));
    let names = ["example.test", "refused.test", "other.test"];
    let each: Vec<String> =
        names.iter().map(|n| format!("{}: {{names: [{n}], keys: managed}}", &n[..n.len() - 5])).collect();
    configure(&site, &names.map(zone), &each);
    let run = site.apply().ends(4).says(&["refused.test"]);
    assert_eq!(run.outcome("refused"), "failed");
    assert!(site.installed("example") && site.installed("other") && !site.installed("refused"));
    assert_eq!(site.lab.counts().orders, 2);
    site.no_challenge_left(&names);
}

#[test]
fn one_certificate_over_a_refusing_zone_leaves_nothing_anywhere() {
    let site = Site::new(Lab::start(quick()));
    let names = ["example.test", "refused.test", "other.test"];
    configure(
        &site,
        &names.map(zone),
        &["all: {names: [example.test, refused.test, other.test], keys: managed}".into()],
    );
    site.apply().ends(77).says(&["refused.test", "Nothing was ordered"]);
    assert_eq!(site.lab.counts().orders, 0);
    assert!(!site.installed("all"));
    site.no_challenge_left(&names);
}

#[test]
fn twenty_certificates_in_twenty_zones_are_one_run() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let zones: Vec<String> = (1..=20).map(|n| format!("z{n:02}.test")).collect();
    let each: Vec<String> = (1..=20)
        .map(|n| format!("c{n:02}: {{names: [z{n:02}.test, '*.z{n:02}.test'], keys: managed}}"))
        .collect();
    configure(&site, &zones.iter().map(|z| zone(z)).collect::<Vec<_>>(), &each);
    site.apply().ends(0);
    for n in 1..=20 {
        assert!(site.installed(&format!("c{n:02}")));
        site.age(&format!("c{n:02}"));
    }
    let before = site.lab.counts();
    let run = site.apply().ends(0);
    let after = site.lab.counts();
    assert_eq!((after.certificates - before.certificates, after.updates - before.updates), (20, 40));
    assert!(run.took.as_secs() < 15, "{:?}", run.took);
    site.no_challenge_left(&zones.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn certificates_of_one_zone_share_their_updates() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let each: Vec<String> =
        (1..=5).map(|n| format!("c{n}: {{names: [h{n}.example.test], keys: managed}}")).collect();
    configure(&site, &[zone("example.test")], &each);
    site.apply().ends(0);
    (1..=5).for_each(|n| site.age(&format!("c{n}")));
    let before = site.lab.counts();
    site.apply().ends(0);
    let after = site.lab.counts();
    assert_eq!(after.certificates - before.certificates, 5);
    assert!(after.updates - before.updates <= 3, "{} UPDATEs", after.updates - before.updates);
    site.no_challenge_left(&["h1.example.test", "h5.example.test"]);
}
