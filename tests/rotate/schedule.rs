//! Rotations by schedule: `apply` alone goes through all of it, `plan` and `status` tell it before.

use crate::post::{HOST, Post, SHORT, TTL, set};
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

const LONG: &str = "{ttls: 1, slack: 1h, ttl_floor: 0}";

fn configure(post: &Post, rotate: &str, rotation: &str) {
    let (rotate, rotation) = (format!("rotate: {rotate}"), format!("rotation: {rotation}"));
    let lines = ["keys: managed", &rotate, &rotation, "deploy: {reload: RELOAD}"];
    post.configure_mx(&[MailServer::Mx1, MailServer::Mx2], TTL, &lines);
}

fn days_from_now(days: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string()
}

/// What `plan` would change, in one text.
fn planned(post: &Post) -> String {
    post.run(&["plan"]).ends(0).json["certificates"][0]["changes"].to_string()
}

#[test]
fn a_rotation_every_so_often_is_told_by_plan_and_done_by_apply() {
    let post = Post::new();
    configure(&post, "{every: 30d}", LONG);
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let due = |post: &Post| {
        let json = post.run(&["status"]).ends(0).json["certificates"][0].clone();
        json["rotation_due"].as_str().map(|due| due.parse::<Timestamp>().unwrap())
    };
    let days = due(&post).unwrap().duration_since(Timestamp::now()).as_hours() / 24;
    assert_eq!(days, 29, "thirty days, less a moment");
    assert_eq!(planned(&post), "[]");

    post.edit_document(|document| document["serving_since"] = days_from_now(-31).into());
    let plan = planned(&post);
    assert!(plan.contains("nothing before") && plan.contains("the scheduled rotation waits"), "{plan}");
    let sender = post.lab.sender(&[HOST]).start();
    post.run(&["apply"]).ends(0);
    post.run(&["apply", "--detailed-exitcode"]).ends(3);
    let status = post.status();
    let words = ["may be served from", "ripe at", "rotation  due", "the scheduled rotation waits"];
    assert!(words.iter().all(|word| status.contains(word)), "{status}");
    let json = post.run(&["status"]).ends(0).json["certificates"][0].clone();
    let ripe: Timestamp = json["backup_ripe"].as_str().unwrap().parse().unwrap();
    assert!(ripe > Timestamp::now(), "{json:#}");
    assert!(json["pins"].as_array().unwrap().iter().all(|pin| pin["ripe"].is_string()), "{json:#}");
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);

    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    configure(&post, "{every: 30d}", SHORT);
    let plan = planned(&post);
    assert!(plan.contains("(rotation)") && plan.contains(&b), "{plan}");
    post.lab.hold(MailServer::Mx2);
    post.run(&["apply"]).ends(0);
    let status = post.status();
    assert!(status.contains("deploying since"), "{status}");
    let json = post.run(&["status"]).ends(0).json["certificates"][0].clone();
    assert_eq!(json["rotation"]["phase"], "deploying", "{json:#}");
    assert_eq!((json["rotation"]["from"].as_str(), json["rotation"]["to"].as_str()), (Some(&*a), Some(&*b)));
    let plan = planned(&post);
    assert!(plan.contains("not every server presents the new key"), "{plan}");
    let text = post.lab.run("danesmith", &["plan"]);
    assert!(text.starts_with("mx: waits:\n"), "nothing would change: {text}");
    post.lab.release(MailServer::Mx2);
    post.run(&["apply"]).ends(0);
    post.run(&["apply", "--detailed-exitcode"]).ends(0);
    let (active, c) = post.keys();
    assert_eq!(active, b);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&b, &c]));
    }
    let days = due(&post).unwrap().duration_since(Timestamp::now()).as_hours() / 24;
    assert_eq!(days, 29, "the next one in thirty days");
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

/// The certificate has little of its lifetime left, enough for a rotation. Its CA, which knows the real dates, was just asked and
/// suggests nothing.
pub(crate) fn make_renewal_due(post: &Post) {
    post.edit_document(|document| {
        let certificate_id = document["installed"]["certificate_id"].clone();
        document["renewal_info"] =
            serde_json::json!({"certificate_id": certificate_id, "directory": "", "ask_again": days_from_now(1)});
        document["installed"]["not_before"] = days_from_now(-65).into();
        document["installed"]["not_after"] = days_from_now(25).into();
    });
}

#[test]
fn a_rotation_after_so_many_renewals_takes_the_place_of_the_next_one() {
    let post = Post::new();
    configure(&post, "{renewals: 1}", SHORT);
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let sender = post.lab.sender(&[HOST]).start();
    make_renewal_due(&post);
    let plan = planned(&post);
    assert!(plan.contains("renewal is due") && plan.contains(&a), "{plan}");
    post.run(&["apply"]).ends(0);
    assert_eq!(post.keys(), (a.clone(), b.clone()), "the first time the key stays");
    assert_eq!(post.document()["renewals"], 1);
    assert!(post.status().contains("renewed once"), "{}", post.status());
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));

    make_renewal_due(&post);
    let orders = post.lab.counts().orders;
    let plan = planned(&post);
    assert!(plan.contains("(rotation)") && plan.contains(&b) && !plan.contains("renewal is due"), "{plan}");
    post.run(&["apply"]).ends(0);
    post.run(&["apply"]).ends(0);
    let (active, c) = post.keys();
    assert_eq!(active, b);
    assert_eq!(post.lab.counts().orders - orders, 1, "one certificate, for the new key");
    assert!(post.document()["renewals"].is_null(), "the count begins again");
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    for server in [BIND, KNOT] {
        assert_eq!(post.pins(server), set(&[&b, &c]));
    }
    post.run(&["apply", "--detailed-exitcode"]).ends(0);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}
