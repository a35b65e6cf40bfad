//! The mail half of a world ([`Options::with_mail`](super::Options::with_mail)): what servers present, what is pinned,
//! who may deliver, and what independent clients think. Messages are sent by [`super::sender`].

use super::{BIND, Daemon, KNOT, Lab, UNBOUND, eventually, script};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A mail server on ports 25 and 587 (STARTTLS) and 465 (TLS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailServer {
    /// Postfix at 127.0.0.25; also one of the two addresses of `mx.example.test`.
    Mx1,
    /// Postfix at 127.0.0.26; also one of the two addresses of `mx.example.test`.
    Mx2,
    /// Exim with GnuTLS at 127.0.0.27. It reads its files anew for every connection.
    Mx3,
}

impl MailServer {
    /// The name with this server's address alone.
    pub fn host(self) -> String {
        format!("{}.example.test", self.word())
    }

    /// Its address.
    pub fn address(self) -> &'static str {
        match self {
            MailServer::Mx1 => "127.0.0.25",
            MailServer::Mx2 => "127.0.0.26",
            MailServer::Mx3 => "127.0.0.27",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            MailServer::Mx1 => "mx1",
            MailServer::Mx2 => "mx2",
            MailServer::Mx3 => "mx3",
        }
    }
}

/// The algorithm of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256. What Postfix chooses from a server that offers both.
    Ecdsa,
    /// RSA, 2048 bits. What Exim (GnuTLS) chooses from a Postfix that offers both.
    Rsa,
}

/// A key with a self-signed certificate (certificate usage 3 ignores names and dates, RFC 7671 §5.1).
#[derive(Debug, Clone)]
pub struct Key {
    /// Private key and certificate in one file, as `smtpd_tls_chain_files` wants it.
    pub pem: PathBuf,
    /// SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
    pub spki: String,
    /// SHA-512 of the same.
    pub spki_sha512: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

impl Key {
    /// The TLSA data `3 1 1`.
    pub fn pin(&self) -> String {
        format!("3 1 1 {}", self.spki)
    }
}

/// What an independent client thinks (see `tests/lab/oracle`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// `openssl`, `posttls-finger`, `ldns-dane`, `danetool`, `delv`, or `dig`, which only says why there was nothing to match.
    pub who: String,
    /// Whom it talked to; `-` when it looked at DNS alone.
    pub address: String,
    /// `ecdsa`, `rsa` or `-`.
    pub algorithm: String,
    /// `match`, `mismatch`, `unoffered`, `none`, `insecure`, `bogus`.
    pub verdict: String,
    /// Its own words, shortened.
    pub said: String,
}

impl Lab {
    /// Makes a key; `name` becomes a file name.
    pub fn mail_key(&self, name: &str, algorithm: Algorithm) -> Key {
        let parameters: &[&str] = match algorithm {
            Algorithm::Ecdsa => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Algorithm::Rsa => &["-newkey", "rsa:2048"],
        };
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let mut args = vec!["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=mail"];
        args.extend(parameters);
        args.extend(["-keyout", &key, "-out", &certificate]);
        self.run("openssl", &args);
        let certificate = self.read(&certificate);
        let pem = self.dir().join(format!("{name}.pem"));
        fs::write(&pem, self.read(&key) + &certificate).expect("the world is writable");
        let spki = leaf_key(certificate.as_bytes()).expect("openssl made a certificate");
        let (sha256, sha512) = (Sha256::digest(&spki), sha2::Sha512::digest(&spki));
        Key { pem, spki: hex::encode(sha256), spki_sha512: hex::encode(sha512), algorithm }
    }

    /// Says what `server` takes at its next reload: files with a private key and its chain. Postfix and Exim get copies,
    /// so a server that does not reload keeps what it has.
    pub fn set_chain(&self, server: MailServer, files: &[&Path]) {
        let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
        fs::write(self.home(server).join("source"), lines).expect("the world is writable");
    }

    /// Loads what [`set_chain`](Lab::set_chain) named. Nothing happens while the server is [held](Lab::hold).
    pub fn reload(&self, server: MailServer) {
        self.signal(Daemon::Mail(server), "reload");
    }

    /// [`reload`](Lab::reload) of these as a command line, for `deploy.reload` of zones.yaml. It enters the world's
    /// namespaces by itself, from within or from outside; it needs `PATH`.
    pub fn reload_command(&self, servers: &[MailServer]) -> Vec<String> {
        let mut words = vec![script("lab").display().to_string(), "reload".to_owned()];
        words.push(self.dir().display().to_string());
        words.extend(servers.iter().map(|server| server.word().to_owned()));
        words
    }

    /// The server is late: reloads succeed and do nothing.
    pub fn hold(&self, server: MailServer) {
        fs::write(self.home(server).join("held"), "").expect("the world is writable");
    }

