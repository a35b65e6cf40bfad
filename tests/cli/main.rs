//! The command line as it is typed: whole outputs and exit codes, without any network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
        Dir(tempfile::Builder::new().prefix("danesmith-cli-").tempdir().unwrap().keep())
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
    let expected = "error: could not read --json: No such file or directory (os error 2)\n  hint: look at the path: every folder in it must exist\n";
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

#[test]
fn a_private_key_is_never_written_to_standard_output() {
    let dir = Dir::new();
    let ran = dir.run(&["keys", "new", "--out", "-"]);
    let expected = "error: could not make a key: a private key is never written to standard output\n\
                    \x20 hint: give a file: --out mx1.key\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (64, "", expected));
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}

#[test]
fn a_configuration_without_certificates_says_so() {
    let dir = Dir::new();
    dir.write("zones.yaml", "version: 1\n");
    for command in ["plan", "apply", "status"] {
        let ran = dir.run(&[command]);
        let expected = " WARN zones.yaml lists no certificate: there is nothing to do\n";
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", expected), "{command}");
    }
}

const MANAGED: &str = "version: 1
accounts: {default: {directory: letsencrypt-staging, agree_terms: true}}
providers:
  home: {rfc2136: {server: 192.0.2.53, tsig: {name: k, algorithm: hmac-sha256, secret: {file: tsig.secret}}}}
zones: {example.org: {provider: home}}
certificates:
  mx1: {names: [mx1.example.org], keys: managed, tlsa: [_25._tcp.mx1.example.org]}
";

#[test]
fn status_before_the_first_run_needs_no_network() {
    let dir = Dir::new();
    dir.write("zones.yaml", MANAGED);
    let ran = dir.run(&["status"]);
    let expected = "mx1\n\
                    \x20 names     mx1.example.org\n\
                    \x20 installed nothing yet\n\
                    \x20 keys      none yet\n\
                    \x20 next      make the keys, then the first certificate\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, expected, ""));
}

#[test]
fn a_certificate_that_is_not_listed_is_answered_with_those_that_are() {
    let dir = Dir::new();
    dir.write("zones.yaml", MANAGED);
    for command in ["plan", "apply", "status"] {
        let ran = dir.run(&[command, "mx2"]);
        let expected =
            "error: could not find certificate `mx2`: zones.yaml does not list it\n  hint: it lists: mx1\n";
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (64, "", expected), "{command}");
    }
}

