//! RFC 2136 dynamic update with TSIG: the only way to write that is atomic at the server. Read the path in
//! [`Provider::apply`]: see what stands, compute what is left, send it with what was seen as prerequisite, read it
//! back.
//!
//! hickory-proto is codec and MAC; the transport is ours, because an answer that nothing authenticates must never count
//! and an UPDATE must never be sent twice blindly.

mod apply;
mod outcome;
mod read;
mod stream;
mod tls;
mod transport;
mod tsig;
pub(crate) mod update;

use crate::{Applied, Atomicity, Capabilities, Change, Class, Error, Provider, RrSet, Semantics};
use async_trait::async_trait;
use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use outcome::{Failure, Story, plain};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use transport::IfLost;
use zeroize::Zeroizing;

/// Gives the time in Unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// TSIG algorithms (RFC 8945 §6); those it calls "not recommended" are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// hmac-sha256
    HmacSha256,
    /// hmac-sha384
    HmacSha384,
    /// hmac-sha512
    HmacSha512,
}

/// How messages travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// One kept connection.
    Tcp,
    /// One datagram each; what does not fit goes by TCP.
    Udp,
    /// DNS over TLS (RFC 7858), one kept connection.
    Tls {
        /// Name or address that the server's certificate must carry.
        server_name: String,
        /// PEM trust roots; none: those of the system.
        root_pem: Option<Vec<u8>>,
    },
}

/// All it takes to reach one primary.
#[derive(Clone)]
pub struct Config {
    /// Addresses of the one primary, tried in order.
    pub servers: Vec<SocketAddr>,
    /// The server in messages: "ns1.example.org:53".
    pub label: String,
    /// How messages travel.
    pub transport: Transport,
    /// TSIG key name.
    pub key_name: Name,
    /// TSIG algorithm.
    pub algorithm: Algorithm,
    /// TSIG secret, decoded.
    pub secret: Zeroizing<Vec<u8>>,
    /// Time for one message and its answer, connecting included.
    pub timeout: Duration,
    /// Dates TSIG signatures.
    pub clock: Clock,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("label", &self.label)
            .field("transport", &self.transport)
            .field("key_name", &self.key_name)
            .field("algorithm", &self.algorithm)
            .field("secret", &"[secret]")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How many messages were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// UPDATE messages, preflights included.
    pub updates: u32,
    /// UPDATE messages that only tested permissions.
    pub preflights: u32,
    /// Questions.
    pub queries: u32,
}

/// The provider.
pub struct Rfc2136 {
    label: String,
    key: tsig::Key,
    link: transport::Link,
    /// Timeout of one exchange; bounds what follows an unknown outcome.
    timeout: Duration,
    /// What `list` last saw, so that a change right after it needs no second look: the prerequisites of the UPDATE
    /// refuse a view that has grown old, and then we look again.
    views: Mutex<HashMap<(Name, RecordType), (Instant, RrSet)>>,
    updates: AtomicU32,
    preflights: AtomicU32,
    queries: AtomicU32,
}

/// How long a view may serve as the first guess; our choice, only to bound what is kept.
const VIEW_LASTS: Duration = Duration::from_secs(30);

impl std::fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rfc2136").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Targets per preflight message: far below 64 KiB; our choice.
const TARGETS_PER_PREFLIGHT: usize = 150;

impl Rfc2136 {
    /// Prepares; nothing is sent yet.
    ///
    /// Errors: no server address, or unusable TLS settings ([`Class::Rejected`]).
    pub fn new(config: Config) -> Result<Self, Error> {
        let Config { servers, label, transport, key_name, algorithm, secret, timeout, clock } = config;
        if servers.is_empty() {
            return Err(Error::new(Class::Rejected, format!("{label} has no address")));
        }
        let key = tsig::Key::new(&key_name, algorithm, &secret, clock)?;
        let (tls, datagrams) = match transport {
            Transport::Tcp => (None, false),
            Transport::Udp => (None, true),
            Transport::Tls { server_name, root_pem } => {
                (Some(tls::Tls::new(&server_name, root_pem.as_deref())?), false)
            }
        };
        let link = transport::Link::new(servers, tls, datagrams, timeout);
        let (updates, preflights, queries) = Default::default();
        let views = Mutex::default();
        Ok(Rfc2136 { label, key, link, timeout, views, updates, preflights, queries })
    }

    /// How many messages were sent so far.
    pub fn counters(&self) -> Counters {
        Counters {
            updates: self.updates.load(Ordering::Relaxed),
            preflights: self.preflights.load(Ordering::Relaxed),
            queries: self.queries.load(Ordering::Relaxed),
        }
    }

    /// Opens the kept connection ahead of its first use; nothing to do for UDP.
    pub async fn open(&self, zone: &Name) -> Result<(), Error> {
        self.link.open().await.map_err(|failure| self.story(zone, &[]).failure(&failure))
    }

