//! `rehearse` as it is typed: in an empty folder, without network.

use crate::dir::Dir;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// In a namespace whose only interface is down: a packet could not leave.
fn rehearse(dir: &Dir, words: &[&str]) -> Output {
    let mut command = Command::new("unshare");
    command.args(["-n", env!("CARGO_BIN_EXE_danesmith"), "rehearse", "--from", "2026-11-23"]).args(words);
    command.current_dir(&dir.0).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn files(dir: &Dir) -> Vec<String> {
    let entries = std::fs::read_dir(&dir.0).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn without_zones_yaml_network_secrets_or_files_it_tells_the_example() {
    let dir = Dir::new();
    let output = rehearse(&dir, &["--until", "120d"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let told = text(&output.stdout);
    assert!(told.starts_with("rehearsal of the built-in zones.example.yaml from 2026-11-23 to 2027-03-23\n"));
    for word in ["issued", "pinned", "ripe", "renewed", "stand in for", "[caches: AB 240]", ", 0 refused\n"] {
        assert!(told.contains(word), "no `{word}` in:\n{told}");
    }
    let wide: Vec<&str> = told.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(files(&dir).is_empty(), "{:?}", files(&dir));
}

#[test]
fn the_same_seed_prints_the_same_bytes_and_the_page_is_the_same() {
    let dir = Dir::new();
    let once = |page: &str, words: &[&str]| {
        let output = rehearse(&dir, &[words, &["--faults", "7", "--until", "14d", "--html", page]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(once("one.html", &[]), once("two.html", &[]));
    assert_eq!(dir.read("one.html"), dir.read("two.html"));
    assert!(
        text(&dir.read("one.html"))
            .contains("rehearsal of the built-in zones.example.yaml, faults of seed 7")
    );
    let json = once("one.html", &["--json"]);
    assert_eq!(json, once("one.html", &["--json"]));
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (document["result"].as_str(), &document["rehearsal"]["refused"]),
        (Some("ok"), &Value::from(0))
    );
    assert!(document["rehearsal"]["events"].as_array().unwrap().len() > 10);
}

#[test]
fn zones_yaml_of_this_folder_is_taken_and_its_mistakes_are_told() {
    let dir = Dir::new();
    let zones = "version: 1
accounts: {default: {directory: letsencrypt, agree_terms: true}}
providers: {home: {rfc2136: {server: 192.0.2.1, tsig: {name: k, algorithm: hmac-sha256, secret: {file: none}}}}}
zones: {example.org: {provider: home}}
certificates: {mx: {names: [mx.example.org], keys: managed, tlsa: [_25._tcp.mx.example.org]}}
";
    std::fs::write(dir.path("zones.yaml"), zones).unwrap();
    let output = rehearse(&dir, &["--until", "2d", "--rotate", "mx"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("rehearsal of zones.yaml from"), "{told}");
    assert!(told.contains("rotation from key A to B") && told.contains("rotations      1\n"), "{told}");
    std::fs::write(dir.path("zones.yaml"), zones.replace("keys: managed", "keys: magic")).unwrap();
    assert_eq!(rehearse(&dir, &[]).status.code(), Some(78));
    std::fs::remove_file(dir.path("zones.yaml")).unwrap();
    for (words, code) in [
        (&["-c", "absent.yaml"][..], 78),
        (&["--until", "soon"], 64),
        (&["--until", "2026-11-22"], 64),
        (&["--providers", "other.yaml"], 64),
    ] {
        assert_eq!(rehearse(&dir, words).status.code(), Some(code), "{words:?}");
    }
}

/// Debug builds know how to leave the waiting out; then somebody must notice, and say how to see it again.
#[test]
fn without_the_waiting_a_seed_is_found_whose_refusal_is_told_with_its_last_steps() {
    let dir = Dir::new();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
        command.args(words).current_dir(&dir.0).env("DANESMITH_TEST_WITHOUT_WAITING", "1").output().unwrap()
    };
    let output = run(&["rehearse", "--from", "2026-11-23", "--runs", "50", "--until", "30d"]);
    let (told, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{told}\n{error}");
    assert!(
        told.contains("REFUSED with seed ") && error.contains("Nothing real was touched."),
        "{told}\n{error}"
    );
    let (_, steps) = told.split_once("The last steps before:\n").unwrap();
    let begins = |line: &&str| line.trim_start().starts_with("20") && line.len() > 20;
    assert_eq!(steps.lines().filter(begins).count(), 20, "{steps}");
    let trace = told.lines().find(|line| line.starts_with("trace ")).unwrap();
    assert_eq!(trace.len(), "trace ".len() + 64);

    // The command that it prints tells the same story.
    let (_, again) = error.split_once("the same again: danesmith ").unwrap();
    let again: Vec<&str> = again.lines().next().unwrap().split(' ').collect();
    let repeated = run(&again);
    assert_eq!(repeated.status.code(), Some(5));
    assert_eq!(text(&repeated.stdout), told);
}

/// In the middle of a rotation: the example's mx1, served with one key, the pin of the other ripe, both in DNS.
#[test]
fn from_state_begins_with_keys_pins_and_a_rotation_as_they_are_and_touches_nothing() {
    let dir = Dir::new();
    let owners = ["_25._tcp.mx1.example.org.", "_465._tcp.mx1.example.org."];
    let (a, b) = ("01".repeat(32), "02".repeat(32));
    let pin = |owner: &str, key: &str| json!({"owner": owner, "spki": key, "first_published": "2026-10-01T00:00:00Z", "seen_everywhere": "2026-10-01T00:10:00Z"});
    let certificate = |generation: u64, key: &str| {
        json!({"generation": generation, "names": ["*.example.org", "example.org"], "spki": key, "serial": format!("0{generation}"),
            "issuer": "CN=test", "certificate_id": "YQ.AQ", "not_before": "2026-10-20T00:00:00Z", "not_after": "2027-01-18T00:00:00Z"})
    };
    let pins: Vec<Value> = owners.iter().flat_map(|owner| [pin(owner, &a), pin(owner, &b)]).collect();
    let history: Vec<Value> = owners
        .iter()
        .map(|owner| json!({"owner": owner, "since": "2026-09-01T00:00:00Z", "target": owner, "ttls": [{"ttl": 3600}]}))
        .collect();
    let document = json!({
        "version": 1, "keys": {"active": a, "backup": b}, "installed": certificate(2, &b), "spare": certificate(1, &a),
        "pins": pins, "history": history, "serving_since": "2026-01-01T00:00:00Z", "renewals": 3,
        "rotation": {"phase": "deploying", "from": a, "to": b, "since": "2026-11-22T20:00:00Z"},
        "renewal_info": {"certificate_id": "YQ.AQ", "directory": "https://ca.example/dir", "ask_again": "2026-11-23T03:00:00Z"},
    });
    let folder = dir.path("elsewhere/certificates/mx1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("state.json"), document.to_string()).unwrap();
    std::os::unix::fs::symlink("generations/2", folder.join("live")).unwrap();
    let before = dir.read("elsewhere/certificates/mx1/state.json");

    let words = ["--from-state", "--state", "elsewhere", "--until", "60d", "--html", "page.html"];
    let output = rehearse(&dir, &words);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}\n{}", text(&output.stderr));
    for word in [
        "certificates there: mx1; without one there: mx2, mx3, mx4, www",
        "serves     key B is installed",
        "stands     A, B: in DNS",
        "rotation from key A to B is under way (deploying)",
        "rotated    key B is the active one",
        ", 0 refused",
    ] {
        let flat = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&word), "no `{word}` in:\n{told}");
    }
    let count =
        |word: &str| told.lines().filter(|line| line.contains("  mx1   ") && line.contains(word)).count();
    assert_eq!(count("  issued "), 0, "{told}");
    assert_eq!(text(&rehearse(&dir, &words).stdout), told, "the same moment, the same story");
    assert_eq!(dir.read("elsewhere/certificates/mx1/state.json"), before);
    assert!(text(&dir.read("page.html")).contains("key B is installed"));
}
