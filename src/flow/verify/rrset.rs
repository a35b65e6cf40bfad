//! One RRset: as a resolver finds it, and as every authoritative server of its zone has it.

use super::{Eyes, text};
use crate::dns::{Lookup, Observation, Security, Server};
use crate::error::Result;
use crate::model::dane::{AtServer, Found, Trust};
use futures_util::future::join_all;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Zones found in one look, with what their servers say of themselves; each asked once.
#[derive(Default)]
pub(super) struct Zones {
    cuts: Mutex<HashMap<Name, Arc<OnceCell<bool>>>>,
    servers: Mutex<HashMap<Name, Arc<OnceCell<Servers>>>>,
}

/// The servers of a zone with serial and refresh time of their SOA, or why they cannot be told.
type Servers = Result<Vec<(Server, Option<(u32, u32)>)>, String>;

/// Asks the resolver, then every authoritative server of the zone that has the answer. `read` takes the data wanted.
pub(super) async fn look<T>(
    eyes: &Eyes,
    zones: &Zones,
    name: &Name,
    rtype: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Found<T> {
    match eyes.reads.lookup(name, rtype).await {
        Err(error) => missing(name, rtype, error.cause),
        Ok(lookup) => found(eyes, zones, &lookup, rtype, read).await,
    }
}

/// A look-up that gave no answer.
pub(super) fn missing<T>(name: &Name, rtype: RecordType, why: String) -> Found<T> {
    let (name, rtype) = (text(name), word(rtype));
    Found { at: name.clone(), name, rtype, trust: Err(why), records: Vec::new(), ttl: 0, servers: Vec::new() }
}

/// What a look-up found, and what the authoritative servers say to it.
pub(super) async fn found<T>(
    eyes: &Eyes,
    zones: &Zones,
    lookup: &Lookup,
    rtype: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Found<T> {
    let servers = at_servers(eyes, zones, &lookup.name, rtype, &read).await;
    Found {
        name: text(&lookup.asked),
        rtype: word(rtype),
        at: text(&lookup.name),
        trust: Ok(trust(&lookup.security)),
        records: lookup.records.iter().filter_map(read).collect(),
        ttl: lookup.ttl,
        servers,
    }
}

fn word(rtype: RecordType) -> &'static str {
    match rtype {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::MX => "MX",
        RecordType::TLSA => "TLSA",
        _ => "records",
    }
}

pub(super) fn trust(security: &Security) -> Trust {
    match security {
        Security::Secure { until, last } => Trust::Secure { until: *until, last: *last },
        Security::Insecure(why) => Trust::Insecure(why.clone()),
        Security::Bogus(why) => Trust::Bogus(why.clone()),
    }
}

async fn at_servers<T>(
    eyes: &Eyes,
    zones: &Zones,
    name: &Name,
    rtype: RecordType,
    read: &impl Fn(&RData) -> Option<T>,
) -> Vec<AtServer<T>> {
    let Some(zone) = zone_of(eyes, zones, name).await else { return Vec::new() };
    let servers = match servers_of(eyes, zones, &zone).await {
        Ok(servers) => servers,
        Err(why) => {
            let server = format!("the servers of `{}`", text(&zone));
            return vec![AtServer { server, answer: Err(why), serial: None, refresh: None }];
        }
    };
    let asked = servers.into_iter().map(|(server, soa)| {
        let zone = &zone;
        async move {
            let answer = match eyes.reads.observe(&server, zone, name, rtype).await {
                Ok(seen) if seen.answer.authoritative => Ok(records(&seen, read)),
                Ok(_) => Err("it does not answer with authority: a lame delegation".into()),
                Err(error) => Err(error.cause),
            };
            AtServer {
                server: format!("{} ({})", server.name.trim_end_matches('.'), server.address),
                answer,
                serial: soa.map(|(serial, _)| serial),
                refresh: soa.map(|(_, refresh)| refresh),
            }
        }
    });
    join_all(asked).await
}

fn records<T>(seen: &Observation, read: &impl Fn(&RData) -> Option<T>) -> (Vec<T>, Trust) {
    (seen.answer.values.iter().filter_map(read).collect(), trust(&seen.security))
}

/// The zone that holds a name: the nearest of its ancestors that has a SOA.
async fn zone_of(eyes: &Eyes, zones: &Zones, name: &Name) -> Option<Name> {
    let ancestors: Vec<Name> = (1..=usize::from(name.num_labels())).rev().map(|n| name.trim_to(n)).collect();
    let apexes = join_all(ancestors.iter().map(|at| is_apex(eyes, zones, at))).await;
    ancestors.into_iter().zip(apexes).find(|(_, apex)| *apex).map(|(zone, _)| zone)
}

async fn is_apex(eyes: &Eyes, zones: &Zones, name: &Name) -> bool {
    let cell = cell(&zones.cuts, name);
    let look = || async {
        let soa = eyes.reads.lookup(name, RecordType::SOA).await;
        soa.is_ok_and(|soa| soa.links.is_empty() && !soa.records.is_empty())
    };
    *cell.get_or_init(look).await
}

async fn servers_of(eyes: &Eyes, zones: &Zones, zone: &Name) -> Servers {
    let cell = cell(&zones.servers, zone);
    let look = || async {
        let servers = match eyes.reads.name_servers(zone).await {
            Err(error) => eyes.reads.unvalidated_name_servers(zone).await.map_err(|_| error.cause)?,
            Ok(servers) => servers,
        };
        let soas = servers.iter().map(|server| async {
            let soa = eyes.reads.ask(server, zone, RecordType::SOA).await.ok()?;
            soa.values.iter().find_map(|data| match data {
                RData::SOA(soa) => Some((soa.serial, u32::try_from(soa.refresh).unwrap_or_default())),
                _ => None,
            })
        });
        let soas = join_all(soas).await;
        Ok(servers.into_iter().zip(soas).collect())
    };
    cell.get_or_init(look).await.clone()
}

fn cell<T>(map: &Mutex<HashMap<Name, Arc<OnceCell<T>>>>, name: &Name) -> Arc<OnceCell<T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_lowercase()).or_default().clone()
}
