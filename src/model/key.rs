//! Keys by what they are known by: the SHA-256 of their SubjectPublicKeyInfo. The digest is always taken over the
//! bytes as they stand in the file: encoding them anew may give others (a curve spelled out instead of named).

use super::der;
use super::pem::{self, Section};
use super::private_key::{self, PrivateKey};
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate, X509CertificationRequest};
use x509_parser::public_key::PublicKey;

pub use super::key_error::KeyError;

/// SHA-256 of a DER SubjectPublicKeyInfo: the association data of a TLSA 3 1 1 record (RFC 6698 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpkiDigest(pub [u8; 32]);

impl SpkiDigest {
    /// The digest of this DER SubjectPublicKeyInfo, byte by byte.
    pub fn of(spki_der: &[u8]) -> Self {
        SpkiDigest(Sha256::digest(spki_der).into())
    }

    /// Reads exactly 64 hexadecimal digits. The digest of empty input is refused: it is what a failed
    /// `openssl … | sha256sum` prints, and a pin on it would match nothing.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text, &mut octets).map_err(|_| KeyError::NotADigest(shortened(text)))?;
        let digest = SpkiDigest(octets);
        if digest == SpkiDigest::of(b"") { Err(KeyError::EmptyDigest) } else { Ok(digest) }
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }

    /// Base64, as in `pin-sha256` of RFC 7469 §2.1.1 and curl's `--pinnedpubkey`.
    pub fn pin_sha256(&self) -> String {
        BASE64.encode(&self.0)
    }
}

impl fmt::Display for SpkiDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for SpkiDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpkiDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SpkiDigest::from_hex(&text).map_err(serde::de::Error::custom)
    }
}

/// What sort of public key this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// RSA.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A curve spelled out by its parameters.
    ExplicitCurve,
    /// Anything else, by name or object identifier.
    Other(String),
}

impl KeyKind {
    /// The kind of this DER SubjectPublicKeyInfo.
    pub fn of(spki_der: &[u8]) -> Result<Self, KeyError> {
        let broken = || KeyError::malformed("the public key", "it is not a SubjectPublicKeyInfo");
        let (rest, spki) = SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| broken())?;
        if !rest.is_empty() {
            return Err(KeyError::malformed("the public key", "something follows it"));
        }
        Self::of_parsed(&spki)
    }

    /// The kind of a SubjectPublicKeyInfo that x509-parser took apart.
    pub(super) fn of_parsed(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        let algorithm = spki.algorithm.algorithm.as_bytes();
        let parameters = spki.algorithm.parameters.as_ref();
        if algorithm == private_key::oid::EC_PUBLIC_KEY {
            let curve = parameters.filter(|any| any.header.tag().0 == u32::from(der::OID));
            return Ok(curve.map_or(KeyKind::ExplicitCurve, |any| Self::of_curve(any.data)));
        }
        if algorithm != private_key::oid::RSA_ENCRYPTION {
            return Ok(KeyKind::Other(private_key::oid::name(algorithm)));
        }
        match spki.parsed() {
            Ok(PublicKey::RSA(key)) => Ok(KeyKind::Rsa { bits: der::bits(key.modulus) }),
            _ => Err(KeyError::malformed("the RSA public key", "modulus and exponent are not there")),
        }
    }

    /// The kind of an elliptic curve key on this named curve (contents octets of the object identifier).
    pub(super) fn of_curve(oid: &[u8]) -> Self {
        match oid {
            _ if oid == private_key::oid::P256 => KeyKind::P256,
            _ if oid == private_key::oid::P384 => KeyKind::P384,
            _ => KeyKind::Other(private_key::oid::name(oid)),
        }
    }

    /// Whether CAs take this key: RSA of 2048 bits and more, P-256, P-384 (CA/Browser Forum Baseline Requirements
    /// §6.1.5, without P-521, which few CAs sign).
    pub fn check(&self) -> Result<(), KeyError> {
        match self {
            KeyKind::P256 | KeyKind::P384 => Ok(()),
            KeyKind::Rsa { bits: 2048.. } => Ok(()),
            KeyKind::Rsa { bits } => Err(KeyError::Weak { bits: *bits }),
            KeyKind::ExplicitCurve => Err(KeyError::ExplicitParameters),
            KeyKind::Other(name) => Err(KeyError::Unsupported(name.clone())),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::P256 => f.write_str("P-256"),
            KeyKind::P384 => f.write_str("P-384"),
            KeyKind::Rsa { bits } => write!(f, "RSA {bits}"),
            KeyKind::ExplicitCurve => f.write_str("EC, curve not named"),
            KeyKind::Other(name) => f.write_str(name),
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A certificate, or a chain whose first certificate counts.
    Certificate,
    /// A certificate signing request.
    Csr,
    /// A public key.
    PublicKey,
    /// A private key.
    PrivateKey,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Certificate => "certificate",
            What::Csr => "CSR",
            What::PublicKey => "public key",
            What::PrivateKey => "private key",
        })
    }
}

