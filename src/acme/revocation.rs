//! Revocation (RFC 8555 §7.6).

use super::client::Client;
use super::jws::{Signer, base64url};
use super::key::AccountKey;
use super::request::{Call, Repeat};
use crate::error::Result;
use serde_json::json;

/// Why a certificate is revoked (RFC 5280 §5.3.1): those that the Baseline Requirements (§4.9.1.1) leave to subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// Nobody else's business.
    Unspecified,
    /// Somebody else has, or may have, the private key. The CA then never certifies that key again.
    KeyCompromise,
    /// The subject's name changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The names are not served any more.
    CessationOfOperation,
}

impl RevocationReason {
    /// The CRLReason; `None` is sent as no reason at all, which RFC 5280 §5.3.1 prefers to `unspecified`.
    pub fn code(self) -> Option<u8> {
        match self {
            RevocationReason::Unspecified => None,
            RevocationReason::KeyCompromise => Some(1),
            RevocationReason::AffiliationChanged => Some(3),
            RevocationReason::Superseded => Some(4),
            RevocationReason::CessationOfOperation => Some(5),
        }
    }
}

/// What the CA did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It revoked the certificate.
    Done,
    /// The certificate was revoked before.
    Already,
}

impl Client {
    /// Revokes `certificate` (DER). Signed by its own key when that is given, which proves to the CA that somebody who asks for
    /// `KeyCompromise` has it; by the account otherwise.
    ///
    /// Errors: the CA's refusal; no answer, so that nobody knows; `Remote` where the CA does not revoke by ACME. Asking again does
    /// no harm.
    pub async fn revoke(
        &self,
        certificate: &[u8],
        reason: RevocationReason,
        own: Option<&AccountKey>,
    ) -> Result<Revocation> {
        let action = format!("revoke a certificate at {}", self.directory_url);
        let url = self.resource(&action, "revokeCert", |directory| directory.revoke_cert.clone()).await?;
        let mut payload = json!({"certificate": base64url(certificate)});
        if let Some(code) = reason.code() {
            payload["reason"] = json!(code);
        }
        let account;
        let signer = match own {
            Some(key) => Signer::Certificate(key),
            None => {
                account = self.account_url_found().await?;
                Signer::Account(&account)
            }
        };
        // a second time changes nothing more
        let (repeat, payload) = (Repeat::Safe, payload.to_string());
        let reply = self.post(&Call { action: &action, signer, url: &url, payload: &payload, repeat }).await;
        let reply = reply.map_err(|e| {
            e.remains("Whether it is revoked is unknown.").hint("run it again: asking twice does no harm")
        })?;
        if reply.refused_as("alreadyRevoked") {
            return Ok(Revocation::Already);
        }
        reply.success(&action).map(|_| Revocation::Done)
    }
}
