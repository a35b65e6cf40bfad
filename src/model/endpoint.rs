//! What servers were seen to present, one probe at a time.

use super::key::SpkiDigest;
use std::fmt;

/// Which key algorithm a probe asks the server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Only ECDSA (and EdDSA) signatures offered.
    Ecdsa,
    /// Only RSA signatures offered.
    Rsa,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Ecdsa => "ECDSA",
            Algorithm::Rsa => "RSA",
        })
    }
}

/// What the endpoints present, probe by probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EndpointView {
    /// Probes that a server answered with a certificate.
    pub shown: Vec<Shown>,
    /// Probes that ended without one.
    pub failed: Vec<FailedProbe>,
}

/// A certificate that a server presented and proved to hold the key of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The endpoint's host name, as configured.
    pub host: String,
    /// Where and how it was asked: "smtp://mx1.example.org:25 at 192.0.2.1:25, ECDSA, without SNI".
    pub at: String,
    /// What it was asked for.
    pub algorithm: Algorithm,
    /// The key of its certificate.
    pub key: SpkiDigest,
    /// The certificates of the handshake, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
}

/// A probe that told no key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailedProbe {
    /// The endpoint's host name, as configured.
    pub host: String,
    /// Where and how it was asked; without an address when the host has none.
    pub at: String,
    /// Why no key is known.
    pub reason: String,
}

impl EndpointView {
    /// Everything that is not this key, for people; probes that failed are among it, because what they would have
    /// shown is unknown.
    pub fn without(&self, key: SpkiDigest) -> Vec<String> {
        let others = self.shown.iter().filter(|shown| shown.key != key);
        let others = others.map(|shown| format!("{} presents the key {}", shown.at, shown.key));
        let failed = self.failed.iter().map(|failed| format!("{}: {}", failed.at, failed.reason));
        others.chain(failed).collect()
    }

    /// How many probes were answered with this key.
    pub fn with(&self, key: SpkiDigest) -> usize {
        self.shown.iter().filter(|shown| shown.key == key).count()
    }
}
