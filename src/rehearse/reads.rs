//! Questions to the simulated name servers, answered at once, late, or never.

use super::faults::Peer;
use super::time::{DAY, timestamp};
use super::universe::{Universe, lock};
use crate::clock::Clock;
use crate::dns::{Answer, Link, Lookup, Observation, Reads, Security, Server};
use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use danesmith_providers::RrSet;
use hickory_proto::rr::{Name, RData, RecordType};
use std::time::Duration;

/// How long danesmith waits for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[async_trait]
impl Reads for Universe {
    async fn name_servers(&self, zone: &Name) -> Result<Vec<Server>> {
        self.resolves(zone).await?;
        let zones = lock(&self.zones);
        Ok(zones.servers_of(zone).into_iter().map(|index| zones.server_at(index).clone()).collect())
    }

    async fn addresses(&self, server: &str) -> Result<Vec<Server>> {
        let mut zones = lock(&self.zones);
        let index = zones.server(server);
        Ok(vec![zones.server_at(index).clone()])
    }

    async fn ask(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<Answer> {
        let index = lock(&self.zones).index(server).ok_or_else(|| {
            Error::new(Kind::Internal, format!("ask {}", server.name), "the rehearsal has no such server")
        })?;
        if !self.hears(Peer::NameServer(index)) {
            self.clock().sleep(PATIENCE).await;
            let action = format!("ask {} for {rtype} at `{}`", server.name, name.to_ascii());
            return Err(Error::new(Kind::Remote, action, "no answer"));
        }
        Ok(self.answer(index, name, rtype))
    }

    async fn alias(&self, name: &Name) -> Result<Option<Name>> {
        self.resolves(name).await?;
        let zones = lock(&self.zones);
        let target = zones.expanded(name, self.time.moment());
        Ok((target != name.to_lowercase()).then_some(target))
    }

    async fn observe(
        &self,
        server: &Server,
        zone: &Name,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Observation> {
        let answer = self.ask(server, name, rtype).await?;
        Ok(Observation { answer, security: self.security(zone) })
    }

    async fn lookup(&self, name: &Name, rtype: RecordType) -> Result<Lookup> {
        self.resolves(name).await?;
        let asked = name.to_lowercase();
        if matches!(rtype, RecordType::A | RecordType::AAAA) {
            return Ok(self.address_lookup(asked, rtype));
        }
        let now = self.time.moment();
        let zones = lock(&self.zones);
        let end = if rtype == RecordType::CNAME { asked.clone() } else { zones.expanded(&asked, now) };
        let apex = zones.zone_of(&end).unwrap_or_else(Name::root);
        let set = zones.servers_of(&apex).first().map(|server| zones.at(*server, &end, rtype, now));
        drop(zones);
        let (set, security) = (set.unwrap_or_default(), self.security(&apex));
        let link = Link { owner: asked.clone(), target: end.clone(), ttl: 3600, security: security.clone() };
        let links = if end == asked { Vec::new() } else { vec![link] };
        let (ttl, nxdomain) = (set.ttl, set.values.is_empty());
        Ok(Lookup { asked, name: end, links, records: set.values, ttl, nxdomain, security })
    }
}

impl Universe {
    /// Whether the recursive resolver answers.
    async fn resolves(&self, name: &Name) -> Result<()> {
        if self.hears(Peer::Resolver) {
            return Ok(());
        }
        self.clock().sleep(PATIENCE).await;
        let action = format!("look `{}` up", name.to_ascii());
        Err(Error::new(Kind::Remote, action, "the resolver did not answer"))
    }

    fn answer(&self, server: usize, name: &Name, rtype: RecordType) -> Answer {
        let (now, name) = (self.time.moment(), name.to_lowercase());
        let zones = lock(&self.zones);
        let apex = zones.zone_of(&name).unwrap_or_else(Name::root);
        let alias = match zones.within(&apex, server, &(name.clone(), RecordType::CNAME), now).values.first()
        {
            Some(RData::CNAME(target)) if rtype != RecordType::CNAME => Some(target.0.to_lowercase()),
            _ => None,
        };
        let is_apex = apex == name;
        let set = match rtype {
            _ if alias.is_some() => RrSet::default(),
            RecordType::SOA if is_apex => {
                RrSet { ttl: 3600, values: zones.soa(server, &apex, now).into_iter().collect() }
            }
            _ => zones.within(&apex, server, &(name.clone(), rtype), now),
        };
        let empty = set.values.is_empty() && alias.is_none();
        Answer {
            ttl: if set.values.is_empty() { 0 } else { set.ttl },
            values: set.values,
            zone: (empty || rtype == RecordType::SOA && alias.is_none()).then(|| apex.clone()),
            alias,
            referral: None,
            authoritative: true,
            nxdomain: empty && !is_apex && !zones.exists(&apex, server, &name, now),
            signed: zones.is_signed(&apex),
            took: Duration::from_millis(1),
        }
    }

    /// Signatures are renewed all the time: two weeks, as BIND's default policy has them.
    fn secure(&self) -> Security {
        let end = timestamp(self.time.moment() + 14 * DAY);
        Security::Secure { until: end, last: end }
    }

    fn security(&self, zone: &Name) -> Security {
        if lock(&self.zones).is_signed(zone) {
            self.secure()
        } else {
            Security::Insecure("the zone is not signed (`dnssec: unsigned-ok`)".into())
        }
    }

    fn address_lookup(&self, asked: Name, rtype: RecordType) -> Lookup {
        let addresses = lock(&self.mail).addresses(asked.to_ascii().trim_end_matches('.'));
        let records: Vec<RData> = match rtype {
            RecordType::A => addresses.into_iter().map(|ip| RData::A(ip.into())).collect(),
            _ => Vec::new(),
        };
        Lookup {
            name: asked.clone(),
            asked,
            links: Vec::new(),
            ttl: if records.is_empty() { 0 } else { 3600 },
            nxdomain: false,
            records,
            security: self.secure(),
        }
    }
}
