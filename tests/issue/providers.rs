//! The other ways to write: PowerDNS' HTTP interface, an exec plugin, an adapter. Certificate and TLSA through each that
//! can, from the same zones.yaml to the same end.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, KNOT, Lab, Options, PDNS};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The name that an administrator would give it in a file, with the lab's address.
const POWERDNS: &str = "home: {powerdns: {url: 'http://127.0.0.15:8081', api_key: {file: pdns.secret}}}";
const PDNS_ZONE: &str = "pdns.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";
const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";

fn with_pdns() -> Options {
    Options { pdns: true, extra_zones: 0, ..quick() }
}

/// The keys that are pinned, as the state directory has them.
fn keys(site: &Site) -> Vec<String> {
    let folder = site.lab.dir().join("state/certificates/mx/keys");
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().to_string_lossy().into_owned();
    let mut keys: Vec<String> =
        fs::read_dir(folder).unwrap().map(name).map(|n| n.trim_end_matches(".pem").to_owned()).collect();
    keys.sort();
    keys
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn plugin(site: &mut Site, name: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/plugins").join(name);
    executable(&site.lab.dir().join(name), &fs::read_to_string(source).unwrap());
    site.providers = format!(
        "home: {{exec: {{command: [./{name}], config: {{server: 127.0.0.11, key_name: danesmith-key, \
         secret: {{file: tsig.secret}}}}}}}}"
    );
}

#[test]
fn powerdns_by_its_http_interface_gets_a_certificate_and_both_pins_and_keeps_what_is_not_ours() {
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = POWERDNS.into();
    site.configure(
        &[PDNS_ZONE],
        &["mx: {names: [pdns.test, '*.pdns.test', mx.pdns.test], keys: managed, tlsa: [_25._tcp.mx.pdns.test], endpoints: unchecked}"],
    );
    let foreign = ["_acme-challenge.pdns.test", "TXT", "5", "\"somebody else's\""];
    site.lab.run(
        "pdnsutil",
        &[&["--config-dir=pdns", "add-record", "pdns.test"][..], &["_acme-challenge"], &foreign[1..]]
            .concat(),
    );
    site.run(&["plan", "--detailed-exitcode"]).ends(2);
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    assert_eq!(site.names("mx"), ["*.pdns.test", "mx.pdns.test", "pdns.test"]);
    let pins = keys(&site);
    assert_eq!(pins.len(), 2);
    assert!(pins.contains(&site.leaf_spki("mx")));
    assert_eq!(site.pins(PDNS, "_25._tcp.mx.pdns.test"), pins);
    assert!(site.lab.validates("_25._tcp.mx.pdns.test", "TLSA"), "PowerDNS signs what was written");
    assert_eq!(site.lab.dig(PDNS, "_acme-challenge.pdns.test", "TXT"), [foreign[3]]);
    assert!(site.lab.dig(PDNS, "_acme-challenge.mx.pdns.test", "TXT").is_empty());

    let counts = site.lab.counts();
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!((run.outcome("mx"), site.lab.counts()), ("unchanged".into(), counts));
}

#[test]
fn a_check_of_powerdns_writes_both_types_and_leaves_nothing() {
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = POWERDNS.into();
    site.configure(&[PDNS_ZONE], &["www: {names: [pdns.test], keys: managed}"]);
    let run = site.run(&["provider", "check", "pdns.test"]).ends(0);
    let seen = run.json["seen"].to_string();
    assert!(seen.contains("TXT and TLSA changes") && seen.contains("gone from every server"), "{seen}");
    for (owner, rtype) in
        [("_danesmith-check.pdns.test", "TXT"), ("_25._tcp._danesmith-check.pdns.test", "TLSA")]
    {
        assert!(site.lab.dig(PDNS, owner, rtype).is_empty(), "{owner}");
    }
    // what is not ours is not touched, and no attempt is made beside it
    site.lab.run(
        "pdnsutil",
        &["--config-dir=pdns", "add-record", "pdns.test", "_danesmith-check", "TXT", "5", "\"mine\""],
    );
    site.run(&["provider", "check", "pdns.test"])
        .ends(5)
        .says(&["1 TXT value(s) stand there", "Nothing was changed."]);
    assert_eq!(site.lab.dig(PDNS, "_danesmith-check.pdns.test", "TXT"), ["\"mine\""]);

    fs::write(site.lab.dir().join("pdns.secret"), "wrong-api-key-9f27").unwrap();
    let run = site.run(&["provider", "check", "pdns.test"]).ends(77);
    assert!(
        !run.stderr.contains("wrong-api-key") && !run.json.to_string().contains("wrong-api-key"),
        "{run:?}"
    );
}

#[test]
fn a_plugin_gets_a_certificate_and_both_pins() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test, '*.example.test'], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.lab.add_record("example.test", "_25._tcp.mx1.example.test", "TLSA", &format!("2 1 1 {:064}", 5));
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    let mut pins = keys(&site);
    assert_eq!(pins.len(), 2);
    pins.push(format!("2 1 1 {} {}", "0".repeat(56), "00000005"));
    pins.sort();
    for server in [BIND, KNOT] {
        assert_eq!(site.pins(server, "_25._tcp.mx1.example.test"), pins, "{server}");
    }
    site.no_challenge_left(&["example.test"]);
    let locks: Vec<_> = fs::read_dir(site.lab.dir().join("state/zone-locks")).unwrap().collect();
    assert_eq!(locks.len(), 1, "one lock for the zone: {locks:?}");
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.outcome("mx"), "unchanged");
    site.run(&["provider", "check", "example.test"]).ends(0).says(&[]);
}

