//! Private keys: PKCS#8 (RFC 5958), SEC1 (RFC 5915) and PKCS#1 (RFC 8017), PEM or DER. Whatever comes in is taken
//! apart and wrapped anew as the one plain PKCS#8 that ring reads, so attributes, appended public keys and leading
//! parameter blocks do no harm.
//!
//! Wiping is best effort: our own copies are `Zeroizing`, and rcgen's is wiped after use; ring's is not.

use super::der::{self, Element};
use super::desired::KeyAlgorithm;
use super::key::{KeyError, KeyKind, SpkiDigest};
use super::{name, pem};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData};
use rustls_pki_types::PrivatePkcs8KeyDer;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A private key that can sign CSRs. Its `Debug` shows the public key only.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    spki_der: Vec<u8>,
    kind: KeyKind,
}

impl PrivateKey {
    /// Reads a private key, PEM or DER: P-256, P-384, or RSA of 2048 to 4096 bits. Everything else is refused by name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if !pem::is_pem(bytes) {
            return Self::from_der(bytes, None);
        }
        let sections = pem::sections(bytes)?;
        let mut keys = sections.iter().filter(|section| section.label.ends_with("PRIVATE KEY"));
        let Some(key) = keys.next() else {
            let found = sections.iter().map(|section| section.label.clone()).collect();
            return Err(KeyError::Absent { wanted: "private key", found });
        };
        if keys.next().is_some() {
            return Err(KeyError::Ambiguous);
        }
        if key.encrypted || key.label == "ENCRYPTED PRIVATE KEY" {
            return Err(KeyError::Encrypted);
        }
        let parameters = sections.iter().find(|section| section.label == "EC PARAMETERS");
        Self::from_der(&key.der, parameters.map(|section| section.der.as_slice()))
    }

    /// Makes a new key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let (algorithm, kind) = match algorithm {
            KeyAlgorithm::P256 => (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::P256),
            KeyAlgorithm::P384 => (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        };
        let mut pair = KeyPair::generate_for(algorithm)
            .map_err(|error| KeyError::malformed("the new key", error.to_string()))?;
        let pkcs8 = Zeroizing::new(pair.serialize_der());
        let spki_der = pair.subject_public_key_info();
        pair.zeroize();
        Ok(PrivateKey { pkcs8, spki_der, kind })
    }

    /// PKCS#8 PEM ("PRIVATE KEY").
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.pkcs8)
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The digest that pins this key.
    pub fn spki(&self) -> SpkiDigest {
        SpkiDigest::of(&self.spki_der)
    }

    /// Its algorithm.
    pub fn kind(&self) -> &KeyKind {
        &self.kind
    }

    /// A DER CSR for these names, which may be Unicode. They stand in the subjectAltName only: the subject stays
    /// empty (a common name is deprecated and limited to 64 characters).
    pub fn csr(&self, names: &[String]) -> Result<Vec<u8>, KeyError> {
        let names = name::hosts(names)?;
        if names.is_empty() {
            return Err(KeyError::Request("names no host".into()));
        }
        let broken = |error: rcgen::Error| KeyError::malformed("the new CSR", error.to_string());
        let mut params = CertificateParams::new(names).map_err(broken)?;
        params.distinguished_name = DistinguishedName::new();
        let mut pair = self.pair()?;
        let request = params.serialize_request(&pair).map_err(broken);
        pair.zeroize();
        Ok(request?.der().to_vec())
    }

    /// `parameters`: the DER of an EC PARAMETERS block before the key.
    fn from_der(bytes: &[u8], parameters: Option<&[u8]>) -> Result<Self, KeyError> {
        let parts = Parts::of(bytes, parameters)?;
        let algorithm = parts.kind.check().and_then(|()| parts.algorithm())?;
        let inner = der::element(der::OCTET_STRING, &[parts.inner]);
        // PrivateKeyInfo: version 0, algorithm, key (RFC 5208 §5).
        let pkcs8 = der::element(der::SEQUENCE, &[&[der::INTEGER, 1, 0], &algorithm, &inner]);
        let mut key = PrivateKey { pkcs8, spki_der: Vec::new(), kind: parts.kind };
        let mut pair = key.pair()?;
        key.spki_der = pair.subject_public_key_info();
        pair.zeroize();
        Ok(key)
    }

    fn pair(&self) -> Result<KeyPair, KeyError> {
        KeyPair::try_from(&PrivatePkcs8KeyDer::from(self.pkcs8.as_slice())).map_err(|_| {
            KeyError::malformed(
                "the private key",
                "its numbers do not fit together, or its public half is missing",
            )
        })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, spki {})", self.kind, self.spki())
    }
}