/// A key file, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What the file holds.
    pub what: What,
    /// The public key's digest.
    pub spki: SpkiDigest,
    /// The public key's algorithm.
    pub key: KeyKind,
}

/// The public key of a certificate, CSR, public key or private key, PEM or DER. A file with several of them must hold
/// one key only; of a chain the first certificate counts. Nothing but the self-signature of a CSR is checked: pins
/// may name any key.
pub fn read_any(bytes: &[u8]) -> Result<(SpkiDigest, What), KeyError> {
    look(bytes).map(|seen| (seen.spki, seen.what))
}

/// Like [`read_any`], with the algorithm.
pub fn look(bytes: &[u8]) -> Result<Seen, KeyError> {
    if !pem::is_pem(bytes) {
        return look_at_der(bytes);
    }
    let sections = pem::sections(bytes)?;
    let mut found: Vec<Seen> = Vec::new();
    for section in &sections {
        let issuer = found.iter().any(|seen| seen.what == What::Certificate)
            && what_of(&section.label) == Some(What::Certificate);
        if !issuer && let Some(seen) = look_at_section(section, bytes)? {
            found.push(seen);
        }
    }
    let first = found.first().cloned().ok_or_else(|| absent(&sections))?;
    if found.iter().any(|seen| seen.spki != first.spki) { Err(KeyError::Ambiguous) } else { Ok(first) }
}

/// Refuses a backup key that is the active key: it would protect against nothing.
pub fn distinct(active: SpkiDigest, backup: SpkiDigest) -> Result<(), KeyError> {
    if active == backup { Err(KeyError::SameKey(active)) } else { Ok(()) }
}

fn absent(sections: &[Section]) -> KeyError {
    let found = sections.iter().map(|section| section.label.clone()).collect();
    KeyError::Absent { wanted: "certificate, CSR or key", found }
}

/// What a PEM label announces.
fn what_of(label: &str) -> Option<What> {
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Some(What::Certificate),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(What::Csr),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Some(What::PublicKey),
        label if label.ends_with("PRIVATE KEY") => Some(What::PrivateKey),
        _ => None,
    }
}

fn look_at_section(section: &Section, file: &[u8]) -> Result<Option<Seen>, KeyError> {
    let der = section.der.as_slice();
    let spki = match what_of(&section.label) {
        None => return Ok(None),
        Some(What::Certificate) => spki_of_certificate(der),
        Some(What::Csr) => spki_of_csr(der)?,
        Some(What::PublicKey) if section.label == "RSA PUBLIC KEY" => wrap_rsa(der),
        Some(What::PublicKey) => Some(der.to_vec()),
        // The whole file: an EC PARAMETERS block before the key may name its curve.
        Some(What::PrivateKey) => Some(PrivateKey::from_bytes(file)?.spki_der().to_vec()),
    };
    let broken =
        || KeyError::malformed(format!("the PEM block \"{}\"", section.label), "it is cut or altered");
    let what = what_of(&section.label).ok_or_else(broken)?;
    seen(what, &spki.ok_or_else(broken)?).map(Some)
}

