//! SIGKILL before state-changing system calls of a whole rotation: what is served stays whole and pinned, and the next run goes
//! on to the end. A point takes seconds (two Postfix reload), so each run takes every few calls, from another offset;
//! `DANESMITH_SWEEP_EVERY=1` takes all.

use crate::post::{HOST, OWNER, Post, TTL, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::{BIND, KNOT, eventually};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BOTH: [MailServer; 2] = [MailServer::Mx1, MailServer::Mx2];
/// More calls than this and the sweep would not end: a defect of ours.
const MANY: usize = 1000;
/// The sweeper's word for "the run made fewer calls".
const NOT_REACHED: i32 = 3;

#[test]
fn a_rotation_survives_a_kill_before_every_change_on_disk() {
    sweep("files", 9);
}

#[test]
fn a_rotation_survives_a_kill_before_every_message() {
    sweep("net", 60);
}

fn sweep(what: &str, usual: usize) {
    let every = std::env::var("DANESMITH_SWEEP_EVERY").ok().and_then(|v| v.parse().ok()).unwrap_or(usual);
    let offset = 1 + std::process::id() as usize % every;
    println!("{what}: every {every}th call from {offset} on");
    let post = Post::new();
    post.configure("keys: managed", "{ttls: 1, slack: 0s, ttl_floor: 0}");
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    post.run(&["apply"]).ends(0);
    copy(&state(&post), &post.lab.dir().join("old-state"));
    let (a, b) = post.keys();
    let (begin, mut points) = (Instant::now(), 0);
    for n in (offset..MANY).step_by(every) {
        rewind(&post, &a, &b);
        let killed = kill(&post, what, n);
        let context = format!("{what} {n}: {}", killed.call);
        assert_safe(&post, &context);
        if killed.reached {
            points += 1;
            finish(&post, &a, &context);
        }
        assert_done(&post, &b, &context);
        if !killed.reached {
            println!("{what}: {points} points in {:.0?}", begin.elapsed());
            assert!(points >= 3, "a rotation has more calls than that");
            return;
        }
    }
    panic!("{what}: the rotation never ends");
}

/// The moment before the rotation.
fn rewind(post: &Post, a: &str, b: &str) {
    let _ = fs::remove_dir_all(state(post));
    copy(&post.lab.dir().join("old-state"), &state(post));
    let add = |key: &str| format!("update add {OWNER} {TTL} TLSA 3 1 1 {key}");
    let lines = [format!("update delete {OWNER} TLSA"), add(a), add(b)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    post.lab.update("foreign-key", "example.test", &lines).unwrap();
    eventually(Duration::from_secs(20), "both servers have the pins", || {
        [BIND, KNOT].iter().all(|server| post.pins(server) == set(&[a, b]))
    });
    BOTH.iter().for_each(|server| post.lab.reload(*server));
    eventually(Duration::from_secs(20), "both servers present the old key", || {
        post.presented().iter().all(|key| key.as_deref() == Some(a))
    });
    post.lab.flush_resolver();
}

struct Killed {
    reached: bool,
    call: String,
}

fn kill(post: &Post, what: &str, n: usize) -> Killed {
    let report = post.lab.dir().join("sweep.json");
    let danesmith = env!("CARGO_BIN_EXE_danesmith");
    let sweeper = Path::new(danesmith).with_file_name("sweeper");
    let mut command = post.lab.command(sweeper.to_str().unwrap());
    command.args(["kill", &n.to_string(), "--when", "before", &format!("--{what}"), "--report"]).arg(&report);
    let output =
        command.args(["--timeout", "100", "--", danesmith, "rotate", "mx", "--now"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | NOT_REACHED)), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["timed_out"], false, "{said}");
    let call = format!("{} {}", report["call"]["name"], report["call"]["place"]);
    Killed { reached: output.status.code() == Some(0), call }
}

/// What must hold at every moment: `live` is one whole pair, and every key that is served is pinned at every server.
#[track_caller]
fn assert_safe(post: &Post, context: &str) {
    let live = post.lab.dir().join("state/certificates/mx/live");
    let read =
        |name: &str| fs::read_to_string(live.join(name)).unwrap_or_else(|e| panic!("{context}: {name}: {e}"));
    let (key, full) = (read("privkey.pem"), read("fullchain.pem"));
    assert_eq!(read("keyandchain.pem"), key + &full, "{context}");
    let of = |args: &[&str], name: &str| {
        Command::new("openssl").args(args).arg(live.join(name)).output().unwrap().stdout
    };
    let public = of(&["x509", "-noout", "-pubkey", "-in"], "cert.pem");
    assert_eq!(
        public,
        of(&["pkey", "-pubout", "-in"], "privkey.pem"),
        "{context}: another key's certificate"
    );
    for server in [BIND, KNOT] {
        let pins = post.pins(server);
        for key in BOTH.map(|mx| post.lab.presented(mx, Algorithm::Ecdsa)).iter().flatten() {
            assert!(pins.contains(key), "{context}: {key} is presented at {HOST}, {server} has {pins:?}");
        }
    }
}

/// The next run goes on; one that was killed before it had begun is asked for again.
fn finish(post: &Post, a: &str, context: &str) {
    let rotated = || post.keys().0 != a;
    let command: &[&str] = if rotated() { &["apply", "--now"] } else { &["rotate", "mx", "--wait", "--now"] };
    post.lab.flush_resolver();
    let run = post.run(command);
    assert_eq!(run.code, 0, "{context}: {}\n{:#}", run.stderr, run.json);
}

#[track_caller]
fn assert_done(post: &Post, b: &str, context: &str) {
    let (active, backup) = post.keys();
    assert_eq!(active, b, "{context}");
    assert!(post.document()["rotation"].is_null(), "{context}: {:#}", post.document());
    assert!(post.document()["owed"].is_null(), "{context}: {:#}", post.document());
    assert_eq!(post.presented(), [Some(b.to_owned()), Some(b.to_owned())], "{context}");
    assert_eq!(post.pins(BIND), set(&[b, &backup]), "{context}");
    assert_safe(post, context);
}

fn state(post: &Post) -> PathBuf {
    post.lab.dir().join("state")
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
