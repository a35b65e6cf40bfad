//! Records against the chain of a handshake (RFC 6698 §2.1, RFC 7671 §5, §9).

use super::chain::{acceptable, path};
use super::record::Tlsa;
use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a record does not match a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The certificate or key is another one.
    Other,
    /// Usages 0 and 2: no certificate above the leaf is the one meant. It has to be in the handshake (RFC 7672 §3.1.2).
    Absent,
    /// The trust anchor is there; the leaf is for another name.
    Name(String),
    /// The trust anchor is there; a certificate is expired or not yet valid.
    Dates(String),
    /// The trust anchor is there; the way to it is not.
    Chain(String),
}

/// The records that a sender goes by: usable ones, and of each usage and selector only those with the strongest digest
/// (RFC 7671 §9); data in full always counts.
pub fn considered(records: &[Tlsa], smtp: bool) -> Vec<&Tlsa> {
    let usable: Vec<&Tlsa> = records.iter().filter(|record| record.usable(smtp).is_ok()).collect();
    let strongest = |record: &Tlsa| {
        let same = usable.iter().filter(|r| (r.usage, r.selector) == (record.usage, record.selector));
        same.map(|r| r.matching).max().unwrap_or_default()
    };
    let counts = |record: &&&Tlsa| record.matching == 0 || record.matching == strongest(record);
    usable.iter().filter(counts).copied().collect()
}

/// Whether the chain of a handshake (leaf first, DER) is what `record` asks for. `names`: what the certificate may be for,
/// of which usages 0 and 2 want one; for usages 0 and 1 public trust is not checked, only what the record says.
pub fn matching(record: &Tlsa, chain: &[Vec<u8>], names: &[String], now: Timestamp) -> Result<(), Mismatch> {
    let [leaf, ..] = chain else { return Err(Mismatch::Other) };
    if matches!(record.usage, 1 | 3) {
        return if is_meant(record, leaf) { Ok(()) } else { Err(Mismatch::Other) };
    }
    let path = path(chain);
    let Some(anchor) = path.iter().skip(1).position(|(der, _)| is_meant(record, der)) else {
        let sent = chain.iter().skip(1).any(|der| is_meant(record, der));
        return Err(if sent {
            Mismatch::Chain("it did not issue what is served".into())
        } else {
            Mismatch::Absent
        });
    };
    acceptable(path.get(..anchor + 2).unwrap_or(&path), names, now)
}

fn is_meant(record: &Tlsa, der: &[u8]) -> bool {
    let selected = match record.selector {
        0 => Some(der.to_vec()),
        _ => X509Certificate::from_der(der).ok().map(|(_, c)| c.public_key().raw.to_vec()),
    };
    selected.is_some_and(|selected| record.digest(&selected) == record.data)
}
