//! [`Reads`] with real packets.
//!
//! The recursive resolver is asked only for what danesmith never changes: NS sets, their addresses, DS, aliases in
//! foreign zones. Never for `_acme-challenge` or TLSA names: one early look would leave a negative answer (or, with
//! aggressive NSEC, RFC 8198, a whole gap) in a cache that the CA or a mail server may share.

use super::address::Written;
use super::answer::{self, rcode};
use super::transport::{self, Asked};
use super::{Answer, Reads, Security, Server, system};
use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use futures_util::future::join_all;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How [`Resolver`] asks.
#[derive(Debug, Clone)]
pub struct ResolverConfig {
    /// Recursive resolvers, tried in order; empty: the `nameserver` lines of /etc/resolv.conf.
    pub resolvers: Vec<SocketAddr>,
    /// Port of authoritative servers.
    pub port: u16,
    /// Time for one question to one server, resends and TCP included.
    pub timeout: Duration,
}

impl Default for ResolverConfig {
    /// The system's resolvers, port 53, 5 s (what stub resolvers commonly wait).
    fn default() -> Self {
        ResolverConfig { resolvers: Vec::new(), port: 53, timeout: Duration::from_secs(5) }
    }
}

/// Asks name servers. Keeps no cache: every answer is what a server says now.
#[derive(Debug)]
pub struct Resolver {
    resolvers: Vec<SocketAddr>,
    port: u16,
    timeout: Duration,
    questions: AtomicU64,
}

impl Resolver {
    /// Reads /etc/resolv.conf when the configuration names no resolver.
    pub fn new(config: ResolverConfig) -> Self {
        let resolvers = if config.resolvers.is_empty() { system::resolvers() } else { config.resolvers };
        Resolver { resolvers, port: config.port, timeout: config.timeout, questions: AtomicU64::new(0) }
    }

    /// Questions put to servers so far; resends and the TCP repeat of a truncated answer are not counted.
    pub fn questions(&self) -> u64 {
        self.questions.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Reads for Resolver {
    async fn name_servers(&self, zone: &Name) -> Result<Vec<Server>> {
        let action = format!("find the name servers of `{}`", text(zone));
        let delegated = self.delegated(zone, &action).await?;
        let mut servers = self.locate(&delegated, &action).await?;
        let own = self.own_set(zone, &servers).await;
        let more: BTreeSet<Name> = own.difference(&delegated).cloned().collect();
        servers.extend(self.locate(&more, &action).await?);
        let servers = distinct(servers);
        if servers.is_empty() {
            let names: Vec<String> = delegated.iter().map(text).collect();
            let cause = format!("none of {} has an address that this host can reach", names.join(", "));
            return Err(Error::new(Kind::Remote, action, cause));
        }
        Ok(servers)
    }

    async fn addresses(&self, server: &str) -> Result<Vec<Server>> {
        Written::parse(server, self.port)?.locate(server).await
    }

    async fn ask(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<Answer> {
        let started = Instant::now();
        let question = transport::question(name, rtype, Asked::Authority);
        let outcome = self.exchange(server.address, &question).await;
        let read = outcome.and_then(|message| answer::read(&message, name, rtype, started.elapsed()));
        read.map_err(|cause| {
            let whom = format!("{} ({})", server.name, server.address);
            Error::new(Kind::Remote, format!("ask {whom} for {rtype} at `{}`", text(name)), cause)
        })
    }

    async fn alias(&self, name: &Name) -> Result<Option<Name>> {
        let action = format!("find out whether `{}` is an alias", text(name));
        let message = self.look_up(name, RecordType::CNAME, &action).await?;
        let alias = at(&message, name).find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.to_lowercase()),
            _ => None,
        });
        Ok(alias)
    }

    async fn security(&self, zone: &Name, server: &Server) -> Result<Security> {
        let apex = self.ask(server, zone, RecordType::DNSKEY).await?;
        let keys: Vec<DNSKEY> = apex.values.into_iter().filter_map(zone_key).collect();
        if keys.is_empty() {
            return Ok(Security::Unsigned("no DNSKEY at the apex".into()));
        }
        if !apex.signed {
            return Ok(Security::Unsigned("the DNSKEY set at the apex is not signed".into()));
        }
        if zone.is_root() {
            return Ok(Security::Signed);
        }
        let action = format!("find the DS of `{}`", text(zone));
        let parent = self.look_up(zone, RecordType::DS, &action).await?;
        let delegation: Vec<DS> = at(&parent, zone).filter_map(ds).collect();
        judge(zone, &keys, &delegation, action)
    }
}

impl Resolver {
    /// The NS names of `zone` as the recursive resolver knows them.
    async fn delegated(&self, zone: &Name, action: &str) -> Result<BTreeSet<Name>> {
        let message = self.look_up(zone, RecordType::NS, action).await?;
        let names: BTreeSet<Name> = at(&message, zone).filter_map(|record| ns(&record.data)).collect();
        if names.is_empty() {
            let cause = format!("no name servers: is `{}` a zone?", text(zone));
            return Err(Error::new(Kind::Remote, action, cause)
                .hint("the zones of zones.yaml are apexes: the names that carry NS and SOA records"));
        }
        Ok(names)
    }

