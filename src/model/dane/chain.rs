//! What usage 2 asks of a chain besides the digest: a path to the trust anchor, dates and names (RFC 7671 §5.2, RFC 7672
//! §3.1.2, §3.2).

use super::matching::Mismatch;
use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Error};

/// Longest path that is followed. Our choice: public chains have two to four certificates, and TLS clients stop near ten.
const MAX_LENGTH: usize = 10;

/// The certificates of a handshake that lead up from the leaf, in order, whatever order they were sent in.
pub(super) fn path(chain: &[Vec<u8>]) -> Vec<(&[u8], X509Certificate<'_>)> {
    let parsed: Vec<_> = chain
        .iter()
        .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, parsed)| (der.as_slice(), parsed)))
        .collect();
    let mut path: Vec<(&[u8], X509Certificate<'_>)> = parsed.first().cloned().into_iter().collect();
    while path.len() < MAX_LENGTH
        && let Some((_, last)) = path.last()
        && let Some(issuer) =
            parsed.iter().find(|(der, by)| !path.iter().any(|(known, _)| known == der) && issued(last, by))
    {
        path.push(issuer.clone());
    }
    path
}

fn issued(certificate: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    let signature = || certificate.verify_signature(Some(by.public_key()));
    certificate.issuer().as_raw() == by.subject().as_raw()
        // An algorithm beyond ring's: the names agree, and senders will judge.
        && matches!(signature(), Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm))
}

/// Whether a sender that trusts the last certificate of this path accepts the first for one of these names.
pub(super) fn acceptable(
    path: &[(&[u8], X509Certificate<'_>)],
    names: &[String],
    now: Timestamp,
) -> Result<(), Mismatch> {
    for (_, certificate) in path {
        let (from, to) = (certificate.validity().not_before, certificate.validity().not_after);
        if !(from.timestamp()..=to.timestamp()).contains(&now.as_second()) {
            let subject = certificate.subject();
            return Err(Mismatch::Dates(format!("\"{subject}\" is valid from {from} to {to}")));
        }
    }
    if let Some((_, issuer)) = path.iter().skip(1).find(|(_, issuer)| !issuer.is_ca()) {
        return Err(Mismatch::Chain(format!("\"{}\" is no CA certificate", issuer.subject())));
    }
    let carried = path.first().map(|(_, leaf)| names_of(leaf)).unwrap_or_default();
    match carried.iter().any(|carried| names.iter().any(|wanted| covers(carried, wanted))) {
        true => Ok(()),
        false => Err(Mismatch::Name(format!(
            "the certificate is for {}, wanted is {}",
            if carried.is_empty() { "no name".to_owned() } else { carried.join(", ") },
            names.join(" or ")
        ))),
    }
}

/// dNSNames; the common name where there is none (RFC 7672 §3.2.3, RFC 6125 §6.4.4).
fn names_of(leaf: &X509Certificate<'_>) -> Vec<String> {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let general = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let dns: Vec<String> = general
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if !dns.is_empty() {
        return dns;
    }
    let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

/// A wildcard stands for exactly one label, the leftmost.
fn covers(carried: &str, wanted: &str) -> bool {
    match carried.strip_prefix("*.") {
        None => carried == wanted,
        Some(parent) => {
            wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(covers("mx1.example.org", "mx1.example.org"));
        assert!(covers("*.example.org", "mx1.example.org"));
        for wanted in ["example.org", "a.mx1.example.org", "mx1.example.net", ".example.org"] {
            assert!(!covers("*.example.org", wanted), "{wanted}");
        }
        assert!(!covers("mx1.example.org", "mx2.example.org"));
    }
}
