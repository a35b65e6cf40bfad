//! The account key: made or loaded, its JWK (RFC 7517), its thumbprint (RFC 7638), its signatures (RFC 7518 §3).

use super::jws::base64url;
use crate::error::{Error, Kind, Result};
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair, RSA_PKCS1_SHA256,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{self, PemObject};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// An ACME account key: P-256 (ES256), P-384 (ES384) or RSA of at least 2048 bits (RS256).
pub struct AccountKey {
    signer: Signer,
    random: SystemRandom,
}

enum Signer {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl AccountKey {
    /// A new P-256 key and its PKCS#8 PEM. Store the PEM before the first request: whoever loses the key of a
    /// registered account loses the account.
    pub fn generate() -> Result<(AccountKey, Zeroizing<String>)> {
        let failed = |_| Error::new(Kind::Internal, "make an account key", "the system gave no randomness");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.map_err(failed)?;
        let pem = pem_of("PRIVATE KEY", pkcs8.as_ref());
        Ok((AccountKey::from_pem(pem.as_bytes())?, pem))
    }

    /// Reads the first private key of a PEM file: PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    /// Fails with [`Kind::Credentials`] when it is encrypted, of another algorithm, or RSA below 2048 bits.
    pub fn from_pem(pem: &[u8]) -> Result<AccountKey> {
        let mut key =
            PrivateKeyDer::from_pem_slice(pem).map_err(|error| unusable(pem, pem_trouble(&error)))?;
        let signer = match &key {
            PrivateKeyDer::Pkcs8(der) => pkcs8_signer(der.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(der) => sec1_signer(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(|key| Signer::Rsa(Box::new(key)))
            }
            _ => None,
        };
        key.zeroize();
        let signer =
            signer.ok_or_else(|| unusable(pem, "its algorithm or encoding is not one we can sign with"))?;
        Ok(AccountKey { signer, random: SystemRandom::new() })
    }

    /// The JWS `alg` (RFC 7518 §3.1).
    pub fn algorithm(&self) -> &'static str {
        match &self.signer {
            Signer::P256(_) => "ES256",
            Signer::P384(_) => "ES384",
            Signer::Rsa(_) => "RS256",
        }
    }

    /// The public key as a JWK with exactly the members, and in the order, that RFC 7638 §3 hashes.
    pub fn jwk(&self) -> String {
        match &self.signer {
            Signer::P256(key) => ec_jwk("P-256", key.public_key().as_ref()),
            Signer::P384(key) => ec_jwk("P-384", key.public_key().as_ref()),
            Signer::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
                rsa_jwk(&public.n, &public.e)
            }
        }
    }

    /// RFC 7638: base64url(SHA-256(JWK)), the second half of every key authorization.
    pub fn thumbprint(&self) -> String {
        base64url(digest(&SHA256, self.jwk().as_bytes()))
    }

    /// The JWS signature over `input`; ECDSA as r‖s (RFC 7518 §3.4).
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>> {
        let failed =
            |_| Error::new(Kind::Internal, "sign an ACME request", "the account key made no signature");
        match &self.signer {
            Signer::P256(key) | Signer::P384(key) => {
                Ok(key.sign(&self.random, input).map_err(failed)?.as_ref().to_vec())
            }
            Signer::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, input, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({}, thumbprint {})", self.algorithm(), self.thumbprint())
    }
}

fn pkcs8_signer(der: &[u8]) -> Option<Signer> {
    ec(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        .map(Signer::P256)
        .or_else(|| ec(&ECDSA_P384_SHA384_FIXED_SIGNING, der).map(Signer::P384))
        .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(|key| Signer::Rsa(Box::new(key))))
}

/// ring reads ECDSA keys only as PKCS#8, so SEC1 (RFC 5915) is wrapped, once for each curve: the wrong one is refused.
fn sec1_signer(sec1: &[u8]) -> Option<Signer> {
    pkcs8_signer(&wrap(P256_ALGORITHM, sec1)).or_else(|| pkcs8_signer(&wrap(P384_ALGORITHM, sec1)))
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()).ok()
}

/// AlgorithmIdentifier, DER: id-ecPublicKey with secp256r1, and with secp384r1 (RFC 5480 §2.1.1).
const P256_ALGORITHM: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384_ALGORITHM: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";

