//! How danesmith writes to DNS: one contract for every kind of provider. It knows zones, owner names and RRsets, and
//! nothing of ACME. Core computes which values to add and which to remove; no provider is ever told to "set" a name.

pub mod adapters;
pub mod authoritative;
pub mod catalog;
pub mod conformance;
mod error;
pub mod exec;
pub mod http;
pub mod kinds;
mod lock;
mod owner;
pub mod rfc2136;

use async_trait::async_trait;
pub use error::{Class, Error};
use hickory_proto::rr::{Name, RData, RecordType};

/// What a provider can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Record types it can write.
    pub types: Vec<RecordType>,
    /// What a change is made of; none: the tool does not say.
    pub semantics: Option<Semantics>,
    /// How one change takes effect.
    pub atomicity: Atomicity,
    /// Smallest TTL it accepts, seconds.
    pub min_ttl: u32,
    /// Largest TTL it accepts, seconds.
    pub max_ttl: u32,
}

/// How an interface sees DNS data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// Each value is a record with an identity of its own.
    Record,
    /// Whole RRsets are replaced.
    RrSet,
    /// Values are added and removed by what they are.
    Value,
}

impl Semantics {
    /// As lists, JSON and plugins spell it.
    pub fn word(self) -> &'static str {
        match self {
            Semantics::Record => "record",
            Semantics::RrSet => "rrset",
            Semantics::Value => "value",
        }
    }
}

/// How much of a change takes effect at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// Record by record; another writer may come between.
    None,
    /// One value at a time, without touching its siblings.
    Value,
    /// A whole RRset, refused when it changed meanwhile (compare-and-swap).
    CompareAndSwap,
    /// All changes of one call together, refused when any touched RRset changed meanwhile.
    Batch,
}

impl Atomicity {
    /// As files and plugins spell it.
    pub fn word(self) -> &'static str {
        match self {
            Atomicity::None => "none",
            Atomicity::Value => "value",
            Atomicity::CompareAndSwap => "cas",
            Atomicity::Batch => "batch",
        }
    }
}

/// The values that stand at one owner name and type, at the server that takes our changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RrSet {
    /// TTL in seconds; meaningless when `values` is empty.
    pub ttl: u32,
    /// The values, in no particular order.
    pub values: Vec<RData>,
}

/// One owner name and type: values to add and values to remove, each exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Absolute owner name, lower case, never an alias.
    pub name: Name,
    /// TXT or TLSA.
    pub rtype: RecordType,
    /// TTL in seconds when the RRset does not exist yet; one that exists keeps its TTL (RFC 2181 §5.2).
    pub ttl: u32,
    /// Values to add; those that stand already are left alone.
    pub add: Vec<RData>,
    /// Values to remove; those that are gone already are no error.
    pub remove: Vec<RData>,
}

/// What [`Provider::apply`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Update messages (or API writes) that had something to change; 0 when everything stood already.
    pub writes: u32,
}

/// One DNS host. All methods may be called concurrently; a provider serializes what must not run together.
#[async_trait]
pub trait Provider: Send + Sync {
    /// For messages: kind and address, never a secret. "rfc2136 192.0.2.53:53".
    fn describe(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The zone that the host itself would put this name into, be it served or not. What is written goes where the
    /// authoritative servers say; this tells early that the host disagrees.
    ///
    /// Errors: [`Class::NotFound`] when it holds no zone for the name, [`Class::Unsupported`] where it cannot tell.
    async fn zone(&self, name: &Name) -> Result<Name, Error> {
        let message = format!("{} cannot tell which zone holds {name}", self.describe());
        Err(Error::new(Class::Unsupported, message))
    }

    /// Tests that these credentials may change these owner names and types in `zone`, leaving nothing behind.
    async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<(), Error>;

    /// What stands at the name now, asked at the server that takes changes. Opens the connection early as a side
    /// effect. An alias at `name` is [`Class::Conflict`].
    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error>;

    /// Makes all changes of one zone, in one message where the provider can. Idempotent: when the outcome of a
    /// message is unknown it re-reads and decides. Returns after it has read its own write back.
    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error>;
}
