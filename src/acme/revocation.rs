//! Revocation (RFC 8555 §7.6).

use super::client::Client;
use super::jws::{Signer, base64url};
use super::key::AccountKey;
use super::request::{Call, Repeat};
use crate::error::{Error, Kind, Result};
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

/// What the CA answered.
#[derive(Debug)]
pub enum Revocation {
    /// It revoked the certificate.
    Done,
    /// The certificate was revoked before.
    Already,
    /// It did not, and says why.
    Refused(Error),
}

impl Client {
    /// Revokes `certificate` (DER). Signed by its own key when that is given, which proves to the CA that somebody who asks for
    /// `KeyCompromise` has it; by the account otherwise.
    ///
    /// Errors: no answer, so that nobody knows (asking again does no harm); `Remote` where the CA does not revoke by ACME.
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
        let reply =
            self.post(&Call { action: &action, signer, url: &url, payload: &payload, repeat }).await?;
        if reply.refused_as("alreadyRevoked") {
            return Ok(Revocation::Already);
        }
        match reply.success(&action) {
            Ok(_) => Ok(Revocation::Done),
            Err(refusal) if reply.status.is_client_error() => Ok(Revocation::Refused(refusal)),
            Err(e) => Err(e),
        }
    }

    /// The URL of a resource that not every CA has.
    pub(super) async fn resource(
        &self,
        action: &str,
        member: &str,
        of: impl Fn(&super::Directory) -> Option<String>,
    ) -> Result<String> {
        let held = self.directory_held().await?;
        let found = match of(&held) {
            Some(url) => Some(url),
            None => self.newer_directory(&held).await?.and_then(|newer| of(&newer)),
        };
        let url = found.ok_or_else(|| {
            let cause = format!("the CA's directory has no `{member}`: it does not offer that by ACME");
            Error::new(Kind::Remote, action, cause).hint("its website may")
        })?;
        self.transport.checked(&url).map_err(|why| Error::new(Kind::Remote, action, why))?;
        Ok(url)
    }
}
