//! Flattened JSON web signatures (RFC 7515 §7.2.2) as RFC 8555 §6.2 wants them, and the external account binding.

use super::key::AccountKey;
use crate::error::Result;
use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde_json::{Value, json};

/// base64url without padding (RFC 7515 §2).
pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// Whether `text` is made of base64url characters only, so that it is safe in a header, a TXT value or a message.
pub(super) fn is_base64url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Who signs: before there is an account the key itself, later the account's URL (RFC 8555 §6.2).
pub(super) enum Signer<'a> {
    /// `jwk`: newAccount only.
    Key,
    /// `kid`: everything else.
    Account(&'a str),
}

/// The request body: `payload` (empty text for POST-as-GET, RFC 8555 §6.3) signed for `url` with `nonce`.
pub(super) fn signed(
    key: &AccountKey,
    signer: &Signer<'_>,
    nonce: &str,
    url: &str,
    payload: &str,
) -> Result<String> {
    let mut protected = json!({"alg": key.algorithm(), "nonce": nonce, "url": url});
    match signer {
        Signer::Key => protected["jwk"] = jwk_value(key),
        Signer::Account(account) => protected["kid"] = json!(account),
    }
    let (protected, payload) = (base64url(protected.to_string()), base64url(payload));
    let signature = key.sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(flattened(protected, payload, &signature).to_string())
}

/// RFC 8555 §7.3.4: the account's public key, signed with the MAC key that the CA handed out for `kid`.
pub(super) fn external_account_binding(
    key: &AccountKey,
    kid: &str,
    mac_key: &[u8],
    new_account: &str,
) -> Value {
    let protected = base64url(json!({"alg": "HS256", "kid": kid, "url": new_account}).to_string());
    let payload = base64url(key.jwk());
    let mac_key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
    let mac = hmac::sign(&mac_key, format!("{protected}.{payload}").as_bytes());
    flattened(protected, payload, mac.as_ref())
}

fn flattened(protected: String, payload: String, signature: &[u8]) -> Value {
    json!({"protected": protected, "payload": payload, "signature": base64url(signature)})
}

fn jwk_value(key: &AccountKey) -> Value {
    serde_json::from_str(&key.jwk()).unwrap_or(Value::Null)
}
