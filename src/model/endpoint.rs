//! Services that present certificates, and what they were seen to present, one probe at a time.

use super::key::SpkiDigest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One service that presents a certificate. Its text form is the URL of zones.yaml.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// How TLS begins.
    pub protocol: Protocol,
    /// Host name (also SNI) or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// SMTP between servers with STARTTLS (RFC 3207): `smtp://`.
    Smtp,
    /// SMTP of clients with STARTTLS (RFC 6409): `submission://`.
    Submission,
    /// IMAP with STARTTLS (RFC 9051 §6.2.1): `imap://`.
    Imap,
    /// POP3 with STLS (RFC 2595 §4): `pop3://`.
    Pop3,
    /// ManageSieve with STARTTLS (RFC 5804 §2.2): `sieve://`.
    Sieve,
    /// TLS from the first byte: `tls://`, and `smtps://`, `submissions://`, `imaps://`, `pop3s://`, `https://`.
    Tls,
}

impl Protocol {
    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Submission => "submission",
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Sieve => "sieve",
            Protocol::Tls => "tls",
        }
    }

    /// What is customarily spoken at this TCP port (IANA's registry, RFC 8314 §7); `None`: a protocol that begins
    /// without TLS and that danesmith does not speak.
    pub fn at_port(port: u16) -> Option<Self> {
        match port {
            25 => Some(Protocol::Smtp),
            110 => Some(Protocol::Pop3),
            143 => Some(Protocol::Imap),
            587 => Some(Protocol::Submission),
            4190 => Some(Protocol::Sieve),
            389 | 5222 | 5269 => None,
            _ => Some(Protocol::Tls),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.protocol.scheme(), self.host, self.port),
            false => write!(f, "{}://{}:{}", self.protocol.scheme(), self.host, self.port),
        }
    }
}

/// What `verify` can be asked to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A mail domain: its MX hosts, or itself where there is no MX. A-labels, lower case, no final dot.
    Domain(String),
    /// One host and port.
    Endpoint(Endpoint),
}

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

/// Whether a probe names the host it wants (RFC 6066 §3). DANE clients must (RFC 7672 §8.1); who does not is shown a
/// certificate of the server's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sni {
    /// The host's name is sent.
    Sent,
    /// No name is sent; the only way where the host is an address.
    Absent,
}

/// Which versions of TLS a probe offers. A server may have certificates that only one of them can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Versions {
    /// TLS 1.3 and TLS 1.2.
    Both,
    /// TLS 1.2 only.
    Tls12,
}

/// What one probe asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    /// With a name, or without.
    pub sni: Sni,
    /// Key algorithm.
    pub algorithm: Algorithm,
    /// Protocol versions.
    pub versions: Versions,
}

impl fmt::Display for Ask {
    /// "ECDSA", "RSA, without SNI, TLS 1.2".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sni = if self.sni == Sni::Absent { ", without SNI" } else { "" };
        let versions = if self.versions == Versions::Tls12 { ", TLS 1.2" } else { "" };
        write!(f, "{}{sni}{versions}", self.algorithm)
    }
}

/// Why a probe came to no TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// The story, readable, the peer quoted.
    pub words: String,
}

/// What sort of failure a probe met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The host's name has no address.
    NoAddress,
    /// This host has no route to that address (no IPv6, say).
    NoRoute,
    /// Nobody listens there.
    Refused,
    /// No answer in time, before or after the connection stood.
    Timeout,
    /// The server offers no STARTTLS, or refuses it when asked (RFC 3207 §4: 454).
    NoStarttls,
    /// The protocol before TLS went wrong: a refusal, an answer that makes no sense, a closed connection.
    Dialogue,
    /// The TLS handshake went wrong.
    Handshake,
}

impl FailureKind {
    /// A stable word for JSON.
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::NoAddress => "no-address",
            FailureKind::NoRoute => "no-route",
            FailureKind::Refused => "connection-refused",
            FailureKind::Timeout => "timeout",
            FailureKind::NoStarttls => "no-starttls",
            FailureKind::Dialogue => "protocol",
            FailureKind::Handshake => "tls-handshake",
        }
    }
}

/// What the endpoints present, probe by probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EndpointView {
    /// Probes that a server answered with a certificate, the name sent as DANE clients do.
    pub shown: Vec<Shown>,
    /// Probes that ended without one.
    pub failed: Vec<FailedProbe>,
    /// Where listed endpoints answered: "smtp://mx1.example.org:25 at 192.0.2.1:25".
    pub listed: BTreeSet<String>,
    /// Probes that ended without a certificate where a TLSA owner name is, and no listed endpoint.
    pub unlisted: Vec<FailedProbe>,
    /// Endpoints that are not listed, and answered.
    pub answered: BTreeSet<String>,
    /// Addresses that senders do not look for TLSA records at, because DNSSEC does not secure them; why, for people.
    pub insecure: BTreeSet<String>,
    /// TTL of the address records by host, seconds, where signatures tell it.
    pub address_ttls: BTreeMap<String, u32>,
    /// Certificates shown only to clients that send no name. RFC 7672 §8.1 leaves them to the server's choice, and no
    /// DANE client sees them: they are told, and block nothing.
    pub fallback: Vec<Shown>,
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
    /// The endpoint: "smtp://mx1.example.org:25".
    pub endpoint: String,
    /// The endpoint's host name, as configured.
    pub host: String,
    /// Where and how it was asked; without an address when the host has none.
    pub at: String,
    /// Why no key is known.
    pub reason: String,
    /// DNS has no address for this host, or the host is an address itself: senders find it by no other name.
    pub nowhere: bool,
}

/// Where a probe went, of the words that say how it asked, too.
pub fn place_of(at: &str) -> &str {
    at.split_once(", ").map_or(at, |(place, _)| place)
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
