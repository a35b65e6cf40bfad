//! SIGKILL before and after every change that a deployment makes on disk, and each change failing once.

use crate::site::{Algorithm, Site, told};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

/// More calls than this and the sweep would not end: a defect of ours.
const MANY: usize = 1000;

const CERTIFICATES: [&str; 2] = [
    "mx1: {names: [mx.example.org], keys: managed, deploy: {dir: out/tls, group: '1', files: {privkey: mx.key}, reload: [touch, reloaded]}}",
    "rsa: {names: [mx.example.org], keys: {active: {key: rsa.key}}, deploy: {dir: out/tls, group: '1', chains: rsa.pem, reload: [touch, reloaded]}}",
];

#[test]
fn a_first_deployment_survives_a_kill_at_every_change() {
    let scene = Scene::first();
    scene.sweep(&["before", "after"].map(|when| vec!["--when", when]), "kill");
}

#[test]
fn a_later_deployment_survives_a_kill_at_every_change() {
    let scene = Scene::later();
    scene.sweep(&["before", "after"].map(|when| vec!["--when", when]), "kill");
}

#[test]
fn a_later_deployment_survives_a_full_or_broken_disk_at_every_change() {
    let scene = Scene::later();
    scene.sweep(&["ENOSPC", "EIO"].map(|errno| vec!["--errno", errno]), "fail");
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_files() {
    let site = Site::new(&CERTIFICATES[..1]);
    // The folder alone is full: the state directory is elsewhere.
    let script = "mount -t tmpfs -o size=64k,mode=755 tmpfs out && \
        \"$0\" apply >/dev/null 2>&1 && cp out/tls/chains.pem old.pem && \
        cp -a state first && rm -r state && cp -a second state && \
        (dd if=/dev/zero of=out/ballast bs=1k 2>/dev/null; true) && { \"$0\" apply; echo \"code $?\"; } 2>&1 && \
        cmp out/tls/chains.pem old.pem && rm out/ballast && \"$0\" apply && cp -L out/tls/chains.pem new.pem";
    site.renew("mx1", Algorithm::Ecdsa);
    let first = site.path("first");
    copy(&site.path("state"), &first);
    site.renew("mx1", Algorithm::Ecdsa);
    copy(&site.path("state"), &site.path("second"));
    let new = site.installed("mx1", "keyandchain.pem");
    fs::remove_dir_all(site.path("state")).unwrap();
    fs::rename(&first, site.path("state")).unwrap();
    let output = Command::new("unshare")
        .args(["-m", "sh", "-ec", script, env!("CARGO_BIN_EXE_danesmith")])
        .current_dir(&site.0)
        .output()
        .unwrap();
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("code 74") && said.contains("No space left on device"), "{said}");
    assert!(said.contains("hint: free space on this file system"), "{said}");
    assert_eq!(site.read("new.pem"), new);
}

/// A site, what may be seen in its folder, and copies to go back to.
struct Scene {
    site: Site,
    /// What was deployed before, by file; none at first.
    old: BTreeMap<&'static str, String>,
    new: BTreeMap<&'static str, String>,
}

impl Scene {
    fn first() -> Scene {
        let site = Site::new(&CERTIFICATES);
        site.renew("mx1", Algorithm::Ecdsa);
        site.renew("rsa", Algorithm::Rsa);
        Scene::at(site, BTreeMap::new())
    }

    fn later() -> Scene {
        let Scene { site, new: old, .. } = Scene::first();
        site.apply(0);
        site.renew("mx1", Algorithm::Ecdsa);
        site.renew("rsa", Algorithm::Rsa);
        Scene::at(site, old)
    }

    fn at(site: Site, old: BTreeMap<&'static str, String>) -> Scene {
        let pair = |name: &str| site.installed(name, "keyandchain.pem");
        let new = BTreeMap::from([
            ("chains.pem", pair("mx1")),
            ("mx1/keyandchain.pem", pair("mx1")),
            ("mx.key", site.installed("mx1", "privkey.pem")),
            ("rsa.pem", pair("rsa")),
            ("rsa/keyandchain.pem", pair("rsa")),
        ]);
        for name in ["state", "out"] {
            let saved = site.path(&format!("saved-{name}"));
            let _ = fs::remove_dir_all(&saved);
            copy(&site.path(name), &saved);
        }
        Scene { site, old, new }
    }

