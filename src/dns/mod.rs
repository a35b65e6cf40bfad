//! Reads of DNS: who is authoritative, where an owner name really lives, what each server answers. Writes are the
//! providers' work.

mod address;
mod anchor;
mod answer;
mod chain;
mod judge;
mod lookup;
mod name_servers;
mod patience;
mod recursive;
mod resolver;
mod secure;
mod signature;
mod system;
mod transport;
mod uncached;
mod validator;

pub use anchor::TrustAnchor;
pub use resolver::{Resolver, ResolverConfig, Validation};
pub use secure::{Link, Lookup, Observation, Security};

use crate::error::Result;
use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;
use std::time::Duration;

/// One address of one authoritative name server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The NS name, or what the administrator wrote in `check:`.
    pub name: String,
    /// Where it answers.
    pub address: SocketAddr,
}

/// What one server answered for one owner name and type.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Values at exactly the asked name and type; empty for NXDOMAIN and NODATA.
    pub values: Vec<RData>,
    /// TTL in seconds of those values (0 when empty).
    pub ttl: u32,
    /// The name is an alias of this one (lower case).
    pub alias: Option<Name>,
    /// Zone that answered, by the SOA of a negative answer or of a SOA question: the zone cut above the name. `None`
    /// behind an alias, where the SOA belongs to the target.
    pub zone: Option<Name>,
    /// A referral: the name lies below this delegation, which the server does not serve itself.
    pub referral: Option<Name>,
    /// AA bit.
    pub authoritative: bool,
    /// NXDOMAIN.
    pub nxdomain: bool,
    /// RRSIGs came with the answer.
    pub signed: bool,
    /// How long it took.
    pub took: Duration,
}

/// Questions to name servers, as an effect. Implemented by `dns::Resolver` with real packets.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Every address of every name server of `zone`: those in the parent's delegation and those in the zone's own NS set.
    async fn name_servers(&self, zone: &Name) -> Result<Vec<Server>>;
    /// [`Reads::name_servers`] of a zone whose answers validating resolvers withhold (SERVFAIL): they are told not to
    /// check (CD, RFC 4035 §3.2.2). Only for looks that are validated, so that it can be told what is wrong.
    async fn unvalidated_name_servers(&self, zone: &Name) -> Result<Vec<Server>> {
        self.name_servers(zone).await
    }
    /// What [`Reads::name_servers`] could not find out of this zone when it was asked last, for people.
    fn doubt(&self, _zone: &Name) -> Option<String> {
        None
    }
    /// Addresses of a server that the administrator wrote: address, `address:port`, name or `name:port`.
    async fn addresses(&self, server: &str) -> Result<Vec<Server>>;
    /// One question to one server, directly, recursion not desired; truncated UDP is repeated over TCP.
    async fn ask(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<Answer>;
    /// The CNAME at `name`, by the system's resolver; for aliases in zones that are not ours.
    async fn alias(&self, name: &Name) -> Result<Option<Name>>;
    /// [`Reads::ask`], and whether a validating resolver would believe the answer; `zone` is the one that holds `name`.
    async fn observe(
        &self,
        server: &Server,
        zone: &Name,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Observation>;
    /// An RRset of any type through the recursive resolvers, aliases followed, validated. That something is missing, or
    /// bogus, is a result; SERVFAIL and silence are errors of kind `Remote`. Leaves an answer, perhaps a negative one, in
    /// the resolvers' caches.
    async fn lookup(&self, name: &Name, rtype: RecordType) -> Result<Lookup>;
}
