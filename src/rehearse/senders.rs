//! DANE senders: every simulated minute, mail goes to every server of every host, once from behind each cache. There is a
//! cache for every minute of a TTL and for every name server: filled in that minute, from that server, used until it
//! expires. So at every minute the whole past of one TTL is believed by somebody. Besides, every change is looked at to the
//! millisecond: a cache that was filled in the last moment counts until its last moment.
//!
//! Between two changes all minutes are alike: they are counted, not stepped through.

use super::mail::{Chain, INSTANCES};
use super::standing::PAST;
use super::time::{DAY, MINUTE, Moment, timestamp};
use super::universe::{Universe, lock};
use crate::model::dane::{Tlsa, considered, matching};
use crate::model::desired::Desired;
use crate::model::pin::{self, TlsaOwner};
use danesmith_providers::RrSet;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How long a resolver remembers that there is nothing: the SOA's minimum (RFC 2308 §5).
const NEGATIVE_TTL: Moment = 300_000;

/// A delivery that DANE made a sender refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) at: Moment,
    pub(super) certificate: String,
    pub(super) words: String,
}

/// All senders.
pub(super) struct Senders {
    lanes: Vec<Lane>,
    until: Moment,
    pub(super) attempted: u64,
}

/// Mail to the servers of one certificate by one TLSA owner name.
struct Lane {
    certificate: String,
    names: Vec<String>,
    apex: Name,
    /// The TLSA RRset.
    owner: (Name, RecordType),
    smtp: bool,
    signed: bool,
    /// By name server.
    caches: Vec<(usize, VecDeque<Content>)>,
    /// Pairs of content and chain that match.
    matched: VecDeque<(u64, Option<Arc<Chain>>)>,
    contents: u64,
}

/// What a name server gave to caches for a while.
struct Content {
    number: u64,
    from: Moment,
    /// `None`: it still does.
    until: Option<Moment>,
    ttl: Moment,
    records: Vec<Tlsa>,
    pins: Vec<RData>,
}

impl Senders {
    /// Senders to everything that zones.yaml pins.
    pub(super) fn new(desired: &Desired, universe: &Universe, start: Moment) -> Senders {
        let zones = lock(&universe.zones);
        let mut lanes = Vec::new();
        for certificate in desired.certificates.values() {
            for asked in &certificate.tlsa {
                let owner = zones.expanded(asked, start);
                let Some(apex) = zones.zone_of(&owner) else { continue };
                let smtp = TlsaOwner::of(asked).is_none_or(|owner| owner.port == 25);
                let servers = zones.servers_of(&apex);
                lanes.push(Lane {
                    certificate: certificate.name.clone(),
                    names: certificate.names.clone(),
                    signed: zones.is_signed(&apex),
                    apex,
                    owner: (owner, RecordType::TLSA),
                    smtp,
                    caches: servers.into_iter().map(|server| (server, VecDeque::new())).collect(),
                    matched: VecDeque::new(),
                    contents: 0,
                });
            }
        }
        drop(zones);
        lanes.iter_mut().for_each(|lane| lane.learn(universe, (start - PAST, start)));
        Senders { lanes, until: start, attempted: 0 }
    }

    /// Delivers everything until `to`; stops at the first refusal.
    pub(super) fn advance(&mut self, universe: &Universe, to: Moment) -> Option<Refused> {
        while self.until < to {
            let window = (self.until, to.min(self.until + DAY));
            for lane in &mut self.lanes {
                lane.learn(universe, window);
                for instance in 0..INSTANCES {
                    match lane.deliver(universe, instance, window) {
                        Ok(count) => self.attempted += count,
                        Err(refused) => return Some(refused),
                    }
                }
            }
            self.until = window.1;
        }
        None
    }

    /// How many caches there are for a certificate now, by the pins that they hold.
    pub(super) fn caches(
        &self,
        universe: &Universe,
        certificate: &str,
        now: Moment,
    ) -> BTreeMap<String, u64> {
        let keys = lock(&universe.keys);
        let zones = lock(&universe.zones);
        let mut caches = BTreeMap::new();
        for lane in self.lanes.iter().filter(|lane| lane.certificate == certificate) {
            for (server, _) in &lane.caches {
                let held = zones.history((&lane.apex, *server), &lane.owner, (now - PAST, now));
                for (index, (from, set)) in held.iter().enumerate() {
                    let until = held.get(index + 1).map_or(now + 1, |(next, _)| *next);
                    let (from, ttl) = ((*from).max(now - ttl(set) + 1), ttl(set));
                    let minutes = ticks(from, until.min(now + 1)).min(ttl / MINUTE + 1);
                    if minutes > 0 {
                        let letters = set.values.iter().map(|data| match pin::digest_of(data) {
                            Some(spki) => keys.letter(spki),
                            None => "+".into(),
                        });
                        let mut letters: Vec<String> = letters.collect();
                        letters.sort();
                        let held = if letters.is_empty() { "none".into() } else { letters.concat() };
                        *caches.entry(held).or_default() += minutes as u64;
                    }
                }
            }
        }
        caches
    }
}

fn ttl(set: &RrSet) -> Moment {
    if set.values.is_empty() { NEGATIVE_TTL } else { i64::from(set.ttl) * 1000 }
}

