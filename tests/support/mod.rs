//! The test world for Rust tests: one private copy of BIND, Knot, unbound and pebble per test (see `tests/lab/lab`).
//! A [`Lab`] owns its processes; dropped or killed, nothing stays behind.
#![allow(dead_code, unreachable_pub)] // every test binary uses a part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod dns;
pub mod mail;
pub mod sender;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The fake root, parent of every zone below `test`.
pub const ROOT: &str = "127.0.0.10";
/// BIND, primary of all zones but `knot.test`.
pub const BIND: &str = "127.0.0.11";
/// Knot, primary and signer of `knot.test`, secondary of the others.
pub const KNOT: &str = "127.0.0.12";
/// PowerDNS, the only server of `pdns.test`, which it signs.
pub const PDNS: &str = "127.0.0.15";
/// unbound, validating.
pub const UNBOUND: &str = "127.0.0.53";
/// What every zones.yaml in a world's folder says about resolving: the world has a root of its own.
pub const RESOLVING: &str = "resolvers: [127.0.0.53]\ntrust_anchor: root.key";
/// pebble's directory URL.
pub const DIRECTORY: &str = "https://127.0.0.14:14000/dir";
/// The name of the TSIG key danesmith may use.
pub const KEY_NAME: &str = "danesmith-key";
/// External account binding: the key id pebble knows when [`Options::eab_required`] is set.
pub const EAB_KID: &str = "kid-1";
/// External account binding: the MAC key of [`EAB_KID`], base64url.
pub const EAB_HMAC: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A loaded machine brings a world up in a few seconds; past this something is wrong.
const START_LIMIT: Duration = Duration::from_secs(90);

/// What a world shall be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// TTL of the zones' own records, seconds.
    pub ttl: u32,
    /// SOA MINIMUM of the zones, seconds: how long unbound remembers that a name is missing.
    pub negative_ttl: u32,
    /// How many of `z01.test`, `z02.test`, … exist.
    pub extra_zones: u16,
    /// BIND's `notify-delay`, seconds; `None` is BIND's default of 5.
    pub notify_delay: Option<u32>,
    /// `Retry-After` of pebble's pending authorizations and processing orders, seconds.
    pub retry_after: (u32, u32),
    /// Does newAccount need an external account binding ([`EAB_KID`], [`EAB_HMAC`])?
    pub eab_required: bool,
    /// Are there mail servers and senders (see [`mail`])?
    pub mail: bool,
    /// Has BIND the addresses ::1 and fd00::11 too, the second one known as ns1.lab.test's?
    pub ipv6: bool,
    /// Is there a PowerDNS ([`PDNS`]) with the zone `pdns.test`?
    pub pdns: bool,
    /// pebble's environment: `PEBBLE_VA_NOSLEEP`, `PEBBLE_VA_SLEEPTIME`, `PEBBLE_WFE_NONCEREJECT` (percent, default 5),
    /// `PEBBLE_AUTHZREUSE` (percent, default 50), `PEBBLE_VA_ALWAYS_VALID`, …
    pub pebble: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            ttl: 5,
            negative_ttl: 5,
            extra_zones: 20,
            notify_delay: None,
            retry_after: (1, 1),
            eab_required: false,
            mail: false,
            ipv6: false,
            pdns: false,
            pebble: Vec::new(),
        }
        .pebble("PEBBLE_VA_NOSLEEP", "1")
    }
}

impl Options {
    /// A world with mail servers, whose secondary follows the primary at once.
    pub fn with_mail() -> Self {
        Options { mail: true, extra_zones: 0, negative_ttl: 1, notify_delay: Some(0), ..Options::default() }
    }

    /// Sets one variable of pebble's environment.
    pub fn pebble(mut self, name: &str, value: &str) -> Self {
        self.pebble.retain(|(known, _)| known != name);
        self.pebble.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server of the world, for [`Lab::freeze`] and its sisters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// The fake root.
    Root,
    /// [`BIND`].
    Bind,
    /// [`KNOT`].
    Knot,
    /// [`UNBOUND`].
    Unbound,
    /// The CA. Stopped and started again it has forgotten everything.
    Pebble,
    /// A mail server.
    Mail(mail::MailServer),
}

impl Daemon {
    fn word(self) -> &'static str {
        match self {
            Daemon::Root => "root",
            Daemon::Bind => "bind",
            Daemon::Knot => "knot",
            Daemon::Unbound => "unbound",
            Daemon::Pebble => "pebble",
            Daemon::Mail(server) => server.word(),
        }
    }
}

