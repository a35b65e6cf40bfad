//! zones.yaml: what is accepted, and for every mistake the line, the column, the path and the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod administrator;
mod deploy;
mod hostile;
mod limits;
mod mistakes;
mod providers;
mod rotation;
mod values;

use danesmith::config::{self, Problem};
use danesmith::model::desired::Desired;
use hickory_proto::rr::Name;
use std::path::{Path, PathBuf};

/// Stands where a secret could; must never come back.
pub(crate) const CANARY: &str = "c4n4ryHunter2c4n4ry";

/// A folder with zones.yaml and the files its texts name; removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(text: &str) -> Self {
        let folder = Folder(tempfile::Builder::new().prefix("danesmith-config-").tempdir().unwrap().keep());
        folder.write("zones.yaml", text);
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub(crate) fn load(&self) -> Result<Desired, Vec<Problem>> {
        config::load(&self.0.join("zones.yaml"), &names_in)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Stands in for the CSR parser: a "CSR" of these tests is a list of names.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    match text.strip_prefix("names:") {
        Some(names) => Ok(names.split_whitespace().map(str::to_owned).collect()),
        None => Err("this is no PKCS#10 request".to_owned()),
    }
}

pub(crate) fn with_files(text: &str) -> Folder {
    let folder = Folder::new(text);
    for file in ["private-ca.pem", "dns-ca.pem", "mx3-active.key", "mx4-backup.pub", "a.key", "root.key"] {
        folder.write(file, "PEM");
    }
    folder.write("mx2-active.csr", "names: mx2.example.org");
    folder.write("mx2-backup.csr", "names: MX2.example.org.");
    folder.write("mx4-active.csr", "names: mx4.example.net");
    folder.write("a.csr", "names: mx.example.org");
    folder.write("b.csr", "names: mx.example.org");
    folder.write("other.csr", "names: mx.example.org old.example.org");
    folder.write("lacking.csr", "names: www.example.org");
    folder.write("not-a.csr", "hello");
    folder.write("empty.csr", "");
    folder
}

/// The smallest useful file.
pub(crate) const SMALL: &str = "\
version: 1
accounts:
  default: {directory: letsencrypt-staging, contact: [a@example.org], agree_terms: true}
providers:
  home:
    rfc2136:
      server: 192.0.2.1
      tsig: {name: k, algorithm: hmac-sha256, secret: {file: tsig.secret}}
zones:
  example.org: {provider: home}
certificates:
  mx:
    names: [mx.example.org]
    keys: managed
    tlsa: [_25._tcp.mx.example.org]
";

pub(crate) fn good(text: &str) -> Desired {
    with_files(text).load().unwrap_or_else(|problems| panic!("{}\n{text}", shown(&problems)))
}

pub(crate) fn shown(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// SMALL with one replacement, which must give these problems: `LINE:COLUMN: PATH: MESSAGE` and the hint.
#[track_caller]
pub(crate) fn small_with(old: &str, new: &str, expected: &str) {
    assert!(SMALL.contains(old), "{old:?} is not in SMALL");
    bad(&SMALL.replacen(old, new, 1), expected);
}

#[track_caller]
pub(crate) fn bad(text: &str, expected: &str) {
    let folder = with_files(text);
    let found = match folder.load() {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => shown(&problems).replace(&format!("{}:", folder.0.join("zones.yaml").display()), ""),
    };
    assert_eq!(found, expected, "\n{found}\n");
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}