/// Whole minutes in [`from`, `until`).
fn ticks(from: Moment, until: Moment) -> i64 {
    let up = |at: Moment| -(-at).div_euclid(MINUTE);
    (up(until) - up(from)).max(0)
}

impl Lane {
    /// What the name servers gave in this window.
    fn learn(&mut self, universe: &Universe, (from, to): (Moment, Moment)) {
        let zones = lock(&universe.zones);
        for (server, contents) in &mut self.caches {
            if !contents.is_empty() && zones.is_still(&self.apex, *server, (from, to)) {
                forget(contents, from);
                continue;
            }
            for (at, set) in zones.history((&self.apex, *server), &self.owner, (from, to)) {
                match contents.back_mut() {
                    Some(last) if last.pins == set.values && last.ttl == ttl(&set) => continue,
                    Some(last) => last.until = Some(at),
                    None => {}
                }
                self.contents += 1;
                // What stood there at the beginning has stood there for long.
                let since = if contents.is_empty() { at - 30 * DAY } else { at };
                let records = set.values.iter().filter_map(Tlsa::of).collect();
                let ttl = ttl(&set);
                let number = self.contents;
                contents.push_back(Content {
                    number,
                    from: since,
                    until: None,
                    ttl,
                    records,
                    pins: set.values,
                });
            }
            forget(contents, from);
        }
    }

    /// Deliveries to one instance in this window.
    fn deliver(
        &mut self,
        universe: &Universe,
        instance: usize,
        window: (Moment, Moment),
    ) -> Result<u64, Refused> {
        let shown = lock(&universe.mail).history(&self.certificate, instance, window);
        let mut count = 0;
        for (index, (since, chain)) in shown.iter().enumerate() {
            let until = shown.get(index + 1).map_or(window.1, |(next, _)| *next);
            for (server, contents) in &self.caches {
                for content in contents {
                    let last = content.until.map_or(Moment::MAX, |end| end + content.ttl);
                    let begin = (*since).max(content.from);
                    if begin >= until.min(last) {
                        continue;
                    }
                    if !matches(&mut self.matched, content, chain, (&self.names, self.smtp), begin)
                        && self.signed
                    {
                        let words = refusal(universe, content, *server, (instance, chain), &self.owner.0);
                        return Err(Refused { at: begin, certificate: self.certificate.clone(), words });
                    }
                    count += content.deliveries(*since, until);
                }
            }
        }
        Ok(count)
    }
}

/// What no cache holds any more.
fn forget(contents: &mut VecDeque<Content>, now: Moment) {
    while contents.front().and_then(|c| Some(c.until? + c.ttl)).is_some_and(|end| end <= now) {
        contents.pop_front();
    }
}

impl Content {
    /// One for each minute in [`since`, `until`) and each cache that holds this then.
    fn deliveries(&self, since: Moment, until: Moment) -> u64 {
        let slots = (self.ttl / MINUTE).max(1);
        if self.until.is_none() && self.from <= since - self.ttl {
            return (ticks(since, until) * slots) as u64;
        }
        let first = -(-since).div_euclid(MINUTE);
        let caches = (first..first + ticks(since, until)).map(|minute| {
            let now = minute * MINUTE;
            let filled = (now - (slots - 1) * MINUTE).max(self.from);
            ticks(filled, self.until.unwrap_or(Moment::MAX).min(now + 1))
        });
        caches.sum::<i64>() as u64
    }
}

/// Whether a sender with this RRset takes this chain (RFC 7672 §2.2): no record, no question.
fn matches(
    known: &mut VecDeque<(u64, Option<Arc<Chain>>)>,
    content: &Content,
    chain: &Option<Arc<Chain>>,
    (names, smtp): (&[String], bool),
    at: Moment,
) -> bool {
    let same = |known: &Option<Arc<Chain>>| match (known, chain) {
        (Some(known), Some(chain)) => Arc::ptr_eq(known, chain),
        (None, None) => true,
        _ => false,
    };
    if known.iter().any(|(number, chain)| *number == content.number && same(chain)) {
        return true;
    }
    let records = considered(&content.records, smtp);
    let certs = chain.as_ref().map(|chain| chain.certs.as_slice()).unwrap_or_default();
    let taken =
        records.is_empty() || records.iter().any(|r| matching(r, certs, names, timestamp(at)).is_ok());
    if taken {
        known.push_back((content.number, chain.clone()));
        if known.len() > 64 {
            known.pop_front();
        }
    }
    taken
}

fn refusal(
    universe: &Universe,
    content: &Content,
    server: usize,
    (instance, chain): (usize, &Option<Arc<Chain>>),
    owner: &Name,
) -> String {
    let keys = lock(&universe.keys);
    let pins: Vec<String> =
        content.pins.iter().filter_map(pin::digest_of).map(|spki| keys.letter(spki)).collect();
    let shown = match chain {
        Some(chain) => format!("the key {}", keys.letter(chain.spki)),
        None => "its own certificate".into(),
    };
    format!(
        "server {} presents {shown}; a cache filled from {} holds the pins {} at {} (TTL {} s)",
        instance + 1,
        lock(&universe.zones).server_at(server).name,
        pins.join(", "),
        owner.to_ascii(),
        content.ttl / 1000
    )
}
