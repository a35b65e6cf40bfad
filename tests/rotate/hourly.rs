//! `apply` from cron: a rotation that one run leaves unfinished is ended by another, without anybody waiting.

use crate::post::{HOST, Post, set};
use crate::support::BIND;
use crate::support::mail::MailServer;

#[test]
fn a_rotation_that_nobody_waits_for_is_ended_by_the_hourly_apply() {
    let post = Post::new();
    post.configure("keys: managed", "{ttls: 1, slack: 0s, ttl_floor: 0}");
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let sender = post.lab.sender(&[HOST]).start();
    post.lab.hold(MailServer::Mx2);

    let run = post.run(&["rotate", "mx"]).ends(0);
    let words = "not every server presents the new key";
    let waits = |json: &serde_json::Value| {
        let one = &json["certificates"][0];
        one["outcome"] == "waits" && one["why"].as_str().is_some_and(|why| why.contains(words))
    };
    assert!(waits(&run.json), "{:#}", run.json);
    for (arguments, code) in [(&["apply"][..], 0), (&["apply", "--detailed-exitcode"], 3)] {
        let run = post.run(arguments).ends(code);
        assert!(waits(&run.json), "{:#}", run.json);
        assert_eq!(post.document()["rotation"]["phase"], "deploying");
        assert_eq!(post.presented(), [Some(b.clone()), Some(a.clone())]);
        assert_eq!(post.pins(BIND), set(&[&a, &b]), "both keys are pinned");
    }

    post.lab.release(MailServer::Mx2);
    let run = post.run(&["apply", "--detailed-exitcode"]).ends(2);
    let (active, c) = post.keys();
    assert_eq!(active, b, "{:#}", run.json);
    assert!(post.document()["rotation"].is_null());
    assert_eq!(post.presented(), [Some(b.clone()), Some(b.clone())]);
    assert_eq!(post.pins(BIND), set(&[&b, &c]), "the same run publishes the next backup");
    let run = post.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.json["certificates"][0]["outcome"], "unchanged", "{:#}", run.json);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(summary.messages.len() > 8);
}
