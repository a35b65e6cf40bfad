//! One line per address, algorithm and name: does what is shown match what is published?

use super::matching::{considered, matching};
use super::record::Tlsa;
use super::survey::{HostView, Probe, Seen};
use crate::model::desired::Protocol;
use crate::model::endpoint::{Ask, Failure, Sni, Versions};
use crate::model::key::{SpkiDigest, read_any};
use jiff::Timestamp;
use std::net::SocketAddr;

/// What one probe means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Where.
    pub address: SocketAddr,
    /// What was asked for.
    pub ask: Ask,
    /// What came of it.
    pub result: Outcome,
}

/// What the comparison gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This key, and a record that matches.
    Matches(Option<SpkiDigest>, Tlsa),
    /// This key, and none of the records that count.
    NoMatch(Option<SpkiDigest>),
    /// This key, and there is no record that a sender could use.
    NoRecords(Option<SpkiDigest>),
    /// The server has nothing for this ask.
    NothingFor,
    /// No handshake.
    Failed(Failure),
}

impl Outcome {
    /// A stable word for JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Matches(..) => "match",
            Outcome::NoMatch(_) => "no-match",
            Outcome::NoRecords(_) => "no-records",
            Outcome::NothingFor => "not-offered",
            Outcome::Failed(failure) => failure.kind.word(),
        }
    }

    /// The key that was shown.
    pub fn key(&self) -> Option<SpkiDigest> {
        match self {
            Outcome::Matches(key, _) | Outcome::NoMatch(key) | Outcome::NoRecords(key) => *key,
            Outcome::NothingFor | Outcome::Failed(_) => None,
        }
    }
}

/// The verdicts on a host's probes against the records that a sender's resolver gives. What TLS 1.2 only repeats is left
/// out.
pub fn verdicts(host: &HostView, now: Timestamp) -> Vec<Verdict> {
    let mut all: Vec<Verdict> = Vec::new();
    for probe in &host.probes {
        let result = outcome(host, probe, now);
        let repeats = |v: &Verdict| {
            let both = Ask { versions: Versions::Both, ..probe.ask };
            (v.address, v.ask) == (probe.address, both) && v.result == result
        };
        let silent = probe.ask.versions == Versions::Tls12 && result == Outcome::NothingFor;
        if !silent && !all.iter().any(repeats) {
            all.push(Verdict { address: probe.address, ask: probe.ask, result });
        }
    }
    all
}

fn outcome(host: &HostView, probe: &Probe, now: Timestamp) -> Outcome {
    let chain = match &probe.seen {
        Seen::NothingFor => return Outcome::NothingFor,
        Seen::Failed(failure) => return Outcome::Failed(failure.clone()),
        Seen::Chain(chain) => chain,
    };
    let key = key_of(chain);
    let records = considered(&host.tlsa.records, is_smtp(host));
    let matched = records.iter().find(|record| matching(record, chain, &host.names, now).is_ok());
    match matched {
        Some(record) => Outcome::Matches(key, (*record).clone()),
        None if records.is_empty() => Outcome::NoRecords(key),
        None => Outcome::NoMatch(key),
    }
}

/// The key of a chain's leaf.
pub(super) fn key_of(chain: &[Vec<u8>]) -> Option<SpkiDigest> {
    chain.first().and_then(|leaf| read_any(leaf).ok()).map(|(key, _)| key)
}

/// RFC 7672 is about SMTP between servers; clients follow RFC 7671.
pub(super) fn is_smtp(host: &HostView) -> bool {
    host.endpoint.protocol == Protocol::Smtp
}

/// What DANE clients are shown: with a name; without one where the host is an address.
pub(super) fn is_named(host: &HostView, ask: Ask) -> bool {
    ask.sni == Sni::Sent || host.probes.iter().all(|probe| probe.ask.sni == Sni::Absent)
}
