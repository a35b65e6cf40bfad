//! A leaked key, and a host that will not come back.

use crate::post::{HOST, Post, SHORT, TTL, set};
use crate::support::mail::MailServer;
use crate::support::sender::Verdict;
use crate::support::{BIND, Daemon, KNOT, eventually};
use serde_json::json;
use std::time::Duration;

#[test]
fn an_emergency_with_a_ripe_backup_is_an_ordinary_rotation() {
    let post = Post::new();
    post.configure("keys: managed", SHORT);
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let first = ["rotate mx --emergency", "revoke mx --retired --reason key-compromise"];
    post.run(&["revoke", "mx", "--reason", "key-compromise"]).ends(5).says(&first);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    let sender = post.lab.sender(&[HOST]).start();
    let run = post.run(&["rotate", "mx", "--emergency", "--wait"]).ends(0);
    let changes = run.json["certificates"][0]["changes"].to_string();
    assert!(changes.contains("can be replayed until its last signature ends"), "{changes}");
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
    assert!(!post.pins(BIND).contains(&a));

    // Nothing serves or pins the leaked key any more: now the CA may hear of it, and its own signature proves the leak.
    let run = post.run(&["revoke", "mx", "--retired", "--reason", "key-compromise"]).ends(0);
    let revoked = &run.json["revoked"];
    assert_eq!((revoked.as_array().unwrap().len(), &revoked[0]["spki"]), (1, &json!(a)), "{revoked:#}");
    assert_eq!(revoked[0]["signed_by"], "certificate-key");
    let serial = revoked[0]["serial"].as_str().unwrap();
    let told = post.lab.certificate_at_the_ca(serial);
    assert_eq!((&told["Status"], &told["Reason"]), (&json!("Revoked"), &json!(1)), "{told:#}");
    post.run(&["apply", "--detailed-exitcode"]).ends(0);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

#[test]
fn an_emergency_with_an_unripe_backup_defers_mail_for_one_ttl_at_most_and_only_when_told_to() {
    /// Seconds; longer than danesmith takes from the publication to the switch.
    const TTL: u32 = 40;
    let post = Post::new();
    let (a, b) = (post.key_file("a"), post.key_file("b"));
    let policy = "{ttls: 1, slack: 1s, ttl_floor: 0}";
    post.configure_with("keys: {active: {key: a.key}}", policy, TTL);
    post.run(&["apply"]).ends(0);
    post.configure_with("keys: {active: {key: a.key}, backup: {key: b.key}}", policy, TTL);
    post.lab.flush_resolver();
    assert_eq!(post.lab.warm_resolver(HOST, 25), 1, "a cache knows the first key alone");
    let mut sender = post.lab.sender(&[HOST]).start();
    post.run(&["apply"]).ends(0);

    let costs = [
        "no safe choice",
        "(1) keep the leaked key until",
        "(2) switch now",
        "each for at most 40 s",
        "--switch-now",
        "Removing the TLSA",
    ];
    post.run(&["rotate", "mx", "--emergency"]).ends(5).says(&costs);
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())], "nothing happened");
    assert!(post.document()["rotation"].is_null());

    post.run(&["rotate", "mx", "--emergency", "--switch-now", "--wait"]).ends(0);
    sender.note("switched");
    let switched = sender.elapsed();
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert_eq!(post.pins(BIND), [b.as_str()], "the leaked key is not pinned any more");
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 10));
    let summary = sender.stop();
    println!("{:#}", summary.json());
    let failures = summary.failures();
    assert!(!failures.is_empty(), "the cache knew the old key alone: the test sees nothing");
    assert!(failures.iter().all(|m| matches!(m.verdict, Verdict::Deferred(_))), "{:#}", summary.json());
    // a TTL, the policy's second, and one for the message under way
    let end = switched + Duration::from_secs(u64::from(TTL) + 2);
    assert!(failures.iter().all(|m| m.at < end), "{:#}", summary.json());
    let later = summary.messages.iter().filter(|m| m.at > end);
    assert!(later.count() > 4, "mail goes on afterwards");
}

#[test]
fn a_host_is_left_out_only_after_its_address_has_gone_and_its_ttl_has_passed() {
    let post = Post::new();
    let endpoints = "endpoints: ['smtp://mx1.example.test:25', 'smtp://mx2.example.test:25']";
    let rotation = format!("rotation: {SHORT}");
    let lines = ["keys: managed", endpoints, &rotation, "deploy: {reload: RELOAD}"];
    post.configure_mx(&[MailServer::Mx1, MailServer::Mx2], TTL, &lines);
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    post.run(&["rotate", "mx", "--gone", "mx2.example.test"])
        .ends(5)
        .says(&["its name still has addresses", "Nothing was changed"]);
    post.run(&["rotate", "mx", "--gone", "mx9.example.test"])
        .ends(64)
        .says(&["mx1.example.test, mx2.example.test"]);
    assert!(post.document()["gone"].is_null() && post.document()["rotation"].is_null());

    post.lab.delete_record("example.test", "mx2.example.test", "A", "127.0.0.26");
    post.lab.delete_record("example.test", HOST, "A", "127.0.0.26");
    eventually(Duration::from_secs(90), "no server has the address", || {
        [BIND, KNOT].iter().all(|server| post.lab.dig(server, "mx2.example.test", "A").is_empty())
    });
    post.lab.flush_resolver();
    post.lab.stop_daemon(Daemon::Mail(MailServer::Mx2));
    let sender = post.lab.sender(&[HOST]).start();
    // the reload command of a server that is gone goes, too
    post.configure_mx(&[MailServer::Mx1], TTL, &lines);
    // Of an hour, so that this run does not just wait for it.
    post.edit_document(|document| document["address_ttls"]["mx2.example.test"] = json!(3600));
    post.run(&["rotate", "mx", "--gone", "MX2.example.test."]).ends(0);
    let gone = post.document()["gone"].clone();
    assert_eq!(gone[0]["host"], "mx2.example.test", "{gone:#}");
    let from: jiff::Timestamp = gone[0]["from"].as_str().unwrap().parse().unwrap();
    // the TTL of its address records was seen when it was probed; a day counts where it was not
    let ttl = post.document()["address_ttls"]["mx2.example.test"].as_i64().unwrap();
    let left = from.duration_since(jiff::Timestamp::now()).as_secs();
    assert!(left <= ttl && left > ttl - 60, "{left} s of {ttl} s");
    let status = post.status();
    assert!(status.contains("mx2.example.test, left out from"), "{status}");
    let run = post.run(&["apply", "--detailed-exitcode"]).ends(3);
    let why = run.json["certificates"][0]["why"].to_string();
    assert!(why.contains("mx2.example.test"), "{why}");
    assert_eq!(post.pins(BIND), set(&[&a, &b]), "caches may know its address until then");

    post.edit_document(|document| {
        document["gone"] = json!([{"host": "mx2.example.test", "from": "2026-01-01T00:00:00Z"}])
    });
    post.run(&["apply"]).ends(0);
    let (active, c) = post.keys();
    assert_eq!(active, b);
    assert!(post.document()["rotation"].is_null());
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&b, &c]));
    }
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}
