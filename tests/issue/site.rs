//! An administrator's folder in a test world: zones.yaml, secrets, CSRs, and the program run there.

use crate::support::{BIND, KNOT, Lab, RESOLVING};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The account every test uses when it has nothing special to say.
pub(crate) const ACCOUNT: &str =
    "default: {directory: 'https://127.0.0.14:14000/dir', root: pebble-root.pem, agree_terms: true}";
/// The provider that may write into all zones but `refused.test`.
pub(crate) const HOME: &str = "home: {rfc2136: {server: 127.0.0.11, tsig: {name: danesmith-key, \
                               algorithm: hmac-sha256, secret: {file: tsig.secret}}}}";

/// What one run of the program said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    fn of(output: &Output, took: Duration) -> Run {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!(
                "stdout is not one JSON document: {e}\n{}\n{stderr}",
                String::from_utf8_lossy(&output.stdout)
            )
        });
        Run { code: output.status.code().unwrap_or(-1), json, stderr, took }
    }

    pub(crate) fn after(command: &mut Command) -> Run {
        let began = Instant::now();
        let output = command.output().unwrap();
        Run::of(&output, began.elapsed())
    }

    /// Panics with everything the run said when its exit code is another.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{}\n{:#}", self.stderr, self.json);
        self
    }

    /// Panics unless all these words are on stderr.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Run {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in:\n{}", self.stderr);
        }
        self
    }

    /// `outcome` of a certificate.
    pub(crate) fn outcome(&self, certificate: &str) -> String {
        let all = self.json["certificates"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|c| c["name"] == certificate);
        found.and_then(|c| c["outcome"].as_str()).unwrap_or("none").to_owned()
    }
}

/// The folder and its world.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) accounts: String,
    pub(crate) providers: String,
}

impl Site {
    pub(crate) fn new(lab: Lab) -> Site {
        Site { lab, accounts: ACCOUNT.into(), providers: HOME.into() }
    }

