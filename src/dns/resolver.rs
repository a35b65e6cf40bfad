//! [`Reads`] with real packets.
//!
//! While certificates are made, the recursive resolver is asked only for what danesmith never changes: NS sets, their
//! addresses, DS, DNSKEY, aliases in foreign zones. Never for `_acme-challenge` or TLSA names: one early look would leave
//! a negative answer (or, with aggressive NSEC, RFC 8198, a whole gap) in a cache that the CA or a mail server may share.
//! [`Reads::lookup`], made for `verify`, asks what it is told to ask.

use super::address::Written;
use super::anchor::TrustAnchor;
use super::judge::Judge;
use super::name_servers::at;
use super::patience::Patience;
use super::recursive::Recursive;
use super::transport::{self, Asked, Reply};
use super::{Answer, Lookup, Observation, Reads, Server, answer, lookup, system};
use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use futures_util::future::join;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How [`Resolver`] asks.
#[derive(Debug, Clone)]
pub struct ResolverConfig {
    /// Recursive resolvers, tried in order; empty: the `nameserver` lines of /etc/resolv.conf.
    pub resolvers: Vec<SocketAddr>,
    /// Port of authoritative servers.
    pub port: u16,
    /// Time for one question to one server, resends and TCP included; less for a server that was silent a moment ago.
    pub timeout: Duration,
    /// Who validates DNSSEC.
    pub validation: Validation,
}

/// Who validates DNSSEC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// We do, from these trust anchors; AD bits mean nothing.
    Own(TrustAnchor),
    /// The recursive resolvers: their AD bit is believed. For a resolver on this host or behind a protected link.
    Resolver,
}

impl Default for ResolverConfig {
    /// The system's resolvers, port 53, 5 s (what stub resolvers commonly wait), own validation from the root's keys.
    fn default() -> Self {
        ResolverConfig {
            resolvers: Vec::new(),
            port: 53,
            timeout: Duration::from_secs(5),
            validation: Validation::Own(TrustAnchor::root()),
        }
    }
}

/// Asks name servers. Keeps no answer but the keys and delegations that validation needs, and those for minutes only.
#[derive(Debug)]
pub struct Resolver {
    pub(super) recursive: Recursive,
    pub(super) port: u16,
    /// Zones whose parent could not be asked when their name servers were asked for last; why.
    pub(super) orphans: Mutex<HashMap<Name, String>>,
    judge: Judge,
    patience: Patience,
}

impl Resolver {
    /// Reads /etc/resolv.conf when the configuration names no resolver.
    pub fn new(config: ResolverConfig) -> Self {
        let resolvers = if config.resolvers.is_empty() { system::resolvers() } else { config.resolvers };
        let questions = Arc::new(AtomicU64::new(0));
        let recursive = Recursive { resolvers, timeout: config.timeout, questions };
        let judge = Judge::new(config.validation, &recursive);
        let patience = Patience::new(config.timeout);
        Resolver { recursive, port: config.port, orphans: Mutex::default(), judge, patience }
    }

    /// Questions put to servers so far; resends and the TCP repeat of a truncated answer are not counted.
    pub fn questions(&self) -> u64 {
        self.recursive.questions.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Reads for Resolver {
    async fn name_servers(&self, zone: &Name) -> Result<Vec<Server>> {
        self.find_name_servers(zone, Asked::Recursive).await
    }

    async fn unvalidated_name_servers(&self, zone: &Name) -> Result<Vec<Server>> {
        self.find_name_servers(zone, Asked::Unchecked).await
    }

    fn doubt(&self, zone: &Name) -> Option<String> {
        let orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.get(zone).map(|cause| {
            format!(
                "the parent of `{}` could not be asked for the zone's name servers ({cause}): one that only the parent names \
                 is not looked at; list all in the zone's `check:`",
                text(zone)
            )
        })
    }

    async fn addresses(&self, server: &str) -> Result<Vec<Server>> {
        Written::parse(server, self.port)?.locate(server).await
    }

    async fn ask(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<Answer> {
        Ok(self.authority(server, name, rtype).await?.0)
    }

    async fn observe(
        &self,
        server: &Server,
        zone: &Name,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Observation> {
        let (asked, ()) = join(self.authority(server, name, rtype), self.judge.prepare(zone)).await;
        let (answer, reply) = asked?;
        let security = self.judge.of_authority(zone, name, &reply).await;
        Ok(Observation { answer, security })
    }

    async fn alias(&self, name: &Name) -> Result<Option<Name>> {
        let action = format!("find out whether `{}` is an alias", text(name));
        let message = self.look_up(name, RecordType::CNAME, Asked::Recursive, &action).await?;
        let alias = at(&message, name).find_map(|record| match &record.data {
            RData::CNAME(target) => Some(target.0.to_lowercase()),
            _ => None,
        });
        Ok(alias)
    }

    async fn lookup(&self, name: &Name, rtype: RecordType) -> Result<Lookup> {
        let (reply, security) = self.judged(name, rtype).await?;
        let mut found = lookup::read(&reply.message, name, rtype, security);
        if found.links.is_empty() || found.security.is_secure() {
            return Ok(found);
        }
        // One weak link makes the whole weak; which one it is shows only when each is asked for alone.
        for link in &mut found.links {
            link.security = self.judged(&link.owner, RecordType::CNAME).await?.1;
        }
        Ok(found)
    }
}

impl Resolver {
    /// One question to one authoritative server.
    async fn authority(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<(Answer, Reply)> {
        let started = Instant::now();
        let question = transport::question(name, rtype, Asked::Authority);
        let limit = self.patience.with(server.address);
        let outcome = self.recursive.exchange_within(server.address, &question, limit).await;
        self.patience.note(server.address, &outcome);
        let read = outcome.map_err(|trouble| trouble.to_string()).and_then(|reply| {
            let answer = answer::read(&reply.message, name, rtype, started.elapsed())?;
            Ok((answer, reply))
        });
        read.map_err(|cause| {
            let whom = format!("{} ({})", server.name, server.address);
            Error::new(Kind::Remote, format!("ask {whom} for {rtype} at `{}`", text(name)), cause)
        })
    }

    /// One question to the recursive resolvers, and the verdict on the answer.
    async fn judged(&self, name: &Name, rtype: RecordType) -> Result<(Reply, super::Security)> {
        let action = || format!("look up {rtype} of `{}`", text(name));
        let reply = self.recursive.ask(name, rtype, self.judge.asked(), |_| None).await;
        let reply = reply.map_err(|cause| Error::new(Kind::Remote, action(), cause))?;
        let security = self.judge.of_resolver(name, &reply).await;
        Ok((reply, security))
    }

    /// Asks the recursive resolvers, without a verdict on the answer; NXDOMAIN is an answer.
    pub(super) async fn look_up(
        &self,
        name: &Name,
        rtype: RecordType,
        asked: Asked,
        action: &str,
    ) -> Result<Message> {
        let reply = self.recursive.ask(name, rtype, asked, |_| None).await;
        reply.map(|reply| reply.message).map_err(|cause| Error::new(Kind::Remote, action, cause))
    }
}

/// A-labels, so that a message shows what is in DNS.
pub(super) fn text(name: &Name) -> String {
    name.to_ascii()
}
