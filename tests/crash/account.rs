//! SIGKILL before and after every state-changing system call of a change of the account key: whichever key the CA knows, the
//! next command has it.

use crate::kill::sweep;
use crate::scene::{Scene, told};
use crate::sweeper::run;
use serde_json::Value;
use std::fs;

#[test]
fn a_change_of_the_account_key_survives_a_kill_before_every_change_on_disk() {
    sweep_rollover("kill before files, account key", &["--when", "before", "--files"]);
}

#[test]
fn a_change_of_the_account_key_survives_a_kill_after_every_change_on_disk() {
    sweep_rollover("kill after files, account key", &["--when", "after", "--files"]);
}

#[test]
fn a_change_of_the_account_key_survives_a_kill_before_every_message() {
    sweep_rollover("kill before network, account key", &["--when", "before", "--net"]);
}

fn sweep_rollover(what: &str, when: &[&str]) {
    let scene = Scene::new();
    let (url, mut key) = account(&scene, "register", what);
    scene.words.set(&["account", "rollover"]);
    let (mut taken, mut lost) = (0, 0);
    let statistics = sweep(
        what,
        &scene,
        &when[2..],
        || (),
        |aim| {
            key = account(&scene, "show", what).1; // the sweep's undisturbed runs change it, too
            let killed = run(&scene, &[&["kill"], aim, when].concat());
            let context = format!("{what} {aim:?}: {}", killed.call);
            // what the key is for goes on, with the one key or the other
            let (shown, now) = account(&scene, "show", &context);
            assert_eq!(shown, url, "{context}");
            if !killed.reached {
                assert_eq!(killed.code, Some(0), "{context}");
                assert_ne!(now, key, "{context}");
                return None;
            }
            if now == key {
                lost += 1
            } else {
                taken += 1
            }
            let (shown, next) = account(&scene, "rollover", &context);
            assert!(shown == url && next != key, "{context}: {shown} {next}");
            assert_eq!(account(&scene, "show", &context), (shown, next), "{context}");
            assert_eq!(keys(&scene), ["key.pem"], "{context}");
            Some(killed.shape)
        },
    );
    statistics.print(&format!("{taken} times the CA had the new key, {lost} times the former one"));
}

/// URL and thumbprint, as a command that must end well tells them.
fn account(scene: &Scene, word: &str, context: &str) -> (String, String) {
    let output = scene.lab.command("danesmith").args(["--json", "account", word]).output().unwrap();
    assert!(output.status.success(), "{context}: account {word}: {}", told(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |member: &str| told["account"][member].as_str().unwrap().to_owned();
    (text("url"), text("thumbprint"))
}

/// The key files of the account.
fn keys(scene: &Scene) -> Vec<String> {
    let mut folders = fs::read_dir(scene.state().join("accounts")).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut keys: Vec<_> = names.filter(|name| name.ends_with(".pem")).collect();
    keys.sort();
    keys
}
