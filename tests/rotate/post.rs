//! A post office: a zones.yaml, two Postfix servers that take what danesmith installs, and the program run there.

use crate::support::mail::{Algorithm, MailServer};
use crate::support::{KNOT, Lab, Options, RESOLVING, eventually};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The name of both Postfix servers.
pub(crate) const HOST: &str = "mx.example.test";
/// Where its pins stand.
pub(crate) const OWNER: &str = "_25._tcp.mx.example.test";
/// TTL of the TLSA records, seconds.
pub(crate) const TTL: u32 = 2;
const BOTH: [MailServer; 2] = [MailServer::Mx1, MailServer::Mx2];

/// What one run of the program said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Run {
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
}

/// A waiting rule of one TTL, nothing else: a pin is ripe as soon as it can be.
pub(crate) const SHORT: &str = "{ttls: 1, slack: 0s, ttl_floor: 0}";

/// The office.
pub(crate) struct Post {
    pub(crate) lab: Lab,
}

impl Post {
    /// Starts the world; the servers present a key of their own until danesmith's first certificate comes.
    pub(crate) fn new() -> Post {
        Post::at(Options::with_mail())
    }

    /// The same, with a CA that wants a challenge for every order: each takes the same steps.
    pub(crate) fn with_forgetful_ca() -> Post {
        Post::at(Options::with_mail().pebble("PEBBLE_AUTHZREUSE", "0"))
    }

    /// The same, with a CA that looks at no challenge: its resolver may time out where a name server is dead.
    pub(crate) fn with_trusting_ca() -> Post {
        Post::at(Options::with_mail().pebble("PEBBLE_VA_ALWAYS_VALID", "1"))
    }

    fn at(options: Options) -> Post {
        let options = Options { ttl: 2, ..options };
        let post = Post { lab: Lab::start(options.pebble("PEBBLE_WFE_NONCEREJECT", "0")) };
        let first = post.lab.mail_key("before", Algorithm::Ecdsa);
        for server in BOTH {
            post.lab.present(server, &[&first]);
        }
        post.configure("keys: managed", "{ttls: 2, slack: 1s, ttl_floor: 1}");
        let chain = post.lab.dir().join("state/certificates/mx/live/keyandchain.pem");
        for server in BOTH {
            post.lab.set_chain(server, &[&chain]);
        }
        post
    }

    /// The same with an Exim as the third server of that name.
    pub(crate) fn with_exim() -> Post {
        let post = Post::new();
        let exim = MailServer::Mx3;
        post.lab.add_record("example.test", HOST, "A", exim.address());
        eventually(Duration::from_secs(90), "the secondary has its address too", || {
            post.lab.dig(KNOT, HOST, "A").len() == 3
        });
        post.lab.flush_resolver();
        post.lab.set_chain(exim, &[&post.lab.dir().join("state/certificates/mx/live/keyandchain.pem")]);
        let servers = [BOTH[0], BOTH[1], exim];
        post.configure_servers(&servers, "keys: managed", "{ttls: 2, slack: 1s, ttl_floor: 1}", TTL);
        post
    }

    /// Writes zones.yaml.
    pub(crate) fn configure(&self, keys: &str, rotation: &str) {
        self.configure_with(keys, rotation, TTL);
    }

    /// Writes zones.yaml, with another TTL of the TLSA records.
    pub(crate) fn configure_with(&self, keys: &str, rotation: &str, ttl: u32) {
        self.configure_servers(&BOTH, keys, rotation, ttl);
    }

    fn configure_servers(&self, servers: &[MailServer], keys: &str, rotation: &str, ttl: u32) {
        self.configure_mx(
            servers,
            ttl,
            &[keys, &format!("rotation: {rotation}"), "deploy: {reload: RELOAD}"],
        );
    }

    /// Writes zones.yaml; `lines` of the certificate beside its names and TLSA, RELOAD for the command that reloads `servers`.
    pub(crate) fn configure_mx(&self, servers: &[MailServer], ttl: u32, lines: &[&str]) {
        self.configure_host(HOST, servers, ttl, lines);
    }

    /// The same for another host.
    pub(crate) fn configure_host(&self, host: &str, servers: &[MailServer], ttl: u32, lines: &[&str]) {
        let reload = format!("[{}]", self.lab.reload_command(servers).join(", "));
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        let lines = lines.replace("RELOAD", &reload);
        self.write_zones(ttl, &format!("  mx:\n    names: [{host}]\n    tlsa: [_25._tcp.{host}]\n{lines}"));
    }