/// DER carries no label: try what it can be, the most telling structure first.
fn look_at_der(bytes: &[u8]) -> Result<Seen, KeyError> {
    if let Some(spki) = spki_of_certificate(bytes) {
        return seen(What::Certificate, &spki);
    }
    if let Some(spki) = spki_of_csr(bytes)? {
        return seen(What::Csr, &spki);
    }
    if KeyKind::of(bytes).is_ok() {
        return seen(What::PublicKey, bytes);
    }
    if let Some(spki) = wrap_rsa(bytes) {
        return seen(What::PublicKey, &spki);
    }
    match PrivateKey::from_bytes(bytes) {
        Ok(key) => seen(What::PrivateKey, key.spki_der()),
        Err(KeyError::Absent { .. }) => Err(absent(&[])),
        Err(error) => Err(error),
    }
}

fn seen(what: What, spki_der: &[u8]) -> Result<Seen, KeyError> {
    Ok(Seen { what, spki: SpkiDigest::of(spki_der), key: KeyKind::of(spki_der)? })
}

fn spki_of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then(|| certificate.tbs_certificate.subject_pki.raw.to_vec())
}

/// The key of a CSR. Its self-signature must verify when the key is of a kind that CAs take; ring cannot judge the
/// others (P-521, RSA-PSS with a long salt), and a pin on such a key is still the pin that was asked for.
fn spki_of_csr(der: &[u8]) -> Result<Option<Vec<u8>>, KeyError> {
    let Ok(([], csr)) = X509CertificationRequest::from_der(der) else { return Ok(None) };
    let spki = &csr.certification_request_info.subject_pki;
    if KeyKind::of_parsed(spki)?.check().is_ok() {
        super::csr::check_signature(&csr)?;
    }
    Ok(Some(spki.raw.to_vec()))
}

/// A SubjectPublicKeyInfo around a PKCS#1 RSAPublicKey (RFC 8017 §A.1.1).
fn wrap_rsa(der: &[u8]) -> Option<Vec<u8>> {
    let integers = der::elements(der::only(der, der::SEQUENCE)?.content)?;
    if integers.len() != 2 || integers.iter().any(|element| element.tag != der::INTEGER) {
        return None;
    }
    let bits = der::element(der::BIT_STRING, &[&[0], der]);
    Some(der::element(der::SEQUENCE, &[&private_key::rsa_algorithm(), &bits]).to_vec())
}

/// What the user typed, never more than a line of it.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(80).chain(['…']).collect() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_digest_reads_back_from_what_it_prints() {
        let digest = SpkiDigest::from_hex(&HEX.to_uppercase()).unwrap();
        assert_eq!((digest.to_string().as_str(), digest.short().as_str()), (HEX, "00112233"));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{HEX}\""));
        assert_eq!(serde_json::from_str::<SpkiDigest>(&json).unwrap(), digest);
    }

    #[test]
    fn a_digest_has_exactly_64_hexadecimal_digits() {
        for bad in
            ["", &HEX[1..], &HEX[2..], &format!("{HEX}0"), &format!("{HEX}00"), &format!("g{}", &HEX[1..])]
        {
            assert_eq!(SpkiDigest::from_hex(bad), Err(KeyError::NotADigest(bad.to_string())));
        }
    }

    #[test]
    fn the_digest_of_nothing_is_refused() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(SpkiDigest::from_hex(empty), Err(KeyError::EmptyDigest));
        assert!(serde_json::from_str::<SpkiDigest>(&format!("\"{empty}\"")).is_err());
    }

    #[test]
    fn the_active_key_is_no_backup() {
        let (one, other) = (SpkiDigest([1; 32]), SpkiDigest([2; 32]));
        assert_eq!(distinct(one, one), Err(KeyError::SameKey(one)));
        assert_eq!(distinct(one, other), Ok(()));
    }

    #[test]
    fn bytes_that_are_no_key_are_refused_calmly() {
        for bytes in
            [&b""[..], b"hello", b"\x30", b"\x30\x00", b"\x30\x84\xff\xff\xff\xff", &[0xff; 64], &[0x30; 64]]
        {
            assert!(read_any(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(
            read_any(b"\x30\x00").unwrap_err().to_string(),
            "no certificate, CSR or key was found in it"
        );
    }

    #[test]
    fn what_else_is_in_the_file_is_named() {
        let text = b"-----BEGIN X509 CRL-----\nAAEC\n-----END X509 CRL-----\n";
        let error = read_any(text).unwrap_err().to_string();
        assert_eq!(error, "no certificate, CSR or key was found in it (only X509 CRL)");
    }
}