    /// The NS set at the apex, as the servers themselves tell it: parent and child may differ, and resolvers follow
    /// both. A server that does not answer adds nothing here; it stays in the list.
    async fn own_set(&self, zone: &Name, servers: &[Server]) -> BTreeSet<Name> {
        let answers = join_all(servers.iter().map(|server| self.ask(server, zone, RecordType::NS))).await;
        let mut names = BTreeSet::new();
        for answer in answers {
            match answer {
                Ok(answer) => names.extend(answer.values.iter().filter_map(ns)),
                Err(error) => tracing::warn!(zone = %text(zone), "{error}"),
            }
        }
        names
    }

    /// Every address of every name, as far as this host has a route. A name that provably has none is skipped; one
    /// that cannot be looked up is an error, because a server we do not know about could still serve old records.
    async fn locate(&self, names: &BTreeSet<Name>, action: &str) -> Result<Vec<Server>> {
        let found = join_all(names.iter().map(|name| self.locate_one(name, action))).await;
        let servers = found.into_iter().collect::<Result<Vec<_>>>()?.concat();
        Ok(reachable(distinct(servers)).await)
    }

    async fn locate_one(&self, name: &Name, action: &str) -> Result<Vec<Server>> {
        let (four, six) = tokio::join!(
            self.look_up(name, RecordType::A, action),
            self.look_up(name, RecordType::AAAA, action)
        );
        let outside = |error: Error| error.hint("list the servers to look at in the zone's `check:`");
        let (four, six) = (four.map_err(outside)?, six.map_err(outside)?);
        let servers: Vec<Server> = four
            .answers
            .iter()
            .chain(&six.answers)
            .filter_map(ip)
            .map(|ip| Server { name: text(name), address: SocketAddr::new(ip, self.port) })
            .collect();
        if servers.is_empty() {
            tracing::warn!(server = %text(name), "this name server has no address, skipped");
        }
        Ok(servers)
    }

    /// Asks the recursive resolvers in order until one answers; NXDOMAIN is an answer.
    async fn look_up(&self, name: &Name, rtype: RecordType, action: &str) -> Result<Message> {
        let mut causes = Vec::new();
        for resolver in &self.resolvers {
            let question = transport::question(name, rtype, Asked::Recursive);
            let cause = match self.exchange(*resolver, &question).await {
                Ok(message) => match unusable(&message) {
                    None => return Ok(message),
                    Some(cause) => cause,
                },
                Err(cause) => cause,
            };
            causes.push(format!("resolver {resolver}: {cause}"));
        }
        let cause = format!("{rtype} of `{}`: {}", text(name), causes.join("; "));
        Err(Error::new(Kind::Remote, action, cause))
    }

    async fn exchange(&self, server: SocketAddr, question: &Message) -> Result<Message, String> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let outcome = transport::exchange(server, question, self.timeout).await;
        outcome.map_err(|trouble| trouble.to_string())
    }
}

/// DNSKEY and DS belong together, or every validating resolver calls the zone bogus. A digest type that we cannot
/// compute is given the benefit of the doubt: we report, we do not validate.
fn judge(zone: &Name, keys: &[DNSKEY], delegation: &[DS], action: String) -> Result<Security> {
    if delegation.is_empty() {
        return Ok(Security::Unsigned("no DS at the parent".into()));
    }
    let fits = |ds: &DS| keys.iter().any(|key| ds.covers(zone, key).unwrap_or(true));
    if delegation.iter().any(fits) {
        return Ok(Security::Signed);
    }
    let cause =
        "no DS at the parent matches a DNSKEY of the zone: validating resolvers refuse all of its answers";
    Err(Error::new(Kind::Remote, action, cause)
        .hint("have the parent's DS replaced, or the zone signed with its key"))
}

/// Why a resolver's message is no answer. A server that does not recurse sends a referral, which has no values either:
/// taken for NODATA it would hide name servers and DS records.
fn unusable(message: &Message) -> Option<String> {
    let bits = &message.metadata;
    match bits.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if bits.recursion_available || bits.authoritative => {
            None
        }
        ResponseCode::NoError | ResponseCode::NXDomain => Some("it does not recurse for us".into()),
        other => Some(rcode(other)),
    }
}

/// One server per address, the first name wins.
fn distinct(mut servers: Vec<Server>) -> Vec<Server> {
    let mut seen = HashSet::new();
    servers.retain(|server| seen.insert(server.address));
    servers
}

/// Leaves out addresses of a family this host has no route for (commonly IPv6): nobody could look there from here.
async fn reachable(servers: Vec<Server>) -> Vec<Server> {
    let mut kept = Vec::with_capacity(servers.len());
    for server in servers {
        if transport::reachable(server.address).await {
            kept.push(server);
        } else {
            tracing::info!(server = %server.name, address = %server.address, "no route from this host, left out");
        }
    }
    kept
}

/// Records of the answer section at exactly `name`.
fn at<'a>(message: &'a Message, name: &'a Name) -> impl Iterator<Item = &'a Record> {
    message.answers.iter().filter(move |record| record.name.eq_ignore_root(name))
}

fn ns(data: &RData) -> Option<Name> {
    match data {
        RData::NS(name) => Some(name.0.to_lowercase()),
        _ => None,
    }
}

/// Under whatever owner: the resolver has followed aliases for us (RFC 2181 §10.3 forbids them here; they exist).
fn ip(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn zone_key(data: RData) -> Option<DNSKEY> {
    match data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) if key.zone_key() => Some(key),
        _ => None,
    }
}

fn ds(record: &Record) -> Option<DS> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.clone()),
        _ => None,
    }
}

/// A-labels, so that a message shows what is in DNS.
fn text(name: &Name) -> String {
    name.to_ascii()
}
