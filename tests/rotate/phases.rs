//! One rotation, phase by phase.

use crate::post::{HOST, Post, set};
use crate::refusals::promised;
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT, eventually};
use std::time::Duration;

#[test]
fn a_rotation_waits_switches_and_retires_without_a_single_failed_delivery() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&a, &b]));
    }
    let sender = post.lab.sender(&[HOST]).start();

    post.run(&["rotate", "mx", "--wait"]).ends(0);

    let (active, backup) = post.keys();
    assert_eq!(active, b, "the backup became the active key");
    assert_ne!(backup, a, "and there is a new backup");
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    post.run(&["apply"]).ends(0);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&b, &backup]));
    }
    let summary = sender.stop();
    println!("{:#}", summary.json());
    assert!(summary.failures().is_empty(), "{:#?}", summary.failures());
    assert!(summary.messages.len() > 8);
}

#[test]
fn an_unripe_backup_is_refused_with_the_time_from_which_it_may_succeed() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    post.configure("keys: managed", "{ttls: 2, slack: 1h, ttl_floor: 1}");
    let (a, _) = post.keys();
    let run = post.run(&["rotate", "mx"]).ends(5).says(&["is not ripe before"]);
    promised(&run, 3590..=3610);
    assert_eq!(post.keys().0, a);
    assert_eq!(post.presented(), [Some(a.clone()), Some(a)]);
    post.run(&["rotate", "mx", "--emergency"]).ends(5).says(&["no safe choice", "--switch-now"]);
    post.run(&["rotate", "mx", "--abort"]).ends(5).says(&["none is under way"]);
}

#[test]
fn a_late_instance_holds_the_retirement_up_and_nothing_else() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let sender = post.lab.sender(&[HOST]).start();
    post.lab.hold(MailServer::Mx2);
    let run = post.spawn(&["rotate", "mx", "--wait"]);
    let deploying = || post.document()["rotation"]["phase"] == "deploying";
    eventually(Duration::from_secs(30), "the first server presents the new key", || {
        deploying() && post.presented()[0].as_ref() == Some(&b)
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(post.presented(), [Some(b.clone()), Some(a.clone())], "one server is late");
    assert!(deploying(), "so the rotation is not done: {:#}", post.document());
    assert_eq!(post.pins(BIND), set(&[&a, &b]), "and both keys are pinned");
    post.lab.release(MailServer::Mx2);
    assert!(post.ends_within(run, Duration::from_secs(60)));
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert!(!post.pins(BIND).contains(&a), "nobody presents it, so nobody pins it");
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#?}", summary.failures());
}

#[test]
fn an_aborted_rotation_serves_the_former_key_again_and_keeps_the_backup() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let sender = post.lab.sender(&[HOST]).start();
    post.lab.hold(MailServer::Mx2);
    let mut run = post.spawn(&["rotate", "mx", "--wait"]);
    eventually(Duration::from_secs(30), "the first server presents the new key", || {
        post.presented()[0].as_ref() == Some(&b)
    });
    run.kill().unwrap();
    run.wait().unwrap();
    post.run(&["rotate", "mx", "--abort", "--wait"]).ends(0);
    assert_eq!(post.keys(), (a.clone(), b.clone()), "as before");
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);
    assert_eq!(post.pins(BIND), set(&[&a, &b]));
    assert!(post.document()["rotation"].is_null());
    post.lab.release(MailServer::Mx2);
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())], "and then it may be done after all");
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#?}", summary.failures());
}