    fn views(&self) -> MutexGuard<'_, HashMap<(Name, RecordType), (Instant, RrSet)>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh view of an RRset, used up by taking it.
    fn take_view(&self, name: &Name, rtype: RecordType) -> Option<RrSet> {
        let (at, set) = self.views().remove(&(name.clone(), rtype))?;
        (at.elapsed() < VIEW_LASTS).then_some(set)
    }

    fn story<'a>(&'a self, zone: &'a Name, targets: &[(Name, RecordType)]) -> Story<'a> {
        let key = format!("{} ({})", self.key.name(), self.key.algorithm());
        Story { server: &self.label, key, zone, names: names(targets) }
    }

    async fn ask(&self, message: &Message) -> Result<Message, Failure> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.link.exchange(&self.key, message, IfLost::Repeat).await
    }

    async fn update(&self, message: &Message, if_lost: IfLost) -> Result<ResponseCode, Failure> {
        self.updates.fetch_add(1, Ordering::Relaxed);
        self.link.exchange(&self.key, message, if_lost).await.map(|answer| answer.response_code)
    }

    /// One preflight message.
    async fn probe(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<ResponseCode, Failure> {
        let mut nonce = [0; 32];
        random(&mut nonce).map_err(Failure::Internal)?;
        self.preflights.fetch_add(1, Ordering::Relaxed);
        self.update(&update::probe(zone, targets, &nonce), IfLost::Repeat).await
    }

    /// Whether the server answers a question signed with our key.
    async fn knows_our_key(&self, zone: &Name) -> bool {
        self.ask(&read::question(zone, RecordType::SOA)).await.is_ok()
    }

    /// Probes each target on its own, to name in the error exactly those that were denied; all of them when no single
    /// one was.
    async fn denied(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Vec<(Name, RecordType)> {
        let outcomes =
            join_all(targets.iter().map(|target| self.probe(zone, std::slice::from_ref(target)))).await;
        let pairs = targets.iter().zip(outcomes);
        let denied: Vec<_> =
            pairs.filter(|(_, outcome)| is_denial(outcome)).map(|(target, _)| target.clone()).collect();
        if denied.is_empty() { targets.to_vec() } else { denied }
    }
}

#[async_trait]
impl Provider for Rfc2136 {
    fn describe(&self) -> String {
        format!("rfc2136 {}", self.label)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            types: vec![RecordType::TXT, RecordType::TLSA],
            semantics: Some(Semantics::Value),
            atomicity: Atomicity::Batch,
            min_ttl: 0,
            max_ttl: i32::MAX.unsigned_abs(), // RFC 2181 §8
        }
    }

    async fn zone(&self, name: &Name) -> Result<Name, Error> {
        let mut candidate = name.to_lowercase();
        loop {
            let story = self.story(&candidate, &[(candidate.clone(), RecordType::SOA)]);
            let answer = self.ask(&read::question(&candidate, RecordType::SOA)).await;
            let answer = answer.map_err(|failure| read::failure(&story, &failure))?;
            if let Some(apex) = read::apex(&answer, &story)? {
                return Ok(apex);
            }
            // An alias hides the zone it stands in.
            candidate = candidate.base_name();
        }
    }

    async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<(), Error> {
        for targets in targets.chunks(TARGETS_PER_PREFLIGHT) {
            let outcome = self.probe(zone, targets).await;
            let targets = if is_denial(&outcome) && targets.len() > 1 {
                self.denied(zone, targets).await
            } else {
                targets.to_vec()
            };
            match outcome {
                Ok(ResponseCode::NoError) => {}
                Ok(rcode) => return Err(self.story(zone, &targets).refused(rcode)),
                Err(failure) if failure.is_bad_key() && self.knows_our_key(zone).await => {
                    return Err(self.story(zone, &targets).denied());
                }
                Err(failure) => return Err(self.story(zone, &targets).failure(&failure)),
            }
        }
        Ok(())
    }

    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        let story = self.story(zone, &[(name.clone(), rtype)]);
        let answer = self.ask(&read::question(name, rtype)).await;
        let answer = answer.map_err(|failure| read::failure(&story, &failure))?;
        let set = read::rrset(&answer, &story, name, rtype)?;
        self.views().insert((name.clone(), rtype), (Instant::now(), set.clone()));
        Ok(set)
    }

    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        apply::Run::new(self, zone, changes)?.finish().await
    }
}

/// BIND refuses a name that its policy denies by a signed REFUSED, Knot by an unsigned BADKEY.
fn is_denial(outcome: &Result<ResponseCode, Failure>) -> bool {
    match outcome {
        Ok(rcode) => *rcode == ResponseCode::Refused,
        Err(failure) => failure.is_bad_key(),
    }
}

/// "TXT at a.example.org, TLSA at b.example.org and 3 more"
fn names(targets: &[(Name, RecordType)]) -> String {
    let shown: Vec<String> =
        targets.iter().take(3).map(|(name, rtype)| format!("{rtype} at {}", plain(name))).collect();
    match targets.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn random(octets: &mut [u8]) -> Result<(), String> {
    SystemRandom::new().fill(octets).map_err(|_| "the system gives no randomness".to_owned())
}