#[test]
fn a_plugin_that_writes_txt_only_is_refused_for_tlsa_before_an_order() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let path = site.lab.dir().join("nsupdate.py");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("TYPES = (\"TXT\", \"TLSA\")"));
    executable(&path, &text.replace("TYPES = (\"TXT\", \"TLSA\")", "TYPES = (\"TXT\",)"));
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.run(&["apply"]).ends(78).says(&[
        "writes no TLSA records",
        "certificates.mx.tlsa",
        "`_25._tcp.mx1.example.test`",
    ]);
    assert_eq!((site.lab.counts().orders, site.lab.counts().updates), (0, 0));
}

#[test]
fn a_plugin_is_checked_against_the_whole_contract_without_a_configuration() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let check = [
        "provider",
        "check",
        "--plugin",
        "./nsupdate.py",
        "--setting",
        "server=127.0.0.11",
        "--setting",
        "key_name=danesmith-key",
        "--secret",
        "secret=file:tsig.secret",
        "--server",
        BIND,
        "--server",
        KNOT,
        "--resolver",
        "127.0.0.53",
        "--patience",
        "9",
        "example.test",
    ];
    let run = site.run(&check).ends(0);
    let findings = run.json["findings"].as_array().unwrap();
    assert!(findings.len() >= 10, "{:#}", run.json);
    assert!(findings.iter().all(|f| f["outcome"] == "ok"), "{:#}", run.json);
    assert!(site.lab.read("bind/update.log").contains("TLSA"), "the check wrote");

    // One that says that it removed and does not.
    let path = site.lab.dir().join("nsupdate.py");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("update delete"));
    executable(&path, &text.replace("update delete", "prereq yxdomain example.test ; "));
    let run = site.run(&check).ends(69).says(&["checks failed"]);
    assert!(
        run.json["findings"].as_array().unwrap().iter().any(|f| f["outcome"] == "FAILED"),
        "{:#}",
        run.json
    );
    site.run(&[
        "provider",
        "check",
        "--plugin",
        "./nsupdate.py",
        "--secret",
        "secret=c4n4ry",
        "example.test",
    ])
    .ends(64)
    .says(&["names no place"]);
}

/// acme.sh cannot be had from a package here: this keeps its calling convention (its arguments are a command, its helpers
/// are there), and its script removes the whole TXT RRset, as acme.sh's own dns_nsupdate does.
const STAND_IN: &str = r#"#!/bin/sh
_info() { printf '%s\n' "$1"; }
_err() { printf '%s\n' "$1" >&2; return 1; }
_saveaccountconf_mutable() { echo "saved" >>CALLS; }
_readaccountconf_mutable() { :; }
"$@"
"#;
const SCRIPT: &str = r#"#!/usr/bin/env sh
dns_standin_add() {
    echo "add $1" >>CALLS
    _saveaccountconf_mutable STANDIN_KEY "$STANDIN_KEY"
    _standin "update add $1. 5 IN TXT \"$2\""
}
dns_standin_rm() { echo "rm $1" >>CALLS; _standin "update delete $1. TXT"; }
_standin() {
    printf 'server 127.0.0.11\nkey hmac-sha256:danesmith-key %s\n%s\nsend\n' "$STANDIN_KEY" "$1" | nsupdate || _err "invalid domain"
}
"#;

#[test]
fn a_script_in_the_manner_of_acme_sh_gets_a_certificate_and_leaves_foreign_values() {
    let mut site = Site::new(Lab::start(quick()));
    let calls = site.lab.dir().join("calls");
    let here = |text: &str| text.replace("CALLS", calls.to_str().unwrap());
    fs::create_dir_all(site.lab.dir().join("acme.sh/dnsapi")).unwrap();
    executable(&site.lab.dir().join("acme.sh/acme.sh"), &here(STAND_IN));
    executable(&site.lab.dir().join("acme.sh/dnsapi/dns_standin.sh"), &here(SCRIPT));
    site.providers =
        "home: {acme_sh: {install: ./acme.sh, script: dns_standin, env: {STANDIN_KEY: {file: tsig.secret}}}}"
            .into();
    site.configure(
        &[ZONE],
        &["www: {names: [example.test, '*.example.test', www.example.test], keys: managed}"],
    );
    site.lab.add_record("example.test", "_acme-challenge.www.example.test", "TXT", "\"somebody else's\"");
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("www"), "changed");
    assert_eq!(site.names("www"), ["*.example.test", "example.test", "www.example.test"]);
    let said = fs::read_to_string(&calls).unwrap();
    assert_eq!(said.matches("add _acme-challenge.example.test\n").count(), 2, "{said}");
    assert!(!said.contains("rm _acme-challenge.www.example.test"), "a foreign value stands there: {said}");
    assert!(!said.contains("saved"), "no secret is saved: {said}");
    assert!(site.lab.dig(BIND, "_acme-challenge.example.test", "TXT").is_empty());
    let left = site.lab.dig(BIND, "_acme-challenge.www.example.test", "TXT");
    assert!(left.contains(&"\"somebody else's\"".to_owned()) && left.len() == 2, "{left:?}");
    run.says(&["a TXT value of ours stays at _acme-challenge.www.example.test"]);

    // TLSA through it is refused with its line, and nobody is asked for anything.
    let before = site.lab.counts();
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test]}"],
    );
    for command in ["plan", "apply"] {
        site.run(&[command]).ends(78).says(&["zones.yaml:12:53:", "acme.sh's interface takes TXT only"]);
    }
    assert_eq!(site.lab.counts(), before);
}
