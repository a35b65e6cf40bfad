//! The rehearsal of a rotation against the real one: the same zones.yaml, the same state.

use crate::post::Post;
use danesmith::config;
use danesmith::model::document::Document;
use danesmith::rehearse::{Options, Standing, State, rehearse};
use jiff::{SignedDuration, Timestamp};
use std::fs;

/// The steps of proving control of a name.
const PROOF: [&str; 3] = [
    "reading the authorizations",
    "publishing TXT and waiting for every name server to have it",
    "the CA validates",
];

/// The steps of the rehearsed rotation: what it went through, and what it changed.
fn rehearsed(post: &Post) -> (Vec<String>, Vec<String>) {
    let desired = config::load_alone(&post.lab.dir().join("zones.yaml"), None).unwrap();
    let document: Document = serde_json::from_value(post.document()).unwrap();
    let live = fs::read_link(post.lab.dir().join("state/certificates/mx/live")).unwrap();
    let live = live.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let state: State = [("mx".to_owned(), Standing { document, live })].into();
    let from = Timestamp::now();
    let options = Options {
        from,
        until: from + SignedDuration::from_hours(12),
        seed: None,
        every: 24 * 3600,
        rotate: Some("mx".into()),
        keep_trace: true,
    };
    let rehearsal = rehearse(&desired, &options, &|_| None, Some(&state)).unwrap();
    assert_eq!(rehearsal.refusal, None);
    assert_eq!(rehearsal.counts.rotations, 1, "{:#?}", rehearsal.events);
    // The run before it found nothing to do but to look.
    let rotation = rehearsal.steps.iter().map(|line| line.split_at(24).1);
    let steps = rotation.clone().filter_map(|line| line.strip_prefix("mx: ")).map(str::to_owned);
    let changes = rotation.filter_map(|line| line.strip_prefix("mx = ")).map(str::to_owned);
    (steps.collect(), changes.collect())
}

/// Without what differs from world to world: times, serial numbers, digests.
fn plain(text: &str, keys: &[&str]) -> String {
    let mut text = text.to_owned();
    for (letter, key) in ["A", "B", "C"].iter().zip(keys) {
        text = text.replace(key, letter);
    }
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ':', ';']);
        let hex = bare.len() >= 8 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let time = bare.len() >= 5 && bare.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b':');
        if hex || time { "#".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Each step once, in the order in which they came first: how often a server is looked at is a matter of its speed.
fn firsts(steps: impl Iterator<Item = String>) -> Vec<String> {
    let mut firsts: Vec<String> = Vec::new();
    for step in steps.filter(|step| !step.starts_with("waiting until")) {
        if !firsts.contains(&step) {
            firsts.push(step);
        }
    }
    firsts
}

#[test]
fn a_rehearsed_rotation_takes_the_steps_of_the_real_one_in_the_same_order() {
    let post = Post::new();
    post.run(&["apply"]).ends(0);
    let (a, b) = post.keys();
    let (steps, changes) = rehearsed(&post);

    let real = post.run(&["-vv", "rotate", "mx", "--wait"]).ends(0);

    let c = post.keys().1;
    let keys = [a.as_str(), b.as_str(), c.as_str()];
    let done = real.json["certificates"][0]["changes"].as_array().unwrap();
    let done: Vec<String> = done.iter().map(|change| plain(change.as_str().unwrap(), &keys)).collect();
    let changes: Vec<String> = changes.iter().map(|change| plain(change, &[])).collect();
    assert!(done.len() >= 8, "{done:#?}");
    assert_eq!(changes, done);

    let told = real.stderr.lines().filter_map(|line| line.trim().strip_prefix("DEBUG "));
    let told = told.filter_map(|line| line.strip_suffix(" certificate=\"mx\"")).map(str::to_owned);
    let told = firsts(told);
    assert!(told.len() >= 8, "{}", real.stderr);
    // pebble holds a proof of control valid now and then, and asks for no other.
    let held = !told.iter().any(|step| PROOF.contains(&step.as_str()));
    let steps = steps.into_iter().filter(|step| !held || !PROOF.contains(&step.as_str()));
    assert_eq!(firsts(steps), told);
}