/// AlgorithmIdentifier of rsaEncryption, with its NULL parameters (RFC 3279 §2.3.1).
pub(super) fn rsa_algorithm() -> Zeroizing<Vec<u8>> {
    let algorithm = der::element(der::OID, &[oid::RSA_ENCRYPTION]);
    der::element(der::SEQUENCE, &[&algorithm, &[der::NULL, 0]])
}

/// A private key taken apart.
struct Parts<'a> {
    kind: KeyKind,
    /// DER of an ECPrivateKey or RSAPrivateKey.
    inner: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Tells the four structures apart by their first two elements.
    fn of(bytes: &'a [u8], parameters: Option<&[u8]>) -> Result<Self, KeyError> {
        let absent = || KeyError::Absent { wanted: "private key", found: Vec::new() };
        let outer = der::only(bytes, der::SEQUENCE).ok_or_else(absent)?;
        let elements = der::elements(outer.content).ok_or_else(absent)?;
        match elements.iter().map(|element| element.tag).collect::<Vec<_>>()[..] {
            // PrivateKeyInfo or OneAsymmetricKey (RFC 5958 §2).
            [der::INTEGER, der::SEQUENCE, der::OCTET_STRING, ..] => {
                Self::of_pkcs8(&elements[1], elements[2].content)
            }
            // ECPrivateKey (RFC 5915 §3).
            [der::INTEGER, der::OCTET_STRING, ..] => Self::of_sec1(bytes, &elements, parameters),
            // RSAPrivateKey (RFC 8017 §A.1.2): version and eight integers.
            [der::INTEGER, der::INTEGER, _, _, _, _, _, _, _] => Self::of_rsa(bytes),
            // EncryptedPrivateKeyInfo (RFC 5958 §3).
            [der::SEQUENCE, der::OCTET_STRING] => Err(KeyError::Encrypted),
            _ => Err(absent()),
        }
    }

    fn of_pkcs8(algorithm: &Element<'_>, inner: &'a [u8]) -> Result<Self, KeyError> {
        let broken = || KeyError::malformed("the PKCS#8 private key", "its algorithm cannot be read");
        let parts = der::elements(algorithm.content).ok_or_else(broken)?;
        let (oid, parameters) = parts.split_first().ok_or_else(broken)?;
        match oid.content {
            oid::EC_PUBLIC_KEY => {
                let curve = parameters.first().ok_or_else(broken)?;
                Ok(Parts { kind: kind_of_parameters(curve), inner })
            }
            oid::RSA_ENCRYPTION => Self::of_rsa(inner),
            other => Ok(Parts { kind: KeyKind::Other(oid::name(other)), inner }),
        }
    }

    fn of_sec1(inner: &'a [u8], elements: &[Element<'_>], block: Option<&[u8]>) -> Result<Self, KeyError> {
        let own = elements.iter().find(|element| element.tag == der::CONTEXT_0);
        let parameters = own.map(|element| element.content).or(block).and_then(der::next);
        let kind = match parameters {
            Some((parameters, _)) => kind_of_parameters(&parameters),
            // Without parameters the length tells: the private octet string is as long as the curve's order.
            None => match elements[1].content.len() {
                32 => KeyKind::P256,
                48 => KeyKind::P384,
                octets => KeyKind::Other(format!("on an unnamed curve of {} bits", octets * 8)),
            },
        };
        Ok(Parts { kind, inner })
    }

    fn of_rsa(inner: &'a [u8]) -> Result<Self, KeyError> {
        let integers = der::only(inner, der::SEQUENCE).and_then(|outer| der::elements(outer.content));
        let modulus = integers.as_ref().and_then(|integers| integers.get(1));
        let bits = match modulus {
            Some(modulus) if modulus.tag == der::INTEGER => der::bits(modulus.content),
            _ => return Err(KeyError::malformed("the RSA private key", "its modulus is not there")),
        };
        // ring: RsaKeyPair takes 2048 to 4096 bits.
        if bits > 4096 {
            Err(KeyError::TooLarge { bits })
        } else {
            Ok(Parts { kind: KeyKind::Rsa { bits }, inner })
        }
    }

    /// AlgorithmIdentifier for the new wrapping.
    fn algorithm(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let curve = match &self.kind {
            KeyKind::Rsa { .. } => return Ok(rsa_algorithm()),
            KeyKind::P256 => oid::P256,
            KeyKind::P384 => oid::P384,
            other => return Err(KeyError::Unsupported(other.to_string())),
        };
        let curve = der::element(der::OID, &[curve]);
        Ok(der::element(der::SEQUENCE, &[&der::element(der::OID, &[oid::EC_PUBLIC_KEY]), &curve]))
    }
}

