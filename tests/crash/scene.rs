//! One world, one certificate with managed keys, and the questions that every crash must leave well answered.

use crate::support::{BIND, DIRECTORY, KNOT, Lab, Options, RESOLVING, eventually};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Where the pins stand.
pub(crate) const PINS: &str = "_25._tcp.mx1.example.test";
/// Where the challenges of apex and wildcard stand.
pub(crate) const CHALLENGE: &str = "_acme-challenge.example.test";
/// A TXT value at [`CHALLENGE`] that is not danesmith's.
pub(crate) const FOREIGN: &str = "somebody-else-is-at-work";

/// A world with a configuration in it.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    /// What is swept.
    pub(crate) words: Cell<&'static [&'static str]>,
    log_read: Cell<u64>,
}

impl Scene {
    /// A world without needless waiting, `zones.yaml` in its folder, and a foreign challenge beside ours.
    pub(crate) fn new() -> Scene {
        Scene::with("secret: {file: tsig.secret}", "")
    }

    /// The same with another TSIG secret and more lines for the certificate.
    pub(crate) fn with(secret: &str, more: &str) -> Scene {
        let options = Options {
            extra_zones: 0,
            notify_delay: Some(0),
            retry_after: (0, 0),
            ttl: 1,
            negative_ttl: 1,
            ..Options::default()
        }
        .pebble("PEBBLE_WFE_NONCEREJECT", "0");
        let lab = Lab::start(options);
        fs::write(lab.dir().join("zones.yaml"), zones_yaml(secret, more)).unwrap();
        lab.add_record("example.test", CHALLENGE, "TXT", FOREIGN);
        Scene { lab, words: Cell::new(&["apply"]), log_read: Cell::new(0) }
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.lab.dir().join("state")
    }

    /// The certificate's folder in it.
    pub(crate) fn folder(&self) -> PathBuf {
        self.state().join("certificates/mx1")
    }

    /// `danesmith apply`.
    pub(crate) fn apply(&self) -> Command {
        self.forget_dns();
        let mut command = self.lab.command("danesmith");
        command.arg("apply");
        command
    }

    /// The resolver must not remember what an earlier point of a sweep left in the zone.
    pub(crate) fn forget_dns(&self) {
        self.lab.flush_resolver();
    }

    /// Runs `apply` to its good end.
    pub(crate) fn apply_well(&self, context: &str) -> Output {
        let output = self.apply().output().unwrap();
        assert!(output.status.success(), "{context}: {}", told(&output));
        output
    }

    /// No state, no pins: as if danesmith had never run.
    pub(crate) fn reset(&self) {
        let _ = fs::remove_dir_all(self.state());
        let delete = format!("update delete {PINS} TLSA");
        self.lab.update("foreign-key", "example.test", &[&delete]).unwrap();
        // pins of keys that a new state does not know would be refused, rightly
        eventually(Duration::from_secs(10), "the secondary drops the pins", || {
            self.lab.dig(KNOT, PINS, "TLSA").is_empty()
        });
        self.orders();
    }

    /// newOrder requests since the last call.
    pub(crate) fn orders(&self) -> usize {
        let mut log = fs::File::open(self.lab.dir().join("pebble/pebble.log")).unwrap();
        log.seek(SeekFrom::Start(self.log_read.get())).unwrap();
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        self.log_read.set(self.log_read.get() + text.len() as u64);
        text.matches("POST /order-plz -> calling handler()").count()
    }

    /// The pins at the primary, as `3 1 1 hex`.
    pub(crate) fn pins(&self) -> Vec<String> {
        let lines = self.lab.dig(BIND, PINS, "TLSA");
        let mut pins: Vec<String> =
            lines.iter().map(|l| l.replacen(' ', "/", 3).replace(' ', "").to_lowercase()).collect();
        pins.sort();
        pins
    }

    /// What must be true at every moment: `live` is absent or shows one whole generation with its own key.
    pub(crate) fn assert_whole_or_absent(&self, context: &str) -> Option<Live> {
        let link = self.folder().join("live");
        if fs::symlink_metadata(&link).is_err() {
            return None;
        }
        Some(Live::read(&link, context))
    }