/// What the servers have been asked so far; compare two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// UPDATE messages received by BIND, refused ones included.
    pub updates: u64,
    /// HTTP requests received by pebble.
    pub requests: u64,
    /// newOrder requests among them.
    pub orders: u64,
    /// Certificates pebble has signed.
    pub certificates: u64,
}

/// A running world.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    holder_pid: String,
    holder: Child,
    stdin: Option<ChildStdin>,
}

impl Lab {
    /// Builds a world and waits until every server answers.
    pub fn start(options: Options) -> Lab {
        let dir = new_dir();
        let mut holder = hold(&dir, &options).spawn().expect("tests/lab/lab starts");
        let stdin = holder.stdin.take();
        let mut lab = Lab { dir, holder_pid: String::new(), holder, stdin };
        lab.wait_until_ready();
        lab.holder_pid = lab.read("holder.pid").trim().to_owned();
        lab
    }

    /// The folder of this world; also the working directory of its commands. Deleted with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root certificate of pebble's HTTPS interface.
    pub fn pebble_root(&self) -> PathBuf {
        self.dir.join("pebble-root.pem")
    }

    /// The file with the base64 secret of [`KEY_NAME`].
    pub fn tsig_secret(&self) -> PathBuf {
        self.dir.join("tsig.secret")
    }

    /// Is this the new pebble, with ARI, profiles and Retry-After? Debian stable's 2.4.0 is the fallback.
    pub fn has_new_pebble(&self) -> bool {
        self.read("pebble/path").trim() != "/usr/bin/pebble"
    }

    /// A command inside the world; `"danesmith"` is the program under test. The child's pid is the program's own.
    pub fn command(&self, program: &str) -> Command {
        self.command_in(&self.dir, program)
    }

    /// The same, with another working directory.
    pub fn command_in(&self, dir: &Path, program: &str) -> Command {
        let program = if program == "danesmith" { env!("CARGO_BIN_EXE_danesmith") } else { program };
        inside(&self.holder_pid, dir, program)
    }

