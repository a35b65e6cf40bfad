//! An ECDSA and an RSA certificate at one owner name, in one file that Postfix serves (RFC 7671 §8.1 asks for the pins of
//! both). Postfix as a sender takes ECDSA, Exim takes RSA.

use crate::oracles::all_match;
use crate::post::{HOST, OWNER, Post, TTL, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::sender::{Client, Level, Verdict};
use crate::support::{BIND, KNOT, eventually};
use serde_json::Value;
use std::time::{Duration, Instant};

const BOTH: [MailServer; 2] = [MailServer::Mx1, MailServer::Mx2];
/// The RSA keys before any rotation.
const FIRST: &str = "{active: {key: r1.key}, backup: {key: r2.key}}";

const SHORT: &str = "{ttls: 2, slack: 1s, ttl_floor: 1}";

/// zones.yaml with both certificates; the RSA keys are the administrator's, since danesmith makes none. "" leaves RSA out.
fn configure(post: &Post, rsa: &str, rotation: &str) {
    configure_with(post, rsa, rotation, TTL);
}

/// The same, with another TTL of the TLSA records.
pub(crate) fn configure_with(post: &Post, rsa: &str, rotation: &str, ttl: u32) {
    let reload = post.lab.reload_command(&BOTH).join(", ");
    let common = format!(
        "    names: [{HOST}]
    tlsa: [{OWNER}]
    rotation: {rotation}
    deploy: {{dir: tls, reload: [{reload}]}}
"
    );
    let ec = format!("  ec:\n    keys: managed\n{common}");
    let rsa = if rsa.is_empty() { String::new() } else { format!("  rsa:\n    keys: {rsa}\n{common}") };
    post.write_zones(ttl, &(ec + &rsa));
}

fn site() -> Post {
    site_with(3)
}

/// Both servers take the file with both chains; the RSA keys r1, r2, … are there.
pub(crate) fn site_with(rsa_keys: usize) -> Post {
    let post = Post::new();
    for number in 1..=rsa_keys {
        let out = format!("r{number}.key");
        post.lab.run(
            "openssl",
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &out],
        );
    }
    configure(&post, FIRST, SHORT);
    let chains = post.lab.dir().join("tls/chains.pem");
    for server in BOTH {
        post.lab.set_chain(server, &[&chains]);
    }
    post
}

fn presented(post: &Post, algorithm: Algorithm) -> Vec<Option<String>> {
    BOTH.iter().map(|server| post.lab.presented(*server, algorithm)).collect()
}

/// What a rotation of the other certificate must not change.
fn untouched(document: &Value) -> Value {
    serde_json::json!([document["keys"], document["installed"], document["pins"], document["rotation"]])
}