    /// What must be true after a good run: installed, committed, both keys pinned, nothing of ours left behind.
    pub(crate) fn assert_done(&self, context: &str) -> Live {
        let live =
            self.assert_whole_or_absent(context).unwrap_or_else(|| panic!("{context}: nothing is installed"));
        let document = self.document();
        let generation = document["installed"]["generation"].as_u64().unwrap();
        assert_eq!(live.generation, generation, "{context}: link and document");
        assert_eq!(document["keys"]["active"], live.spki, "{context}: the certificate is for the active key");
        let mut wanted: Vec<String> = ["active", "backup"]
            .iter()
            .map(|k| format!("3/1/1/{}", document["keys"][k].as_str().unwrap()))
            .collect();
        wanted.sort();
        assert_eq!(self.pins(), wanted, "{context}: pins");
        assert_eq!(document.get("order"), None, "{context}: {document}");
        assert_eq!(document.get("owed"), None, "{context}: {document}");
        self.assert_only_foreign_challenge(context);
        live
    }

    /// None of our challenges stands, the foreign one does.
    pub(crate) fn assert_only_foreign_challenge(&self, context: &str) {
        assert_eq!(self.lab.dig(BIND, CHALLENGE, "TXT"), [format!("\"{FOREIGN}\"")], "{context}: TXT");
    }

    /// The state document.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder().join("state.json")).unwrap()).unwrap()
    }

    /// Lets the state document say that the certificate is old and ends in an hour: the next run renews it.
    pub(crate) fn make_renewal_due(&self) {
        let mut document = self.document();
        let from_now = |hours| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).to_string();
        document["installed"]["not_before"] = from_now(-1000).into();
        document["installed"]["not_after"] = from_now(1).into();
        fs::write(self.folder().join("state.json"), document.to_string()).unwrap();
    }

    /// A certificate in its second generation, the third one due: that renewal will prune, too.
    pub(crate) fn grow_old(&self) {
        for generation in 1..=2 {
            self.apply_well("growing old");
            assert_eq!(self.document()["installed"]["generation"], generation);
            self.make_renewal_due();
        }
        copy(&self.state(), &self.lab.dir().join("old-state"));
        self.orders();
    }

    /// Back to the moment after [`Scene::grow_old`].
    pub(crate) fn rewind(&self) {
        let _ = fs::remove_dir_all(self.state());
        copy(&self.lab.dir().join("old-state"), &self.state());
        self.orders();
    }
}

/// One generation as servers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) generation: u64,
    pub(crate) spki: String,
    pub(crate) cert: String,
}

impl Live {
    fn read(link: &Path, context: &str) -> Live {
        let target = fs::read_link(link).unwrap();
        let read = |name: &str| {
            fs::read_to_string(link.join(name)).unwrap_or_else(|e| panic!("{context}: live/{name}: {e}"))
        };
        let (cert, chain, key) = (read("cert.pem"), read("chain.pem"), read("privkey.pem"));
        let full = format!("{cert}{chain}");
        assert_eq!(read("fullchain.pem"), full, "{context}: fullchain.pem");
        assert_eq!(read("keyandchain.pem"), format!("{key}{full}"), "{context}: keyandchain.pem");
        let of_cert = openssl(&["x509", "-noout", "-pubkey", "-in"], &link.join("cert.pem"));
        let of_key = openssl(&["pkey", "-pubout", "-in"], &link.join("privkey.pem"));
        assert_eq!(of_cert, of_key, "{context}: the key is not the certificate's");
        let generation = target.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let (_, der) = x509_parser::pem::parse_x509_pem(of_cert.as_bytes()).unwrap();
        Live { generation, spki: hex::encode(Sha256::digest(&der.contents)), cert }
    }
}

/// Everything a run said, for the message of a failing test.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn openssl(args: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(args).arg(file).output().unwrap();
    assert!(output.status.success(), "openssl {args:?} {}: {}", file.display(), told(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}

fn zones_yaml(secret: &str, more: &str) -> String {
    format!(
        "version: 1
state: ./state
{RESOLVING}
accounts:
  default:
    directory: {DIRECTORY}
    root: pebble-root.pem
    agree_terms: true
providers:
  home:
    rfc2136:
      server: {BIND}
      tsig: {{name: danesmith-key, algorithm: hmac-sha256, {secret}}}
zones:
  example.test: {{provider: home, ttl: {{txt: 1, tlsa: 5}}}}
certificates:
  mx1:
    names: [example.test, \"*.example.test\"]
    keys: managed
    tlsa: [{PINS}]
    endpoints: unchecked
{more}"
    )
}
