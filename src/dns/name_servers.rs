//! Who is authoritative: every address of every name server in the parent's delegation and in the zone's own NS set.
//! The two may differ, and resolvers follow both.

use super::resolver::{Resolver, text};
use super::transport::{self, Asked};
use super::{Reads, Server};
use crate::error::{Error, Kind, Result};
use futures_util::future::{join, join_all, select_ok};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::PoisonError;

/// Name servers of the parent that are asked; any one of them knows the delegation. Our choice.
const PARENTS: usize = 3;

impl Resolver {
    pub(super) async fn find_name_servers(&self, zone: &Name, asked: Asked) -> Result<Vec<Server>> {
        let action = format!("find the name servers of `{}`", text(zone));
        let (known, delegated) = join(self.known(zone, asked, &action), self.delegated(zone, asked)).await;
        let mut names = known?;
        names.extend(self.note_parent(zone, delegated));
        let mut servers = self.locate(&names, asked, &action).await?;
        let own = self.own_set(zone, &servers).await;
        let more: BTreeSet<Name> = own.difference(&names).cloned().collect();
        servers.extend(self.locate(&more, asked, &action).await?);
        let servers = distinct(servers);
        if servers.is_empty() {
            let names: Vec<String> = names.iter().map(text).collect();
            let cause = format!("none of {} has an address that this host can reach", names.join(", "));
            return Err(Error::new(Kind::Remote, action, cause));
        }
        Ok(servers)
    }

    /// What the parent said; that it could not be asked is remembered for [`Reads::doubt`].
    fn note_parent(&self, zone: &Name, delegated: Result<BTreeSet<Name>, String>) -> BTreeSet<Name> {
        let mut orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.remove(zone);
        delegated.unwrap_or_else(|cause| {
            orphans.insert(zone.clone(), cause);
            BTreeSet::new()
        })
    }

    /// The NS names of `zone` as the recursive resolver knows them.
    async fn known(&self, zone: &Name, asked: Asked, action: &str) -> Result<BTreeSet<Name>> {
        let found = self.look_up(zone, RecordType::NS, asked, action).await;
        let message = found.map_err(|error| match error.cause.contains("SERVFAIL") {
            true => error.hint(format!(
                "resolvers that validate answer SERVFAIL where DNSSEC is broken: danesmith verify {}",
                text(zone).trim_end_matches('.')
            )),
            false => error,
        })?;
        let names: BTreeSet<Name> = at(&message, zone).filter_map(|record| ns(&record.data)).collect();
        if names.is_empty() {
            let cause = format!("no name servers: is `{}` a zone?", text(zone));
            return Err(Error::new(Kind::Remote, action, cause)
                .hint("the zones of zones.yaml are apexes: the names that carry NS and SOA records"));
        }
        Ok(names)
    }

    /// The NS names in the delegation, asked at the parent's own servers: resolvers show the zone's own set instead
    /// (RFC 2181 §5.4.1).
    async fn delegated(&self, zone: &Name, asked: Asked) -> Result<BTreeSet<Name>, String> {
        if zone.is_root() {
            return Ok(BTreeSet::new());
        }
        let hosts = self.parent_servers(zone, asked).await?;
        let located = join_all(hosts.iter().take(PARENTS).map(|host| async move {
            let reply = self.recursive.ask(host, RecordType::A, asked, |_| None).await.ok()?;
            reply.message.answers.iter().find_map(ip).map(|ip| SocketAddr::new(ip, self.port))
        }));
        let servers: Vec<SocketAddr> = located.await.into_iter().flatten().collect();
        if servers.is_empty() {
            return Err("no server of the parent has an IPv4 address that can be found".into());
        }
        let question = transport::question(zone, RecordType::NS, Asked::Authority);
        let asked = servers.into_iter().map(|server| {
            let question = &question;
            Box::pin(async move {
                let message = self.recursive.exchange(server, question).await?.message;
                let sections = message.answers.iter().chain(&message.authorities);
                let here = sections.filter(|record| record.name.eq_ignore_root(zone));
                let names: BTreeSet<Name> = here.filter_map(|record| ns(&record.data)).collect();
                if names.is_empty() { Err(format!("{server} knows of no delegation")) } else { Ok(names) }
            })
        });
        Ok(select_ok(asked).await?.0)
    }

    /// The NS names of the zone that delegates `zone`: the nearest name above it that has such records.
    async fn parent_servers(&self, zone: &Name, asked: Asked) -> Result<BTreeSet<Name>, String> {
        let mut above = zone.base_name();
        loop {
            let message = self.recursive.ask(&above, RecordType::NS, asked, |_| None).await?.message;
            let names: BTreeSet<Name> = at(&message, &above).filter_map(|record| ns(&record.data)).collect();
            if !names.is_empty() || above.is_root() {
                return Ok(names);
            }
            above = above.base_name();
        }
    }

    /// The NS set at the apex, as the servers themselves tell it. A server that does not answer adds nothing here; it
    /// stays in the list.
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
    async fn locate(&self, names: &BTreeSet<Name>, asked: Asked, action: &str) -> Result<Vec<Server>> {
        let found = join_all(names.iter().map(|name| self.locate_one(name, asked, action))).await;
        let servers = found.into_iter().collect::<Result<Vec<_>>>()?.concat();
        Ok(reachable(distinct(servers)).await)
    }

    async fn locate_one(&self, name: &Name, asked: Asked, action: &str) -> Result<Vec<Server>> {
        let (four, six) = tokio::join!(
            self.look_up(name, RecordType::A, asked, action),
            self.look_up(name, RecordType::AAAA, asked, action)
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
pub(super) fn at<'a>(message: &'a Message, name: &'a Name) -> impl Iterator<Item = &'a Record> {
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
