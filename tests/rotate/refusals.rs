//! What `rotate` refuses: exit 5, the reason, the earliest time where time heals it; nothing that senders see changes.

use crate::post::{Post, Run, SHORT, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::{BIND, Daemon, ROOT, eventually};
use jiff::Timestamp;
use serde_json::Value;
use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A site whose backup is ripe.
pub(crate) fn ripe() -> Post {
    ripened(Post::new())
}

/// The same of another site.
pub(crate) fn ripened(post: Post) -> Post {
    post.configure("keys: managed", SHORT);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(3));
    post
}

/// The time from which the refusal says that it may succeed, so many seconds from now; it is told to the minute.
#[track_caller]
pub(crate) fn promised(run: &Run, seconds: RangeInclusive<i64>) {
    let words = run.stderr.split_once("it may succeed from ").map(|(_, rest)| rest);
    let words = words.unwrap_or_else(|| panic!("no time in:\n{}", run.stderr));
    let (date, rest) = words.split_at(10);
    let time: Timestamp =
        format!("{date}T{}:00Z", &rest[1..6]).parse().unwrap_or_else(|e| panic!("{e}: {words}"));
    assert!(rest[6..].starts_with(" UTC on"), "{words}");
    let away = time.duration_since(Timestamp::now()).as_secs();
    // rounded up to the minute, and read a few seconds after it was said
    let (from, to) = (seconds.start() - 30, seconds.end() + 60);
    assert!((from..=to).contains(&away), "{away} s from now, not {from} to {to}: {words}");
}

/// Whether no pin's clock runs.
pub(crate) fn clocks_stand(post: &Post) -> bool {
    post.document()["pins"].as_array().unwrap().iter().all(|pin| pin["seen_everywhere"].is_null())
}

/// Nothing happened.
#[track_caller]
pub(crate) fn untouched(post: &Post, before: &Value) {
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
    let run = post.run(&["rotate", "mx"]).ends(5).says(&["127.0.0.12", "could not be seen"]);
    promised(&run, 0..=5);
    post.lab.resume(Daemon::Knot);
    untouched(&post, &before);
    assert!(clocks_stand(&post), "{:#}", post.document());
    post.configure("keys: managed", "{ttls: 1, slack: 1h, ttl_floor: 0}");
    let run = post.run(&["rotate", "mx"]).ends(5).says(&["is not ripe before"]);
    promised(&run, 3590..=3605);
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
    eventually(Duration::from_secs(90), "the root is back", || lab.answers(ROOT, "example.test", "DS"));
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
    let words = ["bogus", "no DS of `example.test.` at its parent matches"];
    promised(&post.run(&["rotate", "mx"]).ends(5).says(&words), 0..=5);
    untouched(&post, &before);
    assert!(clocks_stand(&post), "{:#}", post.document());
    redelegate(&post, Some(&format!("DS {}", right[0])));
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

#[test]
fn a_zone_that_is_signed_no_more_stops_the_rotation_and_the_clock() {
    let post = ripe();
    let before = post.document();
    let right = post.lab.dig(ROOT, "example.test", "DS");
    redelegate(&post, None);
    let words = ["is not secured by DNSSEC", "have its DS at the parent", "dnssec: unsigned-ok"];
    promised(&post.run(&["rotate", "mx"]).ends(5).says(&words), 0..=5);
    untouched(&post, &before);
    assert!(clocks_stand(&post), "{:#}", post.document());
    // signed again, the waiting begins anew
    post.configure("keys: managed", "{ttls: 1, slack: 10m, ttl_floor: 0}");
    promised(&post.run(&["rotate", "mx"]).ends(5).says(&words), 590..=605);
    post.configure("keys: managed", SHORT);
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
    promised(&post.run(&["rotate", "mx"]).ends(5).says(&words), 0..=0);
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
    let written: Timestamp = "2126-11-23T00:00:00Z".parse().unwrap();
    let away = written.duration_since(Timestamp::now()).as_secs();
    let run = post.run(&["rotate", "mx"]).ends(5).says(&["the clock went back", "2126-11-23"]);
    promised(&run, away - 60..=away);
    assert_eq!(post.document(), later, "not a byte was written");
    fs::write(&path, before.to_string()).unwrap();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

#[test]
fn a_backup_of_which_only_the_digest_or_the_public_key_is_known_waits_for_its_csr() {
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
    let rotation = SHORT;
    post.configure(&digest, rotation);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(3));
    let run =
        post.run(&["rotate", "mx"]).ends(5).says(&["only the digest or public key is known", "give its CSR"]);
    promised(&run, 0..=5);
    // the public key tells as much: it is pinned, and no certificate can be asked for
    post.lab.run("sh", &["-c", "openssl pkey -in b.key -pubout -out b.pub"]);
    post.configure("keys: {active: {key: a.key}, backup: {public_key: b.pub}}", rotation);
    post.run(&["apply"]).ends(0);
    assert!(post.pins(BIND).contains(&b.trim().to_owned()), "{:?}", post.pins(BIND));
    let run =
        post.run(&["rotate", "mx"]).ends(5).says(&["only the digest or public key is known", "give its CSR"]);
    promised(&run, 0..=5);
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
