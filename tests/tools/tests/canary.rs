//! The canary search as a program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SECRET: &str = "correct horse battery staple";

fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("canary-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("logs/deep")).unwrap();
    fs::write(folder.join("secret"), format!("{SECRET}\n")).unwrap();
    folder
}

fn canary(folder: &Path, paths: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canary"));
    command.current_dir(folder).args(["--secret-file", "secret", "--"]).args(paths).output().unwrap()
}

#[test]
fn clean_files_pass_and_the_secret_file_itself_does_not_count() {
    let folder = folder("clean");
    fs::write(folder.join("logs/a"), "nothing to see").unwrap();
    let output = canary(&folder, &["."]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn a_leak_deep_in_a_folder_is_named_without_being_printed() {
    let folder = folder("leak");
    fs::write(folder.join("logs/deep/trace"), format!("key={SECRET}")).unwrap();
    let output = canary(&folder, &["logs"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), text.as_str()),
        (Some(1), "logs/deep/trace: byte 4: raw of the secret in secret\n")
    );
}

#[test]
fn a_leak_in_a_file_name_is_found() {
    let folder = folder("name");
    fs::write(folder.join("logs").join(SECRET), "").unwrap();
    assert_eq!(canary(&folder, &["logs"]).status.code(), Some(1));
}

#[test]
fn standard_input_is_searched_without_a_path() {
    let folder = folder("stdin");
    let mut child = Command::new(env!("CARGO_BIN_EXE_canary"))
        .current_dir(&folder)
        .args(["--secret-file", "secret"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_path_that_cannot_be_read_is_an_error_and_not_a_pass() {
    let folder = folder("missing");
    assert_eq!(canary(&folder, &["nowhere"]).status.code(), Some(2));
}