#[test]
fn a_state_document_that_is_no_json_is_never_overwritten() {
    let dir = Dir::new();
    dir.write("zones.yaml", MANAGED);
    let folder = dir.0.join("state/certificates/mx1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("state.json"), "").unwrap();
    for command in ["plan", "apply", "status"] {
        let (code, document) = dir.json(&[command]);
        assert_eq!((code, &document["result"]), (74, &json!("local")), "{command}");
    }
    assert_eq!(std::fs::read(folder.join("state.json")).unwrap(), b"");
}

#[test]
fn no_output_holds_a_secret_that_was_written_into_the_configuration() {
    let dir = Dir::new();
    dir.write("zones.yaml", MANAGED.replace("{file: tsig.secret}", "c2VjcmV0LWNhbmFyeQ=="));
    for words in [&["plan"][..], &["-vvv", "plan"], &["--json", "apply"]] {
        let Ran { code, stdout, stderr } = dir.run(words);
        assert_eq!(code, 78, "{words:?}");
        assert!(!format!("{stdout}{stderr}").contains("c2VjcmV0LWNhbmFyeQ"), "{words:?}: {stdout}{stderr}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let dir = Dir::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
    command.args(["completions", "bash"]).current_dir(&dir.0).stdin(Stdio::null()).stdout(full);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let expected =
        "error: could not write the result to standard output: No space left on device (os error 28)\n";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(output.status.code(), Some(74));
}

#[test]
fn the_list_of_providers_fits_a_terminal_and_tells_what_each_needs() {
    let ran = Dir::new().run(&["provider", "list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    let row =
        |name: &str| ran.stdout.lines().find(|line| line.split(' ').next() == Some(name)).unwrap().to_owned();
    assert_eq!(row("rfc2136"), "rfc2136        TXT TLSA  batch    live                 server, tsig");
    assert_eq!(row("linode"), "linode         TXT       record   spec 2024-10-21      token");
    assert_eq!(row("powerdns"), "powerdns       TXT TLSA  rrset    live 2026-11-23      url, api_key");
    let rows = ran.stdout.lines().take_while(|line| !line.is_empty());
    assert_eq!(
        rows.filter(|line| !line.starts_with(' ')).count(),
        77,
        "a head and 76 kinds:\n{}",
        ran.stdout
    );

    let (code, document) = Dir::new().json(&["provider", "list"]);
    let kinds = document["providers"].as_array().unwrap();
    assert_eq!((code, kinds.len()), (0, 76));
    let cloudflare = kinds.iter().find(|kind| kind["name"] == "cloudflare").unwrap();
    assert_eq!(cloudflare["types"], json!(["TXT", "TLSA"]));
    assert_eq!(cloudflare["needs"], json!(["api_token"]));
    assert_eq!(cloudflare["evidence"]["level"], "docs");
    assert_eq!(cloudflare["semantics"], "record");
}

#[test]
fn one_provider_is_shown_with_lines_to_copy() {
    let ran = Dir::new().run(&["provider", "show", "powerdns"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    let copied = ran.stdout.split("in zones.yaml\n").nth(1).unwrap();
    let lines =
        "  providers:\n    mine:\n      powerdns:\n        url: …\n        api_key: {env: PDNS_API_KEY}\n";
    assert_eq!(copied, lines);
    let ran = Dir::new().run(&["provider", "show", "linode"]);
    assert!(ran.stdout.contains("TXT only: no TLSA, no DANE"), "{}", ran.stdout);
    let ran = Dir::new().run(&["provider", "show", "desec"]);
    assert!(ran.stdout.contains("ttl       the smallest is the zone's own\n"), "{}", ran.stdout);
    let ran = Dir::new().run(&["provider", "show", "powerdsn"]);
    assert!(ran.stderr.contains("hint: did you mean `powerdns`?"), "{}", ran.stderr);
    let ran = Dir::new().run(&["provider", "show", "nobody"]);
    let expected = "error: could not show provider `nobody`: no kind has this name\n\
                    \x20 hint: `danesmith provider list` shows them all\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (64, expected));
}

#[test]
fn the_readme_counts_providers_as_the_program_does() {
    use danesmith_providers::{catalog::Catalog, kinds};
    let all = kinds::all(&Catalog::builtin().unwrap());
    let hosts = all.iter().filter(|kind| kind.file.is_some());
    let (count, tlsa) = (hosts.clone().count(), hosts.filter(|kind| kind.writes_tlsa()).count());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("the HTTP interfaces of {count} DNS hosts, {tlsa} of them with TLSA")),
        "{count}, {tlsa}"
    );
    assert!(readme.contains(&format!("TLSA wants `rfc2136`, one of the {tlsa}, ")));
    // made by the catalog's own test
    let reached = std::fs::read_to_string(folder.join("providers/README.md")).unwrap();
    assert!(reached.contains("danesmith reaches about 220.") && readme.contains("about 220 services"));
}

#[test]
fn a_key_that_others_can_read_is_told_when_a_csr_is_made_of_it() {
    let dir = Dir::new();
    assert_eq!(dir.run(&["keys", "new", "--out", "key.pem"]).code, 0);
    let csr = ["keys", "csr", "--key", "key.pem", "--name", "mx1.example.org"];
    let private = dir.run(&csr);
    assert_eq!((private.code, private.stderr.as_str()), (0, ""));
    std::fs::set_permissions(dir.0.join("key.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let shared = dir.run(&csr);
    assert_eq!(shared.code, 0);
    assert!(shared.stderr.contains("key.pem can be read by others (mode 0644)"), "{}", shared.stderr);
}
