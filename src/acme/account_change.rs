//! What changes an account that exists: another key (RFC 8555 §7.3.5), its end (§7.3.6).

use super::client::Client;
use super::jws::{self, Signer};
use super::key::AccountKey;
use super::request::{Call, Repeat};
use crate::error::Result;
use serde_json::json;

impl Client {
    /// Whether the CA changes keys at all: an error when not, before a new key is made.
    pub async fn changes_keys(&self) -> Result<()> {
        self.key_change_url("change the account key").await.map(|_| ())
    }

    async fn key_change_url(&self, action: &str) -> Result<String> {
        self.resource(action, "keyChange", |directory| directory.key_change.clone()).await
    }

    /// Gives the account the key `new`; this client, which has the former one, is of no use afterwards. The new key must be
    /// durable before: an error may come although the CA has changed it, and then the new key finds the account.
    ///
    /// Errors: the CA's refusal, a key of another account say; `Remote` where the CA changes no keys.
    pub async fn change_key(&self, new: &AccountKey) -> Result<()> {
        let action = format!("change the account key at {}", self.directory_url);
        let url = self.key_change_url(&action).await?;
        let account = self.account_url_found().await?;
        let payload = jws::key_change(new, &self.key, &account, &url)?.to_string();
        let (signer, repeat) = (Signer::Account(&account), Repeat::Never);
        let reply =
            self.post(&Call { action: &action, signer, url: &url, payload: &payload, repeat }).await?;
        reply.success(&action).map(|_| ())
    }

    /// Ends the account; nothing brings it back. Certificates stay valid.
    pub async fn deactivate(&self) -> Result<()> {
        let url = self.account_url_found().await?;
        let action = format!("deactivate the account {url}");
        let payload = json!({"status": "deactivated"}).to_string();
        let (signer, repeat) = (Signer::Account(&url), Repeat::Safe);
        let reply =
            self.post(&Call { action: &action, signer, url: &url, payload: &payload, repeat }).await?;
        reply.success(&action).map(|_| ())
    }
}
