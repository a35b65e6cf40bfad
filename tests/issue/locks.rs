//! Runs with state directories of their own at one zone: PowerDNS' HTTP interface and plugins know no conditions, so they
//! must wait for each other.

use crate::providers::{PDNS_ZONE, POWERDNS, plugin, with_pdns};
use crate::site::Site;
use crate::support::{BIND, KNOT, Lab, PDNS, eventually};
use std::fs;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Holds a zone's lock as another run would; let go when dropped.
struct Held {
    flock: Child,
    stdin: Option<ChildStdin>,
}

impl Held {
    fn new(site: &Site, zone: &str) -> Held {
        let file = file(zone);
        let mut command = site.lab.command("flock");
        let mut flock = command.args([&file, "cat"]).stdin(Stdio::piped()).spawn().unwrap();
        eventually(Duration::from_secs(10), "the lock is held", || {
            !site.lab.command("flock").args(["-n", &file, "true"]).status().unwrap().success()
        });
        let stdin = flock.stdin.take();
        Held { flock, stdin }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.flock.wait().unwrap();
    }
}

fn file(zone: &str) -> String {
    format!("/run/danesmith/{zone}.lock")
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run has come as far as the lock.
fn comes_to_the_lock(run: &Child, zone: &str) {
    let wanted = format!("{zone}.lock"); // its folder is one of another mount namespace
    let open = format!("/proc/{}/fd", run.id());
    eventually(Duration::from_secs(60), "the run waits for the zone's lock", || {
        let files = fs::read_dir(&open).into_iter().flatten().flatten();
        files.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| path.ends_with(&wanted))
    });
}

#[track_caller]
fn ends(run: Child, code: i32) {
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn runs_with_states_of_their_own_wait_for_each_other_and_lose_nothing() {
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = POWERDNS.into();
    site.configure(&[PDNS_ZONE], &["www: {names: [pdns.test, '*.pdns.test'], keys: managed}"]);
    let foreign = "\"somebody else's\"";
    // TTL 0, which ours take over: the CA's resolver must not remember what stood there in the run before
    site.lab.run(
        "pdnsutil",
        &["--config-dir=pdns", "add-record", "pdns.test", "_acme-challenge", "TXT", "0", foreign],
    );
    let held = Held::new(&site, "pdns.test");
    let states = ["one", "two", "three", "four"];
    let apply = |state: &&str| site.command(&["--state", state, "apply", "--detailed-exitcode"]);
    let runs: Vec<Child> = states.iter().map(|state| started(apply(state))).collect();
    for run in &runs {
        comes_to_the_lock(run, "pdns.test");
    }
    assert_eq!(site.lab.dig(PDNS, "_acme-challenge.pdns.test", "TXT"), [foreign], "nobody has written");
    drop(held);
    for run in runs {
        ends(run, 2);
    }
    for state in states {
        let chain = site.lab.dir().join(state).join("certificates/www/live/fullchain.pem");
        assert!(chain.exists(), "{}", chain.display());
    }
    assert_eq!(site.lab.dig(PDNS, "_acme-challenge.pdns.test", "TXT"), [foreign]);
}

#[test]
fn a_plugin_under_check_waits_for_the_zone_like_every_run() {
    let mut site = Site::new(Lab::start(crate::first::quick()));
    plugin(&mut site, "nsupdate.py");
    let held = Held::new(&site, "example.test");
    let mut settings = vec!["provider", "check", "--plugin", "./nsupdate.py", "example.test"];
    settings.extend(["--setting", "server=127.0.0.11", "--setting", "key_name=danesmith-key"]);
    settings.extend(["--secret", "secret=file:tsig.secret", "--resolver", "127.0.0.53"]);
    settings.extend(["--server", BIND, "--server", KNOT, "--patience", "9"]);
    let check = started(site.command(&settings));
    comes_to_the_lock(&check, "example.test");
    drop(held);
    ends(check, 0);
}
