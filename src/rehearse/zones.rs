//! Authoritative servers: one primary for each zone, which takes the updates, and secondaries that follow later. What each
//! server held at each moment can be asked at any later time: caches and the CA look back.

use super::time::{DAY, HOUR, MINUTE, Moment};
use crate::dns::Server;
use crate::model::desired::{Desired, Dnssec};
use danesmith_providers::{Change, RrSet};
use hickory_proto::rr::rdata::{CNAME, SOA};
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An RRset that a server begins to hold at a moment.
pub(super) type Held = (Moment, RrSet);

/// All zones of zones.yaml and their servers.
#[derive(Default)]
pub(super) struct Zones {
    servers: Vec<Server>,
    zones: BTreeMap<Name, Zone>,
}

/// One zone.
struct Zone {
    /// Whether resolvers can validate it.
    signed: bool,
    /// Indexes of its servers; the first takes the updates.
    servers: Vec<usize>,
    /// RRsets by version of the zone; version 0 is what stood before the rehearsal.
    sets: BTreeMap<(Name, RecordType), Vec<(usize, RrSet)>>,
    /// The newest version, and how many updates that were no challenge changed the zone.
    version: usize,
    /// When each server came to hold which version, in order of both.
    arrivals: Vec<Vec<(Moment, usize)>>,
}

/// Aliases that are followed; resolvers give up between 8 and 16.
const MAX_ALIASES: usize = 8;
/// TTL of addresses and aliases that the world makes up, seconds.
const PLAIN_TTL: u32 = 3600;

impl Zones {
    /// The zones of zones.yaml, empty but for aliases of challenges into zones that can be written.
    pub(super) fn new(desired: &Desired, start: Moment) -> Zones {
        let mut zones = Zones::default();
        for (apex, zone) in &desired.zones {
            let texts = match zone.check.as_slice() {
                [] => vec![format!("ns1.{}", apex.to_ascii()), format!("ns2.{}", apex.to_ascii())],
                listed => listed.to_vec(),
            };
            let servers: Vec<usize> = texts.iter().map(|text| zones.server(text)).collect();
            let arrivals = servers.iter().map(|_| vec![(start - 30 * DAY, 0)]).collect();
            let signed = zone.dnssec == Dnssec::Required;
            let zone = Zone { signed, servers, sets: BTreeMap::new(), version: 0, arrivals };
            zones.zones.insert(apex.clone(), zone);
        }
        zones.delegate_challenges(desired);
        zones
    }

    /// Where danesmith may not write, `_acme-challenge` is an alias into a zone where it may: zones.yaml says so.
    fn delegate_challenges(&mut self, desired: &Desired) {
        let Some(writable) = desired.zones.values().find(|zone| zone.provider.is_some()) else { return };
        for name in desired.certificates.values().flat_map(|c| &c.names) {
            let host = name.trim_start_matches("*.");
            let Ok(owner) = Name::from_ascii(format!("_acme-challenge.{host}.")) else { continue };
            let Some(apex) = self.zone_of(&owner) else { continue };
            if desired.zones.get(&apex).is_none_or(|zone| zone.provider.is_some()) {
                continue;
            }
            let target = format!("_acme-challenge.{host}.{}", writable.apex.to_ascii());
            if let Ok(target) = Name::from_ascii(&target) {
                let alias = RrSet { ttl: PLAIN_TTL, values: vec![RData::CNAME(CNAME(target))] };
                self.stood(&owner, RecordType::CNAME, alias);
            }
        }
    }

    /// The server of this text, a new one when there is none.
    pub(super) fn server(&mut self, text: &str) -> usize {
        if let Some(known) = self.servers.iter().position(|server| server.name == text) {
            return known;
        }
        let number = self.servers.len();
        let host = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
        let made_up = Ipv4Addr::new(198, 18, (number >> 8) as u8, number as u8); // RFC 2544: for benchmarks
        let address = SocketAddr::new(host.unwrap_or(IpAddr::V4(made_up)), 53);
        self.servers.push(Server { name: text.to_owned(), address });
        number
    }

    /// How many servers there are.
    pub(super) fn count(&self) -> usize {
        self.servers.len()
    }

    /// The server with this index.
    pub(super) fn server_at(&self, index: usize) -> &Server {
        &self.servers[index]
    }

    /// The index of a server that was given out.
    pub(super) fn index(&self, server: &Server) -> Option<usize> {
        self.servers.iter().position(|known| known == server)
    }

