//! The chain that a CA hands out (RFC 8555 §7.4.2), and whether it is the one that was ordered. It is checked before
//! it is installed, because a server with a wrong chain is worse off than one with an old chain.

use super::csr::sort;
use super::key::{KeyError, SpkiDigest};
use super::{der, pem};
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Error};

/// Our choice: public chains have two to four certificates, and TLS clients stop near ten.
const MAX_LENGTH: usize = 10;
/// Our choice: how far the clock of a CA (or ours) may be ahead. CAs usually backdate notBefore by an hour.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_hours(1);

/// A certificate with its issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Leaf first, DER.
    pub certs_der: Vec<Vec<u8>>,
    /// dNSNames of the leaf: lower case, sorted, no duplicates.
    pub names: Vec<String>,
    /// Start of the leaf's validity.
    pub not_before: Timestamp,
    /// End of the leaf's validity.
    pub not_after: Timestamp,
    /// Digest of the leaf's SubjectPublicKeyInfo.
    pub spki: SpkiDigest,
    /// The leaf's issuer, as a distinguished name.
    pub issuer: String,
    /// The issuer of the last certificate: its common name, or else its distinguished name.
    pub topmost_issuer: String,
    /// The leaf's serial number, lower-case hexadecimal.
    pub serial: String,
    /// RFC 9773 §4.1: the issuer's key identifier and the serial number; `None`: the leaf has no such identifier.
    pub certificate_id: Option<String>,
    /// subjectAltName entries of the leaf that are no dNSNames.
    foreign: Vec<String>,
    leaf_is_ca: bool,
}

impl Chain {
    /// Reads PEM certificates, leaf first; other blocks and text are ignored.
    pub fn parse(pem: &str) -> Result<Self, KeyError> {
        let sections = pem::sections(pem.as_bytes())?;
        let certificates = sections.iter().filter(|section| section.label == "CERTIFICATE");
        let certs_der: Vec<Vec<u8>> = certificates.map(|section| section.der.to_vec()).collect();
        Self::of(certs_der, || sections.iter().map(|section| section.label.clone()).collect())
    }

    /// Takes certificates in DER, leaf first.
    pub fn of_der(certs_der: Vec<Vec<u8>>) -> Result<Self, KeyError> {
        Self::of(certs_der, Vec::new)
    }

    /// `instead` says what was found when there is no certificate.
    fn of(certs_der: Vec<Vec<u8>>, instead: impl Fn() -> Vec<String>) -> Result<Self, KeyError> {
        let parsed = certs_der.iter().map(|der| parse_one(der)).collect::<Result<Vec<_>, _>>()?;
        let (Some(leaf), Some(last)) = (parsed.first(), parsed.last()) else {
            return Err(KeyError::Absent { wanted: "certificate", found: instead() });
        };
        let (names, foreign) = names(leaf)?;
        Ok(Chain {
            names,
            foreign,
            not_before: timestamp(leaf.validity().not_before.timestamp()),
            not_after: timestamp(leaf.validity().not_after.timestamp()),
            spki: SpkiDigest::of(leaf.tbs_certificate.subject_pki.raw),
            issuer: leaf.issuer().to_string(),
            topmost_issuer: topmost(last),
            serial: hex::encode(leaf.raw_serial()),
            certificate_id: certificate_id(leaf),
            leaf_is_ca: leaf.is_ca(),
            certs_der,
        })
    }

    /// Whether the first certificate is a CA's own.
    pub fn begins_with_a_ca(&self) -> bool {
        self.leaf_is_ca
    }

    /// The leaf alone, PEM.
    pub fn leaf_pem(&self) -> String {
        joined(&self.certs_der[..1])
    }

    /// The issuers, PEM; empty when the CA sent none.
    pub fn rest_pem(&self) -> String {
        joined(&self.certs_der[1..])
    }

    /// Everything, PEM, leaf first: what servers want.
    pub fn full_pem(&self) -> String {
        joined(&self.certs_der)
    }

    /// Refuses a chain that is not the one ordered: other key, other names, not valid at `now`, a CA certificate, or
    /// links that do not hold. It need not lead to a root that we know: with DANE-EE nobody looks (RFC 7671 §5.1),
    /// and private CAs are welcome.
    pub fn check(
        &self,
        expect_spki: SpkiDigest,
        expect_names: &[String],
        now: Timestamp,
    ) -> Result<(), KeyError> {
        self.check_key(expect_spki)?;
        self.check_names(expect_names)?;
        self.check_dates(now)?;
        self.check_links()
    }

