//! TLSA records that are not ours, against the chain that is about to be served (RFC 6698 §2.1, RFC 7671 §8.1).

use crate::model::plan::OtherTlsa;
use sha2::{Digest, Sha256, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Octets of a record's data that messages show: a whole digest. Of a whole certificate or key (matching type 0) that is
/// its beginning.
const SHOWN: usize = 64;

/// For each triple of usage, selector and matching type with no record that matches the chain (leaf first, DER): its
/// records, a line each, for people. A verifier may use one triple only (digest agility, RFC 7671 §9), so each must match by itself. Usages 0 and
/// 1 are not usable for SMTP (RFC 7672 §3.1.3) and are left out.
pub fn unmatched(owner: &str, others: &BTreeSet<OtherTlsa>, chain: &[Vec<u8>]) -> Vec<String> {
    let mut kinds: BTreeMap<(u8, u8, u8), Vec<&OtherTlsa>> = BTreeMap::new();
    for other in others.iter().filter(|o| is_usable(o)) {
        kinds.entry(other.kind).or_default().push(other);
    }
    let lost = kinds.into_iter().filter(|(_, of)| !of.iter().any(|o| matches(o, chain)));
    let owner = owner.trim_end_matches('.');
    lost.flat_map(|(_, of)| of.into_iter().map(move |other| format!("{} at {owner}", words(other, SHOWN))))
        .collect()
}

/// Records that a verifier may use, as in a zone file.
pub fn usable(others: &BTreeSet<OtherTlsa>) -> BTreeSet<String> {
    others.iter().filter(|o| is_usable(o)).map(|o| words(o, usize::MAX)).collect()
}

fn is_usable(other: &OtherTlsa) -> bool {
    matches!(other.kind.0, 2 | 3)
}

/// As in a zone file, with so many octets of the data.
fn words(other: &OtherTlsa, octets: usize) -> String {
    let (usage, selector, matching) = other.kind;
    let more = if other.data.len() > octets { "…" } else { "" };
    let data = hex::encode(other.data.get(..octets).unwrap_or(&other.data));
    format!("{usage} {selector} {matching} {data}{more}")
}

fn matches(record: &OtherTlsa, chain: &[Vec<u8>]) -> bool {
    let (usage, selector, matching) = record.kind;
    let candidates = match usage {
        3 => chain.get(..1),
        _ => chain.get(1..),
    };
    candidates.unwrap_or_default().iter().any(|certificate| {
        let selected = match selector {
            0 => Some(certificate.clone()),
            1 => X509Certificate::from_der(certificate).ok().map(|(_, c)| c.public_key().raw.to_vec()),
            _ => None,
        };
        selected.is_some_and(|content| match matching {
            0 => content == record.data,
            1 => Sha256::digest(&content).as_slice() == record.data,
            2 => Sha512::digest(&content).as_slice() == record.data,
            _ => false,
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> (rcgen::Certificate, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = made.der().to_vec();
        (made, der)
    }

    fn spki(der: &[u8]) -> Vec<u8> {
        X509Certificate::from_der(der).unwrap().1.public_key().raw.to_vec()
    }

    /// RFC 7671 §5.1: usage 3 is about the server's own certificate; RFC 7672 §3.1.2: usage 2 about its issuers; §3.1.3: usages
    /// 0 and 1 are not for port 25.
    #[test]
    fn rule_10_usage_3_is_about_the_leaf_usage_2_about_its_issuers_and_0_and_1_about_nothing() {
        let (leaf, issuer) = (certificate("mx1.example.org").1, certificate("issuer.example.org").1);
        let chain = vec![leaf.clone(), issuer.clone()];
        let told = |usage: u8, of: &[u8]| {
            let record = OtherTlsa { kind: (usage, 1, 1), data: Sha256::digest(spki(of)).to_vec() };
            unmatched("o.", &[record].into(), &chain).len()
        };
        assert_eq!((told(3, &leaf), told(3, &issuer)), (0, 1));
        assert_eq!((told(2, &leaf), told(2, &issuer)), (1, 0));
        for usage in [0, 1] {
            let record = OtherTlsa { kind: (usage, 1, 1), data: vec![0; 32] };
            assert!(usable(&[record.clone()].into()).is_empty());
            assert_eq!(told(usage, &leaf) + unmatched("o.", &[record].into(), &chain).len(), 0);
        }
    }

    /// RFC 7671 §8, §9: a sender may look at one triple alone.
    #[test]
    fn rule_1_each_usage_selector_and_matching_type_matches_by_itself_or_is_told() {
        let (leaf, issuer) = (certificate("mx1.example.org").1, certificate("issuer.example.org").1);
        let chain = vec![leaf.clone(), issuer.clone()];
        let record = |kind, data: &[u8]| OtherTlsa { kind, data: data.to_vec() };
        let matching = BTreeSet::from([
            record((3, 1, 2), &Sha512::digest(spki(&leaf))),
            record((3, 1, 2), &[0; 64]),
            record((2, 1, 1), &Sha256::digest(spki(&issuer))),
            record((3, 0, 0), &leaf),
            record((1, 1, 1), &[0; 32]),
        ]);
        assert_eq!(unmatched("o.", &matching, &chain), Vec::<String>::new());
        let stale = BTreeSet::from([
            record((3, 1, 2), &[0; 64]),
            record((2, 1, 1), &Sha256::digest(spki(&leaf))),
            record((3, 0, 1), &Sha256::digest(&issuer)),
        ]);
        let lines = [
            format!("2 1 1 {} at o", hex::encode(Sha256::digest(spki(&leaf)))),
            format!("3 0 1 {} at o", hex::encode(Sha256::digest(&issuer))),
            format!("3 1 2 {} at o", "00".repeat(64)),
        ];
        assert_eq!(unmatched("o.", &stale, &chain), lines);
        let whole = BTreeSet::from([record((2, 0, 0), &[7; 65])]);
        assert_eq!(unmatched("o.", &whole, &chain), [format!("2 0 0 {}… at o", "07".repeat(64))]);
    }
}
