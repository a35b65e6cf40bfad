//! `rotate --gone HOST`: an instance that will never come back must not hold a rotation up.

use crate::clock::minute;
use crate::dns::Security;
use crate::error::{Error, Kind, Result};
use crate::flow::world::World;
use crate::model::desired::{Certificate, Endpoints};
use crate::model::rotation::GoneHost;
use hickory_proto::rr::{Name, RData, RecordType};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Caches may send mail to an address for so long after it left its RRset, when no signed TTL was ever seen: a day, the
/// largest TTL that address records usually have.
const ADDRESS_TTL: SignedDuration = SignedDuration::from_hours(24);

/// Notes that a host is gone. Refused while its name still has addresses, or while an endpoint's name has this address:
/// senders would go on connecting to it.
pub async fn note(world: &World, wanted: &Certificate, host: &str) -> Result<()> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let action = format!("leave {host} out of certificate {}", wanted.name);
    let Endpoints::Listed(list) = &wanted.endpoints else {
        return Err(Error::new(Kind::Usage, action, "its endpoints are unchecked: none is waited for"));
    };
    let names = list.iter().map(|e| e.host.as_str());
    let known = names.clone().any(|name| name == host);
    if !known {
        let all: Vec<_> = names.collect();
        return Err(Error::new(Kind::Usage, action, "no endpoint of this certificate has this host").hint(
            format!(
                "its hosts: {}; an address that left its name's address records is not probed any more",
                all.join(", ")
            ),
        ));
    }
    let found = match host.parse::<IpAddr>() {
        Err(_) => {
            (!addresses(world, &host).await?.is_empty()).then(|| "its name still has addresses".to_owned())
        }
        Ok(address) => {
            who_has(world, wanted, address).await?.map(|name| format!("{name} still has this address"))
        }
    };
    if let Some(found) = found {
        return Err(Error::new(Kind::Refused, action, format!("{found}: senders connect to it"))
            .remains("Nothing was changed.")
            .hint("remove its address records (and its MX record) first"));
    }
    let mut document = world.store.document(&wanted.name).await?;
    if document.gone.iter().any(|g| g.host == host) {
        return Ok(());
    }
    let now = world.clock.now();
    let seen = document.address_ttls.get(&host).map(|ttl| SignedDuration::from_secs((*ttl).into()));
    let from = now.checked_add(seen.unwrap_or(ADDRESS_TTL)).unwrap_or(now);
    tracing::warn!("{host} is left out from {} on, when no cache has its address any more", minute(from));
    document.gone.push(GoneHost { host, from });
    document.written = document.written.max(Some(now));
    world.store.put(&wanted.name, &document).await
}

/// The first name of an endpoint, or of a TLSA record, that leads senders to this address.
async fn who_has(world: &World, wanted: &Certificate, address: IpAddr) -> Result<Option<String>> {
    let endpoints = match &wanted.endpoints {
        Endpoints::Listed(list) => list.iter().map(|e| e.host.clone()).collect(),
        Endpoints::Unchecked => Vec::new(),
    };
    // RFC 6698 §3: the port, the protocol, then the host
    let owners =
        wanted.tlsa.iter().map(|owner| owner.trim_to(owner.num_labels().saturating_sub(2).into()).to_ascii());
    let names = endpoints.into_iter().filter(|host| host.parse::<IpAddr>().is_err());
    let names: BTreeSet<_> = names.chain(owners.map(|host| host.trim_end_matches('.').to_owned())).collect();
    for name in names {
        if addresses(world, &name).await?.contains(&address) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The addresses that senders still find. A validated "no" counts, and an insecure one: nobody validates there.
async fn addresses(world: &World, host: &str) -> Result<BTreeSet<IpAddr>> {
    let mut addresses = BTreeSet::new();
    let Ok(name) = Name::from_ascii(format!("{host}.")) else { return Ok(addresses) };
    for rtype in [RecordType::A, RecordType::AAAA] {
        let found = world.reads.lookup(&name, rtype).await?;
        if let Security::Bogus(why) = &found.security {
            return Err(Error::new(Kind::Remote, format!("look up {rtype} of {host}"), why));
        }
        addresses.extend(found.records.iter().filter_map(RData::ip_addr));
    }
    Ok(addresses)
}
