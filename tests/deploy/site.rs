//! A state directory with installed certificates, and a folder that a server reads. No CA, no name server.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The administrator's folder; removed when dropped.
pub(crate) struct Site(pub(crate) PathBuf);

/// What a certificate's key is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Algorithm {
    Ecdsa,
    Rsa,
}

impl Site {
    /// `certificates` are lines of YAML without their indentation.
    pub(crate) fn new(certificates: &[&str]) -> Site {
        // everybody may look: what is deployed here is read by other users
        let everybody = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("danesmith-deploy-").permissions(everybody).tempdir();
        let site = Site(folder.unwrap().keep());
        fs::create_dir(site.0.join("out")).unwrap();
        site.configure(certificates);
        site
    }

    pub(crate) fn configure(&self, certificates: &[&str]) {
        let lines: String = certificates.iter().map(|line| format!("  {line}\n")).collect();
        let text = format!(
            "version: 1\naccounts: {{default: {{directory: letsencrypt-staging, agree_terms: true}}}}\nproviders:\n  \
             home: {{rfc2136: {{server: 192.0.2.1, tsig: {{name: k, algorithm: hmac-sha256, secret: {{file: \
             absent}}}}}}}}\nzones: {{example.org: {{provider: home}}}}\ncertificates:\n{lines}"
        );
        fs::write(self.path("zones.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Makes a key `NAME.key`.
    pub(crate) fn key(&self, name: &str, algorithm: Algorithm) {
        let kind = match algorithm {
            Algorithm::Ecdsa => ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Algorithm::Rsa => ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        let out = format!("{name}.key");
        self.openssl(&[&["genpkey", "-out", &out, "-algorithm"], &kind[..]].concat());
    }

    /// Installs the next generation of a certificate for `NAME.key`, as danesmith does; the key lies in it `with_key`.
    pub(crate) fn install(&self, name: &str, with_key: bool) {
        let certificates = self.path("state/certificates").join(name);
        let document = certificates.join("state.json");
        let former: Option<Value> =
            fs::read(&document).ok().map(|text| serde_json::from_slice(&text).unwrap());
        let generation = former.map_or(0, |d| d["installed"]["generation"].as_u64().unwrap()) + 1;
        let key = format!("{name}.key");
        let subject = format!("/CN={name} {generation}");
        self.openssl(&[
            "req", "-x509", "-new", "-key", &key, "-days", "90", "-subj", &subject, "-out", "cert.pem",
        ]);
        let (cert, key) = (self.read("cert.pem"), self.read(&key));
        let folder = certificates.join("generations").join(generation.to_string());
        fs::create_dir_all(&folder).unwrap();
        let chain = &cert; // what issued it does not matter here
        let mut files = vec![
            ("cert.pem", cert.clone()),
            ("chain.pem", chain.clone()),
            ("fullchain.pem", format!("{cert}{chain}")),
        ];
        if with_key {
            files.push(("privkey.pem", key.clone()));
            files.push(("keyandchain.pem", format!("{key}{cert}{chain}")));
        }
        for (file, content) in files {
            fs::write(folder.join(file), content).unwrap();
            fs::set_permissions(folder.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let _ = fs::remove_file(certificates.join("live"));
        symlink(format!("generations/{generation}"), certificates.join("live")).unwrap();
        let spki = self.spki("cert.pem");
        let serial = self.openssl(&["x509", "-noout", "-serial", "-in", "cert.pem"]);
        let from_now =
            |days: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).to_string();
        let text = json!({
            "version": 1,
            "keys": {"active": spki},
            "installed": {
                "generation": generation, "names": ["mx.example.org"], "spki": spki, "serial": serial.trim(),
                "not_before": from_now(0), "not_after": from_now(90), "issuer": "CN=test",
            },
        });
        fs::write(document, text.to_string()).unwrap();
        fs::create_dir_all(certificates.join("keys")).unwrap();
        fs::write(certificates.join(format!("keys/{spki}.pem")), key).unwrap();
    }

    /// A new certificate and a new key: what is of different generations cannot match.
    pub(crate) fn renew(&self, name: &str, algorithm: Algorithm) {
        self.key(name, algorithm);
        self.install(name, true);
    }

    fn spki(&self, cert: &str) -> String {
        let public = self.openssl(&["x509", "-noout", "-pubkey", "-in", cert]);
        let (_, der) = x509_parser::pem::parse_x509_pem(public.as_bytes()).unwrap();
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(&der.contents))
    }

    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the newest generation in the state directory holds.
    pub(crate) fn installed(&self, name: &str, file: &str) -> String {
        self.read(&format!("state/certificates/{name}/live/{file}"))
    }

    pub(crate) fn danesmith(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_danesmith")).args(arguments).current_dir(&self.0).output().unwrap()
    }

    /// Runs `apply`, which must end with this code; gives what it said.
    #[track_caller]
    pub(crate) fn apply(&self, code: i32) -> String {
        let output = self.danesmith(&["apply"]);
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        told(&output)
    }

    pub(crate) fn document(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(&format!("state/certificates/{name}/state.json"))).unwrap()
    }

    /// Mode, owner and group of every file below a folder, by its path; links by where they lead.
    pub(crate) fn listing(&self, folder: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path(folder)];
        while let Some(at) = folders.pop() {
            for entry in fs::read_dir(&at).unwrap() {
                let path = entry.unwrap().path();
                let seen = fs::symlink_metadata(&path).unwrap();
                let what = match () {
                    () if seen.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                    () if seen.is_dir() => {
                        folders.push(path.clone());
                        format!("{:04o} folder", seen.mode() & 0o7777)
                    }
                    () => format!("{:04o} {}:{}", seen.mode() & 0o7777, seen.uid(), seen.gid()),
                };
                found.insert(path.strip_prefix(self.path(folder)).unwrap().display().to_string(), what);
            }
        }
        found
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Everything a run said.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// A group of this host that is not ours, by name and number.
pub(crate) fn some_group() -> (String, u32) {
    let text = fs::read_to_string("/etc/group").unwrap();
    let groups = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = groups.map(|f| (f[0].to_owned(), f[2].parse().unwrap())).find(|(_, id)| *id != 0);
    found.expect("a host has groups besides root")
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