    /// All servers of a zone; the first takes the updates.
    pub(super) fn servers_of(&self, apex: &Name) -> Vec<usize> {
        self.zones.get(apex).map(|zone| zone.servers.clone()).unwrap_or_default()
    }

    /// The zone with the longest apex above a name.
    pub(super) fn zone_of(&self, name: &Name) -> Option<Name> {
        let mut candidate = name.to_lowercase();
        loop {
            if self.zones.contains_key(&candidate) {
                return Some(candidate);
            }
            if candidate.is_root() {
                return None;
            }
            candidate = candidate.base_name();
        }
    }

    /// Whether resolvers can validate this zone.
    pub(super) fn is_signed(&self, apex: &Name) -> bool {
        self.zones.get(apex).is_some_and(|zone| zone.signed)
    }

    /// An RRset that has stood there since before the rehearsal.
    pub(super) fn stood(&mut self, name: &Name, rtype: RecordType, set: RrSet) {
        if let Some(zone) = self.zone_of(name).and_then(|apex| self.zones.get_mut(&apex)) {
            zone.sets.insert((name.to_lowercase(), rtype), vec![(0, set)]);
        }
    }

    /// What the primary holds now.
    pub(super) fn newest(&self, name: &Name, rtype: RecordType) -> RrSet {
        let zone = self.zone_of(name).and_then(|apex| self.zones.get(&apex));
        let versions = zone.and_then(|zone| zone.sets.get(&(name.to_lowercase(), rtype)));
        versions.and_then(|versions| versions.last()).map(|(_, set)| set.clone()).unwrap_or_default()
    }

    /// Makes changes by value at the primary; `lag` says how much later the secondary of an index has them. Returns
    /// whether anything changed. An RRset that stands keeps its TTL.
    pub(super) fn change(
        &mut self,
        apex: &Name,
        changes: &[Change],
        now: Moment,
        lag: &mut dyn FnMut(usize) -> Moment,
    ) -> bool {
        let mut sets = Vec::new();
        for change in changes {
            let mut set = self.newest(&change.name, change.rtype);
            let before = set.clone();
            if set.values.is_empty() {
                set.ttl = change.ttl;
            }
            set.values.retain(|value| !change.remove.contains(value));
            let new: Vec<_> =
                change.add.iter().filter(|value| !set.values.contains(value)).cloned().collect();
            set.values.extend(new);
            if set.values != before.values {
                sets.push(((change.name.to_lowercase(), change.rtype), set));
            }
        }
        self.replace(apex, sets, now, lag)
    }

    /// Another TTL for an RRset that stands: an administrator's doing.
    pub(super) fn set_ttl(
        &mut self,
        name: &Name,
        ttl: u32,
        now: Moment,
        lag: &mut dyn FnMut(usize) -> Moment,
    ) -> bool {
        let set = self.newest(name, RecordType::TLSA);
        let Some(apex) = self.zone_of(name).filter(|_| !set.values.is_empty() && set.ttl != ttl) else {
            return false;
        };
        let key = (name.to_lowercase(), RecordType::TLSA);
        self.replace(&apex, vec![(key, RrSet { ttl, ..set })], now, lag)
    }

    fn replace(
        &mut self,
        apex: &Name,
        sets: Vec<((Name, RecordType), RrSet)>,
        now: Moment,
        lag: &mut dyn FnMut(usize) -> Moment,
    ) -> bool {
        let Some(zone) = self.zones.get_mut(apex).filter(|_| !sets.is_empty()) else { return false };
        zone.version += 1;
        for (key, set) in sets {
            zone.sets.entry(key).or_default().push((zone.version, set));
        }
        for (place, server) in zone.servers.iter().enumerate() {
            let at = if place == 0 { now } else { now + lag(*server).max(1) };
            let arrivals = &mut zone.arrivals[place];
            // A transfer brings the newest version: what would have come later brings nothing more.
            while arrivals.last().is_some_and(|(later, _)| *later >= at) {
                arrivals.pop();
            }
            arrivals.push((at, zone.version));
        }
        true
    }

    /// What one server held at a moment.
    pub(super) fn at(&self, server: usize, name: &Name, rtype: RecordType, when: Moment) -> RrSet {
        let Some(apex) = self.zone_of(name) else { return RrSet::default() };
        self.within(&apex, server, &(name.to_lowercase(), rtype), when)
    }