    fn rewind(&self) {
        for name in ["state", "out"] {
            fs::remove_dir_all(self.site.path(name)).unwrap();
            copy(&self.site.path(&format!("saved-{name}")), &self.site.path(name));
        }
        let _ = fs::remove_file(self.site.path("reloaded"));
    }

    fn sweep(&self, variants: &[Vec<&str>], mode: &str) {
        let mut points = 0;
        for variant in variants {
            for n in 1..=MANY {
                assert!(n < MANY, "the sweep does not end");
                self.rewind();
                let (reached, report, output) = self.run(mode, n, variant);
                let context = format!("{mode} {n} {variant:?}: {}\n{}", report["call"], told(&output));
                self.assert_whole(&context);
                if !reached {
                    assert_eq!(report["exit"]["code"], 0, "{context}");
                    self.assert_new(&context);
                    break;
                }
                points += 1;
                match report["exit"]["code"].as_i64() {
                    Some(0) => self.assert_new(&context),
                    Some(code) => assert!([4, 74].contains(&code), "{context}"),
                    None => assert_eq!(mode, "kill", "{context}"),
                }
                self.site.apply(0);
                self.assert_new(&context);
            }
        }
        assert!(points > 20 * variants.len(), "only {points} points: what is counted?");
    }

    /// `danesmith apply` under the sweeper; counts changes in the folder only.
    fn run(&self, mode: &str, n: usize, variant: &[&str]) -> (bool, Value, Output) {
        let report = self.site.path("report.json");
        let output = Command::new(tool("sweeper"))
            .args([mode, &n.to_string()])
            .args(variant)
            .args(["--files", "--under", "out", "--timeout", "60", "--report", "report.json", "--"])
            .args([env!("CARGO_BIN_EXE_danesmith"), "apply"])
            .current_dir(&self.site.0)
            .output()
            .unwrap();
        let reached = match output.status.code() {
            Some(0) => true,
            Some(3) => false,
            _ => panic!("sweeper: {}", told(&output)),
        };
        let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        assert_eq!(report["timed_out"], false, "{}", told(&output));
        (reached, report, output)
    }

    /// At every moment: each file is the old one or the new one, and absent only before the first deployment.
    fn assert_whole(&self, context: &str) {
        for (file, new) in &self.new {
            let found = fs::read_to_string(self.site.path("out/tls").join(file)).ok();
            let whole = found.as_ref() == Some(new) || found.as_ref() == self.old.get(file);
            assert!(whole, "{context}: {file} is {found:?}");
        }
        for name in ["mx1", "rsa"] {
            let folder = self.site.path("out/tls").join(name);
            if folder.exists() {
                let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
                assert_eq!(
                    read("privkey.pem") + &read("fullchain.pem"),
                    read("keyandchain.pem"),
                    "{context}"
                );
            }
        }
    }

    fn assert_new(&self, context: &str) {
        for (file, new) in &self.new {
            assert_eq!(&self.site.read(&format!("out/tls/{file}")), new, "{context}: {file}");
        }
        for (path, what) in self.site.listing("out/tls") {
            let secret =
                path.ends_with("privkey.pem") || path.ends_with("keyandchain.pem") || path.contains(".pem/");
            assert!(
                !secret || what.starts_with("0640 0:1") || what.contains("folder") || path.contains(".new"),
                "{context}: {path} {what}"
            );
        }
        assert!(self.site.path("reloaded").exists(), "{context}: no reload");
        for name in ["mx1", "rsa"] {
            assert_eq!(self.site.document(name).get("reload_owed"), None, "{context}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}

/// A program of tests/tools; built when it is not there.
fn tool(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    let path = Path::new(env!("CARGO_BIN_EXE_danesmith")).with_file_name(name);
    BUILD.call_once(|| {
        if !path.exists() {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
            cargo.args(["build", "--locked", "-p", "danesmith-testtools", "--bins"]);
            assert!(cargo.status().unwrap().success(), "cargo build of the test tools");
        }
    });
    path
}
