//! `revoke` at a real CA.

use crate::first::quick;
use crate::site::{Run, Site};
use crate::support::{BIND, Lab};
use serde_json::Value;
use std::fs;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const PINS: &str = "_25._tcp.mx1.example.test";
const MX: &str =
    "mx: {names: [mx1.example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}";

fn site() -> Site {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[MX]);
    site.apply().ends(0);
    site
}

/// What the CA itself says of a certificate.
fn at_the_ca(site: &Site, serial: &str) -> Value {
    let url = format!("https://127.0.0.14:15000/cert-status-by-serial/{serial}");
    serde_json::from_str(&site.lab.run("curl", &["-sSf", "--cacert", "pebble-root.pem", &url])).unwrap()
}

fn revocations(site: &Site) -> usize {
    site.lab.read("pebble/pebble.log").matches("POST /revoke-cert -> calling handler()").count()
}

fn serial(site: &Site) -> String {
    site.document("mx")["installed"]["serial"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_told(run: &Run, serial: &str, before: bool, installed: bool) {
    let told = &run.json["revoked"][0];
    assert_eq!((&told["serial"], &told["before"]), (&serial.into(), &before.into()), "{:#}", run.json);
    assert_eq!((&told["installed"], &told["signed_by"]), (&installed.into(), &"account".into()));
}

#[test]
fn a_revoked_certificate_is_replaced_by_the_next_run_and_the_pins_stay() {
    let site = site();
    let (former, pins) = (serial(&site), site.pins(BIND, PINS));
    assert_eq!(at_the_ca(&site, &former)["Status"], "Valid");
    let run = site.run(&["revoke", "mx", "--reason", "superseded"]).ends(0);
    assert_told(&run, &former, false, true);
    let told = at_the_ca(&site, &former);
    assert_eq!((&told["Status"], &told["Reason"]), (&"Revoked".into(), &4.into()), "{told:#}");
    assert_told(&site.run(&["revoke", "mx"]).ends(0), &former, true, true);

    let text = site.lab.command("danesmith").args(["status", "mx"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("REVOKED on"), "{text}");
    let planned = site.lab.command("danesmith").args(["plan"]).output().unwrap();
    let planned = String::from_utf8(planned.stdout).unwrap();
    assert!(planned.contains("the installed one was revoked"), "{planned}");

    fs::copy(site.live("mx").join("cert.pem"), site.lab.dir().join("former.pem")).unwrap();
    site.apply().ends(0);
    let new = serial(&site);
    assert_ne!(new, former);
    assert_eq!(at_the_ca(&site, &new)["Status"], "Valid");
    assert!(site.document("mx")["installed"]["revoked"].is_null());
    assert_eq!(site.pins(BIND, PINS), pins);
    site.apply().ends(0);
    assert_eq!(serial(&site), new, "once");

    // the former one again, by its file: what is installed is not concerned
    let run = site.run(&["revoke", "mx", "--file", "former.pem"]).ends(0);
    assert_told(&run, &former, true, false);
    site.apply().ends(0);
    assert_eq!(serial(&site), new);
}

#[test]
fn a_key_in_use_is_not_told_to_be_compromised_and_what_cannot_be_revoked_is_said() {
    let site = site();
    let hints =
        ["rotate mx --emergency", "revoke mx --retired --reason key-compromise", "The CA was not asked"];
    site.run(&["revoke", "mx", "--reason", "key-compromise"]).ends(5).says(&hints);
    site.run(&["revoke", "mx", "--retired"]).ends(64).says(&["retired key", "--file"]);
    site.run(&["revoke", "other"]).ends(64).says(&["zones.yaml does not list it"]);
    site.run(&["revoke", "mx", "--reason", "spite"]).ends(64);
    site.run(&["revoke", "mx", "--file", "zones.yaml"]).ends(65).says(&["zones.yaml"]);
    site.run(&["revoke", "mx", "--file", "nowhere.pem"]).ends(74).says(&["nowhere.pem"]);
    assert_eq!(revocations(&site), 0);
    // of another CA
    let subject = ["-subj", "/CN=other", "-keyout", "other.key", "-out", "other.pem", "-nodes", "-x509"];
    site.lab.run("openssl", &[&["req", "-newkey", "rsa:2048"], &subject[..]].concat());
    let run = site.run(&["revoke", "mx", "--file", "other.pem"]);
    assert!([69, 77].contains(&run.code), "{} {}", run.code, run.stderr);
    assert!(site.document("mx")["installed"]["revoked"].is_null());
    assert_eq!(revocations(&site), 1);
}
