//! `verify` without hosts: the endpoints of zones.yaml, and our own books.

use crate::first::quick;
use crate::site::{Run, Site};
use crate::support::{BIND, KNOT, Lab, eventually};
use std::time::Duration;

/// "critical no-match" of every target, in the order of the report.
fn findings(run: &Run) -> Vec<String> {
    let targets = run.json["targets"].as_array().cloned().unwrap();
    let all = targets.iter().flat_map(|target| target["findings"].as_array().cloned().unwrap());
    all.map(|f| format!("{} {}", f["severity"].as_str().unwrap(), f["check"].as_str().unwrap())).collect()
}

#[test]
fn verify_without_hosts_holds_the_world_against_the_books() {
    let site = Site::new(Lab::start(quick()));
    let owner = "_25._tcp.mx1.example.test";
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 600}}"],
        &[&format!(
            "mx: {{names: [mx1.example.test], keys: managed, tlsa: [{owner}], endpoints: unchecked}}"
        )],
    );
    site.apply().ends(0);
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
