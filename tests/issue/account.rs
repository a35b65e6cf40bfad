//! The ACME account: found, forgotten, imported, bound; and a CA that goes away.

use crate::first::quick;
use crate::site::{ACCOUNT, Site};
use crate::support::{Daemon, EAB_HMAC, EAB_KID, Lab, Options};
use std::fs;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test], keys: managed}";

#[test]
fn a_ca_that_goes_away_is_told_and_one_that_forgot_us_is_recovered_from() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    let leaf = site.leaf("www");
    site.lab.kill_daemon(Daemon::Pebble);
    site.age("www");
    site.apply().ends(69).says(&["127.0.0.14:14000"]);
    assert_eq!(site.leaf("www"), leaf, "what is served stays");

    site.lab.start_daemon(Daemon::Pebble);
    site.wait_for_pebble();
    site.apply().ends(77).says(&["accountDoesNotExist", "danesmith account register"]);
    site.register();
    site.apply().ends(0);
    assert_ne!(site.leaf("www"), leaf);
    site.run(&["account", "show"]).ends(0);
    site.no_challenge_left(&["example.test"]);
}

#[test]
fn account_keys_of_other_kinds_are_taken_and_found_again() {
    let mut site = Site::new(Lab::start(quick()));
    for (file, arguments) in [
        (
            "p384.pem",
            vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384.pem"],
        ),
        (
            "rsa.pem",
            vec!["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"],
        ),
    ] {
        site.lab.run("openssl", &arguments);
        site.accounts = ACCOUNT.replace("agree_terms", &format!("key: {{file: {file}}}, agree_terms"));
        site.configure(&[ZONE], &[WWW]);
        let _ = fs::remove_dir_all(site.lab.dir().join("state"));
        let first = site.run(&["account", "register"]).ends(0);
        fs::remove_dir_all(site.lab.dir().join("state")).unwrap();
        let again = site.run(&["account", "show"]).ends(0);
        assert_eq!(first.json["account"]["url"], again.json["account"]["url"], "{file}: found by its key");
        site.lab.flush_resolver();
        site.apply().ends(0);
    }
}

#[test]
fn a_ca_that_wants_a_binding_says_so_and_gets_it() {
    let mut site = Site::new(Lab::start(Options { eab_required: true, ..quick() }));
    site.configure(&[ZONE], &[WWW]);
    let run = site.apply().says(&["RFC 8555 §7.3.4", "eab"]);
    assert!([77, 78].contains(&run.code), "{} {}", run.code, run.stderr);
    assert_eq!(site.lab.counts().orders, 0);
    fs::write(site.lab.dir().join("eab.secret"), EAB_HMAC).unwrap();
    let eab = format!("eab: {{kid: {EAB_KID}, hmac_key: {{file: eab.secret}}}}, agree_terms");
    site.accounts = ACCOUNT.replace("agree_terms", &eab);
    site.configure(&[ZONE], &[WWW]);
    let run = site.apply().ends(0);
    assert!(!run.stderr.contains(EAB_HMAC));
    assert!(site.installed("www"));
}
