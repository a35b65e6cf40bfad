//! SIGKILL before every state-changing system call of a whole rotation: what is served stays whole and pinned, and the next
//! run goes on to the end.
//!
//! State changes where a file does, and where a message may leave something at the other end: everything that goes to the
//! CA, and the UPDATEs. DNS questions and probes leave nothing, so a kill before them is a kill before what follows; they
//! are sampled, and `tests/nightly` takes all. The server is Exim, which reads its files anew for every connection: a point
//! costs one or two seconds. `twenty` kills danesmith beside two Postfix.

use crate::post::{Post, TTL, set};
use crate::support::mail::{Algorithm, MailServer};
use crate::support::{BIND, KNOT, eventually};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SERVER: MailServer = MailServer::Mx3;
const HOST: &str = "mx3.example.test";
const OWNER: &str = "_25._tcp.mx3.example.test";
/// Calls that change something, divided among this many tests, so that each ends in time and they run side by side.
const PARTS: usize = 4;
const CHANGES: [&str; 3] = ["--changes", "--looks", "25"];
/// The sweeper's word for "the run made fewer calls".
const NOT_REACHED: i32 = 3;

#[test]
fn a_rotation_survives_a_kill_before_every_change_first_quarter() {
    sweep(&CHANGES, 0, PARTS);
}

#[test]
fn a_rotation_survives_a_kill_before_every_change_second_quarter() {
    sweep(&CHANGES, 1, PARTS);
}

#[test]
fn a_rotation_survives_a_kill_before_every_change_third_quarter() {
    sweep(&CHANGES, 2, PARTS);
}

#[test]
fn a_rotation_survives_a_kill_before_every_change_last_quarter() {
    sweep(&CHANGES, 3, PARTS);
}

#[test]
fn a_rotation_survives_a_kill_before_every_message() {
    let every = std::env::var("DANESMITH_SWEEP_EVERY").ok().and_then(|v| v.parse().ok()).unwrap_or(40);
    sweep(&["--net"], std::process::id() as usize % every, every);
}

/// Kills before the calls number `offset` + 1, `offset` + 1 + `every`, … of those that `what` lets the sweeper count.
fn sweep(what: &[&str], offset: usize, every: usize) {
    let post = site();
    let (a, b) = post.keys();
    rewind(&post, &a, &b);
    let calls = count(&post, what);
    println!("{what:?}: {calls} calls in a rotation, every {every}th from {} on", offset + 1);
    assert!(calls > 80, "a rotation has more calls than that");
    let (begin, mut points) = (Instant::now(), 0);
    // a run may make some calls more than another: the end is where it makes fewer
    for n in (offset + 1..2 * calls).step_by(every) {
        rewind(&post, &a, &b);
        let killed = kill(&post, what, n);
        let context = format!("{what:?} {n}: {}", killed.call);
        assert_safe(&post, &context);
        if killed.reached {
            points += 1;
            finish(&post, &a, &context);
        }
        assert_done(&post, &b, &context);
        if !killed.reached {
            println!("{what:?}: killed at {points} points in {:.0?}", begin.elapsed());
            assert!(10 * points * every + 10 * every >= 9 * calls, "{points} points of {calls} calls");
            return;
        }
    }
    panic!("{what:?}: the rotation never ends");
}

/// A site whose backup is ripe, and a copy of its state.
fn site() -> Post {
    let post = Post::with_forgetful_ca();
    let first = post.lab.mail_key("first", Algorithm::Ecdsa);
    post.lab.present(SERVER, &[&first]);
    let chain = post.lab.dir().join("state/certificates/mx/live/keyandchain.pem");
    post.lab.set_chain(SERVER, &[&chain]);
    let rotation = "rotation: {ttls: 1, slack: 0s, ttl_floor: 0}";
    post.configure_host(HOST, &[SERVER], TTL, &["keys: managed", rotation, "deploy: {reload: RELOAD}"]);
    post.run(&["apply"]).ends(0);
    std::thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    post.run(&["apply"]).ends(0);
    copy(&state(&post), &post.lab.dir().join("old-state"));
    post
}

/// The moment before the rotation.
fn rewind(post: &Post, a: &str, b: &str) {
    let _ = fs::remove_dir_all(state(post));
    copy(&post.lab.dir().join("old-state"), &state(post));
    let add = |key: &str| format!("update add {OWNER} {TTL} TLSA 3 1 1 {key}");
    let lines = [format!("update delete {OWNER} TLSA"), add(a), add(b)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    post.lab.update("foreign-key", "example.test", &lines).unwrap();
    eventually(Duration::from_secs(90), "both servers have the pins", || {
        [BIND, KNOT].iter().all(|server| post.pins_at(server, OWNER) == set(&[a, b]))
    });
    post.lab.reload(SERVER);
    assert_eq!(presented(post).as_deref(), Some(a));
    post.lab.flush_resolver();
}

fn presented(post: &Post) -> Option<String> {
    post.lab.presented(SERVER, Algorithm::Ecdsa)
}

/// `sweeper MODE… -- danesmith rotate`, and its report.
fn sweeper(post: &Post, mode: &[&str], what: &[&str]) -> (Option<i32>, Value) {
    let report = post.lab.dir().join("sweep.json");
    let danesmith = env!("CARGO_BIN_EXE_danesmith");
    let program = Path::new(danesmith).with_file_name("sweeper");
    let mut command = post.lab.command(program.to_str().unwrap());
    command.args(mode).args(what).arg("--report").arg(&report);
    let output =
        command.args(["--timeout", "100", "--", danesmith, "rotate", "mx", "--now"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | NOT_REACHED)), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["timed_out"], false, "{said}");
    (output.status.code(), report)
}

fn count(post: &Post, what: &[&str]) -> usize {
    let (_, report) = sweeper(post, &["count"], what);
    assert_eq!(report["exit"]["code"], 0, "{report}");
    report["count"].as_u64().unwrap() as usize
}

struct Killed {
    reached: bool,
    call: String,
}

fn kill(post: &Post, what: &[&str], n: usize) -> Killed {
    let (code, report) = sweeper(post, &["kill", &n.to_string(), "--when", "before"], what);
    let call = format!("{} {}", report["call"]["name"], report["call"]["place"]);
    Killed { reached: code == Some(0), call }
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
    let key = presented(post).unwrap_or_else(|| panic!("{context}: nothing is presented"));
    for server in [BIND, KNOT] {
        let pins = post.pins_at(server, OWNER);
        assert!(pins.contains(&key), "{context}: {key} is presented at {HOST}, {server} has {pins:?}");
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
    assert_eq!(presented(post).as_deref(), Some(b), "{context}");
    assert_eq!(post.pins_at(BIND, OWNER), set(&[b, &backup]), "{context}");
    assert_safe(post, context);
}

fn state(post: &Post) -> PathBuf {
    post.lab.dir().join("state")
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
