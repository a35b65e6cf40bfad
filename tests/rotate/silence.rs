//! Name servers that say nothing: all of them, one that joined meanwhile, one that is dead while a key has leaked.

use crate::post::{OWNER, Post, SHORT, TTL, set};
use crate::refusals::{clocks_stand, promised, ripe, ripened, untouched};
use crate::support::{BIND, Daemon, KNOT, eventually};
use std::time::Duration;

#[test]
fn name_servers_that_are_silent_one_and_all_stop_the_clocks_on_disk_and_the_rotation() {
    let post = ripe();
    let before = post.document();
    for daemon in [Daemon::Bind, Daemon::Knot] {
        post.lab.freeze(daemon);
    }
    let run = post.run(&["rotate", "mx"]).ends(5).says(&["could not be seen", OWNER]);
    promised(&run, 0..=60);
    assert!(clocks_stand(&post), "{:#}", post.document());
    // nobody asked for anything but the usual: DNS failed, which is worth trying again
    post.run(&["apply"]).ends(69).says(&["read TLSA at", "The clocks of the pins there stand still"]);
    for daemon in [Daemon::Bind, Daemon::Knot] {
        post.lab.resume(daemon);
    }
    untouched(&post, &before);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
}

/// Nobody answers there.
const NOWHERE: &str = "127.0.0.99";

#[test]
fn a_name_server_that_joins_while_a_run_waits_is_asked_before_the_switch() {
    let post = Post::new();
    post.configure("keys: managed", SHORT);
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    post.configure("keys: managed", "{ttls: 1, slack: 25s, ttl_floor: 0}");
    let ripe = || post.run(&["status"]).ends(0).json["certificates"][0]["backup_ripe"].clone();
    let ripe: jiff::Timestamp = ripe().as_str().unwrap().parse().unwrap();
    let mut run = post.spawn(&["rotate", "mx", "--wait"]);
    let lines = [
        format!("update add ns3.example.test {TTL} A {NOWHERE}"),
        format!("update add example.test {TTL} NS ns3.example.test."),
    ];
    std::thread::sleep(Duration::from_secs(5));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    post.lab.update("foreign-key", "example.test", &lines).unwrap();
    eventually(Duration::from_secs(90), "both servers tell of the third", || {
        [BIND, KNOT].iter().all(|server| post.lab.dig(server, "example.test", "NS").len() == 3)
    });
    assert!(jiff::Timestamp::now() < ripe, "the test was too slow: the run waits no more");
    eventually(Duration::from_secs(60), "the run has looked again", || clocks_stand(&post));
    assert!(jiff::Timestamp::now() >= ripe, "after the wait");
    assert!(post.document()["rotation"].is_null() && run.try_wait().unwrap().is_none(), "it goes on waiting");
    assert_eq!(post.presented(), [Some(a.clone()), Some(a)]);
    let gone = "update delete example.test NS ns3.example.test.";
    post.lab.update("foreign-key", "example.test", &[gone]).unwrap();
    assert!(post.ends_within(run, Duration::from_secs(120)));
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
}

#[test]
fn a_dead_secondary_does_not_keep_a_leaked_key_where_its_owner_accepts_the_cost() {
    let post = ripened(Post::with_trusting_ca());
    post.shorten_propagation();
    let (a, b) = post.keys();
    let before = post.document();
    post.lab.kill_daemon(Daemon::Knot);
    let costs =
        ["127.0.0.12", "no safe choice", "(1) keep the leaked key until", "(2) switch now", "--switch-now"];
    let run = post.run(&["rotate", "mx", "--emergency"]).ends(5).says(&costs);
    assert!(run.stderr.contains("as long as it is without it"), "{}", run.stderr);
    untouched(&post, &before);
    post.run(&["rotate", "mx", "--emergency", "--switch-now", "--detailed-exitcode"]).ends(3);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert_eq!(post.pins(BIND), [b.as_str()], "the leaked key's pin is gone where somebody answers");
    post.lab.start_daemon(Daemon::Knot);
    eventually(Duration::from_secs(60), "the secondary has caught up", || post.pins(KNOT) == [b.as_str()]);
    post.run(&["apply"]).ends(0);
    assert!(post.document()["rotation"].is_null());
    assert_eq!((post.keys().0, post.pins(BIND).contains(&a)), (b, false));
}

#[test]
fn a_leaked_key_is_replaced_at_once_although_its_backup_was_never_pinned_and_a_name_server_is_dead() {
    let post = Post::with_trusting_ca();
    let (a, b) = (post.key_file("a"), post.key_file("b"));
    post.configure_with("keys: {active: {key: a.key}}", SHORT, TTL);
    post.run(&["apply"]).ends(0);
    post.configure_with("keys: {active: {key: a.key}, backup: {key: b.key}}", SHORT, TTL);
    post.lab.flush_resolver();
    post.shorten_propagation();
    post.lab.kill_daemon(Daemon::Knot);
    let run = post.run(&["rotate", "mx", "--emergency", "--switch-now"]).ends(0);
    let warnings = run.json["certificates"][0]["warnings"].to_string();
    assert!(warnings.contains("ns2") && warnings.contains("no server is waited for"), "{warnings}");
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert_eq!(post.pins(BIND), [b.as_str()], "the leaked key is pinned no more where somebody answers");
    let why = run.json["certificates"][0]["why"].to_string();
    assert!(why.contains("whether the former key's pin is gone is unknown"), "{why}");
    post.lab.start_daemon(Daemon::Knot);
    post.run(&["apply", "--wait"]).ends(0);
    assert_eq!((post.pins(KNOT), post.pins(BIND)), (vec![b.clone()], vec![b]));
    assert!(post.document()["retired"].to_string().contains(&a), "{:#}", post.document());
}

#[test]
fn whoever_has_lost_the_backup_of_a_leaked_key_is_told_both_costs_and_what_comes_first() {
    let post = Post::new();
    let (a, b) = (post.key_file("a"), post.key_file("b"));
    let policy = SHORT;
    post.configure("keys: {active: {key: a.key}, backup: {key: b.key}}", policy);
    post.run(&["apply"]).ends(0);
    post.configure("keys: {active: {key: a.key}}", policy);
    let costs = [
        "there is no backup key",
        "no safe choice",
        "(1) keep the leaked key until",
        "(2) switch now",
        "name a new backup key",
        "Removing the TLSA",
    ];
    post.run(&["rotate", "mx", "--emergency"]).ends(5).says(&costs);
    post.run(&["rotate", "mx", "--emergency", "--switch-now"])
        .ends(5)
        .says(&["not even --switch-now goes on"]);
    // what is said to come first: a new one, and then the switch
    let c = post.key_file("c");
    post.configure("keys: {active: {key: a.key}, backup: {key: c.key}}", policy);
    post.run(&["rotate", "mx", "--emergency", "--switch-now", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(c.clone()), Some(c.clone())]);
    let pins = post.pins(BIND);
    assert!(pins.contains(&c) && !pins.contains(&a) && !pins.contains(&b), "{pins:?}");
    assert_eq!(set(&[&c]), pins);
}
