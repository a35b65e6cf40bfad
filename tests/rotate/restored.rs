//! A state directory from a backup that is older than the last rotation: danesmith knows less than the world.

use crate::post::{HOST, Post, TTL};
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT, eventually};
use std::time::Duration;

const BOTH: [MailServer; 2] = [MailServer::Mx1, MailServer::Mx2];

/// danesmith puts the servers' files into a folder of their own, beside the state.
fn site() -> Post {
    let post = Post::new();
    let rotation = "rotation: {ttls: 2, slack: 1s, ttl_floor: 1}";
    post.configure_mx(&BOTH, TTL, &["keys: managed", rotation, "deploy: {dir: tls, reload: RELOAD}"]);
    let chain = post.lab.dir().join("tls/mx/keyandchain.pem");
    for server in BOTH {
        post.lab.set_chain(server, &[&chain]);
    }
    post
}

fn wait() {
    std::thread::sleep(Duration::from_secs(u64::from(TTL) * 2 + 3));
}

#[test]
fn a_state_from_before_the_rotation_breaks_no_mail() {
    let post = site();
    post.run(&["apply"]).ends(0);
    wait();
    post.run(&["apply"]).ends(0);
    post.lab.run("cp", &["-a", "state", "old-state"]);
    let (a, b) = post.keys();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    wait();
    post.run(&["apply"]).ends(0);
    let sender = post.lab.sender(&[HOST]).start();
    wait();
    post.lab.run("rm", &["-rf", "state"]);
    post.lab.run("mv", &["old-state", "state"]);

    let shown = || post.presented();
    let first = post.run(&["apply"]).ends(5);
    assert!(first.json.to_string().contains("older than what the servers present"), "{:#}", first.json);
    assert_eq!(shown(), [Some(b.clone()), Some(b.clone())], "what senders can match is left alone");
    for server in [BIND, KNOT] {
        assert!(post.pins(server).contains(&a), "its pin joins those that stand");
    }
    wait();
    post.run(&["apply"]).ends(0);
    eventually(Duration::from_secs(90), "it comes back when every cache knows it", || {
        shown() == [Some(a.clone()), Some(a.clone())]
    });
    wait();
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
    assert!(summary.messages.len() > 10);
}
