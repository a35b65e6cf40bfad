//! Wrong credentials, told apart at once and before an order; the lock; `provider check`.

use crate::first::quick;
use crate::site::{HOME, Run, Site};
use crate::support::{BIND, Daemon, Lab, Options};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test], keys: managed}";

/// The issue's own bound; a loaded machine may miss it in one run, but not in five.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The last of at most five runs, each of which was refused before an order; one of them at once.
fn refused_at_once(site: &Site, word: &str) -> Run {
    let mut took = Vec::new();
    for _ in 0..5 {
        let run = site.apply().says(&[word, "Nothing was ordered"]);
        took.push(run.took);
        if run.took < AT_ONCE {
            return run;
        }
    }
    panic!("{word} was told after {took:?}");
}

/// What can be wrong: provider, zone, the word that tells it, exit code.
fn refusals() -> [(String, &'static str, &'static str, i32); 5] {
    [
        (HOME.replace("tsig.secret", "wrong.secret"), "example.test", "BADSIG", 77),
        (HOME.replace("danesmith-key", "nobody-key"), "example.test", "BADKEY", 77),
        (HOME.to_owned(), "refused.test", "REFUSED", 77),
        // BIND has never heard of this zone
        (HOME.to_owned(), "pdns.test", "NOTAUTH", 69),
        // Knot is but a secondary, which nobody may update
        (HOME.replace("127.0.0.11", "127.0.0.12"), "example.test", "127.0.0.12 answered BADKEY", 77),
    ]
}

fn with(site: &mut Site, provider: String, zone: &str) {
    site.providers = provider;
    site.configure(
        &[&format!("{zone}: {{provider: home, propagation: 15s}}")],
        &[&format!("www: {{names: [{zone}], keys: managed}}")],
    );
}

#[test]
fn wrong_credentials_are_told_apart_at_once_before_an_order() {
    let mut site = Site::new(Lab::start(Options { pdns: true, ..quick() }));
    site.configure(&[ZONE], &[WWW]);
    site.register();
    fs::write(site.lab.dir().join("wrong.secret"), "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let mut told = Vec::new();
    for (provider, zone, word, code) in refusals() {
        with(&mut site, provider, zone);
        let run = refused_at_once(&site, word).ends(code);
        told.push(run.json["error"]["cause"].as_str().unwrap().to_owned());
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(site.lab.counts().orders, 0);
}

#[test]
fn wrong_credentials_are_told_at_once_whatever_the_ca_does() {
    let mut site = Site::new(Lab::start(Options { pdns: true, ..quick() }));
    site.configure(&[ZONE], &[WWW]);
    site.register();
    fs::write(site.lab.dir().join("wrong.secret"), "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    for silent in [true, false] {
        if silent {
            site.lab.freeze(Daemon::Pebble);
        } else {
            site.lab.resume(Daemon::Pebble);
            site.lab.kill_daemon(Daemon::Pebble);
        }
        for (provider, zone, word, code) in refusals() {
            with(&mut site, provider, zone);
            refused_at_once(&site, word).ends(code);
        }
    }
}

#[test]
fn clocks_that_differ_are_told_with_both_times_before_an_order() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.register();
    let now: jiff::Timestamp = std::time::SystemTime::now().try_into().unwrap();
    let mut skewed = site.lab.command("faketime");
    // only the time of day is another one: timeouts stay what they are
    skewed.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let run = site.run_as(skewed.args(["-f", "+1h", env!("CARGO_BIN_EXE_danesmith")]), &["apply"]).ends(77);
    let run = run.says(&["BADTIME", "the clocks differ by", "NTP", "Nothing was ordered"]);
    let hour = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:").to_string();
    let soon = now + jiff::SignedDuration::from_mins(1);
    let told = |at: jiff::Timestamp| run.stderr.contains(&hour(at));
    assert!(told(now) || told(soon), "the server's clock: {}", run.stderr);
    let ahead = jiff::SignedDuration::from_hours(1);
    assert!(told(now + ahead) || told(soon + ahead), "ours: {}", run.stderr);
    let seconds = run.stderr.split("the clocks differ by ").nth(1).and_then(|t| t.split(' ').next()).unwrap();
    assert!((3590..=3610).contains(&seconds.parse::<i64>().unwrap()), "{seconds} s");
    assert_eq!(site.lab.counts().orders, 0);
}

#[test]
fn a_secret_that_is_missing_is_told_with_the_line_that_names_it() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    fs::remove_file(site.lab.dir().join("tsig.secret")).unwrap();
    let line = "tsig.secret, which zones.yaml:8:107: providers.home.rfc2136.tsig.secret.file names";
    site.apply().ends(74).says(&[line, "hint: put the secret there, or name its place anew"]);
    assert_eq!(site.lab.counts().orders, 0);
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.register();
    site.lab.freeze(Daemon::Pebble);
    let mut first = site.command(&["apply"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let second = site.apply();
    site.lab.resume(Daemon::Pebble);
    assert!(first.wait().unwrap().success());
    second.ends(75);
    assert!(site.installed("www"));
}

#[test]
fn provider_check_writes_sees_and_removes() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE, "refused.test: {provider: home}"], &[WWW]);
    let run = site.run(&["provider", "check", "example.test"]).ends(0);
    assert!(run.json["seen"].as_array().unwrap().len() >= 3, "{:#}", run.json);
    assert!(site.lab.dig(BIND, "_danesmith-check.example.test", "TXT").is_empty());
    let log = site.lab.read("bind/update.log");
    assert!(log.contains("adding an RR at '_danesmith-check.example.test' TXT"));
    site.run(&["provider", "check", "refused.test"]).ends(77).says(&["refused.test"]);
    assert_eq!(site.lab.counts().orders, 0);
}
