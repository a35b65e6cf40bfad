//! Reads of DNS: who is authoritative, where an owner name really lives, what each server answers. Writes are the
//! providers' work.

mod address;
mod answer;
mod resolver;
mod system;
mod transport;

pub use resolver::{Resolver, ResolverConfig};

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

/// Whether validating resolvers can trust the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// DNSKEY at the apex and DS at the parent.
    Signed,
    /// Why resolvers see it as insecure: "no DNSKEY at the apex", "no DS at the parent".
    Unsigned(String),
}

/// Questions to name servers, as an effect. Implemented by `dns::Resolver` with real packets.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Every address of every name server of `zone` (the NS names asked at the system's resolver, then each name's A
    /// and AAAA).
    async fn name_servers(&self, zone: &Name) -> Result<Vec<Server>>;
    /// Addresses of a server that the administrator wrote: address, `address:port`, name or `name:port`.
    async fn addresses(&self, server: &str) -> Result<Vec<Server>>;
    /// One question to one server, directly, recursion not desired; truncated UDP is repeated over TCP.
    async fn ask(&self, server: &Server, name: &Name, rtype: RecordType) -> Result<Answer>;
    /// The CNAME at `name`, by the system's resolver; for aliases in zones that are not ours.
    async fn alias(&self, name: &Name) -> Result<Option<Name>>;
    /// Whether the zone is signed and its parent says so.
    async fn security(&self, zone: &Name, server: &Server) -> Result<Security>;
}
