//! `rehearse` as it is typed: in an empty folder, without network.

use crate::dir::Dir;
use serde_json::Value;
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
    let document: Value = serde_json::from_str(&once("one.html", &["--json"])).unwrap();
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
        (&["--from-state", "--from", "2026-11-23"], 64),
    ] {
        assert_eq!(rehearse(&dir, words).status.code(), Some(code), "{words:?}");
    }
}

/// Debug builds know how to leave the waiting out; then somebody must notice, and say how to see it again.
#[test]
fn without_the_waiting_a_seed_is_found_whose_refusal_is_told_with_its_last_steps() {
    let dir = Dir::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
    let words = ["rehearse", "--from", "2026-11-23", "--runs", "50", "--until", "30d"];
    let output = command.args(words).current_dir(&dir.0).env("DANESMITH_TEST_WITHOUT_WAITING", "1").output();
    let output = output.unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{told}\n{}", text(&output.stderr));
    assert!(told.contains("REFUSED with seed ") && told.contains("The last steps before:"), "{told}");
    assert!(text(&output.stderr).contains("Nothing real was touched."));
}
