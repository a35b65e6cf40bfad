//! Mail servers: each host has two. The first is reloaded when danesmith says so; the second takes what lies there from
//! time to time. What each presented at each moment can be asked at any later time.

use super::time::{MINUTE, Moment};
use crate::model::desired::{Certificate, Desired, Endpoints};
use crate::model::endpoint::Algorithm;
use crate::model::key::{KeyKind, SpkiDigest, look};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Servers of each host.
pub(super) const INSTANCES: usize = 2;
/// A reloaded server presents the new files this much later.
const RELOADS_IN: Moment = 1_000;
/// A server that nobody tells looks for new files this often.
const LOOKS: Moment = 5 * MINUTE;

/// A certificate as a server presents it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) spki: SpkiDigest,
    /// Of the key.
    pub(super) algorithm: Algorithm,
    /// Leaf first, DER.
    pub(super) certs: Vec<Vec<u8>>,
}

impl Chain {
    /// A chain, leaf first, DER.
    pub(super) fn new(spki: SpkiDigest, certs: Vec<Vec<u8>>) -> Arc<Chain> {
        let algorithm = match certs.first().and_then(|leaf| look(leaf).ok()).map(|seen| seen.key) {
            Some(KeyKind::Rsa { .. }) => Algorithm::Rsa,
            _ => Algorithm::Ecdsa,
        };
        Arc::new(Chain { spki, algorithm, certs })
    }
}

/// What lies where servers read.
#[derive(Clone)]
struct Lying {
    since: Moment,
    generation: u64,
    serial: String,
    chain: Arc<Chain>,
}

/// How a certificate reaches its servers.
struct Way {
    /// Files are copied to a folder; otherwise servers read through `live`.
    folder: bool,
    /// The reload command; empty: nobody is told.
    reload: Vec<String>,
    /// Among several certificates of a service, the one that this is: keys stand in for those that are not here, and tell not.
    algorithm: Option<Algorithm>,
    /// `endpoints: unchecked`: the administrator vouches for the servers, so they present what lies there at once.
    vouched: bool,
    lying: Vec<Lying>,
}

/// All mail servers.
#[derive(Default)]
pub(super) struct MailServers {
    ways: BTreeMap<String, Way>,
    /// When which reload command was run.
    reloads: BTreeMap<Vec<String>, Vec<Moment>>,
    hosts: Vec<String>,
    /// When the second servers take what lies there: every so often, from this offset on.
    late: (Moment, Moment),
}

impl MailServers {
    /// The servers of all endpoints; the second of each host takes files every `every`, at `offset`.
    pub(super) fn new(desired: &Desired, every: Moment, offset: Moment) -> MailServers {
        let mut servers = MailServers { late: (every, offset), ..MailServers::default() };
        for certificate in desired.certificates.values() {
            let listed = match &certificate.endpoints {
                Endpoints::Listed(list) => list.as_slice(),
                Endpoints::Unchecked => &[],
            };
            let hosts: BTreeSet<&String> = listed.iter().map(|endpoint| &endpoint.host).collect();
            for host in hosts {
                if !servers.hosts.contains(host) {
                    servers.hosts.push(host.clone());
                }
            }
            let way = Way {
                folder: certificate.deploy.files.is_some(),
                reload: certificate.deploy.reload.clone(),
                algorithm: among_others(desired, certificate),
                vouched: certificate.endpoints == Endpoints::Unchecked,
                lying: Vec::new(),
            };
            servers.ways.insert(certificate.name.clone(), way);
        }
        servers
    }

    /// The addresses of a host: its instances.
    pub(super) fn addresses(&self, host: &str) -> Vec<Ipv4Addr> {
        let Some(number) = self.hosts.iter().position(|known| known == host) else { return Vec::new() };
        (0..INSTANCES).map(|instance| address(number, instance)).collect()
    }

    /// The instance behind an address.
    pub(super) fn instance(&self, at: SocketAddr) -> Option<usize> {
        let here = |number: usize, instance: usize| at.ip() == address(number, instance);
        (0..INSTANCES).find(|instance| (0..self.hosts.len()).any(|number| here(number, *instance)))
    }

    /// `live` points at another generation.
    pub(super) fn linked(
        &mut self,
        certificate: &str,
        generation: (u64, String),
        chain: Arc<Chain>,
        now: Moment,
    ) {
        if let Some(way) = self.ways.get_mut(certificate).filter(|way| !way.folder) {
            way.put(generation, chain, now);
        }
    }

    /// Files were copied to the servers' folder.
    pub(super) fn copied(
        &mut self,
        certificate: &str,
        generation: (u64, String),
        chain: Arc<Chain>,
        now: Moment,
    ) {
        if let Some(way) = self.ways.get_mut(certificate) {
            way.put(generation, chain, now);
        }
    }

