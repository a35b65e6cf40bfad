//! Backup keys that come later, and others in their place.

use crate::post::{HOST, Post, SHORT, set};
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT, eventually};
use std::time::Duration;

const LONG: &str = "{ttls: 1, slack: 1h, ttl_floor: 0}";

#[test]
fn a_site_with_one_key_is_given_a_backup_and_rotates_to_it_when_its_pin_is_ripe() {
    let post = Post::new();
    let (a, b) = (post.key_file("a"), post.key_file("b"));
    post.configure("keys: {active: {key: a.key}}", LONG);
    post.run(&["apply"]).ends(0);
    assert_eq!(post.pins(BIND), [a.as_str()]);
    post.run(&["rotate", "mx"]).ends(5).says(&["there is no backup key"]);
    let sender = post.lab.sender(&[HOST]).start();

    let both = "keys: {active: {key: a.key}, backup: {key: b.key}}";
    post.configure(both, LONG);
    post.run(&["apply"]).ends(0);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&a, &b]));
    }
    let clock = |key: &str| {
        let pins = post.document()["pins"].clone();
        let pin = pins.as_array().unwrap().iter().find(|p| p["spki"] == key).cloned().unwrap_or_default();
        pin["seen_everywhere"].as_str().unwrap_or_default().to_owned()
    };
    assert!(clock(&b) > clock(&a), "the new pin has a clock of its own: {:#}", post.document()["pins"]);
    post.run(&["rotate", "mx"]).ends(5).says(&["is not ripe before", &b]);
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);

    post.configure(both, SHORT);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), [b.as_str()], "the former key is retired, a new backup is asked for");
    }
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

#[test]
fn a_managed_backup_beside_the_administrators_key_is_rotated_to_and_followed_by_the_next() {
    let post = Post::new();
    let a = post.key_file("a");
    post.configure("keys: {active: {key: a.key}, backup: managed}", SHORT);
    post.run(&["apply"]).ends(0);
    let (active, made) = post.keys();
    assert_eq!(active, a);
    assert_eq!(post.pins(BIND), set(&[&a, &made]));
    let run = post.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.json["certificates"][0]["outcome"], "unchanged");

    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(made.clone()), Some(made.clone())]);
    let (active, next) = post.keys();
    assert_eq!(active, made, "whatever stands as `active` in zones.yaml");
    assert!(next != a && next != made && !next.is_empty(), "{next}");
    post.run(&["apply"]).ends(0);
    for server in [BIND, KNOT] {
        eventually(Duration::from_secs(90), "the next backup is pinned", || {
            post.pins(server) == set(&[&made, &next])
        });
    }
    post.run(&["apply", "--detailed-exitcode"]).ends(0);
}

#[test]
fn the_pin_of_a_lost_backup_goes_only_when_nobody_presents_its_key() {
    let post = Post::new();
    let (a, b, c) = (post.key_file("a"), post.key_file("b"), post.key_file("c"));
    post.configure("keys: {active: {key: a.key}, backup: {key: b.key}}", SHORT);
    post.run(&["apply"]).ends(0);
    assert_eq!(post.pins(BIND), set(&[&a, &b]));
    let sender = post.lab.sender(&[HOST]).start();
    // the administrator has put b on one server by hand: its pin is ripe, mail goes on
    std::thread::sleep(Duration::from_secs(3));
    post.lab.run(
        "openssl",
        &["req", "-x509", "-new", "-key", "b.key", "-days", "9", "-subj", "/CN=mx", "-out", "b.crt"],
    );
    let by_hand = post.lab.dir().join("b.pem");
    std::fs::write(&by_hand, post.lab.read("b.key") + &post.lab.read("b.crt")).unwrap();
    post.lab.set_chain(MailServer::Mx2, &[&by_hand]);
    post.lab.reload(MailServer::Mx2);
    let presents = |key: &str| {
        eventually(Duration::from_secs(90), "the second server presents it", || {
            post.presented()[1].as_deref() == Some(key)
        });
    };
    presents(&b);

    post.configure("keys: {active: {key: a.key}, backup: {key: c.key}}", SHORT);
    post.run(&["apply"]).ends(0);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&a, &b, &c]), "b is presented: its pin stays");
    }
    std::thread::sleep(Duration::from_secs(3));
    post.run(&["rotate", "mx"]).ends(5).says(&["neither the active nor the backup key", &b]);

    let live = post.lab.dir().join("state/certificates/mx/live/keyandchain.pem");
    post.lab.set_chain(MailServer::Mx2, &[&live]);
    post.lab.reload(MailServer::Mx2);
    presents(&a);
    post.run(&["apply"]).ends(0);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&a, &c]), "nobody presents b any more");
    }
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(c.clone()), Some(c.clone())]);
    assert_eq!(post.pins(BIND), [c.as_str()]);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}
