//! Senders of mail that do DANE, of two stacks (Postfix with OpenSSL, Exim with GnuTLS): one message, or one a second for
//! as long as a test likes, each with its verdict.
//!
//! They are stricter than senders in the field: a message gets one try at one address, chosen at random where a host has
//! several, and no message learns from another's failure. What is deferred here would be delivered later by a real queue;
//! a rotation that is right defers nothing.

use super::{Lab, inside, unique};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Postfix with OpenSSL. Takes ECDSA from a server that offers both.
    Postfix,
    /// Exim with GnuTLS. Takes RSA from a Postfix that offers both.
    Exim,
    /// No message, only a handshake by posttls-finger, with this algorithm; sees whatever the senders would not choose.
    Finger(super::mail::Algorithm, u16),
}

/// What a sender demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// No delivery without a match: `dane-only`, `hosts_require_dane`.
    Mandatory,
    /// RFC 7672's opportunistic DANE: `dane`, `hosts_try_dane`.
    Opportunistic,
}

/// What became of a message at its first try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered to a server that matched a TLSA record.
    Verified,
    /// Delivered, but not to an authenticated server.
    Unverified,
    /// Not delivered, to be tried again; the sender's reason.
    Deferred(String),
    /// Given up at once; the sender's reason.
    Bounced(String),
}

/// A message, or a handshake, of a [`Sender`].
#[derive(Debug, Clone)]
pub struct Message {
    /// Who sent it.
    pub client: Client,
    /// To whom.
    pub host: String,
    /// When, counted from the sender's start.
    pub at: Duration,
    /// How it went.
    pub verdict: Verdict,
}

/// Everything a [`Sender`] did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// In the order of sending.
    pub messages: Vec<Message>,
    /// What the test [noted](Sender::note), with the time since the start.
    pub notes: Vec<(Duration, String)>,
}

impl Summary {
    /// Messages that were not delivered to an authenticated server.
    pub fn failures(&self) -> Vec<&Message> {
        self.messages.iter().filter(|message| message.verdict != Verdict::Verified).collect()
    }

    /// How many messages this client sent.
    pub fn sent_by(&self, client: Client) -> usize {
        self.messages.iter().filter(|message| message.client == client).count()
    }

    /// Counts, every failure with its reason, and the notes. Times are seconds since the start.
    pub fn json(&self) -> Value {
        let count = |word: &str| self.messages.iter().filter(|m| m.verdict.word() == word).count();
        let failures = self.failures();
        let failed_by = |client: &Client| failures.iter().filter(|message| message.client == *client).count();
        let mut clients: Vec<Client> = Vec::new();
        for message in &self.messages {
            if !clients.contains(&message.client) {
                clients.push(message.client);
            }
        }
        json!({
            "sent": self.messages.len(),
            "verified": count("verified"),
            "unverified": count("unverified"),
            "deferred": count("deferred"),
            "bounced": count("bounced"),
            "first_failure": failures.first().map(|message| seconds(message.at)),
            "last_failure": failures.last().map(|message| seconds(message.at)),
            "clients": clients.iter().map(|client| json!({
                "client": format!("{client:?}"), "sent": self.sent_by(*client), "failed": failed_by(client),
            })).collect::<Vec<_>>(),
            "failures": failures.iter().map(|message| failure(message)).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(|(at, text)| json!({"at": seconds(*at), "text": text})).collect::<Vec<_>>(),
        })
    }
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Verdict::Verified => "verified",
            Verdict::Unverified => "unverified",
            Verdict::Deferred(_) => "deferred",
            Verdict::Bounced(_) => "bounced",
        }
    }
}

fn failure(message: &Message) -> Value {
    let reason = match &message.verdict {
        Verdict::Deferred(reason) | Verdict::Bounced(reason) => reason.as_str(),
        Verdict::Verified | Verdict::Unverified => "delivered without authentication",
    };
    json!({
        "at": seconds(message.at), "client": format!("{:?}", message.client), "host": message.host,
        "verdict": message.verdict.word(), "reason": reason,
    })
}

fn seconds(at: Duration) -> f64 {
    (at.as_secs_f64() * 10.0).round() / 10.0
}

impl Lab {
    /// Sends one message to `postmaster` at `host` and waits for its verdict.
    pub fn send(&self, client: Client, level: Level, host: &str) -> Verdict {
        let post = Post { dir: self.dir.clone(), holder_pid: self.holder_pid.clone() };
        post.send(client, level, host).verdict(&post)
    }

