//! The command line as it is typed: whole outputs and exit codes, without any network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own for each test.
struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Dir {
    fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("danesmith-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
        command.args(words).current_dir(&self.0).stdin(Stdio::null()).env_remove("DANESMITH_CONFIG");
        let output = command.output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With `--json`: exactly one document, whose exit code is that of the process.
    fn json(&self, words: &[&str]) -> (i32, Value) {
        let Ran { code, stdout, .. } = self.run(&[&["--json"], words].concat());
        let document: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{words:?}: {e}: {stdout}"));
        assert_eq!(document["version"], 1);
        if !document["error"].is_null() {
            assert_eq!(document["error"]["exit_code"], code, "{words:?}");
        }
        (code, document)
    }
}

#[test]
fn a_wrong_command_line_is_one_json_document_too() {
    let dir = Dir::new();
    let (code, document) = dir.json(&["apply", "--nope"]);
    assert_eq!(code, 64);
    let expected = json!({
        "version": 1, "result": "usage", "certificates": [],
        "error": {
            "kind": "usage", "exit_code": 64, "action": "read the command line",
            "cause": "unexpected argument '--nope' found", "remains": null,
            "hints": ["danesmith help COMMAND has the options"], "retry_after_seconds": null,
        },
    });
    assert_eq!(document, expected);
    for words in [
        &["bogus"][..],
        &[],
        &["keys"],
        &["keys", "new"],
        &["completions", "nosh"],
        &["--color", "red", "plan"],
    ] {
        let (code, document) = dir.json(words);
        assert_eq!((code, &document["result"]), (64, &json!("usage")), "{words:?}");
    }
}

#[test]
fn help_and_version_are_one_json_document_too() {
    let dir = Dir::new();
    let (code, document) = dir.json(&["--version"]);
    let text = format!("danesmith {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (code, document),
        (0, json!({ "version": 1, "result": "ok", "certificates": [], "text": text }))
    );
    let (code, document) = dir.json(&["help", "apply"]);
    assert_eq!(code, 0);
    assert!(document["text"].as_str().unwrap().contains("--detailed-exitcode"));
}

#[test]
fn a_file_named_like_the_option_asks_for_no_json() {
    let ran = Dir::new().run(&["tlsa", "--", "--json"]);
    let expected = "error: could not read --json: No such file or directory (os error 2)\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (74, "", expected));
}

#[test]
fn a_missing_configuration_says_how_to_begin() {
    let ran = Dir::new().run(&["plan"]);
    let expected = "error: could not use zones.yaml: 1 problem\n\
                    zones.yaml: cannot be read: No such file or directory (os error 2)\n\
                    \x20 hint: `danesmith init` writes a commented zones.yaml; `--config FILE` names another\n\
                    \x20 Nothing was changed.\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (78, "", expected));
}
