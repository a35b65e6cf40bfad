//! Several zones and certificates in one run.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Lab};

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

/// Freezing is what administrators do before they edit a zone by hand; the credentials were proven long before.
#[test]
fn a_zone_that_refuses_the_update_itself_leaves_nothing_in_the_others() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let names = ["example.test", "other.test", "third.test"];
    configure(
        &site,
        &names.map(zone),
        &["all: {names: [example.test, other.test, third.test], keys: managed}".into()],
    );
    site.apply().ends(0);
    let rndc = |word: &str, zone: &str| {
        site.lab.run("rndc", &["-s", BIND, "-k", "foreign-key.conf", word, zone]);
    };
    for (round, frozen) in names.iter().enumerate() {
        site.age("all");
        rndc("freeze", frozen);
        site.apply().ends(77).says(&[frozen, "REFUSED"]);
        rndc("thaw", frozen);
        for name in names {
            // an UPDATE that came before this one shows in the signed zone when this one does
            let marker = format!("marker{round}.{name}");
            site.lab.add_record(name, &marker, "TXT", "\"here\"");
        }
        site.no_challenge_left(&names);
        let owed = site.document("all")["owed"].as_array().cloned().unwrap_or_default();
        let owed: Vec<String> =
            owed.iter().map(|owed| owed["zone"].as_str().unwrap().trim_end_matches('.').to_owned()).collect();
        assert!(owed.iter().all(|zone| zone == frozen), "{frozen} was frozen, owed in {owed:?}");
    }
    let orders = site.lab.counts().orders;
    site.apply().ends(0);
    assert_eq!((orders, site.lab.counts().orders), (2, 2), "the order of the failed runs is gone on with");
    assert_eq!(site.document("all").get("owed"), None);
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
    // A certificate whose CA took longer than the others' is not waited for: its removal is an UPDATE of its own.
    assert!(after.updates - before.updates <= 3, "{} UPDATEs", after.updates - before.updates);
    let log = site.lab.read("bind/update.log");
    let adds = |n: usize| format!("adding an RR at '_acme-challenge.h{n}.example.test' TXT");
    let each: Vec<usize> = (1..=5).map(|n| log.rfind(&adds(n)).unwrap()).collect();
    let (first, last) = (*each.iter().min().unwrap(), *each.iter().max().unwrap());
    let between = &log[first..last];
    assert!(!between.contains("prerequisites are OK"), "all five are added by one UPDATE:\n{between}");
    site.no_challenge_left(&["h1.example.test", "h5.example.test"]);
}

#[test]
fn a_name_on_the_command_line_is_the_only_certificate_that_is_touched() {
    let site = Site::new(Lab::start(quick()));
    let each: Vec<String> =
        (1..=3).map(|n| format!("c{n}: {{names: [h{n}.example.test], keys: managed}}")).collect();
    configure(&site, &[zone("example.test")], &each);
    let run = site.run(&["apply", "c2"]).ends(0);
    assert_eq!(["c1", "c2", "c3"].map(|name| run.outcome(name)), ["none", "changed", "none"]);
    assert_eq!(["c1", "c2", "c3"].map(|name| site.installed(name)), [false, true, false]);
    assert!(!site.lab.dir().join("state/certificates/c1").exists());
    assert_eq!((site.lab.counts().orders, site.lab.counts().certificates), (1, 1));
}
