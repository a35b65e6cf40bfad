//! What `rotate` refuses: exit 5, the reason, the earliest time where time heals it; nothing that senders see changes.

use crate::post::{Post, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::{BIND, Daemon, ROOT, eventually};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// A site whose backup is ripe.
fn ripe() -> Post {
    let post = Post::new();
    post.configure("keys: managed", "{ttls: 1, slack: 0s, ttl_floor: 0}");
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(3));
    post
}

/// Nothing happened.
#[track_caller]
fn untouched(post: &Post, before: &Value) {
    let now = post.document();
    assert_eq!(now["keys"], before["keys"]);
    assert_eq!(now["installed"], before["installed"]);
    assert!(now["rotation"].is_null(), "{now:#}");
    let (a, b) = post.keys();
    assert_eq!(post.pins(BIND), set(&[&a, &b]));
}

#[test]
fn a_name_server_that_is_silent_stops_the_rotation_and_the_clock() {
    let post = ripe();
    let before = post.document();
    post.lab.freeze(Daemon::Knot);
    post.run(&["rotate", "mx"]).ends(5).says(&["127.0.0.12", "could not be seen", "it may succeed from"]);
    post.lab.resume(Daemon::Knot);
    untouched(&post, &before);
    let clocks = post.document()["pins"].clone();
    assert!(clocks.as_array().unwrap().iter().all(|p| p["seen_everywhere"].is_null()), "{clocks:#}");
    post.configure("keys: managed", "{ttls: 1, slack: 1h, ttl_floor: 0}");
    post.run(&["rotate", "mx"]).ends(5).says(&["is not ripe before"]);
}

/// What the parent says of the zone is other than it was: another DS, or none.
fn redelegate(post: &Post, ds: Option<&str>) {
    let lab = &post.lab;
    let path = lab.dir().join("bind/root.db");
    let text = fs::read_to_string(&path).unwrap();
    let others = text.lines().filter(|line| !(line.starts_with("example.test.") && line.contains(" DS ")));
    let lines: Vec<_> = others.map(str::to_owned).chain(ds.map(|ds| format!("example.test. {ds}"))).collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let sign = "cd rootkey && dnssec-signzone -q -S -z -K . -o . -f ../bind/root.signed ../bind/root.db";
    lab.run("sh", &["-c", sign]);
    lab.stop_daemon(Daemon::Root);
    lab.start_daemon(Daemon::Root);
    eventually(Duration::from_secs(10), "the root is back", || lab.answers(ROOT, "example.test", "DS"));
    lab.flush_resolver();
}

