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
fn the_list_of_keys_is_there_with_json_too() {
    let dir = Dir::new();
    assert_eq!(dir.run(&["keys", "new", "--out", "a.key"]).code, 0);
    assert_eq!(dir.run(&["keys", "csr", "--key", "a.key", "--name", "a.test", "--out", "a.csr"]).code, 0);
    let (code, document) = dir.json(&["keys", "list", "a.key", "a.csr"]);
    let keys = document["keys"].as_array().unwrap();
    assert_eq!((code, keys.len()), (0, 2), "{document}");
    assert_eq!((&keys[0]["file"], &keys[0]["algorithm"]), (&json!("a.key"), &json!("P-256")));
    assert_eq!(keys[1]["same_key_as"], "a.key");
    let spki = keys[0]["spki_sha256"].as_str().unwrap();
    assert!(dir.run(&["keys", "list", "a.key"]).stdout.contains(spki), "{spki}");
}

#[test]
fn a_file_that_is_no_key_is_one_json_document_and_65() {
    let dir = Dir::new();
    dir.write("notes.txt", "buy milk\n");
    let (code, document) = dir.json(&["tlsa", "notes.txt"]);
    assert_eq!(
        (code, &document["result"], &document["error"]["kind"]),
        (65, &json!("input"), &json!("input"))
    );
    assert!(document["error"]["action"].as_str().unwrap().contains("notes.txt"), "{document}");
}

#[test]
fn a_defect_is_told_without_the_words_that_came_with_it_and_ends_with_70() {
    let dir = Dir::new();
    let panicked = |json: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_danesmith"));
        command.args(json.then_some("--json")).args(["completions", "bash"]);
        command.current_dir(&dir.0).env("DANESMITH_TEST_PANIC", "c2VjcmV0LWNhbmFyeQ==").output().unwrap()
    };
    for json in [true, false] {
        let output = panicked(json);
        assert_eq!(output.status.code(), Some(70), "{output:?}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(!format!("{stdout}{stderr}").contains("c2VjcmV0LWNhbmFyeQ"), "{stdout}{stderr}");
        assert!(stderr.contains("error: could not finish: danesmith has a defect at src/cli/"), "{stderr}");
        assert!(stderr.contains("hint: report this line"), "{stderr}");
        if json {
            let document: Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!(
                (&document["result"], &document["error"]["exit_code"]),
                (&json!("internal"), &json!(70))
            );
        } else {
            assert_eq!(stdout, "");
        }
    }
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
fn a_file_that_is_missing_when_it_is_needed_is_told_with_the_line_that_names_it() {
    let dir = Dir::new();
    dir.write("zones.yaml", MANAGED.replace("keys: managed", "keys: {active: {key: nosuch.key}}"));
    let ran = dir.run(&["plan"]);
    let words = [
        "could not read `./nosuch.key`, which zones.yaml:7:56: certificates.mx1.keys.active.key names: No such file",
        "hint: put the file there, or name its place anew",
    ];
    assert!(
        ran.code == 65 && words.iter().all(|word| ran.stderr.contains(word)),
        "{} {}",
        ran.code,
        ran.stderr
    );
    dir.write("nosuch.key", "buy milk\n");
    let ran = dir.run(&["plan"]);
    let line = "nosuch.key`, which zones.yaml:7:56: certificates.mx1.keys.active.key names";
    assert!(ran.code == 65 && ran.stderr.contains(line), "{} {}", ran.code, ran.stderr);
    dir.write("zones.yaml", MANAGED.replace("keys: managed", "keys: {active: {csr: nosuch.csr}}"));
    let ran = dir.run(&["plan"]);
    let words = [
        "zones.yaml:7:56: certificates.mx1.keys.active.csr: cannot read `nosuch.csr`",
        "hint: put the file there",
    ];
    assert!(
        ran.code == 78 && words.iter().all(|word| ran.stderr.contains(word)),
        "{} {}",
        ran.code,
        ran.stderr
    );
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
fn init_writes_the_commented_example_and_never_over_a_file() {
    let dir = Dir::new();
    let ran = dir.run(&["init"]);
    assert!(ran.code == 0 && ran.stdout.contains("zones.yaml"), "{} {} {}", ran.code, ran.stdout, ran.stderr);
    let written = || std::fs::read_to_string(dir.0.join("zones.yaml")).unwrap();
    assert_eq!(written(), include_str!("../../zones.example.yaml"));
    dir.write("zones.yaml", "mine\n");
    let again = dir.run(&["init"]);
    assert!(
        again.code == 64 && again.stderr.contains("it exists already"),
        "{} {}",
        again.code,
        again.stderr
    );
    assert_eq!(written(), "mine\n");
    let (code, document) = dir.json(&["--config", "other.yaml", "init"]);
    assert_eq!((code, &document["file"]), (0, &json!("other.yaml")));
}

#[test]
fn completions_know_every_command_in_every_shell() {
    let dir = Dir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = dir.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        for command in
            ["init", "plan", "apply", "rotate", "status", "verify", "tlsa", "keys", "account", "provider"]
        {
            assert!(ran.stdout.contains(command), "{shell} lacks {command}");
        }
        assert!(ran.stdout.contains("detailed-exitcode"), "{shell} lacks options");
    }
    let script = dir.write("danesmith.bash", dir.run(&["completions", "bash"]).stdout);
    let complete = "source \"$1\"; COMP_WORDS=(danesmith ro); COMP_CWORD=1; _danesmith danesmith ro danesmith; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash").args(["-c", complete, "bash"]).arg(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "rotate", "{output:?}");
}