    /// Writes zones.yaml; `zones` and `certificates` are lines of YAML without their indentation.
    pub(crate) fn configure(&self, zones: &[&str], certificates: &[&str]) {
        let block = |lines: &[&str]| lines.iter().map(|l| format!("  {l}\n")).collect::<String>();
        let text = format!(
            "version: 1\nstate: ./state\n{RESOLVING}\naccounts:\n  {}\nproviders:\n  {}\nzones:\n{}certificates:\n{}",
            self.accounts.replace('\n', "\n  "),
            self.providers.replace('\n', "\n  "),
            block(zones),
            block(certificates),
        );
        fs::write(self.lab.dir().join("zones.yaml"), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command("danesmith");
        command.arg("--json").args(arguments);
        command
    }

    /// Runs it with `--json`. The CA's resolver has forgotten the challenges of earlier orders, as after their TTL.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        if arguments.first() == Some(&"apply") {
            self.lab.flush_resolver();
        }
        self.run_as(&mut self.lab.command("danesmith"), arguments)
    }

    /// The same by another command: a wrapper whose last word is the program.
    pub(crate) fn run_as(&self, command: &mut Command, arguments: &[&str]) -> Run {
        Run::after(command.arg("--json").args(arguments))
    }

    #[track_caller]
    pub(crate) fn apply(&self) -> Run {
        self.run(&["apply"])
    }

    /// Registers the account, so that later counts are those of a warm account.
    #[track_caller]
    pub(crate) fn register(&self) {
        self.run(&["account", "register"]).ends(0);
    }

    /// After a restart.
    pub(crate) fn wait_for_pebble(&self) {
        crate::support::eventually(Duration::from_secs(10), "pebble answers", || {
            let mut probe = self.lab.command("openssl");
            probe.args(["s_client", "-connect", "127.0.0.14:14000"]).output().unwrap().status.success()
        });
    }

    pub(crate) fn live(&self, certificate: &str) -> PathBuf {
        self.lab.dir().join("state/certificates").join(certificate).join("live")
    }

    pub(crate) fn installed(&self, certificate: &str) -> bool {
        self.live(certificate).join("fullchain.pem").exists()
    }

    pub(crate) fn leaf(&self, certificate: &str) -> String {
        fs::read_to_string(self.live(certificate).join("cert.pem")).unwrap()
    }

    /// Subject alternative names of an installed certificate, sorted.
    pub(crate) fn names(&self, certificate: &str) -> Vec<String> {
        let path = self.live(certificate).join("cert.pem");
        let text = self
            .lab
            .run("openssl", &["x509", "-noout", "-ext", "subjectAltName", "-in", path.to_str().unwrap()]);
        let mut names: Vec<String> = text
            .split([',', '\n'])
            .filter_map(|p| p.trim().strip_prefix("DNS:"))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// SHA-256 of the public key, as openssl computes it; `kind` is `x509`, `req` or `pkey`.
    pub(crate) fn spki(&self, kind: &str, path: &str) -> String {
        let public = if kind == "pkey" { "-pubout" } else { "-noout -pubkey" };
        let script = format!(
            "openssl {kind} -in '{path}' {public} | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1"
        );
        self.lab.run("sh", &["-c", &script]).trim().to_owned()
    }

    pub(crate) fn leaf_spki(&self, certificate: &str) -> String {
        self.spki("x509", self.live(certificate).join("cert.pem").to_str().unwrap())
    }

    /// Makes a key and a CSR with openssl in the folder: `NAME.key`, `NAME.csr`.
    pub(crate) fn csr(&self, name: &str, names: &[&str]) {
        let alternatives = names.iter().map(|n| format!("DNS:{n}")).collect::<Vec<_>>().join(",");
        let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
        let subject = format!("subjectAltName={alternatives}");
        self.lab.run(
            "openssl",
            &[
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                &key,
                "-out",
                &csr,
                "-subj",
                "/",
                "-addext",
                &subject,
            ],
        );
    }

    /// Digests of the TLSA 3 1 1 records at a server, sorted; other records are shown as they are.
    pub(crate) fn pins(&self, server: &str, owner: &str) -> Vec<String> {
        let lines = self.lab.dig(server, owner, "TLSA");
        let mut pins: Vec<String> = lines
            .iter()
            .map(|l| match l.strip_prefix("3 1 1 ") {
                Some(digest) => digest.replace(' ', "").to_lowercase(),
                None => l.clone(),
            })
            .collect();
        pins.sort();
        pins
    }

    /// Makes an installed certificate old, as time would, and has unbound forget the challenges of its order.
    pub(crate) fn age(&self, certificate: &str) {
        let path = self.lab.dir().join("state/certificates").join(certificate).join("state.json");
        let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        state["installed"]["not_before"] = "1970-01-01T00:00:00Z".into();
        fs::write(path, state.to_string()).unwrap();
        self.lab.flush_resolver();
    }

    /// The state document of a certificate.
    pub(crate) fn document(&self, certificate: &str) -> Value {
        let path = self.lab.dir().join("state/certificates").join(certificate).join("state.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// Neither server has any challenge record at these names. Removal is not waited for by the program, so Knot may lag.
    #[track_caller]
    pub(crate) fn no_challenge_left(&self, names: &[&str]) {
        for name in names {
            let owner = format!("_acme-challenge.{name}");
            let there = self.lab.dig(BIND, &owner, "TXT");
            assert!(there.is_empty(), "{owner} at BIND: {there:?}");
            crate::support::eventually(Duration::from_secs(10), &format!("{owner} gone from Knot"), || {
                self.lab.dig(KNOT, &owner, "TXT").is_empty()
            });
        }
    }

    /// An RRset with its TTL at BIND, as dig prints it, sorted.
    pub(crate) fn rrset(&self, owner: &str, rtype: &str) -> Vec<String> {
        let at = format!("@{BIND}");
        let text = self.lab.run("dig", &["+noall", "+answer", &at, owner, rtype]);
        let mut lines: Vec<String> =
            text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        lines
    }

    /// Every file below the state directory with what it holds.
    pub(crate) fn state_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.lab.dir().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    found.push((
                        path.clone(),
                        fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                    ));
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}
