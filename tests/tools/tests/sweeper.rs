//! The sweeper against small programs whose calls are known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A new folder holding `one` and `two`, both with the content "old".
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sweeper-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    restore(&folder);
    folder
}

fn restore(folder: &Path) {
    for name in ["one", "two"] {
        fs::write(folder.join(name), "old").unwrap();
        let _ = fs::remove_file(folder.join(format!(".{name}.tmp")));
    }
}

fn content(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn sweeper(options: &[&str], command: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sweeper")).args(options).arg("--").args(command).output().unwrap()
}

fn subject(folder: &Path) -> Vec<&str> {
    vec![env!("CARGO_BIN_EXE_sweep_subject"), folder.to_str().unwrap()]
}

fn shell(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

/// The report: the last line of what was printed.
fn report(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(text.lines().last().expect("a report")).expect(&text)
}

fn names(report: &Value) -> Vec<String> {
    let calls = report["calls"].as_array().unwrap();
    calls.iter().map(|call| call["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_call_of_every_thread_is_counted_and_the_count_is_stable() {
    let folder = folder("stable");
    for _ in 0..10 {
        let counted = report(&sweeper(&["count"], &subject(&folder)).stdout);
        let mut names = names(&counted);
        names.sort();
        assert_eq!(
            names,
            ["fsync", "fsync", "fsync", "fsync", "openat", "openat", "rename", "rename", "write", "write"]
        );
        assert_eq!(counted["exit"]["code"], 0);
    }
}

#[test]
fn one_thread_makes_its_calls_in_their_order() {
    let folder = folder("order");
    let script = format!("cd {}; echo a >x; mv x y; ln -s y z; rm y z; mkdir d; rmdir d", folder.display());
    let counted = report(&sweeper(&["count", "--children"], &shell(&script)).stdout);
    let place =
        |n: usize| counted["calls"][n]["place"].as_str().unwrap().replace(folder.to_str().unwrap(), "");
    assert_eq!(names(&counted)[..2], ["openat", "write"]);
    assert_eq!((place(0), place(1)), ("/x".into(), "/x".into()));
    assert!(names(&counted).len() >= 8, "{counted}");
    let own = report(&sweeper(&["count"], &shell(&script)).stdout);
    assert_eq!(names(&own), ["openat", "write"], "mv, ln, rm are children");
    assert!(own["uncounted_children"].as_u64().unwrap() >= 6, "{own}");
}

#[test]
fn a_kill_before_the_rename_leaves_the_old_file_and_after_it_the_new() {
    let folder = folder("kill");
    let rename = 4; // openat, write, fsync, rename, fsync
    for (when, left) in [("before", "old"), ("after", "new")] {
        restore(&folder);
        let command = [subject(&folder), vec!["--alone"]].concat();
        let output = sweeper(&["kill", &rename.to_string(), "--when", when], &command);
        let report = report(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{report}");
        assert_eq!(report["call"]["name"], "rename");
        assert_eq!(report["exit"]["signal"], libc::SIGKILL);
        assert_eq!(content(&folder, "one"), left, "killed {when}");
    }
}

#[test]
fn killed_anywhere_a_replaced_file_is_old_or_new() {
    let folder = folder("sweep");
    for when in ["before", "after"] {
        for n in 1..=10 {
            restore(&folder);
            let output = sweeper(&["kill", &n.to_string(), "--when", when], &subject(&folder));
            assert_eq!(output.status.code(), Some(0), "{:?}", report(&output.stderr));
            assert_eq!(report(&output.stderr)["count"], n, "nothing is counted after the kill");
            assert!(
                ["one", "two"].iter().all(|name| ["old", "new"].contains(&content(&folder, name).as_str()))
            );
        }
    }
}

#[test]
fn the_kill_takes_the_children_with_it() {
    let folder = folder("children");
    let script = format!("cd {}; (sleep 1; echo late >late) & echo a >x", folder.display());
    let output = sweeper(&["kill", "2", "--when", "after"], &shell(&script));
    assert_eq!(output.status.code(), Some(0));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!folder.join("late").exists());
}

#[test]
fn a_number_that_is_never_reached_is_told() {
    let folder = folder("beyond");
    let output = sweeper(&["kill", "11"], &subject(&folder));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(report(&output.stderr)["exit"]["code"], 0);
    assert_eq!(content(&folder, "one"), "new");
}

#[test]
fn a_full_disk_at_a_write_is_seen_by_the_program() {
    let folder = folder("enospc");
    let script = format!("cd {}; echo new >one || exit 9", folder.display());
    let output = sweeper(&["fail", "2", "--errno", "ENOSPC", "--only", "files"], &shell(&script));
    let report = report(&output.stderr);
    assert_eq!(report["call"]["name"], "write");
    assert_eq!(report["exit"]["code"], 9);
    assert_eq!(content(&folder, "one"), "", "the write took no effect");
}

#[test]
fn every_call_can_fail_and_the_program_hears_of_each() {
    let folder = folder("errno");
    for errno in ["ENOSPC", "EIO", "EDQUOT"] {
        for n in 1..=10 {
            let output = sweeper(&["fail", &n.to_string(), "--errno", errno], &subject(&folder));
            let report = report(&output.stderr);
            assert_eq!((output.status.code(), &report["exit"]["code"]), (Some(0), &1.into()), "{report}");
        }
    }
}

#[test]
fn the_network_is_counted_apart_from_files() {
    let folder = folder("net");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = socket.local_addr().unwrap().to_string();
    let command = [subject(&folder), vec![&peer]].concat();
    let count = |options: &[&str]| report(&sweeper(&[&["count"], options].concat(), &command).stdout);
    let net = count(&["--net"]);
    assert_eq!((names(&net), &net["calls"][0]["place"]), (vec!["sendto".into()], &peer.as_str().into()));
    assert_eq!(count(&["--files"])["count"], 10);
    assert_eq!(count(&["--files", "--under", folder.to_str().unwrap()])["count"], 10);
    assert_eq!(count(&["--files", "--under", "/usr"])["count"], 0);
    assert_eq!(count(&[])["count"], 11);
}

#[test]
fn a_program_that_hangs_is_killed_when_its_time_is_over() {
    let output = sweeper(&["count", "--timeout", "1"], &["sleep", "60"]);
    let report = report(&output.stdout);
    assert_eq!((&report["timed_out"], &report["exit"]["signal"]), (&true.into(), &libc::SIGKILL.into()));
}

#[test]
fn a_call_is_aimed_at_by_its_shape_whatever_comes_before_it() {
    let folder = folder("shape");
    let digest = "ab".repeat(32);
    let shape = "unlinkat /keys/#";
    for before in ["true", "touch first second third"] {
        let script = format!(
            "cd {}; mkdir -p state/keys; cd state/keys; {before}; touch {digest} last; rm {digest} last",
            folder.display()
        );
        let aimed = ["kill", "1", "--children", "--shape", shape, "--when"];
        let output = sweeper(&[&aimed[..], &["before"]].concat(), &shell(&script));
        assert_eq!(output.status.code(), Some(0), "{:?}", report(&output.stderr));
        assert_eq!(report(&output.stderr)["call"]["shape"], shape);
        assert!(folder.join("state/keys").join(&digest).exists());
        let output = sweeper(&[&aimed[..], &["after"]].concat(), &shell(&script));
        assert_eq!(output.status.code(), Some(0), "{:?}", report(&output.stderr));
        assert!(!folder.join("state/keys").join(&digest).exists());
        assert!(folder.join("state/keys/last").exists());
    }
    let output = sweeper(&["kill", "1", "--children", "--shape", "unlinkat /keys/none"], &shell("true"));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn questions_and_probes_can_be_left_out() {
    // a question and an UPDATE (RFC 2136 §2.2: opcode 5) to nobody, over UDP; and a look at another port
    let send = |port: u16, flags: &str| {
        format!("exec 3<>/dev/udp/127.0.0.1/{port}; printf '\\0\\1\\{flags}\\0' >&3; ")
    };
    let script = send(53, "1") + &send(53, "50") + &send(25, "1");
    let counted = |options: &[&str]| {
        let report = report(&sweeper(options, &["bash", "-c", &script]).stdout);
        let calls = report["calls"].as_array().unwrap().clone();
        let of =
            |call: &Value| format!("{} {}", call["name"].as_str().unwrap(), call["place"].as_str().unwrap());
        calls.iter().map(of).filter(|call| call.contains("127.0.0.1")).collect::<Vec<_>>()
    };
    let (dns, mail) = ("write 127.0.0.1:53", "write 127.0.0.1:25");
    assert_eq!(counted(&["count", "--changes"]), [dns, mail]);
    assert_eq!(counted(&["count", "--changes", "--looks", "25"]), [dns]);
    assert_eq!(counted(&["count"]).len(), 6, "{:?}", counted(&["count"]));
}
