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

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 §3, cases 1, 2 and 6; RFC 4231 §4, cases 1, 2 and 6. The keys: 20 octets, "Jefe", longer than a block.
    #[test]
    fn the_vectors_of_rfc_2202_and_4231_come_out() {
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let cases: [(&[u8], &[u8], [&str; 3]); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                [
                    "b617318655057264e28bc0b6fb378c8ef146be00",
                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
                ],
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                [
                    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
                ],
            ),
            (&[0xaa; 80], long, ["aa4ae5e15272d00e95705637ce8a3b55ed402112", "", ""]),
            (
                &[0xaa; 131],
                long,
                [
                    "",
                    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
                ],
            ),
        ];
        for (key, text, macs) in cases {
            for ((name, algorithm), mac) in HMACS.iter().zip(macs).filter(|(_, mac)| !mac.is_empty()) {
                assert_eq!(hex(&hmac(*algorithm, key, text)), mac, "{name}");
            }
        }
    }
}