    /// Whether this generation lies in the servers' folder.
    pub(super) fn lies(&self, certificate: &str, generation: u64, serial: &str) -> bool {
        let lying = self.ways.get(certificate).and_then(|way| way.lying.last());
        lying.is_some_and(|lying| lying.generation == generation && lying.serial == serial)
    }

    /// A reload command was run.
    pub(super) fn reloaded(&mut self, argv: &[String], now: Moment) {
        self.reloads.entry(argv.to_vec()).or_default().push(now + RELOADS_IN);
    }

    /// What an instance presents of a certificate; `None`: its own, self-signed one.
    pub(super) fn presented(&self, certificate: &str, instance: usize, when: Moment) -> Option<Arc<Chain>> {
        let way = self.ways.get(certificate)?;
        way.at(self.last_taken(way, instance, when)?)
    }

    fn last_taken(&self, way: &Way, instance: usize, when: Moment) -> Option<Moment> {
        let every = |period: Moment, offset: Moment| when - (when - offset).rem_euclid(period.max(1));
        if way.vouched {
            return Some(when);
        }
        if instance > 0 {
            return Some(every(self.late.0, self.late.1));
        }
        if way.reload.is_empty() {
            return Some(every(LOOKS, 0));
        }
        let told = self.reloads.get(&way.reload)?;
        told[..told.partition_point(|at| *at <= when)].last().copied()
    }

    /// When an instance began to present which chain, within (`from`, `to`], after what it presented at `from`.
    pub(super) fn history(
        &self,
        certificate: &str,
        instance: usize,
        (from, to): (Moment, Moment),
    ) -> Vec<(Moment, Option<Arc<Chain>>)> {
        let mut shown = vec![(from, self.presented(certificate, instance, from))];
        let Some(way) = self.ways.get(certificate) else { return shown };
        let changes =
            way.lying.iter().rev().take_while(|lying| lying.since > from - 3 * self.late.0.max(LOOKS));
        let mut takes: BTreeSet<Moment> =
            changes.filter_map(|lying| self.next_taken(way, instance, lying.since)).collect();
        if instance == 0 && !way.vouched {
            let told = self.reloads.get(&way.reload).map(Vec::as_slice).unwrap_or_default();
            takes.extend(told[told.partition_point(|at| *at <= from)..].iter());
        }
        for at in takes.into_iter().filter(|at| *at > from && *at <= to) {
            let now = self.presented(certificate, instance, at);
            if shown.last().is_none_or(|(_, last)| *last != now) {
                shown.push((at, now));
            }
        }
        shown
    }

    fn next_taken(&self, way: &Way, instance: usize, since: Moment) -> Option<Moment> {
        let every = |period: Moment, offset: Moment| since + (offset - since).rem_euclid(period.max(1));
        if way.vouched {
            return Some(since);
        }
        if instance > 0 {
            return Some(every(self.late.0, self.late.1));
        }
        way.reload.is_empty().then(|| every(LOOKS, 0))
    }

    /// Certificates that a service (host and port) presents.
    pub(super) fn of_service<'d>(desired: &'d Desired, host: &str, port: u16) -> Vec<&'d Certificate> {
        let here = |certificate: &&Certificate| match &certificate.endpoints {
            Endpoints::Listed(list) => list.iter().any(|e| e.host == host && e.port == port),
            Endpoints::Unchecked => false,
        };
        desired.certificates.values().filter(here).collect()
    }
}

/// Where several certificates share a service, one is for ECDSA and the others for RSA; a server has no use for two of a kind.
fn among_others(desired: &Desired, certificate: &Certificate) -> Option<Algorithm> {
    let Endpoints::Listed(list) = &certificate.endpoints else { return None };
    let services = list.iter().map(|e| MailServers::of_service(desired, &e.host, e.port));
    let shared = services.into_iter().find(|service| service.len() > 1)?;
    let first = shared.first().is_some_and(|first| first.name == certificate.name);
    Some(if first { Algorithm::Ecdsa } else { Algorithm::Rsa })
}

impl Way {
    fn put(&mut self, (generation, serial): (u64, String), chain: Arc<Chain>, now: Moment) {
        let chain = match self.algorithm {
            Some(algorithm) if algorithm != chain.algorithm => {
                Arc::new(Chain { spki: chain.spki, algorithm, certs: chain.certs.clone() })
            }
            _ => chain,
        };
        self.lying.push(Lying { since: now, generation, serial, chain });
    }

    fn at(&self, when: Moment) -> Option<Arc<Chain>> {
        let lying = &self.lying[..self.lying.partition_point(|lying| lying.since <= when)];
        lying.last().map(|lying| lying.chain.clone())
    }
}

/// RFC 5737 and RFC 2544 ranges: first instances in one, second ones in another.
fn address(host: usize, instance: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, (host >> 7) as u8, ((host & 0x7f) * INSTANCES + instance) as u8)
}