    /// A sender to these hosts, at level [`Level::Mandatory`], by Postfix and Exim; [`start`](Sending::start) it.
    pub fn sender(&self, hosts: &[&str]) -> Sending {
        Sending {
            post: Post { dir: self.dir.clone(), holder_pid: self.holder_pid.clone() },
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            clients: vec![Client::Postfix, Client::Exim],
            interval: Duration::from_secs(1),
        }
    }
}

/// A sender about to start.
#[derive(Debug, Clone)]
pub struct Sending {
    post: Post,
    hosts: Vec<String>,
    clients: Vec<Client>,
    interval: Duration,
}

impl Sending {
    /// Time between two messages of a client to a host; 1 s at first.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// These clients and no others.
    pub fn by(mut self, clients: &[Client]) -> Self {
        self.clients = clients.to_vec();
        self
    }

    /// Handshakes too.
    pub fn probing(mut self, clients: &[Client]) -> Self {
        self.clients.extend(clients);
        self
    }

    /// Sends until [`Sender::stop`]; every client sends to every host by itself, so a slow one does not delay others.
    pub fn start(self) -> Sender {
        let shared = Arc::new(Shared::default());
        let begin = Instant::now();
        let mut threads = Vec::new();
        for host in &self.hosts {
            for client in &self.clients {
                let (post, host, client) = (self.post.clone(), host.clone(), *client);
                let (shared, interval) = (Arc::clone(&shared), self.interval);
                threads.push(std::thread::spawn(move || {
                    post.keep_sending(client, &host, begin, interval, &shared);
                }));
            }
        }
        Sender { post: self.post, shared, begin, threads, notes: Vec::new() }
    }
}

/// Messages under way; ends with [`stop`](Sender::stop), or when dropped.
#[derive(Debug)]
pub struct Sender {
    post: Post,
    shared: Arc<Shared>,
    begin: Instant,
    threads: Vec<JoinHandle<()>>,
    notes: Vec<(Duration, String)>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    sent: Mutex<Vec<(Client, String, Duration, Sent)>>,
}

impl Sender {
    /// Writes down what the test does at this moment, for the summary.
    pub fn note(&mut self, text: &str) {
        self.notes.push((self.begin.elapsed(), text.to_owned()));
    }

    /// How long it has been sending.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Ends and waits for the last verdicts.
    pub fn stop(mut self) -> Summary {
        self.end();
        let sent = std::mem::take(&mut *self.shared.sent.lock().expect("no sender panicked"));
        let mut messages: Vec<Message> = sent
            .into_iter()
            .map(|(client, host, at, sent)| Message { client, host, at, verdict: sent.verdict(&self.post) })
            .collect();
        messages.sort_by_key(|message| message.at);
        Summary { messages, notes: std::mem::take(&mut self.notes) }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("a sender panicked");
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.end();
    }
}

/// Enough of a world to send from it.
#[derive(Debug, Clone)]
struct Post {
    dir: PathBuf,
    holder_pid: String,
}

/// A message handed over.
#[derive(Debug)]
enum Sent {
    /// Postfix has it; its log will tell, by this recipient.
    Queued(String),
    Done(Verdict),
}

impl Sent {
    fn verdict(self, post: &Post) -> Verdict {
        match self {
            Sent::Queued(recipient) => post.verdict_of_postfix(&recipient),
            Sent::Done(verdict) => verdict,
        }
    }
}

impl Post {
    fn keep_sending(&self, client: Client, host: &str, begin: Instant, interval: Duration, shared: &Shared) {
        let mut next = begin;
        while !shared.stop.load(Ordering::Relaxed) {
            let at = begin.elapsed();
            let sent = self.send(client, Level::Mandatory, host);
            shared.sent.lock().expect("no sender panicked").push((client, host.to_owned(), at, sent));
            next += interval;
            while Instant::now() < next && !shared.stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            next = next.max(Instant::now()); // a slow machine sends less, not in bursts
        }
    }

    fn send(&self, client: Client, level: Level, host: &str) -> Sent {
        // the configurations know the level by the sender's address
        let from = match level {
            Level::Mandatory => "mandatory@sender.lab.test",
            Level::Opportunistic => "dane@sender.lab.test",
        };
        match client {
            Client::Postfix => self.queue_in_postfix(from, host),
            Client::Exim => Sent::Done(self.send_by_exim(from, host)),
            Client::Finger(algorithm, port) => Sent::Done(self.finger(algorithm, port, host)),
        }
    }

    fn queue_in_postfix(&self, from: &str, host: &str) -> Sent {
        let recipient = format!("m{}@{host}", unique());
        let output = self.program("sendmail").args(["-f", from, &recipient]).output().expect("nsenter runs");
        assert!(output.status.success(), "sendmail: {}", String::from_utf8_lossy(&output.stderr));
        Sent::Queued(recipient)
    }

