//! One rotation, phase by phase.

use crate::oracles::all_match;
use crate::post::{HOST, Post, set};
use crate::refusals::promised;
use crate::support::mail::{Algorithm, MailServer};
use crate::support::sender::Client;
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

/// Postfix with OpenSSL, another one, and Exim with GnuTLS, behind one name.
const THREE: [MailServer; 3] = [MailServer::Mx1, MailServer::Mx2, MailServer::Mx3];

#[test]
fn a_late_instance_holds_the_retirement_up_and_nothing_else() {
    let post = Post::with_exim();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let presented = || THREE.map(|server| post.lab.presented(server, Algorithm::Ecdsa).unwrap_or_default());
    assert_eq!(presented(), [a.clone(), a.clone(), a.clone()]);
    post.lab.flush_resolver();
    all_match(&post, &THREE, &["ecdsa"], "before");
    let sender = post.lab.sender(&[HOST]).probing(&[Client::Finger(Algorithm::Ecdsa, 25)]).start();
    post.lab.hold(MailServer::Mx2);
    let run = post.spawn(&["rotate", "mx", "--wait"]);
    let deploying = || post.document()["rotation"]["phase"] == "deploying";
    let mixed = [b.clone(), a.clone(), b.clone()];
    eventually(Duration::from_secs(90), "the others present the new key", || {
        deploying() && presented() == mixed
    });
    all_match(&post, &THREE, &["ecdsa"], "while one is late");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(presented(), mixed, "one server is late");
    assert!(deploying(), "so the rotation is not done: {:#}", post.document());
    assert_eq!(post.pins(BIND), set(&[&a, &b]), "and both keys are pinned");
    post.lab.release(MailServer::Mx2);
    assert!(post.ends_within(run, Duration::from_secs(60)));
    assert_eq!(presented(), [b.clone(), b.clone(), b.clone()]);
    assert!(!post.pins(BIND).contains(&a), "nobody presents it, so nobody pins it");
    all_match(&post, &THREE, &["ecdsa"], "after");
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
    eventually(Duration::from_secs(90), "the first server presents the new key", || {
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
