//! Wrong credentials, told apart at once and before an order; the lock; `provider check`.

use crate::first::quick;
use crate::site::{HOME, Site};
use crate::support::{BIND, Daemon, Lab};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test], keys: managed}";

#[test]
fn wrong_credentials_are_told_apart_at_once_before_an_order() {
    let mut site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.register();
    fs::write(site.lab.dir().join("wrong.secret"), "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    let cases = [
        (HOME.replace("tsig.secret", "wrong.secret"), "example.test", "BADSIG"),
        (HOME.replace("danesmith-key", "nobody-key"), "example.test", "BADKEY"),
        (HOME.to_owned(), "refused.test", "REFUSED"),
        (HOME.replace("127.0.0.11", "127.0.0.12"), "example.test", "example.test"),
    ];
    let mut told = Vec::new();
    for (provider, zone, word) in cases {
        site.providers = provider;
        site.configure(
            &[&format!("{zone}: {{provider: home, propagation: 15s}}")],
            &[&format!("www: {{names: [{zone}], keys: managed}}")],
        );
        let run = site.apply().says(&[word, "Nothing was ordered"]);
        assert!([69, 77].contains(&run.code), "{}", run.stderr);
        assert!(run.took < Duration::from_secs(3), "{word} took {:?}", run.took);
        told.push(run.json["error"]["cause"].as_str().unwrap().to_owned());
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(site.lab.counts().orders, 0);
}

#[test]
fn a_zone_that_the_server_does_not_have_is_told_before_an_order() {
    let mut site = Site::new(Lab::start(quick()));
    site.providers = HOME.replace("127.0.0.11", "127.0.0.10");
    site.configure(&[ZONE], &[WWW]);
    let run = site.apply().says(&["example.test", "Nothing was ordered"]);
    assert!([69, 77].contains(&run.code), "{}", run.stderr);
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
