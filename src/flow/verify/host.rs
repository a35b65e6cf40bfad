//! One host and port: addresses, TLSA, what each address presents.

use super::rrset::{self, Zones, missing};
use super::{Eyes, name, text};
use crate::dns::Lookup;
use crate::error::Result;
use crate::model::dane::{Found, HostView, Probe, Seen, Tlsa, Trust};
use crate::model::desired::Protocol;
use crate::model::endpoint::Endpoint;
use crate::verify::{Outcome, Presented};
use futures_util::future::{join, join3};
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Looks at `endpoint`. `domain`: the mail domain whose MX named it. `owner`: the TLSA owner name that covers it, when it
/// is not the one of its own name.
pub(super) async fn host(
    eyes: &Eyes,
    zones: &Zones,
    endpoint: &Endpoint,
    domain: Option<&str>,
    owner: Option<&Name>,
) -> Result<HostView> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return address_view(eyes, zones, endpoint, address, owner).await;
    }
    let host = name(&endpoint.host)?;
    let (a, aaaa) =
        join(eyes.reads.lookup(&host, RecordType::A), eyes.reads.lookup(&host, RecordType::AAAA)).await;
    let expanded = a.as_ref().or(aaaa.as_ref()).ok().and_then(expanded);
    let (a, aaaa, (tlsa, base)) = join3(
        addresses(eyes, zones, &host, RecordType::A, a),
        addresses(eyes, zones, &host, RecordType::AAAA, aaaa),
        async {
            match owner {
                Some(owner) => (tlsa_at(eyes, zones, owner).await, host.clone()),
                None => tlsa(eyes, zones, &host, expanded, endpoint.port).await,
            }
        },
    )
    .await;
    let at: BTreeSet<SocketAddr> =
        a.records.iter().chain(&aaaa.records).map(|ip| SocketAddr::new(*ip, endpoint.port)).collect();
    let (presented, (missing_parent, wildcard)) =
        join(eyes.endpoints.probe_at(endpoint, &at), around(eyes, &tlsa)).await;
    let mut names = vec![text(&base), text(&host)];
    names.extend(domain.filter(|_| endpoint.protocol == Protocol::Smtp).map(str::to_owned));
    names.dedup();
    let probes = presented.into_iter().map(probe).collect();
    Ok(HostView { endpoint: endpoint.clone(), a, aaaa, tlsa, missing_parent, wildcard, names, probes })
}

/// An endpoint that is an address: there is nothing to look up but what an owner name says.
async fn address_view(
    eyes: &Eyes,
    zones: &Zones,
    endpoint: &Endpoint,
    address: IpAddr,
    owner: Option<&Name>,
) -> Result<HostView> {
    let tlsa = match owner {
        Some(owner) => tlsa_at(eyes, zones, owner).await,
        None => given(&endpoint.host, "TLSA", Vec::new()),
    };
    let at = BTreeSet::from([SocketAddr::new(address, endpoint.port)]);
    let presented = eyes.endpoints.probe_at(endpoint, &at).await;
    let (a, aaaa) = if address.is_ipv4() { (vec![address], vec![]) } else { (vec![], vec![address]) };
    Ok(HostView {
        endpoint: endpoint.clone(),
        a: given(&endpoint.host, "A", a),
        aaaa: given(&endpoint.host, "AAAA", aaaa),
        tlsa,
        missing_parent: None,
        wildcard: Vec::new(),
        names: Vec::new(),
        probes: presented.into_iter().map(probe).collect(),
    })
}

fn given<T>(host: &str, rtype: &'static str, records: Vec<T>) -> Found<T> {
    let trust = Ok(Trust::Insecure("an address was given, not a name".into()));
    Found { name: host.into(), rtype, at: host.into(), trust, records, ttl: 0, servers: Vec::new() }
}

/// Where aliases lead, if they are secure all the way (RFC 7672 §2.2.2).
fn expanded(lookup: &Lookup) -> Option<Name> {
    let secure = lookup.links.iter().all(|link| link.security.is_secure());
    (secure && !lookup.links.is_empty()).then(|| lookup.name.clone())
}

async fn addresses(
    eyes: &Eyes,
    zones: &Zones,
    host: &Name,
    rtype: RecordType,
    lookup: Result<Lookup>,
) -> Found<IpAddr> {
    let read = |data: &RData| match data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    };
    match lookup {
        Ok(lookup) => rrset::found(eyes, zones, &lookup, rtype, read).await,
        Err(error) => missing(host, rtype, error.cause),
    }
}

/// TLSA at the expanded name first, then at the original one (RFC 7672 §2.2.3), and the base domain that this makes.
async fn tlsa(
    eyes: &Eyes,
    zones: &Zones,
    host: &Name,
    expanded: Option<Name>,
    port: u16,
) -> (Found<Tlsa>, Name) {
    if let Some(expanded) = expanded {
        let at = tlsa_of(eyes, zones, &expanded, port).await;
        if at.is_secure() && !at.records.is_empty() {
            return (at, expanded);
        }
    }
    (tlsa_of(eyes, zones, host, port).await, host.clone())
}

async fn tlsa_of(eyes: &Eyes, zones: &Zones, host: &Name, port: u16) -> Found<Tlsa> {
    match name(&format!("_{port}._tcp.{}", text(host))) {
        Ok(owner) => tlsa_at(eyes, zones, &owner).await,
        Err(error) => missing(host, RecordType::TLSA, error.cause),
    }
}

async fn tlsa_at(eyes: &Eyes, zones: &Zones, owner: &Name) -> Found<Tlsa> {
    rrset::look(eyes, zones, owner, RecordType::TLSA, Tlsa::of).await
}

/// What stands around a TLSA owner name: is its parent denied, is there a wildcard beside it?
async fn around(eyes: &Eyes, tlsa: &Found<Tlsa>) -> (Option<String>, Vec<Tlsa>) {
    let Some((_, parent)) = tlsa.at.split_once('.').filter(|(port, _)| port.starts_with('_')) else {
        return (None, Vec::new());
    };
    if tlsa.records.is_empty() {
        return (None, Vec::new());
    }
    let (above, beside) = (name(parent), name(&format!("*.{parent}")));
    let (Ok(above), Ok(beside)) = (above, beside) else { return (None, Vec::new()) };
    let (above, beside) =
        join(eyes.reads.lookup(&above, RecordType::TLSA), eyes.reads.lookup(&beside, RecordType::TLSA)).await;
    let denied = above.is_ok_and(|above| above.nxdomain).then(|| parent.to_owned());
    (denied, beside.map(|wild| wild.records.iter().filter_map(Tlsa::of).collect()).unwrap_or_default())
}

fn probe(presented: Presented) -> Probe {
    let seen = match presented.outcome {
        Outcome::Chain(chain) => Seen::Chain(chain),
        Outcome::NothingFor => Seen::NothingFor,
        Outcome::Failed(failure) => Seen::Failed(failure),
    };
    Probe { address: presented.address, ask: presented.ask, seen }
}
