//! The outside view: what an endpoint presents.

mod certificate_capture;
mod connection;
mod probe;
mod starttls;

pub use crate::model::endpoint::{Algorithm, Ask, Failure, FailureKind, Sni, Versions};
pub use probe::{Prober, ProberConfig};

use crate::model::endpoint::Endpoint;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// What one address of an endpoint answered to one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Where.
    pub address: SocketAddr,
    /// What was asked for.
    pub ask: Ask,
    /// What came.
    pub outcome: Outcome,
}

/// A probe's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The chain as DER, leaf first; possession of the leaf's key was proven in the handshake.
    Chain(Vec<Vec<u8>>),
    /// The server speaks TLS, and has nothing for what was asked: no certificate of this algorithm, or not this
    /// version. For all asks at one address it means that there is no common ground at all.
    NothingFor,
    /// No TLS there.
    Failed(Failure),
}

/// Probes, as an effect. Every probe is bounded in time.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Every address that the endpoint's host has for this machine (its `hosts` file included), each asked for every
    /// key algorithm, with and without a name, in both versions of TLS. A host without an address is the `Err`.
    async fn probe(&self, endpoint: &Endpoint) -> Result<Vec<Presented>, Failure>;

    /// The same at exactly these addresses.
    async fn probe_at(&self, endpoint: &Endpoint, addresses: &BTreeSet<SocketAddr>) -> Vec<Presented>;
}
