//! What was seen from outside: DNS as a resolver and as every authoritative server tells it, and what endpoints present.

use super::finding::{Finding, Severity};
use super::record::Tlsa;
use crate::model::endpoint::{Ask, Endpoint, Failure};
use jiff::Timestamp;
use std::net::{IpAddr, SocketAddr};

/// DNSSEC's verdict on an answer (RFC 4035 §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Validated.
    Secure {
        /// When the first of its signatures ends.
        until: Timestamp,
        /// When the last of them ends: until then it can be replayed.
        last: Timestamp,
    },
    /// Provably unsigned; why.
    Insecure(String),
    /// It fails validation; why.
    Bogus(String),
}

impl Trust {
    /// As in the report and in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Trust::Secure { .. } => "secure",
            Trust::Insecure(_) => "insecure",
            Trust::Bogus(_) => "bogus",
        }
    }
}

/// One RRset: as a sender's resolver finds it, and as each authoritative server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The name that was asked for, without final dot.
    pub name: String,
    /// Record type.
    pub rtype: &'static str,
    /// The name that has the records, after aliases.
    pub at: String,
    /// The verdict; `Err`: no answer at all (SERVFAIL, timeout), and why.
    pub trust: Result<Trust, String>,
    /// The data.
    pub records: Vec<T>,
    /// Seconds; 0 without records.
    pub ttl: u32,
    /// Each authoritative server's own answer; empty where nobody asked them.
    pub servers: Vec<AtServer<T>>,
}

impl<T> Found<T> {
    /// "TLSA of `_25._tcp.mx1.example.org`".
    pub fn title(&self) -> String {
        format!("{} of `{}`", self.rtype, self.name)
    }

    /// Whether a sender's resolver passes this on at all.
    pub fn is_believed(&self) -> bool {
        matches!(self.trust, Ok(Trust::Secure { .. } | Trust::Insecure(_)))
    }

    /// Validated, records or their absence.
    pub fn is_secure(&self) -> bool {
        matches!(self.trust, Ok(Trust::Secure { .. }))
    }
}

/// One authoritative server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtServer<T> {
    /// "ns1.example.org (192.0.2.1:53)".
    pub server: String,
    /// The data and the verdict on them; `Err`: why there is no answer.
    pub answer: Result<(Vec<T>, Trust), String>,
    /// The zone's SOA serial there; `None`: it did not answer that either.
    pub serial: Option<u32>,
    /// How often secondaries ask for news, seconds, as its SOA says.
    pub refresh: Option<u32>,
}

/// A mail domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The domain, without final dot.
    pub domain: String,
    /// Preference and host, without final dot.
    pub mx: Found<(u16, String)>,
    /// Whether it asks for TLS reports (RFC 8460); `None`: nobody could tell.
    pub reports: Option<bool>,
}

/// One host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// What was probed.
    pub endpoint: Endpoint,
    /// IPv4 addresses.
    pub a: Found<IpAddr>,
    /// IPv6 addresses.
    pub aaaa: Found<IpAddr>,
    /// TLSA at the name that senders use: the expanded one first, then the original (RFC 7672 §2.2.3).
    pub tlsa: Found<Tlsa>,
    /// `_tcp.host` does not exist, although the owner name below it does: resolvers that follow RFC 8020 deny it.
    pub missing_parent: Option<String>,
    /// TLSA at `*._tcp.host`, if there is such a wildcard.
    pub wildcard: Vec<Tlsa>,
    /// What a certificate may be for, where the name counts (RFC 7672 §3.2.2).
    pub names: Vec<String>,
    /// What was presented.
    pub probes: Vec<Probe>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where.
    pub address: SocketAddr,
    /// What was asked for.
    pub ask: Ask,
    /// What came.
    pub seen: Seen,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The certificates of the handshake, leaf first, DER.
    Chain(Vec<Vec<u8>>),
    /// TLS, but nothing for this ask.
    NothingFor,
    /// No handshake.
    Failed(Failure),
}

/// Everything about one domain, host or endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What was asked for.
    pub target: String,
    /// The mail domain; `None`: a host was asked for.
    pub mail: Option<Mail>,
    /// Its hosts, those of the lowest preference first.
    pub hosts: Vec<HostView>,
}

/// A survey and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The certificate of zones.yaml that it belongs to.
    pub certificate: Option<String>,
    /// What was seen.
    pub survey: Survey,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// The worst of the findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