    /// Name servers that are late are waited for 2 s, from now on.
    pub(crate) fn shorten_propagation(&self) {
        let yaml = self.lab.read("zones.yaml");
        let yaml = yaml.replace("{provider: home, ", "{provider: home, propagation: 2s, ");
        fs::write(self.lab.dir().join("zones.yaml"), yaml).unwrap();
    }

    /// Writes zones.yaml with these certificates, YAML below `certificates:`.
    pub(crate) fn write_zones(&self, ttl: u32, certificates: &str) {
        let text = format!(
            "version: 1
state: ./state
{RESOLVING}
accounts:
  default: {{directory: 'https://127.0.0.14:14000/dir', root: pebble-root.pem, agree_terms: true}}
providers:
  home: {{rfc2136: {{server: 127.0.0.11, tsig: {{name: danesmith-key, algorithm: hmac-sha256, secret: {{file: tsig.secret}}}}}}}}
zones:
  example.test: {{provider: home, ttl: {{txt: 1, tlsa: {ttl}}}}}
  acme.test: {{provider: home, ttl: {{txt: 1, tlsa: {ttl}}}}}
certificates:
{certificates}"
        );
        fs::write(self.lab.dir().join("zones.yaml"), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command("danesmith");
        command.arg("--json").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{stderr}"));
        Run { code: output.status.code().unwrap_or(-1), json, stderr }
    }

    /// Starts the program and leaves it running.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.start(self.command(arguments))
    }

    /// The same, of a command that was prepared.
    pub(crate) fn start(&self, mut command: Command) -> Child {
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Whether a run ends by itself, with success, in time; it is killed otherwise.
    pub(crate) fn ends_within(&self, mut run: Child, limit: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if let Some(status) = run.try_wait().unwrap() {
                return status.success();
            }
            if begin.elapsed() > limit {
                run.kill().unwrap();
                run.wait().unwrap();
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The state document.
    pub(crate) fn document(&self) -> Value {
        self.document_of("mx")
    }

    /// The state document of another certificate.
    pub(crate) fn document_of(&self, certificate: &str) -> Value {
        serde_json::from_str(&self.lab.read(&format!("state/certificates/{certificate}/state.json"))).unwrap()
    }

    /// Changes the state document of `mx`, as time or another history would have.
    pub(crate) fn edit_document(&self, change: impl FnOnce(&mut Value)) {
        let mut document = self.document();
        change(&mut document);
        fs::write(self.lab.dir().join("state/certificates/mx/state.json"), document.to_string()).unwrap();
    }

    /// Active and backup key of the document.
    pub(crate) fn keys(&self) -> (String, String) {
        self.keys_of("mx")
    }

    /// Active and backup key of another certificate; "" when there is none.
    pub(crate) fn keys_of(&self, certificate: &str) -> (String, String) {
        let keys = self.document_of(certificate)["keys"].clone();
        let hex = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        (hex(&keys["active"]), hex(&keys["backup"]))
    }

    /// What `status` says for people.
    pub(crate) fn status(&self) -> String {
        self.lab.run("danesmith", &["status"])
    }

    /// Makes the key file `NAME.key`; gives its digest.
    pub(crate) fn key_file(&self, name: &str) -> String {
        self.lab.run("danesmith", &["keys", "new", "--out", &format!("{name}.key")]);
        self.digest_of(name)
    }

    /// The digest of the key in `NAME.key`.
    pub(crate) fn digest_of(&self, name: &str) -> String {
        let pipe = format!(
            "openssl pkey -in {name}.key -pubout -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1"
        );
        self.lab.run("sh", &["-c", &pipe]).trim().to_owned()
    }

    /// The pins at a server, sorted hex.
    pub(crate) fn pins(&self, server: &str) -> Vec<String> {
        self.pins_at(server, OWNER)
    }

    /// The pins at another owner name, sorted hex.
    pub(crate) fn pins_at(&self, server: &str, owner: &str) -> Vec<String> {
        let mut pins: Vec<String> = self
            .lab
            .dig(server, owner, "TLSA")
            .iter()
            .filter_map(|line| Some(line.strip_prefix("3 1 1 ")?.replace(' ', "").to_lowercase()))
            .collect();
        pins.sort();
        pins
    }

    /// The keys that both servers present.
    pub(crate) fn presented(&self) -> [Option<String>; 2] {
        BOTH.map(|server| self.lab.presented(server, Algorithm::Ecdsa))
    }
}

/// Two keys as a sorted set of pins.
pub(crate) fn set(keys: &[&str]) -> Vec<String> {
    let mut set: Vec<String> = keys.iter().map(|k| (*k).to_owned()).collect();
    set.sort();
    set
}