    /// The late server deploys at last.
    pub fn release(&self, server: MailServer) {
        fs::remove_file(self.home(server).join("held")).expect("the server was held");
        self.reload(server);
    }

    /// Lets `server` present these keys, and waits until it does.
    pub fn present(&self, server: MailServer, keys: &[&Key]) {
        self.set_chain(server, &keys.iter().map(|key| key.pem.as_path()).collect::<Vec<_>>());
        self.reload(server);
        eventually(Duration::from_secs(10), "the server presents the new key", || {
            keys.iter().all(|key| self.presented(server, key.algorithm).as_ref() == Some(&key.spki))
        });
    }

    /// SHA-256 of the key that `server` presents on port 25 to a client which wants this algorithm.
    pub fn presented(&self, server: MailServer, algorithm: Algorithm) -> Option<String> {
        let connect = format!("{}:25", server.address());
        let signatures = match algorithm {
            Algorithm::Ecdsa => "ECDSA+SHA256",
            Algorithm::Rsa => "RSA-PSS+SHA256:RSA+SHA256",
        };
        let args =
            ["10", "openssl", "s_client", "-connect", &connect, "-starttls", "smtp", "-sigalgs", signatures];
        let output = self.command("timeout").args(args).output().expect("openssl runs");
        leaf_key(&output.stdout).map(|spki| hex::encode(Sha256::digest(spki)))
    }

    /// Replaces the TLSA records of `_PORT._tcp.HOST` by these, in one UPDATE to the primary. None: they are deleted.
    pub fn set_tlsa(&self, host: &str, port: u16, ttl: u32, records: &[String]) {
        let owner = format!("_{port}._tcp.{host}");
        let mut lines = vec![format!("update delete {owner} TLSA")];
        lines.extend(records.iter().map(|data| format!("update add {owner} {ttl} TLSA {data}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.update("foreign-key", "example.test", &lines).expect("the administrator may write");
        self.wait_for_tlsa(BIND, host, port, records);
    }

    /// The same, seen at both servers, and the resolver remembers nothing of before.
    pub fn publish_tlsa(&self, host: &str, port: u16, ttl: u32, records: &[String]) {
        self.set_tlsa(host, port, ttl, records);
        self.wait_for_tlsa(KNOT, host, port, records);
        self.flush_resolver();
    }

    /// Waits until `server` has these TLSA records there and no others: BIND signs, and Knot follows, a moment later.
    pub fn wait_for_tlsa(&self, server: &str, host: &str, port: u16, records: &[String]) {
        let owner = format!("_{port}._tcp.{host}");
        let plain = |records: &[String]| {
            records.iter().map(|data| data.replace(' ', "").to_lowercase()).collect::<BTreeSet<_>>()
        };
        let wanted = plain(records);
        eventually(Duration::from_secs(10), &format!("{wanted:?} at {server}"), || {
            plain(&self.dig(server, &owner, "TLSA")) == wanted
        });
    }

    /// Asks the validating resolver, so that it remembers the answer.
    pub fn warm_resolver(&self, host: &str, port: u16) -> usize {
        self.dig(UNBOUND, &format!("_{port}._tcp.{host}"), "TLSA").len()
    }

    /// The secondary stops following its primary (transfers and NOTIFY wait) and goes on answering.
    pub fn freeze_secondary(&self, zone: &str) {
        self.run("knotc", &["-s", "knot/knot.sock", "-b", "zone-freeze", zone]);
    }

    /// The secondary follows again, and catches up now.
    pub fn thaw_secondary(&self, zone: &str) {
        self.run("knotc", &["-s", "knot/knot.sock", "-b", "zone-thaw", zone]);
        self.run("knotc", &["-s", "knot/knot.sock", "zone-refresh", zone]);
        eventually(Duration::from_secs(10), "the secondary has caught up", || {
            self.serial(KNOT, zone) >= self.serial(BIND, zone)
        });
    }

    /// Every independent client's verdict on `host` and `port`, for each address and algorithm, through the validating
    /// resolver and its cache.
    pub fn oracle(&self, host: &str, port: u16) -> Vec<Opinion> {
        let program = script("oracle").display().to_string();
        let dir = self.dir().display().to_string();
        let text = self.run(&program, &[&dir, host, &port.to_string()]);
        text.lines().map(opinion).collect()
    }

    fn home(&self, server: MailServer) -> PathBuf {
        self.dir().join("mail").join(server.word())
    }
}

fn opinion(line: &str) -> Opinion {
    let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
    let [who, _host, address, _port, algorithm, verdict, said] =
        <[String; 7]>::try_from(fields).unwrap_or_else(|fields| panic!("not an opinion: {fields:?}"));
    Opinion { who, address, algorithm, verdict, said }
}

/// The SubjectPublicKeyInfo of the first certificate in a text.
fn leaf_key(text: &[u8]) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(text).ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw.to_vec())
}
