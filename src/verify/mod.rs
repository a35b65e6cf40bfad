//! The outside view: what an endpoint presents.

mod certificate_capture;
mod probe;
mod starttls;

pub use crate::model::endpoint::Algorithm;
pub use probe::{Prober, ProberConfig};

use crate::model::desired::Endpoint;
use async_trait::async_trait;
use std::net::SocketAddr;

/// What one address of an endpoint answered to one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Where.
    pub address: SocketAddr,
    /// What was asked for.
    pub algorithm: Algorithm,
    /// What came.
    pub outcome: Outcome,
}

/// A probe's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The chain as DER, leaf first; possession of the leaf's key was proven in the handshake.
    Chain(Vec<Vec<u8>>),
    /// The server has no certificate of this algorithm (handshake_failure). For both algorithms at one address it means
    /// that there is no common ground at all (versions, ciphers).
    NoSuchAlgorithm,
    /// No TLS there: connection refused, STARTTLS missing, timeout, garbage; the reason, readable.
    Failed(String),
}

/// Probes, as an effect.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Connects to every address of the endpoint, once per algorithm, with SNI. An endpoint whose name has no address
    /// is an `Err`. Every probe is bounded in time.
    async fn probe(&self, endpoint: &Endpoint) -> crate::error::Result<Vec<Presented>>;
}