    fn check_key(&self, expected: SpkiDigest) -> Result<(), KeyError> {
        if self.spki != expected {
            return refused(format!("is for the key {}, not for {}", self.spki.short(), expected.short()));
        }
        if self.leaf_is_ca { refused("is a CA's own".into()) } else { Ok(()) }
    }

    fn check_names(&self, expected: &[String]) -> Result<(), KeyError> {
        if let Some(foreign) = self.foreign.first() {
            return refused(format!("names {foreign}, which was not ordered"));
        }
        let mut expected = expected.to_vec();
        expected.sort();
        expected.dedup();
        if self.names == expected {
            return Ok(());
        }
        refused(format!("is for {}, ordered was {}", self.names.join(", "), expected.join(", ")))
    }

    fn check_dates(&self, now: Timestamp) -> Result<(), KeyError> {
        if self.not_before.duration_since(now) > CLOCK_SLACK {
            return refused(format!("is valid from {} on only; it is {now} here", self.not_before));
        }
        if self.not_after <= now {
            return refused(format!("expired at {}; it is {now} here", self.not_after));
        }
        Ok(())
    }

    /// RFC 8555 §7.4.2: each following certificate certifies the one before it.
    fn check_links(&self) -> Result<(), KeyError> {
        let length = self.certs_der.len();
        if length > MAX_LENGTH {
            return refused(format!(
                "comes with {} issuers; at most {} are taken",
                length - 1,
                MAX_LENGTH - 1
            ));
        }
        for (place, link) in (1..).zip(self.certs_der.windows(2)) {
            check_link(place, &parse_one(&link[0])?, &parse_one(&link[1])?)?;
        }
        Ok(())
    }
}

/// RFC 9773 §4.1: keyIdentifier of the Authority Key Identifier, a dot, and the serial number's octets as DER has them (with the
/// zero before a first bit that is set), both base64url.
fn certificate_id(leaf: &X509Certificate<'_>) -> Option<String> {
    let key_identifier =
        leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref(),
            _ => None,
        })?;
    let encoded = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    Some(format!("{}.{}", encoded(key_identifier.0), encoded(leaf.raw_serial())))
}

/// `place`: position of the issued certificate in the chain, counted from 1.
fn check_link(
    place: usize,
    issued: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), KeyError> {
    if issued.issuer().as_raw() != issuer.subject().as_raw() {
        return refused(format!(
            "number {place} of the chain was issued by \"{}\", but \"{}\" follows",
            issued.issuer(),
            issuer.subject()
        ));
    }
    match issued.verify_signature(Some(issuer.public_key())) {
        // An algorithm beyond ring's: the names agree, and clients will judge.
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => Ok(()),
        Err(_) => Err(KeyError::Signature(format!("certificate {place} of the chain"))),
    }
}

fn parse_one(der: &[u8]) -> Result<X509Certificate<'_>, KeyError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if der::is_signed(der) && is_consistent(&certificate) => Ok(certificate),
        _ => Err(KeyError::malformed("a certificate", "it is cut or altered")),
    }
}

/// RFC 5280 §4.1.1.2: the algorithm stands inside and outside the signed part alike. Signatures are whole octets.
fn is_consistent(certificate: &X509Certificate<'_>) -> bool {
    certificate.signature_algorithm == certificate.tbs_certificate.signature
        && certificate.signature_value.unused_bits == 0
}

fn names(leaf: &X509Certificate<'_>) -> Result<(Vec<String>, Vec<String>), KeyError> {
    let broken = |_| KeyError::malformed("the subjectAltName of the certificate", "it cannot be read");
    let Some(extension) = leaf.subject_alternative_name().map_err(broken)? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut dns, mut foreign) = (Vec::new(), Vec::new());
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => dns.push(name.to_ascii_lowercase()),
            other => foreign.push(sort(other)),
        }
    }
    dns.sort();
    dns.dedup();
    Ok((dns, foreign))
}

fn topmost(last: &X509Certificate<'_>) -> String {
    let common = last.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| last.issuer().to_string(), str::to_owned)
}

/// RFC 5280 §4.1.2.5: 99991231235959Z says "no end", which is a day beyond what jiff can tell.
fn timestamp(seconds: i64) -> Timestamp {
    let nearest = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(nearest)
}

fn joined(certs_der: &[Vec<u8>]) -> String {
    certs_der.iter().map(|der| pem::encode("CERTIFICATE", der).to_string()).collect()
}

fn refused(why: String) -> Result<(), KeyError> {
    Err(KeyError::NotAsOrdered(why))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