#[test]
fn the_list_of_providers_fits_a_terminal_and_tells_what_each_needs() {
    let ran = Dir::new().run(&["provider", "list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    let row =
        |name: &str| ran.stdout.lines().find(|line| line.split(' ').next() == Some(name)).unwrap().to_owned();
    assert_eq!(row("rfc2136"), "rfc2136        TXT TLSA      batch    live                   server, tsig");
    assert_eq!(row("linode"), "linode         TXT, no TLSA  record   spec 2024-10-21        token");
    assert_eq!(row("powerdns"), "powerdns       TXT TLSA      rrset    live 2026-11-23        url, api_key");
    let rows = ran.stdout.lines().take_while(|line| !line.is_empty());
    assert_eq!(
        rows.filter(|line| !line.starts_with(' ')).count(),
        93,
        "a head and 92 kinds:\n{}",
        ran.stdout
    );

    let (code, document) = Dir::new().json(&["provider", "list"]);
    let kinds = document["providers"].as_array().unwrap();
    assert_eq!((code, kinds.len()), (0, 92));
    let cloudflare = kinds.iter().find(|kind| kind["name"] == "cloudflare").unwrap();
    assert_eq!(cloudflare["types"], json!(["TXT", "TLSA"]));
    assert_eq!(cloudflare["needs"], json!(["api_token"]));
    assert_eq!(cloudflare["evidence"]["level"], "spec");
    assert_eq!(cloudflare["semantics"], "record");
    let gandi = kinds.iter().find(|kind| kind["name"] == "gandi").unwrap();
    let levels = (&gandi["evidence"]["level"], &gandi["tlsa_evidence"]["level"]);
    assert_eq!(levels, (&json!("recording"), &json!("docs")), "what TLSA rests on is told apart");
    assert!(row("gandi").contains("recording, TLSA docs"), "{}", row("gandi"));
}

/// By the files of the catalog, not by a list of ours.
#[test]
fn every_host_without_tlsa_says_so_in_the_table_and_in_json() {
    let table = Dir::new().run(&["provider", "list"]).stdout;
    let (code, document) = Dir::new().json(&["provider", "list"]);
    assert_eq!(code, 0);
    let mut without = Vec::new();
    for kind in document["providers"].as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        let starts = format!("{name} ");
        let row = table.lines().find(|line| line.starts_with(&starts)).unwrap();
        let txt_only = kind["types"] == json!(["TXT"]);
        assert_eq!(row.contains("TXT, no TLSA"), txt_only, "{row}");
        let told = if kind["types"] == json!([]) { json!(null) } else { json!(!txt_only) };
        assert_eq!(kind["writes_tlsa"], told, "{name}");
        without.extend(txt_only.then_some(name));
    }
    for name in ["digitalocean", "linode", "vultr", "acme_sh", "lego_exec", "httpreq"] {
        assert!(without.contains(&name), "{name} is not among {without:?}");
    }
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
    let ran = Dir::new().run(&["provider", "show", "rcodezero"]);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let evidence = "evidence recording 2026-11-23 (dns-lexicon rcodezero and its cassettes (rrsets, changetype)) \
                    TLSA client 2026-11-23 (the same requests with another type); that the host takes TLSA was not seen";
    assert!(words.contains(evidence), "the grounds for each type, and what is left open: {}", ran.stdout);
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
    // how many are reached is compared by the catalog's own tests (reach.rs)
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
