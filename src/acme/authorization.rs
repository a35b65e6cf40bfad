//! Authorizations and their dns-01 challenges (RFC 8555 §7.1.4, §7.5, §8.4).

use super::client::Client;
use super::jws::{Signer, is_base64url};
use super::order::readable;
use super::problem::{Identifier, shortened};
use super::request::{Call, Repeat};
use super::transport::{Reply, Transport};
use super::{Authorization, AuthorizationStatus, Challenge, Polled};
use crate::error::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::Value;

/// Tokens are 22 to 43 characters at the CAs we know; a longer one than this is not put into a TXT value (our choice).
const LONGEST_TOKEN: usize = 512;

#[derive(Deserialize)]
struct Resource {
    status: String,
    identifier: Identifier,
    #[serde(default)]
    wildcard: bool,
    #[serde(default)]
    challenges: Vec<Value>,
}

/// Challenges of unknown types may lack or reshape any member.
#[derive(Deserialize)]
struct ChallengeResource {
    url: String,
    status: String,
    token: Option<String>,
}

impl Client {
    pub(super) async fn read_authorization(&self, url: &str) -> Result<Polled<Authorization>> {
        let action = format!("read the authorization {url}");
        let reply = self.get(&action, url).await?;
        let value = authorization(&self.transport, &action, &reply, url)?;
        Ok(Polled { value, retry_after: reply.retry_after })
    }

    /// Answering twice does no harm, so a lost answer is repeated. What the CA calls malformed because it has an answer
    /// already (after a crash, or after such a repetition) is settled by looking.
    pub(super) async fn answer_challenge(
        &self,
        challenge: &Challenge,
    ) -> Result<Polled<AuthorizationStatus>> {
        let action = format!("answer the challenge {}", challenge.url);
        let account = self.account_url_found().await?;
        let (signer, url) = (Signer::Account(&account), challenge.url.as_str());
        let call = Call { action: &action, signer, url, payload: "{}", repeat: Repeat::Safe };
        let reply = self.post(&call).await?;
        if !reply.refused_as("malformed") {
            return answered(&action, &reply);
        }
        let seen = self.get(&action, url).await?;
        let still_pending = seen.json::<ChallengeResource>(&action)?.status == "pending";
        answered(&action, if still_pending { &reply } else { &seen })
    }
}

fn answered(action: &str, reply: &Reply) -> Result<Polled<AuthorizationStatus>> {
    let resource: ChallengeResource = reply.json(action)?;
    Ok(Polled { value: status(action, &resource.status)?, retry_after: reply.retry_after })
}

fn authorization(transport: &Transport, action: &str, reply: &Reply, url: &str) -> Result<Authorization> {
    let resource: Resource = reply.json(action)?;
    let wrong = |why: String| Error::new(Kind::Remote, action, why);
    let identifier = resource.identifier.value.to_ascii_lowercase();
    if !is_name(&identifier) {
        return Err(wrong(format!("it is for “{}”, which is no DNS name", shortened(&identifier, 100))));
    }
    let status = status(action, &resource.status)?;
    let error = resource
        .challenges
        .iter()
        .find_map(|challenge| challenge.get("error").filter(|error| !error.is_null()))
        .map(|error| format!("{}: {}", shown(&identifier, resource.wildcard), readable(error)));
    let offered = resource.challenges.iter().find(|challenge| challenge["type"] == "dns-01");
    // Only a pending authorization needs its challenge; CAs may strip the others.
    let dns01 = match offered.filter(|_| status == AuthorizationStatus::Pending) {
        Some(value) => Some(dns01(transport, action, value).map_err(wrong)?),
        None => None,
    };
    Ok(Authorization { url: url.into(), identifier, wildcard: resource.wildcard, status, dns01, error })
}

fn dns01(transport: &Transport, action: &str, value: &Value) -> Result<Challenge, String> {
    let unreadable = |error| format!("its dns-01 challenge is unreadable: {error}");
    let resource = ChallengeResource::deserialize(value).map_err(unreadable)?;
    transport.checked(&resource.url)?;
    // RFC 8555 §8.4: base64url only. Nothing else may get near a TXT value, whatever the CA sends.
    let token = resource.token.filter(|token| is_base64url(token) && token.len() <= LONGEST_TOKEN);
    let token = token.ok_or("the token of its dns-01 challenge is not base64url (RFC 8555 §8.4)")?;
    let status = status(action, &resource.status).map_err(|error| error.cause)?;
    Ok(Challenge { url: resource.url, token, status })
}

fn status(action: &str, word: &str) -> Result<AuthorizationStatus> {
    match word {
        "pending" | "processing" => Ok(AuthorizationStatus::Pending),
        "valid" => Ok(AuthorizationStatus::Valid),
        "invalid" => Ok(AuthorizationStatus::Invalid),
        "deactivated" | "expired" | "revoked" => Ok(AuthorizationStatus::Gone),
        other => {
            let cause = format!("it has the unknown status “{}”", shortened(other, 50));
            Err(Error::new(Kind::Remote, action, cause))
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
}

fn shown(identifier: &str, wildcard: bool) -> String {
    if wildcard { format!("*.{identifier}") } else { identifier.to_string() }
}
