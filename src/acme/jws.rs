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
    /// `jwk` of a certificate's own key, which may revoke it without any account (RFC 8555 §7.6).
    Certificate(&'a AccountKey),
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
    let key = if let Signer::Certificate(own) = signer { own } else { key };
    let mut protected = json!({"alg": key.algorithm(), "nonce": nonce, "url": url});
    match signer {
        Signer::Key | Signer::Certificate(_) => protected["jwk"] = jwk_value(key),
        Signer::Account(account) => protected["kid"] = json!(account),
    }
    Ok(signature(key, &protected, payload)?.to_string())
}

/// RFC 8555 §7.3.5: the inner signature of a key change, by the new key, without a nonce.
pub(super) fn key_change(new: &AccountKey, old: &AccountKey, account: &str, url: &str) -> Result<Value> {
    let protected = json!({"alg": new.algorithm(), "jwk": jwk_value(new), "url": url});
    signature(new, &protected, &json!({"account": account, "oldKey": jwk_value(old)}).to_string())
}

fn signature(key: &AccountKey, protected: &Value, payload: &str) -> Result<Value> {
    let (protected, payload) = (base64url(protected.to_string()), base64url(payload));
    let signature = key.sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(flattened(protected, payload, &signature))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{Signer, external_account_binding, is_base64url, signed};
    use crate::acme::AccountKey;
    use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
    use ring::digest::{SHA256, digest};
    use serde_json::{Value, json};

    fn key() -> AccountKey {
        AccountKey::from_pem(include_bytes!("../../tests/acme/keys/rsa2048.pem")).unwrap()
    }

    /// RSASSA-PKCS1-v1_5 gives one signature for one input, so OpenSSL's can be compared with: made by
    /// `printf %s PROTECTED.PAYLOAD | openssl dgst -sha256 -sign rsa2048.pem | sha256sum`.
    #[test]
    fn a_signed_request_equals_the_one_made_with_openssl() {
        let kid = Signer::Account("https://ca.example/account/1");
        let body = signed(&key(), &kid, "bm9uY2U", "https://ca.example/order", "{}").unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        let decoded = |name: &str| BASE64URL_NOPAD.decode(body[name].as_str().unwrap().as_bytes()).unwrap();
        let protected = r#"{"alg":"RS256","kid":"https://ca.example/account/1","nonce":"bm9uY2U","url":"https://ca.example/order"}"#;
        assert_eq!(String::from_utf8(decoded("protected")).unwrap(), protected);
        assert_eq!(decoded("payload"), b"{}");
        let signature = HEXLOWER.encode(digest(&SHA256, &decoded("signature")).as_ref());
        assert_eq!(signature, "3df2021d42907189189b90def838abf6c1a663ef7fe11c2dd077da763cdb2899");
    }

    /// The MAC is that of Python's hmac module over the same bytes.
    #[test]
    fn an_external_account_binding_equals_the_one_made_with_python() {
        let binding =
            external_account_binding(&key(), "kid-1", b"0123456789abcdef", "https://ca.example/new");
        assert_eq!(binding["signature"], "AyuwuCMFbTedTzyiFhuDdbKiVRJ6Ca7WpjrxO3D-bKc");
    }

    #[test]
    fn a_first_request_carries_the_key_and_no_account() {
        let body = signed(&key(), &Signer::Key, "bm9uY2U", "https://ca.example/new", "").unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        let protected = BASE64URL_NOPAD.decode(body["protected"].as_str().unwrap().as_bytes()).unwrap();
        let protected: Value = serde_json::from_slice(&protected).unwrap();
        assert_eq!(protected["jwk"]["kty"], "RSA");
        assert_eq!((&protected["kid"], &body["payload"]), (&Value::Null, &json!("")));
    }

    #[test]
    fn only_the_base64url_alphabet_passes() {
        assert!(is_base64url("aZ09-_"));
        for text in ["", "a=", "a+b", "a/b", "a b", "\u{e9}"] {
            assert!(!is_base64url(text), "{text}");
        }
    }
}
