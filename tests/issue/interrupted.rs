//! Ctrl-C and a polite kill in the middle of an order.

use crate::first::quick;
use crate::site::Site;
use crate::support::{Lab, eventually};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn an_interrupted_run_says_so_in_one_json_document_and_the_next_one_goes_on() {
    // The CA takes its time, so that the run is in the middle of an order.
    let mut options = quick().pebble("PEBBLE_VA_SLEEPTIME", "3");
    options.pebble.retain(|(name, _)| name != "PEBBLE_VA_NOSLEEP");
    let site = Site::new(Lab::start(options));
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}"],
        &["www: {names: [example.test, '*.example.test'], keys: managed}"],
    );
    site.register();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let before = site.lab.counts().orders;
        let run = site.command(&["apply"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually(Duration::from_secs(20), "challenges stand", || {
            !site.lab.dig(crate::support::BIND, "_acme-challenge.example.test", "TXT").is_empty()
        });
        // the program is the child of nsenter, which hands no signals on
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
        let pid = children.split_whitespace().next().map_or(run.id().to_string(), str::to_owned);
        assert!(std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(
            (&json["error"]["kind"], output.status.code()),
            (&"interrupted".into(), Some(code)),
            "{said}"
        );
        assert!(
            said.contains(&format!("interrupted by SIG{signal}")) && said.contains("run it again"),
            "{said}"
        );
        assert!(site.lab.counts().orders <= before + 1);
    }
    site.apply().ends(0);
    assert_eq!(site.lab.counts().orders, 1, "one order for all three runs");
    site.no_challenge_left(&["example.test"]);
}
