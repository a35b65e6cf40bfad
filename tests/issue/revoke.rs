//! `revoke` at a real CA.

use crate::first::quick;
use crate::site::{ACCOUNT, Run, Site};
use crate::support::{BIND, Daemon, Lab};
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

fn revocations(site: &Site) -> usize {
    site.lab.read("pebble/pebble.log").matches("POST /revoke-cert -> calling handler()").count()
}

fn serial(site: &Site) -> String {
    site.document("mx")["installed"]["serial"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_told(run: &Run, serial: &str, before: bool, installed_for: Option<&str>) {
    let told = &run.json["revoked"][0];
    assert_eq!((&told["serial"], &told["before"]), (&serial.into(), &before.into()), "{:#}", run.json);
    assert_eq!((&told["installed_for"], &told["signed_by"]), (&installed_for.into(), &"account".into()));
}

#[test]
fn a_revoked_certificate_is_replaced_by_the_next_run_and_the_pins_stay() {
    let site = site();
    let (former, pins) = (serial(&site), site.pins(BIND, PINS));
    assert_eq!(site.lab.certificate_at_the_ca(&former)["Status"], "Valid");
    let run = site.run(&["revoke", "mx", "--reason", "superseded"]).ends(0);
    assert_told(&run, &former, false, Some("mx"));
    let told = site.lab.certificate_at_the_ca(&former);
    assert_eq!((&told["Status"], &told["Reason"]), (&"Revoked".into(), &4.into()), "{told:#}");
    assert_told(&site.run(&["revoke", "mx"]).ends(0), &former, true, Some("mx"));

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
    assert_eq!(site.lab.certificate_at_the_ca(&new)["Status"], "Valid");
    assert!(site.document("mx")["installed"]["revoked"].is_null());
    assert_eq!(site.pins(BIND, PINS), pins);
    site.apply().ends(0);
    assert_eq!(serial(&site), new, "once");

    // the former one again, by its file: what is installed is not concerned
    let run = site.run(&["revoke", "mx", "--file", "former.pem"]).ends(0);
    assert_told(&run, &former, true, None);
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
    let files =
        ["-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=other", "-extensions", "usr_cert"];
    site.lab.run("openssl", &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"], &files[..]].concat());
    let run = site.run(&["revoke", "mx", "--file", "other.pem"]);
    assert!([69, 77].contains(&run.code), "{} {}", run.code, run.stderr);
    assert!(site.document("mx")["installed"]["revoked"].is_null());
    assert_eq!(revocations(&site), 1);
}

#[test]
fn a_revocation_that_nobody_answers_and_one_that_is_refused_count_for_nothing() {
    let site = site();
    let former = serial(&site);
    let nothing_noted = |run: Run| {
        assert!([69, 77].contains(&run.code), "{} {}", run.code, run.stderr);
        assert!(site.document("mx")["installed"]["revoked"].is_null());
        run
    };
    site.lab.kill_daemon(Daemon::Pebble);
    let told = [&format!("revoke certificate {former}"), "Whether it is revoked is unknown", "run it again"];
    nothing_noted(site.run(&["revoke", "mx"])).says(&told);
    // a CA that has forgotten everything knows neither account nor certificate
    site.lab.start_daemon(Daemon::Pebble);
    site.wait_for_pebble();
    nothing_noted(site.run(&["revoke", "mx"]));
}

#[test]
fn a_file_may_be_another_certificates_and_that_one_is_replaced() {
    let site = Site::new(Lab::start(quick()));
    let plain = "plain: {names: [example.test], keys: managed}";
    site.configure(&[ZONE], &[MX, plain]);
    site.apply().ends(0);
    let file = "state/certificates/plain/live/fullchain.pem";
    let serial = site.document("plain")["installed"]["serial"].as_str().unwrap().to_owned();
    site.run(&["revoke", "mx", "--file", file, "--reason", "key-compromise"])
        .ends(5)
        .says(&["nothing pins it", "certificates/plain"]);
    site.configure(&[ZONE], &[MX]);
    site.run(&["revoke", "mx", "--file", file, "--reason", "key-compromise"])
        .ends(5)
        .says(&["zones.yaml does not list plain any more"]);
    site.configure(&[ZONE], &[MX, plain]);
    assert_told(&site.run(&["revoke", "mx", "--file", file]).ends(0), &serial, false, Some("plain"));
    site.apply().ends(0);
    assert_ne!(site.document("plain")["installed"]["serial"], serial.as_str());
    // an issuer first, and a file of one line
    let chain = site.live("mx").join("chain.pem");
    site.run(&["revoke", "mx", "--file", chain.to_str().unwrap()]).ends(65).says(&["a CA's own"]);
    let key = fs::read_to_string(site.live("mx").join("privkey.pem")).unwrap();
    fs::write(site.lab.dir().join("line.pem"), key.replace('\n', "")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for words in [&["revoke", "mx", "--file", "line.pem"][..], &["tlsa", "line.pem"]] {
        let run = site.run(words).ends(65).says(&["line breaks were lost"]);
        assert!(!run.stderr.contains(&secret[10..20]) && !run.json.to_string().contains(&secret[10..20]));
    }
    let own = "own: {names: [example.test], keys: {active: {key: line.pem}}}";
    let mut site = site;
    site.configure(&[ZONE], &[own]);
    let mut told = vec![site.run(&["plan"]), site.apply(), site.run(&["status"])];
    site.accounts = ACCOUNT.replace("agree_terms", "key: {file: line.pem}, agree_terms");
    site.configure(&[ZONE], &[own]);
    told.extend([site.run(&["account", "show"]), site.apply()]);
    let bytes: Vec<_> = secret.as_bytes()[10..20].iter().map(u8::to_string).collect();
    for needle in [&secret[10..20], &bytes.join(", ")] {
        for run in &told {
            assert!(!format!("{}{}", run.stderr, run.json).contains(needle), "{}", run.stderr);
        }
        // what this run and those before remember
        let files = site.state_files();
        let memory: Vec<_> =
            files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "json")).collect();
        assert!(memory.len() > 2);
        assert!(memory.iter().all(|(_, text)| !String::from_utf8_lossy(text).contains(needle)));
    }
}
