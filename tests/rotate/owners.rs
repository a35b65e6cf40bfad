//! One certificate with several owner names, some of them aliases into other names and zones (RFC 7671 §6).

use crate::post::{HOST, Post, SHORT, TTL, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::sender::Client;
use crate::support::{BIND, KNOT, eventually};
use std::time::Duration;

/// Where records stand: the second and third owner are aliases of the first two of these.
const TARGETS: [&str; 3] =
    ["_25._tcp.mx.example.test", "_587._tcp.pins.acme.test", "_465._tcp.mx1.example.test"];
const ALIASES: [(&str, &str); 2] =
    [("_465._tcp.mx.example.test", TARGETS[0]), ("_587._tcp.mx.example.test", TARGETS[1])];

fn configure(post: &Post, rotation: &str) {
    let reload = post.lab.reload_command(&[MailServer::Mx1, MailServer::Mx2]).join(", ");
    post.write_zones(
        TTL,
        &format!(
            "  mx:
    names: [{HOST}, mx1.example.test]
    keys: managed
    tlsa: [{}, {}, {}, {}]
    rotation: {rotation}
    deploy: {{reload: [{reload}]}}
",
            TARGETS[0], ALIASES[0].0, ALIASES[1].0, TARGETS[2]
        ),
    );
}

fn alias(post: &Post, owner: &str, target: &str) {
    let lines = [format!("update delete {owner} CNAME"), format!("update add {owner} {TTL} CNAME {target}.")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    post.lab.update("foreign-key", "example.test", &lines).unwrap();
    eventually(Duration::from_secs(90), "both servers have the alias", || {
        [BIND, KNOT].iter().all(|server| post.lab.dig(server, owner, "CNAME") == [format!("{target}.")])
    });
}

fn site() -> Post {
    let post = Post::new();
    configure(&post, SHORT);
    for (owner, target) in ALIASES {
        alias(&post, owner, target);
    }
    post.lab.flush_resolver();
    post.run(&["apply"]).ends(0);
    post
}

#[track_caller]
fn pinned(post: &Post, owners: &[&str], keys: &[&str]) {
    for owner in owners {
        for server in [BIND, KNOT] {
            assert_eq!(post.pins_at(server, owner), set(keys), "{owner} at {server}");
        }
    }
}

#[test]
fn a_rotation_moves_the_pins_of_every_owner_name_where_they_stand() {
    let post = site();
    let (a, b) = post.keys();
    pinned(&post, &TARGETS, &[&a, &b]);
    let services = [Client::Finger(Algorithm::Ecdsa, 465), Client::Finger(Algorithm::Ecdsa, 587)];
    let sender = post.lab.sender(&[HOST]).probing(&services).start();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    post.run(&["apply"]).ends(0);
    let (active, c) = post.keys();
    assert_eq!(active, b);
    pinned(&post, &TARGETS, &[&b, &c]);
    assert_eq!(post.document()["pins"].as_array().unwrap().len(), 8, "two pins for each of four names");
    let summary = sender.stop();
    println!("{:#}", summary.json());
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(services.iter().all(|client| summary.sent_by(*client) > 2));
}

#[test]
fn an_alias_with_another_target_gets_the_pins_there_and_its_clocks_start_again() {
    let post = site();
    let (a, b) = post.keys();
    let clocks = |owner: &str| -> Vec<String> {
        let pins = post.document()["pins"].clone();
        let here = pins.as_array().unwrap().iter().filter(|p| p["owner"] == format!("{owner}.")).cloned();
        here.map(|p| p["seen_everywhere"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (moved, stays) = (ALIASES[1].0, TARGETS[0]);
    let before = (clocks(moved), clocks(stays));
    assert!(before.0.len() == 2 && before.1.len() == 2, "{before:?}");
    configure(&post, "{ttls: 1, slack: 1h, ttl_floor: 0}");
    let other = "_587._tcp.elsewhere.acme.test";
    alias(&post, moved, other);
    post.lab.flush_resolver();

    post.run(&["rotate", "mx"]).ends(5);
    post.run(&["rotate", "mx"]).ends(5).says(&["is not ripe before"]);
    pinned(&post, &[other, TARGETS[0], TARGETS[2]], &[&a, &b]);
    let after = (clocks(moved), clocks(stays));
    assert!(after.0.len() == 2 && after.0.iter().all(|clock| *clock > before.0[0]), "{before:?} {after:?}");
    assert_eq!(after.1, before.1, "the other names' clocks run on");
    assert_eq!(post.keys(), (a, b.clone()));

    configure(&post, SHORT);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    post.run(&["apply"]).ends(0);
    let (_, c) = post.keys();
    pinned(&post, &[other, TARGETS[0], TARGETS[2]], &[&b, &c]);
}
