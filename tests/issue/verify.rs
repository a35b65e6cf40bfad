//! `verify` without hosts: the endpoints of zones.yaml, and our own books.

use crate::first::quick;
use crate::site::{Run, Site};
use crate::support::{BIND, KNOT, Lab, eventually};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// "critical no-match" of every target, in the order of the report.
fn findings(run: &Run) -> Vec<String> {
    let targets = run.json["targets"].as_array().cloned().unwrap();
    let all = targets.iter().flat_map(|target| target["findings"].as_array().cloned().unwrap());
    all.map(|f| format!("{} {}", f["severity"].as_str().unwrap(), f["check"].as_str().unwrap())).collect()
}

const OWNER: &str = "_25._tcp.mx1.example.test";

/// A certificate with pins at one owner name.
fn pinned() -> Site {
    let site = Site::new(Lab::start(quick()));
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 600}}"],
        &[&format!(
            "mx: {{names: [mx1.example.test], keys: managed, tlsa: [{OWNER}], endpoints: unchecked}}"
        )],
    );
    site.apply().ends(0);
    site
}

#[test]
fn verify_without_hosts_holds_the_world_against_the_books() {
    let (site, owner) = (pinned(), OWNER);
    let pins = site.pins(BIND, owner);
    assert_eq!(pins.len(), 2);
    site.lab.flush_resolver();
    // Nobody listens in this world: what is presented is unknown, the rest is seen.
    let run = site.run(&["verify"]).ends(4);
    assert_eq!(findings(&run), ["error unreachable", "warn backup-unripe", "info replay-horizon"]);
    assert_eq!(run.json["targets"][0]["certificate"], "mx");
    assert_eq!(run.json["targets"][0]["target"], "smtp://mx1.example.test:25");

    // Somebody removes one of ours and adds one that nobody knows.
    let ours = site.leaf_spki("mx");
    site.lab.delete_record("example.test", owner, "TLSA", &format!("3 1 1 {ours}"));
    site.lab.add_record("example.test", owner, "TLSA", &format!("3 1 1 {}", "ab".repeat(32)));
    eventually(Duration::from_secs(10), "the secondary follows", || {
        let there = site.pins(KNOT, owner);
        there.len() == 2 && !there.contains(&ours) && site.pins(BIND, owner) == there
    });
    site.lab.flush_resolver();
    let run = site.run(&["verify"]).ends(4);
    let mut found = findings(&run);
    found.retain(|finding| finding != "warn ttl"); // nsupdate gave the set another TTL
    let notes = found.split_off(4);
    assert_eq!(found, ["error unreachable", "error pin-missing", "warn pin-unknown", "warn backup-unripe"]);
    assert_eq!(notes, ["info replay-horizon"]);
    let horizon = run.json["targets"][0]["findings"].as_array().unwrap().last().unwrap()["time"].clone();
    assert!(horizon.as_str().unwrap().ends_with('Z'), "a time: {horizon}");
}

#[test]
fn servers_that_have_differed_for_longer_than_the_refresh_time_are_an_error() {
    let (site, owner) = (pinned(), OWNER);
    site.lab.freeze_secondary("example.test");
    site.lab.add_record("example.test", owner, "TLSA", &format!("3 1 1 {}", "ab".repeat(32)));
    site.apply().ends(0);
    site.lab.flush_resolver();
    let disagreement = |run: &Run| findings(run).into_iter().find(|finding| finding.contains("disagree"));
    assert_eq!(disagreement(&site.run(&["verify"])).as_deref(), Some("warn servers-disagree"));
    // the zone's SOA says an hour
    let mut memory: Value = serde_json::from_str(&site.lab.read("state/memory.json")).unwrap();
    let since = &mut memory["differing"][format!("{owner}.")];
    assert!(since.is_string(), "apply remembers it: {memory:#}");
    *since = "2026-01-01T00:00:00Z".into();
    fs::write(site.lab.dir().join("state/memory.json"), memory.to_string()).unwrap();
    assert_eq!(disagreement(&site.run(&["verify"])).as_deref(), Some("error servers-disagree"));
    // an hourly run does not forget it while it lasts, and does when it is over
    site.apply().ends(0);
    assert_eq!(disagreement(&site.run(&["verify"])).as_deref(), Some("error servers-disagree"));
    site.lab.thaw_secondary("example.test");
    site.apply().ends(0);
    site.lab.flush_resolver();
    assert_eq!(disagreement(&site.run(&["verify"])), None);
    assert!(!site.lab.read("state/memory.json").contains("differing"));
}