#[test]
fn two_algorithms_rotate_one_after_the_other_and_each_leaves_the_other_alone() {
    let post = site();
    let mut first = post.spawn(&["apply"]);
    let mut seen = Vec::new();
    while first.try_wait().unwrap().is_none() {
        seen.push(post.pins(BIND));
    }
    assert!(first.wait().unwrap().success(), "{:#}", post.run(&["apply"]).json);
    let (ec1, ec2) = post.keys_of("ec");
    let (r1, r2, r3) = (post.digest_of("r1"), post.digest_of("r2"), post.digest_of("r3"));
    let mut pinned = seen.iter().filter(|pins| !pins.is_empty());
    let both = pinned.all(|pins| pins.contains(&ec1) && pins.contains(&r1));
    assert!(both, "what is presented is pinned together, from the first moment on: {seen:?}");
    assert!(seen.iter().any(Vec::is_empty), "somebody looked before");
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&ec1, &ec2, &r1, &r2]));
    }
    assert_eq!(presented(&post, Algorithm::Ecdsa), vec![Some(ec1.clone()); 2]);
    assert_eq!(presented(&post, Algorithm::Rsa), vec![Some(r1.clone()); 2]);
    post.lab.flush_resolver();
    let everybody = |when| all_match(&post, &BOTH, &["ecdsa", "rsa"], when);
    everybody("before");
    let fingers = [Client::Finger(Algorithm::Ecdsa, 25), Client::Finger(Algorithm::Rsa, 25)];
    let sender = post.lab.sender(&[HOST]).probing(&fingers).start();

    let other = untouched(&post.document_of("rsa"));
    post.lab.hold(MailServer::Mx2);
    let run = post.spawn(&["rotate", "ec", "--wait"]);
    eventually(Duration::from_secs(60), "one server presents the new key", || {
        presented(&post, Algorithm::Ecdsa) == [Some(ec2.clone()), Some(ec1.clone())]
    });
    everybody("while one server is late");
    post.lab.release(MailServer::Mx2);
    assert!(post.ends_within(run, Duration::from_secs(60)));
    post.run(&["apply"]).ends(0);
    assert_eq!(untouched(&post.document_of("rsa")), other);
    let (active, ec3) = post.keys_of("ec");
    assert_eq!(active, ec2);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&ec2, &ec3, &r1, &r2]));
    }
    assert_eq!(presented(&post, Algorithm::Ecdsa), vec![Some(ec2.clone()); 2]);
    assert_eq!(presented(&post, Algorithm::Rsa), vec![Some(r1.clone()); 2]);

    let other = untouched(&post.document_of("ec"));
    everybody("after the rotation of the ECDSA key");
    post.run(&["rotate", "rsa", "--wait"]).ends(0);
    everybody("after the rotation of the RSA key");
    configure(&post, "{active: {key: r2.key}, backup: {key: r3.key}}", SHORT);
    post.run(&["apply"]).ends(0);
    assert_eq!(untouched(&post.document_of("ec")), other);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&ec2, &ec3, &r2, &r3]));
    }
    assert_eq!(presented(&post, Algorithm::Ecdsa), vec![Some(ec2.clone()); 2]);
    assert_eq!(presented(&post, Algorithm::Rsa), vec![Some(r2.clone()); 2]);

    std::thread::sleep(Duration::from_secs(2));
    let summary = sender.stop();
    println!("{:#}", summary.json());
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(
        fingers.iter().chain(&[Client::Postfix, Client::Exim]).all(|client| summary.sent_by(*client) > 4)
    );
    // ours were added and removed one by one; nobody ever removed the other certificate's
    let journal = post.lab.run("named-journalprint", &["bind/example.test.db.jnl"]).to_lowercase();
    let lines: Vec<String> = journal.lines().map(|line| line.replace(char::is_whitespace, "")).collect();
    let removed = |key: &str| lines.iter().any(|line| line.starts_with("del") && line.contains(key));
    assert!(removed(&ec1) && removed(&r1), "the journal tells what was removed");
    assert!(![&ec2, &ec3, &r2, &r3].iter().any(|key| removed(key)));
}

#[test]
fn a_second_algorithm_joins_without_a_failed_delivery() {
    let post = site();
    configure(&post, "", SHORT);
    post.run(&["apply"]).ends(0);
    let (ec1, ec2) = post.keys_of("ec");
    let (r1, r2) = (post.digest_of("r1"), post.digest_of("r2"));
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&ec1, &ec2]));
    }
    assert_eq!(presented(&post, Algorithm::Rsa), vec![None; 2]);
    let sender = post.lab.sender(&[HOST]).probing(&[Client::Finger(Algorithm::Ecdsa, 25)]).start();

    configure(&post, FIRST, "{slack: 1h}");
    post.run(&["plan"]).ends(0);
    let run = post.run(&["apply", "--detailed-exitcode"]).ends(3);
    let rsa = run.json["certificates"].as_array().unwrap().iter().find(|c| c["name"] == "rsa").unwrap();
    assert!(rsa["why"].to_string().contains("beside others that are pinned"), "{rsa:#}");
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&ec1, &ec2, &r1, &r2]), "the pins come first");
    }
    assert_eq!(presented(&post, Algorithm::Rsa), vec![None; 2]);
    configure(&post, FIRST, SHORT);
    post.run(&["apply", "--wait"]).ends(0);
    // Postfix answers `reload` before its processes are new ones
    let both = || [Algorithm::Ecdsa, Algorithm::Rsa].map(|algorithm| presented(&post, algorithm));
    let begin = Instant::now();
    while both() != [vec![Some(ec1.clone()); 2], vec![Some(r1.clone()); 2]] {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", both());
        std::thread::sleep(Duration::from_millis(100));
    }
    post.run(&["apply", "--detailed-exitcode"]).ends(0);

    std::thread::sleep(Duration::from_secs(3));
    for client in [Client::Finger(Algorithm::Rsa, 25), Client::Exim, Client::Postfix] {
        let verdict = post.lab.send(client, Level::Mandatory, HOST);
        assert_eq!(verdict, Verdict::Verified, "{client:?}");
    }
    let summary = sender.stop();
    println!("{:#}", summary.json());
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}