    /// `NAME postfix/smtp[PID]: QUEUE: to=<RECIPIENT>, …, status=WORD (reason)`; the same process has said before what
    /// kind of TLS connection it had.
    fn verdict_of_postfix(&self, recipient: &str) -> Verdict {
        let limit = Instant::now() + Duration::from_secs(60);
        let to = format!("to=<{recipient}>");
        loop {
            let log = fs::read_to_string(self.dir.join("mail/sender/mail.log")).unwrap_or_default();
            let mut lines = log.lines().rev();
            if let Some(line) = lines.find(|line| line.contains(&to) && line.contains("status=")) {
                if !line.contains("status=sent") {
                    let reason = line.split_once("status=").map_or(line, |(_, reason)| reason);
                    let bounced = reason.starts_with("bounced");
                    let verdict = if bounced { Verdict::Bounced } else { Verdict::Deferred };
                    return verdict(reason.to_owned());
                }
                let process = line.split(' ').find(|word| word.starts_with("postfix/")).unwrap_or_default();
                let connection =
                    lines.find(|line| line.contains(process) && line.contains("TLS connection established"));
                let verified = connection.is_some_and(|line| line.contains(" Verified TLS connection"));
                return if verified { Verdict::Verified } else { Verdict::Unverified };
            }
            assert!(Instant::now() < limit, "Postfix has not tried {recipient}:\n{}", super::tail_of(&log));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send_by_exim(&self, from: &str, host: &str) -> Verdict {
        let home = self.dir.join("mail/exim-sender");
        let spool = home.join(format!("m{}", unique()));
        fs::create_dir(&spool).expect("the world is writable");
        std::os::unix::fs::chown(&spool, Some(EXIM), Some(EXIM)).expect("tests run as root");
        let status = self
            .program("exim4")
            .arg("-C")
            .arg(home.join("exim.conf"))
            .arg(format!("-DSPOOL={}", spool.display()))
            .args(["-odf", "-f", from, &format!("postmaster@{host}")])
            .output()
            .expect("nsenter runs");
        let log = fs::read_to_string(spool.join("mainlog")).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&status.stderr);
        let verdict =
            verdict_of_exim(&log).unwrap_or_else(|| panic!("Exim did not try {host}: {log}{stderr}"));
        let _ = fs::remove_dir_all(&spool);
        verdict
    }

    fn finger(&self, algorithm: super::mail::Algorithm, port: u16, host: &str) -> Verdict {
        let ciphers = match algorithm {
            super::mail::Algorithm::Ecdsa => "tls_medium_cipherlist=aECDSA",
            super::mail::Algorithm::Rsa => "tls_medium_cipherlist=aRSA",
        };
        let mut command = self.program("posttls-finger");
        command.args(["-c", "-l", "dane-only", "-L", "summary", "-t", "10", "-T", "10"]);
        // only up to TLS 1.2 the cipher chooses the algorithm
        command.args(["-p", "TLSv1.2", "-o", ciphers]);
        command.args(if port == 465 { &["-w"][..] } else { &[] });
        let output = command.arg(format!("[{host}]:{port}")).output().expect("nsenter runs");
        // its exit code is always 0
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if text.contains(": Verified TLS connection established") {
            Verdict::Verified
        } else {
            Verdict::Deferred(text.replace('\n', " "))
        }
    }

    fn program(&self, name: &str) -> Command {
        let program = self.dir.join("mail/bin").join(name);
        let mut command = inside(&self.holder_pid, Path::new(&self.dir), &program.display().to_string());
        command.stdin(Stdio::null());
        command
    }
}

/// The user of Exim inside (see `tests/lab/mail`).
const EXIM: u32 = 64903;

/// `=>` delivered, `==` deferred, `**` failed for good.
fn verdict_of_exim(log: &str) -> Option<Verdict> {
    let has = |mark: &str| log.lines().find(|line| line.contains(mark));
    if let Some(line) = has(" => ") {
        return Some(if line.contains(" CV=dane") { Verdict::Verified } else { Verdict::Unverified });
    }
    let verdict = match (has(" == "), has(" ** ")) {
        (Some(_), _) => Verdict::Deferred,
        (None, Some(_)) => Verdict::Bounced,
        (None, None) => return None,
    };
    // the reason may be on a line of its own
    let said: Vec<&str> =
        log.lines().filter(|line| !line.contains(" <= ") && !line.contains(" Completed")).collect();
    Some(verdict(said.join(" | ")))
}
