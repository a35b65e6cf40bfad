//! A CA that refuses nonces, reuses authorizations or takes its time.

use crate::first::quick;
use crate::site::Site;
use crate::support::{Lab, Options};

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test, '*.example.test', www.example.test], keys: managed}";

/// Twenty names make some 50 requests: that none of them is refused at 20 % comes once in 70,000 runs.
#[test]
fn refused_nonces_and_forgotten_authorizations_do_not_hinder_a_certificate() {
    let site = Site::new(Lab::start(
        quick().pebble("PEBBLE_WFE_NONCEREJECT", "20").pebble("PEBBLE_AUTHZREUSE", "0"),
    ));
    let names: Vec<String> = (1..=20).map(|n| format!("h{n}.example.test")).collect();
    site.configure(&[ZONE], &[&format!("www: {{names: [{}], keys: managed}}", names.join(", "))]);
    let first = site.run(&["-vv", "apply"]).ends(0);
    site.age("www");
    let second = site.run(&["-vv", "apply"]).ends(0);
    assert_eq!(site.lab.counts().certificates, 2);
    for run in [first, second] {
        assert!(run.stderr.matches("badNonce: sent again").count() >= 1, "{}", run.stderr);
    }
    site.no_challenge_left(&["h1.example.test", "h20.example.test"]);
}

/// Go's server offers HTTP/2, as Let's Encrypt does.
#[test]
fn all_requests_go_by_http2_and_every_challenge_is_answered_before_the_order_is_looked_at() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let names: Vec<String> = (1..=8).map(|n| format!("h{n}.example.test")).collect();
    site.configure(&[ZONE], &[&format!("www: {{names: [{}], keys: managed}}", names.join(", "))]);
    let run = site.run(&["-vv", "apply"]).ends(0);
    let requests: Vec<&str> = run.stderr.lines().filter(|line| line.contains("acme request")).collect();
    assert!(requests.len() > 20, "{}", run.stderr);
    assert!(requests.iter().all(|line| line.contains("version=HTTP/2.0")), "{requests:#?}");

    let log = site.lab.read("pebble/pebble.log");
    let calls: Vec<&str> = log.lines().filter(|line| line.contains("-> calling handler()")).collect();
    let of = |what: &str| {
        let hits = calls.iter().enumerate().filter(|(_, line)| line.contains(what));
        hits.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let (answers, looks) = (of("POST /chalZ/"), of("POST /my-order/"));
    assert_eq!(answers.len(), 8, "{calls:#?}");
    assert!(!looks.is_empty() && answers.iter().max() < looks.iter().min(), "{calls:#?}");
}

/// Common name and PEM of one of pebble's roots.
fn root(site: &Site, number: usize) -> String {
    let file = format!("root{number}.pem");
    let url = format!("https://127.0.0.14:15000/roots/{number}");
    site.lab.run("curl", &["-skf", "-o", &file, &url]);
    let subject =
        site.lab.run("openssl", &["x509", "-noout", "-subject", "-nameopt", "multiline", "-in", &file]);
    subject
        .lines()
        .find_map(|line| line.split("commonName").nth(1))
        .unwrap()
        .trim_start_matches([' ', '='])
        .to_owned()
}

fn verifies(site: &Site, number: usize) -> bool {
    let (live, root) = (site.live("www"), format!("root{number}.pem"));
    let (chain, cert) = (live.join("chain.pem"), live.join("cert.pem"));
    let mut verify = site.lab.command("openssl");
    verify.args(["verify", "-CAfile", &root, "-untrusted"]).args([chain, cert]);
    verify.output().unwrap().status.success()
}

#[test]
fn the_preferred_chain_is_fetched_from_a_ca_that_offers_several() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_ALTERNATE_ROOTS", "1")));
    let (first, second) = (root(&site, 0), root(&site, 1));
    assert_ne!(first, second);
    for (preferred, leads_to) in
        [(None, [true, false]), (Some(&first), [true, false]), (Some(&second), [false, true])]
    {
        let more = preferred.map(|name| format!(", preferred_chain: '{name}'")).unwrap_or_default();
        site.configure(&[ZONE], &[&format!("www: {{names: [example.test], keys: managed{more}}}")]);
        site.apply().ends(0);
        assert_eq!([0, 1].map(|number| verifies(&site, number)), leads_to, "{preferred:?}");
        site.age("www");
    }
}

#[test]
fn a_long_chain_is_stored_whole() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_CHAIN_LENGTH", "3")));
    root(&site, 0);
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed}"]);
    site.apply().ends(0);
    let certificates = |file: &str| {
        let text = std::fs::read_to_string(site.live("www").join(file)).unwrap();
        text.matches("-----BEGIN CERTIFICATE-----").count()
    };
    assert_eq!(["cert.pem", "chain.pem", "fullchain.pem"].map(certificates), [1, 3, 4]);
    assert!(verifies(&site, 0));
}

#[test]
fn authorizations_that_are_still_valid_need_no_update_at_all() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "100")));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    site.age("www");
    let before = site.lab.counts();
    site.apply().ends(0);
    let after = site.lab.counts();
    assert_eq!((after.certificates - before.certificates, after.updates - before.updates), (1, 0));
}

#[test]
fn a_ca_that_validates_slowly_is_waited_for_without_being_pestered() {
    let mut options = quick().pebble("PEBBLE_VA_SLEEPTIME", "3").pebble("PEBBLE_AUTHZREUSE", "0");
    options.pebble.retain(|(name, _)| name != "PEBBLE_VA_NOSLEEP");
    let site = Site::new(Lab::start(Options { retry_after: (1, 1), ..options }));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    site.age("www");
    let before = site.lab.counts();
    site.apply().ends(0);
    let requests = site.lab.counts().requests - before.requests;
    // the pause grows by a quarter of the time waited: about 16 looks in 3 s, beside 10 requests of substance
    assert!(requests <= 30, "{requests} requests");
}
