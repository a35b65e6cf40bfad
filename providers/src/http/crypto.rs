//! Digests, MACs and signatures for requests; all by ring.

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, signature};

/// Filters `hmac_…` and their algorithms.
pub(super) const HMACS: &[(&str, hmac::Algorithm)] = &[
    ("hmac_sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    ("hmac_sha256", hmac::HMAC_SHA256),
    ("hmac_sha512", hmac::HMAC_SHA512),
];

/// How long Google takes an assertion for fresh, seconds; it allows an hour.
const ASSERTION_LASTS: u64 = 3600;

pub(super) fn hex(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(octets)
}

/// Only for interfaces that sign with it (OVH).
pub(super) fn sha1(octets: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec()
}

pub(super) fn sha256(octets: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, octets).as_ref().to_vec()
}

pub(super) fn sha512(octets: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA512, octets).as_ref().to_vec()
}

pub(super) fn hmac(algorithm: hmac::Algorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
}

/// Sixteen random octets in hex.
pub(super) fn nonce() -> Result<String, String> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| "the system gives no randomness".to_owned())?;
    Ok(hex(&octets))
}

/// The assertion of a Google service account (RFC 7523 §2.1) with RS256 (RFC 7518 §3.3). `member` looks into the
/// account's JSON key file.
pub(super) fn google_jwt(
    member: impl Fn(&str) -> Option<String>,
    scope: &str,
    now: u64,
) -> Result<String, String> {
    let need =
        |name: &str| member(name).ok_or_else(|| format!("the service account's key file lacks `{name}`"));
    let audience = member("token_uri").unwrap_or_else(|| "https://oauth2.googleapis.com/token".to_owned());
    let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": need("private_key_id")?});
    let claims = serde_json::json!({
        "iss": need("client_email")?, "scope": scope, "aud": audience, "iat": now, "exp": now + ASSERTION_LASTS,
    });
    let encode =
        |json: &serde_json::Value| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = rsa(&signature::RSA_PKCS1_SHA256, &need("private_key")?, signed.as_bytes())?;
    Ok(format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&signature)))
}

/// Filters `rsa_…`: RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
pub(super) const RSA: &[(&str, &'static dyn signature::RsaEncoding)] =
    &[("rsa_sha256", &signature::RSA_PKCS1_SHA256), ("rsa_sha512", &signature::RSA_PKCS1_SHA512)];

/// A signature by a key in PEM.
pub(super) fn rsa(
    encoding: &'static dyn signature::RsaEncoding,
    pem: &str,
    text: &[u8],
) -> Result<Vec<u8>, String> {
    let key = private_key(pem)?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), text, &mut signature)
        .map_err(|_| "the private key does not sign".to_owned())?;
    Ok(signature)
}

fn private_key(pem: &str) -> Result<signature::RsaKeyPair, String> {
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject;
    let unusable = |_| "the private key is no RSA key in PEM, unencrypted".to_owned();
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| unusable(e.to_string()))? {
        PrivateKeyDer::Pkcs8(key) => {
            signature::RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|e| unusable(e.to_string()))
        }
        PrivateKeyDer::Pkcs1(key) => {
            signature::RsaKeyPair::from_der(key.secret_pkcs1_der()).map_err(|e| unusable(e.to_string()))
        }
        _ => Err(unusable(String::new())),
    }
}
