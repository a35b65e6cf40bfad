//! TLSA records of the administrator's beside ours: never touched, and never left matching nothing.

use crate::post::{HOST, OWNER, Post, SHORT, TTL};
use crate::schedule::make_renewal_due;
use crate::support::{BIND, Daemon, KNOT, eventually};
use sha2::{Digest, Sha256, Sha512};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A site whose backup is ripe.
fn ripe(ttl: u32) -> Post {
    let post = Post::new();
    post.configure_with("keys: managed", SHORT, ttl);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(u64::from(ttl) + 1));
    post
}

/// The SubjectPublicKeyInfo of the first certificate in a file below `live`.
fn public_key(post: &Post, file: &str) -> Vec<u8> {
    let text = post.lab.read(&format!("state/certificates/mx/live/{file}"));
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
    X509Certificate::from_der(&pem.contents).unwrap().1.public_key().raw.to_vec()
}

fn edit(post: &Post, action: &str, ttl: &str, data: &str) {
    post.lab
        .update("foreign-key", "example.test", &[&format!("update {action} {OWNER} {ttl} TLSA {data}")])
        .unwrap();
    eventually(Duration::from_secs(90), "both servers have it", || {
        [BIND, KNOT].iter().all(|server| stands(post, server, data) == (action == "add"))
    });
}

fn add(post: &Post, data: &str) {
    edit(post, "add", &TTL.to_string(), data);
}

fn stands(post: &Post, server: &str, data: &str) -> bool {
    let plain = |text: &str| text.replace(' ', "").to_lowercase();
    post.lab.dig(server, OWNER, "TLSA").iter().any(|line| plain(line) == plain(data))
}

#[test]
fn a_record_of_the_issuing_ca_survives_a_rotation_and_matches_before_and_after() {
    let post = ripe(TTL);
    let (_, b) = post.keys();
    let issuer = format!("2 1 1 {}", hex::encode(Sha256::digest(public_key(&post, "chain.pem"))));
    add(&post, &issuer);
    let sender = post.lab.sender(&[HOST]).start();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    post.run(&["apply"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
    assert_eq!(
        issuer[6..],
        hex::encode(Sha256::digest(public_key(&post, "chain.pem"))),
        "the CA is the same"
    );
    for server in [BIND, KNOT] {
        assert!(stands(&post, server, &issuer), "{server} has lost the administrator's record");
        assert_eq!(post.pins(server).len(), 2);
    }
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

/// RFC 7671 §5.2.
#[test]
fn a_renewal_from_another_issuer_is_told_where_the_former_one_is_pinned() {
    let post = ripe(TTL);
    let issuer = format!("2 1 1 {}", hex::encode(Sha256::digest(public_key(&post, "chain.pem"))));
    add(&post, &issuer);
    make_renewal_due(&post);
    let run = post.run(&["apply"]).ends(0);
    assert_eq!(run.json["certificates"][0]["warnings"], serde_json::json!([]), "the same CA signed it");
    // pebble makes new keys when it starts, and knows no account
    post.lab.stop_daemon(Daemon::Pebble);
    post.lab.start_daemon(Daemon::Pebble);
    let registered = || post.run(&["account", "register"]).code == 0;
    eventually(Duration::from_secs(90), "the CA knows the account", registered);
    make_renewal_due(&post);
    let run = post.run(&["apply"]).ends(0);
    let warnings = run.json["certificates"][0]["warnings"].to_string();
    assert!(warnings.contains(&issuer) && warnings.contains("has its issuer changed?"), "{warnings}");
    assert!(stands(&post, BIND, &issuer), "whoever put it there removes it");
}

#[test]
fn a_record_of_another_ca_stops_the_rotation_and_is_named() {
    let post = ripe(TTL);
    let before = post.keys();
    let other = format!("2 1 1 {}", "5e".repeat(32));
    add(&post, &other);
    let words = ["would match nothing", &other, OWNER, "Mail is safe"];
    // its appearance was not watched: the waiting begins anew, and ends in a refusal that time does not heal
    post.run(&["rotate", "mx", "--wait"]).ends(5).says(&words);
    assert_eq!(post.keys(), before);
    assert!(post.document()["rotation"].is_null());
    assert!(stands(&post, BIND, &other));
    edit(&post, "delete", "", &other);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.keys().0, before.1);
}

#[test]
fn a_withdrawn_record_of_the_old_key_is_waited_for_as_caches_hold_it() {
    let ttl = 15;
    let post = ripe(ttl);
    let (a, b) = post.keys();
    // RFC 7671 §9: a sender that knows SHA-512 looks at no record with SHA-256 beside it
    let old = format!("3 1 2 {}", hex::encode(Sha512::digest(public_key(&post, "cert.pem"))));
    edit(&post, "add", &ttl.to_string(), &old);
    post.run(&["rotate", "mx", "--wait"]).ends(5).says(&["would match nothing", &old]);
    assert_eq!(post.keys(), (a, b.clone()));
    post.lab.flush_resolver();
    assert_eq!(post.lab.warm_resolver(HOST, 25), 3);
    let sender = post.lab.sender(&[HOST]).start();
    edit(&post, "delete", "", &old);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(summary.messages.len() > 8);
}