/// ECParameters (RFC 5480 §2.1.1): a name, or the curve spelled out.
fn kind_of_parameters(parameters: &Element<'_>) -> KeyKind {
    match parameters.tag {
        der::OID => KeyKind::of_curve(parameters.content),
        _ => KeyKind::ExplicitCurve,
    }
}

/// Object identifiers of key algorithms and curves, as contents octets.
pub(super) mod oid {
    /// id-ecPublicKey, RFC 5480 §2.1.1.
    pub(in crate::model) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    /// secp256r1, RFC 5480 §2.1.1.1.
    pub(in crate::model) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    /// secp384r1, RFC 5480 §2.1.1.1.
    pub(in crate::model) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
    /// rsaEncryption, RFC 3279 §2.3.1.
    pub(in crate::model) const RSA_ENCRYPTION: &[u8] =
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

    const NAMES: [(&[u8], &str); 9] = [
        (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
        (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a], "RSA-PSS"),
        (&[0x2b, 0x65, 0x6e], "X25519"),
        (&[0x2b, 0x65, 0x6f], "X448"),
        (&[0x2b, 0x65, 0x70], "Ed25519"),
        (&[0x2b, 0x65, 0x71], "Ed448"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "DSA"),
        (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01], "Diffie-Hellman"),
    ];

    /// The name people know, or the octets.
    pub(in crate::model) fn name(oid: &[u8]) -> String {
        let known = NAMES.iter().find(|(known, _)| *known == oid);
        known.map_or_else(|| format!("of algorithm {}", hex::encode(oid)), |(_, name)| (*name).to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::csr::Csr;

    #[test]
    fn a_new_key_reads_back_and_signs() {
        for (algorithm, kind) in [(KeyAlgorithm::P256, KeyKind::P256), (KeyAlgorithm::P384, KeyKind::P384)] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let again = PrivateKey::from_bytes(key.to_pem().as_bytes()).unwrap();
            assert_eq!((again.spki(), again.kind()), (key.spki(), &kind));
            let csr = Csr::parse(&key.csr(&["mx.example.org".into()]).unwrap()).unwrap();
            assert_eq!((csr.spki, csr.key, csr.spki_der.as_slice()), (key.spki(), kind, key.spki_der()));
        }
    }

    #[test]
    fn debug_shows_the_public_key_only() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        assert_eq!(format!("{key:?}"), format!("PrivateKey(P-256, spki {})", key.spki()));
    }

    #[test]
    fn no_prefix_of_a_key_file_is_a_key() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let pem = key.to_pem();
        // Everything up to the END line's last dashes is needed.
        for length in 0..pem.trim_end().len() {
            assert!(PrivateKey::from_bytes(&pem.as_bytes()[..length]).is_err());
        }
        for length in 0..key.pkcs8.len() {
            assert!(PrivateKey::from_bytes(&key.pkcs8[..length]).is_err());
        }
    }

    #[test]
    fn flipped_bits_never_panic() {
        let key = PrivateKey::generate(KeyAlgorithm::P384).unwrap();
        for index in 0..key.pkcs8.len() {
            let mut bytes = key.pkcs8.to_vec();
            bytes[index] ^= 0x81;
            let _ = PrivateKey::from_bytes(&bytes);
        }
    }

    #[test]
    fn two_private_keys_in_one_file_are_refused() {
        let one = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let both = format!("{}{}", one.to_pem().as_str(), one.to_pem().as_str());
        assert_eq!(PrivateKey::from_bytes(both.as_bytes()).unwrap_err(), KeyError::Ambiguous);
    }

    #[test]
    fn csr_names_become_a_labels_sorted_once() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let names = ["mx.Bücher.example".into(), "*.a.example".into(), "MX.xn--bcher-kva.example.".into()];
        let csr = Csr::parse(&key.csr(&names).unwrap()).unwrap();
        assert_eq!(csr.names, ["*.a.example", "mx.xn--bcher-kva.example"]);
        assert!(key.csr(&[]).is_err());
        assert!(key.csr(&["mx.*.example".into()]).is_err());
    }
}