#[test]
fn a_zone_that_nobody_can_validate_any_more_stops_the_rotation_and_the_clock() {
    let post = ripe();
    let before = post.document();
    let right = post.lab.dig(ROOT, "example.test", "DS");
    redelegate(&post, Some(&format!("DS 12345 13 2 {:064}", 0)));
    post.run(&["apply"]).ends(5).says(&[
        "no validator believes",
        "matches a DNSKEY",
        "defer mail to this host",
    ]);
    let words = ["bogus", "no DS of `example.test.` at its parent matches", "it may succeed from"];
    post.run(&["rotate", "mx"]).ends(5).says(&words);
    untouched(&post, &before);
    let clocks = post.document()["pins"].clone();
    assert!(clocks.as_array().unwrap().iter().all(|p| p["seen_everywhere"].is_null()), "{clocks:#}");
    redelegate(&post, Some(&format!("DS {}", right[0])));
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

#[test]
fn a_zone_that_is_signed_no_more_stops_the_rotation() {
    let post = ripe();
    let before = post.document();
    let right = post.lab.dig(ROOT, "example.test", "DS");
    redelegate(&post, None);
    let words = ["is not secured by DNSSEC", "have its DS at the parent", "dnssec: unsigned-ok"];
    post.run(&["rotate", "mx"]).ends(5).says(&words);
    untouched(&post, &before);
    redelegate(&post, Some(&format!("DS {}", right[0])));
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

#[test]
fn a_server_with_a_third_key_stops_the_rotation() {
    let post = ripe();
    let before = post.document();
    let third = post.lab.mail_key("third", Algorithm::Ecdsa);
    post.lab.present(MailServer::Mx2, &[&third]);
    // Nothing is called safe here: what validates DANE defers mail to that server already.
    let words = ["neither the active nor the backup key", "127.0.0.26", &third.spki, "Nothing was changed"];
    post.run(&["rotate", "mx"]).ends(5).says(&words);
    untouched(&post, &before);
    let status = post.run(&["status"]).ends(0).json;
    assert_eq!(status["certificates"][0]["last_run"]["end"], "done", "apply has not failed: {status:#}");
}

#[test]
fn a_clock_before_the_last_entry_stops_everything() {
    let post = ripe();
    let before = post.document();
    let mut later = before.clone();
    later["written"] = "2126-11-23T00:00:00Z".into();
    let path = post.lab.dir().join("state/certificates/mx/state.json");
    fs::write(&path, later.to_string()).unwrap();
    post.run(&["rotate", "mx"]).ends(5).says(&["the clock went back", "2126-11-23", "it may succeed from"]);
    assert_eq!(post.document(), later, "not a byte was written");
    fs::write(&path, before.to_string()).unwrap();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

#[test]
fn a_backup_of_which_only_the_digest_is_known_waits_for_its_csr() {
    let post = Post::new();
    for name in ["a", "b"] {
        post.lab.run("danesmith", &["keys", "new", "--out", &format!("{name}.key")]);
    }
    post.lab
        .run("danesmith", &["keys", "csr", "--key", "b.key", "--name", crate::post::HOST, "--out", "b.csr"]);
    let b = post.lab.run(
        "sh",
        &["-c", "openssl pkey -in b.key -pubout -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1"],
    );
    let digest = format!("keys: {{active: {{key: a.key}}, backup: {{spki_sha256: {}}}}}", b.trim());
    let rotation = "{ttls: 1, slack: 0s, ttl_floor: 0}";
    post.configure(&digest, rotation);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(3));
    post.run(&["rotate", "mx"]).ends(5).says(&["only the digest or public key is known", "give its CSR"]);
    let chain = post.lab.dir().join("by-hand.pem");
    post.configure("keys: {active: {key: a.key}, backup: {csr: b.csr}}", rotation);
    for server in [MailServer::Mx1, MailServer::Mx2] {
        post.lab.set_chain(server, &[&chain]);
    }
    fs::copy(post.lab.dir().join("state/certificates/mx/live/keyandchain.pem"), &chain).unwrap();
    // the mail host has the backup's private key, danesmith only its CSR: somebody carries the chain there
    let mut run = post.spawn(&["rotate", "mx", "--wait"]);
    // the document comes first, the link to the generation after it
    let live = "state/certificates/mx/live/cert.pem";
    eventually(Duration::from_secs(60), "the chain for the backup key is there", || {
        post.document()["installed"]["spki"] == b.trim()
            && post.lab.run("danesmith", &["tlsa", live]).contains(b.trim())
    });
    assert!(run.try_wait().unwrap().is_none(), "it waits for the servers");
    let full = post.lab.read("state/certificates/mx/live/fullchain.pem");
    fs::write(&chain, post.lab.read("b.key") + &full).unwrap();
    for server in [MailServer::Mx1, MailServer::Mx2] {
        post.lab.reload(server);
    }
    assert!(post.ends_within(run, Duration::from_secs(60)));
    assert_eq!(post.presented(), [Some(b.trim().to_owned()), Some(b.trim().to_owned())]);
    assert_eq!(post.pins(BIND), set(&[b.trim()]), "the former key's pin is gone, a new backup is asked for");
    post.run(&["rotate", "mx"]).ends(5).says(&["there is no backup key"]);
    // zones.yaml may name the keys in either order now; a new backup is pinned
    post.lab.run("danesmith", &["keys", "new", "--out", "c.key"]);
    post.configure("keys: {active: {csr: b.csr}, backup: {key: c.key}}", rotation);
    post.run(&["apply"]).ends(0);
    assert_eq!(post.pins(BIND).len(), 2);
}
