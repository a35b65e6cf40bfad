//! Pins: TLSA 3 1 1 records (RFC 6698, RFC 7671 §5.1) and the names they stand at. No other parameters are ever
//! published: with one matching type, digest agility (RFC 7671 §9) cannot hide a pin.

use super::key::{KeyError, SpkiDigest};
use super::name;
use hickory_proto::rr::rdata::TLSA;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::{Name, RData};
use std::fmt;

/// The TLSA 3 1 1 record data (DANE-EE, SPKI, SHA-256) that pins this key.
pub fn tlsa(spki: SpkiDigest) -> RData {
    RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, spki.0.to_vec()))
}

/// The key that a 3 1 1 record pins; `None` for other records, other parameters and digests of a wrong length.
pub fn digest_of(data: &RData) -> Option<SpkiDigest> {
    let RData::TLSA(tlsa) = data else { return None };
    let ours = (CertUsage::DaneEe, Selector::Spki, Matching::Sha256);
    if (tlsa.cert_usage, tlsa.selector, tlsa.matching) != ours {
        return None;
    }
    <[u8; 32]>::try_from(tlsa.cert_data.as_slice()).ok().map(SpkiDigest)
}

/// `_25._tcp.mx1.example.org`, taken apart (RFC 6698 §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsaOwner {
    /// Lower-case A-labels, no final dot.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl TlsaOwner {
    /// For a host as the administrator writes it (Unicode is fine).
    pub fn new(host: &str, port: u16) -> Result<Self, KeyError> {
        let host = name::host(host)?;
        let why = if host.starts_with("*.") {
            "has a wildcard where one host is needed"
        } else if port == 0 {
            "has port 0"
        } else {
            return Ok(TlsaOwner { host, port });
        };
        Err(KeyError::Name { name: host, why: why.into() })
    }

    /// Takes an owner name apart; `None` when it is not of the form `_port._tcp.host`, which is lawful for targets of
    /// aliases (RFC 7671 §6) and for wildcards.
    pub fn of(owner: &Name) -> Option<Self> {
        let mut labels = owner.iter().map(|label| std::str::from_utf8(label).ok());
        let port = port_of(labels.next()??)?;
        if !labels.next()??.eq_ignore_ascii_case("_tcp") {
            return None;
        }
        let host = labels.collect::<Option<Vec<_>>>()?.join(".");
        TlsaOwner::new(&host, port).ok()
    }

    /// The owner name, absolute.
    pub fn name(&self) -> Result<Name, KeyError> {
        absolute(&self.to_string())
    }
}

impl fmt::Display for TlsaOwner {
    /// Without final dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "_{}._tcp.{}", self.port, self.host)
    }
}

/// Reads any owner name that an administrator writes: `_25._tcp.mx1.example.org`, a wildcard `*._tcp.…`, or the
/// target of an alias. Absolute, lower-case A-labels. A label like `_25` must be a port.
pub fn owner(typed: &str) -> Result<Name, KeyError> {
    let name = name::owner(typed)?;
    let mut labels = name.split('.');
    let (first, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    // `_25.mx…` and `_0._tcp.mx…` are slips; `_dane.example.org` may be the target of an alias.
    let numeric = first.strip_prefix('_').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if numeric && (port_of(first).is_none() || !matches!(second, "_tcp" | "_udp" | "_sctp")) {
        let why = "does not begin with a port and a transport, as _25._tcp does".to_owned();
        return Err(KeyError::Name { name: typed.to_owned(), why });
    }
    absolute(&name)
}

/// `_25` without leading zeros (RFC 6698 §3), 1 to 65535.
fn port_of(label: &str) -> Option<u16> {
    let digits = label.strip_prefix('_')?;
    digits.parse().ok().filter(|port: &u16| *port > 0 && port.to_string() == digits)
}

fn absolute(name: &str) -> Result<Name, KeyError> {
    Name::from_ascii(format!("{name}."))
        .map_err(|error| KeyError::Name { name: name.to_owned(), why: error.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 7671 §5.1, §9.
    #[test]
    fn rule_2_only_3_1_1_is_published_and_reads_back_as_the_key_it_pins() {
        let digest = SpkiDigest([0xab; 32]);
        assert_eq!(digest_of(&tlsa(digest)), Some(digest));
        assert_eq!(tlsa(digest).to_string(), format!("3 1 1 {digest}"));
    }

    #[test]
    fn other_parameters_and_lengths_pin_no_key_of_ours() {
        let make = |usage, selector, matching, length| {
            RData::TLSA(TLSA::new(usage, selector, matching, vec![1; length]))
        };
        for other in [
            make(CertUsage::DaneTa, Selector::Spki, Matching::Sha256, 32),
            make(CertUsage::DaneEe, Selector::Full, Matching::Sha256, 32),
            make(CertUsage::DaneEe, Selector::Spki, Matching::Sha512, 32),
            make(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, 31),
            make(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, 33),
        ] {
            assert_eq!(digest_of(&other), None);
        }
    }

    #[test]
    fn owners_come_apart_into_port_and_host() {
        let owner = owner("_25._TCP.mx1.Example.org").unwrap();
        let parts = TlsaOwner::of(&owner).unwrap();
        assert_eq!((parts.port, parts.host.as_str()), (25, "mx1.example.org"));
        assert_eq!(parts.name().unwrap(), owner);
    }

    #[test]
    fn aliases_targets_and_wildcards_have_no_single_port() {
        for name in
            ["tlsa.example.org", "*._tcp.mx.example.org", "_25._udp.mx.example.org", "_tlsa.example.org"]
        {
            assert_eq!(TlsaOwner::of(&owner(name).unwrap()), None, "{name}");
        }
    }

    #[test]
    fn slips_in_owner_names_are_refused() {
        for name in
            ["_0._tcp.a.org", "_025._tcp.a.org", "_70000._tcp.a.org", "_25.a.org", "_25._tpc.a.org", "_tcp"]
        {
            assert!(owner(name).is_err(), "{name}");
        }
        assert!(TlsaOwner::new("*.example.org", 25).is_err());
        assert!(TlsaOwner::new("example.org", 0).is_err());
    }
}