    /// The same where the zone is known and the name is in lower case.
    pub(super) fn within(&self, apex: &Name, server: usize, key: &(Name, RecordType), when: Moment) -> RrSet {
        self.placed(apex, server).map(|(zone, place)| zone.at(place, key, when)).unwrap_or_default()
    }

    /// Every RRset that one server began to hold in (`from`, `to`], and before them what it held at `from`.
    pub(super) fn history(
        &self,
        (apex, server): (&Name, usize),
        key: &(Name, RecordType),
        (from, to): (Moment, Moment),
    ) -> Vec<Held> {
        let Some((zone, place)) = self.placed(apex, server) else { return Vec::new() };
        let mut held = vec![(from, zone.at(place, key, from))];
        let arrivals = &zone.arrivals[place];
        let first = arrivals.partition_point(|(at, _)| *at <= from);
        for (at, version) in arrivals[first..].iter().take_while(|(at, _)| *at <= to) {
            let set = zone.version_of(key, *version);
            if held.last().is_none_or(|(_, last)| *last != set) {
                held.push((*at, set));
            }
        }
        held
    }

    /// Whether a server came to hold anything new in (`from`, `to`].
    pub(super) fn is_still(&self, apex: &Name, server: usize, (from, to): (Moment, Moment)) -> bool {
        let Some((zone, place)) = self.placed(apex, server) else { return true };
        let arrivals = &zone.arrivals[place];
        arrivals.partition_point(|(at, _)| *at <= from) == arrivals.partition_point(|(at, _)| *at <= to)
    }

    /// The same for all servers of all zones.
    pub(super) fn all_still(&self, window: (Moment, Moment)) -> bool {
        let servers =
            |(apex, zone): (&Name, &Zone)| zone.servers.iter().all(|s| self.is_still(apex, *s, window));
        self.zones.iter().all(servers)
    }

    fn placed(&self, apex: &Name, server: usize) -> Option<(&Zone, usize)> {
        let zone = self.zones.get(apex)?;
        Some((zone, zone.servers.iter().position(|known| *known == server)?))
    }

    /// The SOA of a zone as one server has it.
    pub(super) fn soa(&self, server: usize, apex: &Name, when: Moment) -> Option<RData> {
        let (zone, place) = self.placed(apex, server)?;
        let serial = 1 + zone.known(place, when) as u32;
        let hours = |n: Moment| (n * HOUR / 1000) as i32;
        let (name, person) = (apex.prepend_label("ns1").ok()?, apex.prepend_label("hostmaster").ok()?);
        let (refresh, retry, expire) = (hours(1), (10 * MINUTE / 1000) as i32, hours(24 * 14));
        Some(RData::SOA(SOA::new(name, person, serial, refresh, retry, expire, 300)))
    }

    /// The name at the end of the aliases, as a server of each zone on the way has it.
    pub(super) fn expanded(&self, name: &Name, when: Moment) -> Name {
        let mut name = name.to_lowercase();
        for _ in 0..MAX_ALIASES {
            let first = self.zone_of(&name).and_then(|apex| self.servers_of(&apex).first().copied());
            let set = first.map(|server| self.at(server, &name, RecordType::CNAME, when));
            match set.as_ref().and_then(|set| set.values.first()) {
                Some(RData::CNAME(target)) => name = target.0.to_lowercase(),
                _ => break,
            }
        }
        name
    }

    /// Whether anything stands at the name or below it: then it is no NXDOMAIN.
    pub(super) fn exists(&self, apex: &Name, server: usize, name: &Name, when: Moment) -> bool {
        let Some((zone, place)) = self.placed(apex, server) else { return false };
        let keys = zone.sets.keys().filter(|(owner, _)| name.zone_of(owner));
        keys.into_iter().any(|key| !zone.at(place, key, when).values.is_empty())
    }
}

impl Zone {
    fn known(&self, place: usize, when: Moment) -> usize {
        let arrivals = &self.arrivals[place];
        arrivals[..arrivals.partition_point(|(at, _)| *at <= when)].last().map_or(0, |(_, version)| *version)
    }

    fn at(&self, place: usize, key: &(Name, RecordType), when: Moment) -> RrSet {
        self.version_of(key, self.known(place, when))
    }

    fn version_of(&self, key: &(Name, RecordType), version: usize) -> RrSet {
        let Some(versions) = self.sets.get(key) else { return RrSet::default() };
        let known = versions.partition_point(|(since, _)| *since <= version);
        versions[..known].last().map(|(_, set)| set.clone()).unwrap_or_default()
    }
}