    /// Runs a command inside and returns its stdout; panics with its stderr when it fails.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().expect("nsenter runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {}\n{stderr}", output.status);
        String::from_utf8(output.stdout).expect("output is UTF-8")
    }

    /// What BIND and pebble have been asked so far.
    pub fn counts(&self) -> Counts {
        let log = self.read("pebble/pebble.log");
        let calls = |what: &str| log.lines().filter(|line| line.contains(what)).count() as u64;
        Counts {
            updates: self.bind_updates(),
            requests: calls("-> calling handler()"),
            orders: calls("POST /order-plz -> calling handler()"),
            certificates: calls("Issued certificate serial"),
        }
    }

    /// What the CA's management interface says of a certificate that it issued.
    pub fn certificate_at_the_ca(&self, serial: &str) -> Value {
        let url = format!("https://127.0.0.14:15000/cert-status-by-serial/{serial}");
        let told = self.run("curl", &["-sSf", "--cacert", "pebble-root.pem", &url]);
        serde_json::from_str(&told).unwrap()
    }

    /// A file of the world's folder.
    pub fn read(&self, file: &str) -> String {
        let path = self.dir.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Starts a stopped server (pebble with the environment of `pebble/env`, one `NAME=value` a line).
    pub fn start_daemon(&self, daemon: Daemon) {
        self.signal(daemon, "start");
    }

    /// Ends a server politely and waits for it.
    pub fn stop_daemon(&self, daemon: Daemon) {
        self.signal(daemon, "stop");
    }

    /// SIGKILL.
    pub fn kill_daemon(&self, daemon: Daemon) {
        self.signal(daemon, "kill");
    }

    /// SIGSTOP: the sockets stay, the answers stop.
    pub fn freeze(&self, daemon: Daemon) {
        self.signal(daemon, "freeze");
    }

    /// SIGCONT.
    pub fn resume(&self, daemon: Daemon) {
        self.signal(daemon, "resume");
    }

    fn signal(&self, daemon: Daemon, action: &str) {
        let mut command = Command::new(script("lab"));
        let status = command.arg("daemon").arg(&self.dir).args([daemon.word(), action]).status();
        let done = status.expect("tests/lab/lab runs").success();
        assert!(done, "{action} {daemon:?}: {}", tail(&self.dir.join("daemon.log")));
    }

    fn bind_updates(&self) -> u64 {
        // each dump is appended; the last one counts
        self.run("rndc", &["-s", BIND, "-k", "foreign-key.conf", "stats"]);
        let stats = self.read("bind/named.stats");
        let last = stats.rsplit("+++ Statistics Dump +++").next().unwrap_or_default();
        let line = last.lines().find_map(|line| line.trim().strip_suffix(" UPDATE"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn wait_until_ready(&mut self) {
        let begin = Instant::now();
        while !self.dir.join("ready").exists() {
            let ended = self.holder.try_wait().expect("the holder can be asked");
            if ended.is_some() || begin.elapsed() > START_LIMIT {
                let log = tail(&self.dir.join("world.log"));
                panic!("the test world did not come up ({ended:?}, {:?}):\n{log}", begin.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mail =
                ["mail/sender/mail.log", "mail/mx1/mail.log", "mail/mx2/mail.log", "mail/mx3/spool/mainlog"];
            let logs = [
                "world.log",
                "bind/named.log",
                "bind/update.log",
                "knot/knot.log",
                "unbound/unbound.log",
                "pebble/pebble.log",
            ];
            for log in logs.iter().chain(mail.iter().filter(|log| self.dir.join(log).exists())) {
                eprintln!("--- {log}\n{}", tail(&self.dir.join(log)));
            }
            for log in mail {
                eprintln!("--- {log}: complaints\n{}", complaints(&self.dir.join(log)));
            }
        }
        drop(self.stdin.take()); // the world ends when its stdin closes
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && !matches!(self.holder.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // the world deletes its folder, but for what is a mount point inside
        if std::env::var_os("LAB_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Polls until `done`, at most `limit`; panics with `what` otherwise.
pub fn eventually(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < limit, "still not after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn hold(dir: &Path, options: &Options) -> Command {
    let mut command = Command::new(script("lab"));
    command.arg("hold").arg(dir).stdin(Stdio::piped()).stdout(Stdio::null());
    command.env("LAB_TTL", options.ttl.to_string());
    command.env("LAB_NEGATIVE_TTL", options.negative_ttl.to_string());
    command.env("LAB_EXTRA_ZONES", options.extra_zones.to_string());
    if let Some(delay) = options.notify_delay {
        command.env("LAB_NOTIFY_DELAY", delay.to_string());
    }
    command.env("LAB_RETRY_AFTER_AUTHZ", options.retry_after.0.to_string());
    command.env("LAB_RETRY_AFTER_ORDER", options.retry_after.1.to_string());
    if options.eab_required {
        command.env("LAB_EAB", "required");
    }
    if options.mail {
        command.env("LAB_MAIL", "1");
    }
    if options.ipv6 {
        command.env("LAB_IPV6", "1");
    }
    if options.pdns {
        command.env("LAB_PDNS", "1");
    }
    command.envs(options.pebble.iter().cloned());
    command
}

fn inside(holder_pid: &str, dir: &Path, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", holder_pid, "-n", "-m"]);
    // entering a mount namespace would leave the program at its root
    command.arg(format!("--wdns={}", dir.display())).arg("--").arg(program);
    command.stdin(Stdio::null());
    command
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name)
}

/// Short, because the servers' control sockets live in it (108 bytes, unix(7)).
fn new_dir() -> PathBuf {
    let everybody = fs::Permissions::from_mode(0o755); // the servers have users of their own
    let folder = tempfile::Builder::new().prefix("danesmith-lab-").permissions(everybody).tempdir();
    folder.expect("a fresh folder for the world").keep()
}

fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn tail(path: &Path) -> String {
    tail_of(&fs::read_to_string(path).unwrap_or_default())
}

/// What a mail server complained of, but for the probes' algorithms that it does not have.
fn complaints(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let bad = |line: &&str| ["warning:", "fatal:", "panic:", "error:"].iter().any(|word| line.contains(word));
    let lines: Vec<&str> = text.lines().filter(bad).filter(|l| !l.contains("TLS library problem")).collect();
    tail_of(&lines.join("\n"))
}

fn tail_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
