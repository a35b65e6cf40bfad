//! What stands or fails beside a rotation: records of others at the names of our endpoints, files that somebody cleaned
//! away, keys that were the administrator's before, a CA that does not answer.

use crate::post::{HOST, OWNER, Post, SHORT, TTL, set};
use crate::support::mail::MailServer;
use crate::support::{BIND, KNOT, eventually};
use std::fs;
use std::time::Duration;

fn ripe() -> (Post, String, String) {
    let post = Post::new();
    post.configure("keys: managed", SHORT);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    let (a, b) = post.keys();
    (post, a, b)
}

fn edit_zones(post: &Post, from: &str, to: &str) {
    let text = post.lab.read("zones.yaml");
    assert!(text.contains(from), "{text}");
    fs::write(post.lab.dir().join("zones.yaml"), text.replace(from, to)).unwrap();
}

#[test]
fn a_record_of_somebody_else_at_an_endpoints_own_name_stops_the_rotation_that_would_leave_it_matching_nothing()
 {
    const OTHER: &str = "_465._tcp.mx.example.test";
    let (post, a, b) = ripe();
    let listed = format!("tlsa: [{OWNER}]\n    endpoints: ['smtp://{HOST}:25', 'tls://{HOST}:465']");
    edit_zones(&post, &format!("tlsa: [{OWNER}]"), &listed);
    let add = format!("update add {OTHER} {TTL} TLSA 3 1 1 {a}");
    post.lab.update("foreign-key", "example.test", &[&add]).unwrap();
    eventually(Duration::from_secs(90), "both servers have it", || {
        [BIND, KNOT].iter().all(|server| post.pins_at(server, OTHER) == [a.clone()])
    });
    post.run(&["rotate", "mx"]).ends(5).says(&[OTHER, "does not name", &b]);
    assert!(post.document()["rotation"].is_null());
    assert_eq!(post.presented(), [Some(a.clone()), Some(a.clone())]);
    post.lab.delete_record("example.test", OTHER, "TLSA", &format!("3 1 1 {a}"));
    eventually(Duration::from_secs(90), "no server has it", || post.pins_at(KNOT, OTHER).is_empty());
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
}

#[test]
fn a_spare_certificate_that_somebody_cleaned_away_is_asked_for_again_before_it_is_served() {
    let (post, a, b) = ripe();
    post.lab.hold(MailServer::Mx1);
    post.run(&["rotate", "mx", "--detailed-exitcode"]).ends(3);
    post.lab.release(MailServer::Mx1);
    post.run(&["rotate", "mx", "--abort", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(a.clone()), Some(a)]);
    let spare = post.document()["spare"]["generation"].as_u64().unwrap();
    fs::remove_dir_all(post.lab.dir().join(format!("state/certificates/mx/generations/{spare}"))).unwrap();
    let sender = post.lab.sender(&[HOST]).start();
    post.run(&["rotate", "mx", "--wait"]).ends(0);
    assert_eq!(post.presented(), [Some(b.clone()), Some(b)]);
    let summary = sender.stop();
    assert!(summary.failures().is_empty(), "{:#}", summary.json());
}

#[test]
fn keys_that_danesmith_takes_over_without_a_backup_get_one() {
    let (post, a, b) = ripe();
    post.edit_document(|document| document["keys"]["backup"] = serde_json::Value::Null);
    post.run(&["apply"]).ends(0);
    let (active, c) = post.keys();
    assert_eq!(active, a);
    assert!(c.len() == 64 && c != b);
    assert_eq!(post.pins(BIND), set(&[&a, &c]));
}

#[test]
fn a_pin_that_vanished_is_put_back_although_the_ca_does_not_answer() {
    let (post, a, b) = ripe();
    edit_zones(&post, "https://127.0.0.14:14000/dir", "https://127.0.0.14:1/dir");
    edit_zones(&post, &format!("names: [{HOST}]"), &format!("names: [{HOST}, mx1.example.test]"));
    post.lab.delete_record("example.test", OWNER, "TLSA", &format!("3 1 1 {a}"));
    post.run(&["apply"]).ends(69).says(&["127.0.0.14"]);
    assert_eq!(post.pins(BIND), set(&[&a, &b]));
}
