//! TLSA records and whether a sender can use them.

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TLSA;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// A TLSA record (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tlsa {
    /// Certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// Selector: 0 the whole certificate, 1 its SubjectPublicKeyInfo.
    pub selector: u8,
    /// Matching type: 0 the data itself, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// Why no sender can use a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// Usages 0 and 1 need a public CA that SMTP servers have not agreed on (RFC 7672 §3.1.3).
    UsageOnSmtp,
    /// A usage, selector or matching type that no standard defines.
    Parameters,
    /// The digest has not the length of its algorithm, or there is no data.
    Length,
    /// The digest of nothing: what a failed `openssl … | sha256sum` prints.
    EmptyDigest,
}

impl Unusable {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Unusable::UsageOnSmtp => "usages 0 and 1 are not for SMTP (RFC 7672 §3.1.3): senders ignore it",
            Unusable::Parameters => "no standard defines these parameters: senders ignore it",
            Unusable::Length => "the data has not the length of such a digest: senders ignore it",
            Unusable::EmptyDigest => {
                "the data is the digest of nothing at all: a tool failed, and it matches no key"
            }
        }
    }
}

impl Tlsa {
    /// From record data; `None` for other types.
    pub fn of(data: &RData) -> Option<Self> {
        let RData::TLSA(tlsa) = data else { return None };
        Some(Tlsa::from(tlsa))
    }

    /// Whether a sender can use it; `smtp`: between mail servers (RFC 7672 §3.1).
    pub fn usable(&self, smtp: bool) -> Result<(), Unusable> {
        if self.usage > 3 || self.selector > 1 || self.matching > 2 {
            return Err(Unusable::Parameters);
        }
        if smtp && self.usage < 2 {
            return Err(Unusable::UsageOnSmtp);
        }
        let wanted = match self.matching {
            0 => None,
            1 => Some(32),
            _ => Some(64),
        };
        if self.data.is_empty() || wanted.is_some_and(|wanted| self.data.len() != wanted) {
            return Err(Unusable::Length);
        }
        if self.matching > 0 && self.data == self.digest(b"") { Err(Unusable::EmptyDigest) } else { Ok(()) }
    }

    /// What `selected` (a certificate or its SubjectPublicKeyInfo) looks like in this record's matching type.
    pub(super) fn digest(&self, selected: &[u8]) -> Vec<u8> {
        match self.matching {
            1 => Sha256::digest(selected).to_vec(),
            2 => Sha512::digest(selected).to_vec(),
            _ => selected.to_vec(),
        }
    }

    /// "3 1 1".
    pub fn parameters(&self) -> String {
        format!("{} {} {}", self.usage, self.selector, self.matching)
    }

    /// The data in hexadecimal.
    pub fn hex(&self) -> String {
        hex::encode(&self.data)
    }
}

impl From<&TLSA> for Tlsa {
    fn from(tlsa: &TLSA) -> Self {
        Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }
    }
}

impl fmt::Display for Tlsa {
    /// "3 1 1 0a1b2c3d…": enough to tell records apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        match hex.get(..8) {
            Some(short) => write!(f, "{} {short}…", self.parameters()),
            None => write!(f, "{} {hex}", self.parameters()),
        }
    }
}