/// PrivateKeyInfo (RFC 5208 §5): version 0, the algorithm, the key as an OCTET STRING.
fn wrap(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = tlv(0x04, key);
    let mut inner = Zeroizing::new(vec![0x02, 0x01, 0x00]);
    inner.extend_from_slice(algorithm);
    inner.extend_from_slice(&octets);
    tlv(0x30, &inner)
}

/// One DER element; the length form of X.690 §8.1.3 up to 65,535 bytes, far above any EC key.
fn tlv(tag: u8, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(vec![tag]);
    let [.., high, low] = value.len().to_be_bytes();
    match value.len() {
        0..=127 => out.push(low),
        128..=255 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
    out
}

fn ec_jwk(curve: &str, point: &[u8]) -> String {
    // The uncompressed point of SEC1 §2.3.3: 0x04 ‖ x ‖ y.
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
}

fn rsa_jwk(n: &[u8], e: &[u8]) -> String {
    format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n))
}

fn pem_of(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for start in (0..base64.len()).step_by(64) {
        pem.push_str(&base64[start..base64.len().min(start + 64)]);
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The library's own words quote the file.
fn pem_trouble(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "it holds no private key in PEM",
        _ => "its PEM is broken: line breaks or its END line were lost",
    }
}

fn unusable(pem: &[u8], why: &str) -> Error {
    let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    let action = "use the ACME account key";
    if encrypted.iter().any(|label| pem.windows(label.len()).any(|window| window == *label)) {
        return Error::new(
            Kind::Credentials,
            action,
            "it is encrypted, and danesmith asks for no passphrase",
        )
        .hint("decrypt it with `openssl pkey -in KEY -out NEW` and keep the new file at mode 0600");
    }
    Error::new(Kind::Credentials, action, why)
        .hint("give a PEM file (PKCS#8, SEC1 or PKCS#1) with a P-256, P-384 or RSA key of at least 2048 bits")
        .hint("`openssl pkey -in KEY -out NEW` converts other encodings")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{AccountKey, base64url, rsa_jwk};
    use crate::error::Kind;
    use data_encoding::BASE64URL_NOPAD;
    use ring::digest::{SHA256, digest};

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_section_3_1() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n\
                 3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
                 ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-k\
                 EgU8awapJzKnqDKgw";
        let jwk = rsa_jwk(&BASE64URL_NOPAD.decode(n.as_bytes()).unwrap(), &[1, 0, 1]);
        assert_eq!(base64url(digest(&SHA256, jwk.as_bytes())), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_generated_key_comes_back_from_its_pem() {
        let (key, pem) = AccountKey::generate().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert_eq!(AccountKey::from_pem(pem.as_bytes()).unwrap().thumbprint(), key.thumbprint());
    }

    #[test]
    fn the_same_key_in_two_encodings_has_one_thumbprint() {
        let pkcs8 = AccountKey::from_pem(include_bytes!("../../tests/acme/keys/rsa2048.pem")).unwrap();
        let pkcs1 = AccountKey::from_pem(include_bytes!("../../tests/acme/keys/rsa2048-pkcs1.pem")).unwrap();
        assert_eq!(pkcs8.thumbprint(), pkcs1.thumbprint());
    }

    #[test]
    fn a_broken_key_is_refused_without_a_word_of_it() {
        let (_, pem) = AccountKey::generate().unwrap();
        let lines: Vec<&str> = pem.lines().collect();
        for broken in
            [pem.replace('\n', ""), pem.replace('\n', " "), lines[..3].join("\n"), lines[1..].join("\n")]
        {
            let error = format!("{:?}", AccountKey::from_pem(broken.as_bytes()).unwrap_err());
            let base64 =
                lines[1].as_bytes()[10..20].iter().map(|b| b.to_string()).collect::<Vec<_>>().join(", ");
            assert!(!error.contains(&lines[1][10..20]) && !error.contains(&base64), "{error}");
        }
    }

    #[test]
    fn unusable_keys_are_refused_with_a_way_out() {
        let refused = |pem: &[u8]| AccountKey::from_pem(pem).unwrap_err();
        for pem in [
            &include_bytes!("../../tests/acme/keys/rsa1024.pem")[..],
            b"",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n",
        ] {
            assert_eq!(refused(pem).kind, Kind::Credentials);
        }
        assert!(refused(include_bytes!("../../tests/acme/keys/ed25519.pem")).hints[0].contains("P-256"));
        assert!(refused(include_bytes!("../../tests/acme/keys/encrypted.pem")).cause.contains("encrypted"));
    }
}
