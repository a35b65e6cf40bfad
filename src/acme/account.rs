//! Accounts (RFC 8555 §7.3): registered only when asked to, found by their key, shown.

use super::client::Client;
use super::directory::Directory;
use super::jws::{self, Signer};
use super::problem::shortened;
use super::request::{Call, Repeat};
use super::transport::Reply;
use crate::error::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::PoisonError;

/// An account as the CA shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its URL, the `kid` of every request.
    pub url: String,
    /// Where it stands.
    pub status: AccountStatus,
    /// `mailto:` URLs; CAs that keep none show none.
    pub contact: Vec<String>,
}

/// RFC 8555 §7.1.6: an account's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// In use.
    Valid,
    /// Given up by its owner.
    Deactivated,
    /// Closed by the CA.
    Revoked,
}

#[derive(Deserialize)]
struct Resource {
    status: String,
    #[serde(default)]
    contact: Vec<String>,
}

impl Client {
    /// §7.3: registers the key, or returns the account that has it already. `eab` is the key identifier and the
    /// decoded MAC key (§7.3.4). Without `agree_terms`, and without a demanded `eab`, nothing is sent: `Config`.
    pub async fn register(
        &self,
        contact: &[String],
        agree_terms: bool,
        eab: Option<(&str, &[u8])>,
    ) -> Result<Account> {
        let action = format!("register an account at {}", self.directory_url);
        let directory = self.directory_held().await?;
        permitted(&directory, &action, agree_terms, eab.is_some())?;
        let reply = self
            .new_account(&action, Repeat::Never, |url| {
                let mut payload = json!({"termsOfServiceAgreed": agree_terms});
                if !contact.is_empty() {
                    payload["contact"] = json!(contact);
                }
                if let Some((kid, mac_key)) = eab {
                    payload["externalAccountBinding"] =
                        jws::external_account_binding(&self.key, kid, mac_key, url);
                }
                payload
            })
            .await?;
        self.account_from(&action, &reply)
    }

    /// §7.3.1: the account that has this key; `None`: the CA knows none.
    pub async fn find(&self) -> Result<Option<Account>> {
        let action = format!("find the account of this key at {}", self.directory_url);
        let reply = self.new_account(&action, Repeat::Safe, |_| json!({"onlyReturnExisting": true})).await?;
        if reply.refused_as("accountDoesNotExist") {
            return Ok(None);
        }
        self.account_from(&action, &reply).map(Some)
    }

    /// The account as it stands now (POST-as-GET).
    pub async fn account(&self) -> Result<Account> {
        let url = self.account_url_found().await?;
        let action = format!("read the account {}", shortened(&url, 200));
        account(&action, &self.get(&action, &url).await?, url)
    }

    /// The account's URL, found by the key when nobody told it; `Credentials` when there is none: accounts are never
    /// registered by the way.
    pub(super) async fn account_url_found(&self) -> Result<String> {
        if let Some(url) = self.account_url() {
            return Ok(url);
        }
        let _looking = self.looking.lock().await;
        if let Some(url) = self.account_url() {
            return Ok(url);
        }
        match self.find().await? {
            Some(account) => Ok(account.url),
            None => Err(Error::new(
                Kind::Credentials,
                format!("use the account at {}", self.directory_url),
                format!("the CA knows no account with this key (thumbprint {})", self.key.thumbprint()),
            )
            .remains("Nothing was ordered.")
            .hint("register the account first, or give the key of the account that exists")),
        }
    }

    async fn new_account(
        &self,
        action: &str,
        repeat: Repeat,
        payload: impl Fn(&str) -> Value,
    ) -> Result<Reply> {
        let mut directory = self.directory_held().await?;
        loop {
            let url = &directory.new_account;
            let payload = payload(url).to_string();
            let reply =
                self.post(&Call { action, signer: Signer::Key, url, payload: &payload, repeat }).await?;
            match if reply.is_not_acme() { self.newer_directory(&directory).await? } else { None } {
                Some(newer) => directory = newer,
                None => return Ok(reply),
            }
        }
    }

    fn account_from(&self, action: &str, reply: &Reply) -> Result<Account> {
        reply.success(action)?;
        let missing =
            || Error::new(Kind::Remote, action, format!("{} named no account URL (Location)", reply.url));
        let url = reply.location.clone().ok_or_else(missing)?;
        self.transport.checked(&url).map_err(|why| Error::new(Kind::Remote, action, why))?;
        let account = account(action, reply, url)?;
        *self.account.write().unwrap_or_else(PoisonError::into_inner) = Some(account.url.clone());
        Ok(account)
    }
}

fn permitted(directory: &Directory, action: &str, agree_terms: bool, bound: bool) -> Result<()> {
    if let Some(terms) = directory.meta.terms_of_service.as_ref().filter(|_| !agree_terms) {
        let cause = format!("the CA's terms of service are not agreed to: {}", shortened(terms, 300));
        return Err(Error::new(Kind::Config, action, cause)
            .remains("Nothing was sent to the CA.")
            .hint("read them, then set `agree_terms: true` in the account"));
    }
    if directory.meta.external_account_required && !bound {
        let cause = "this CA registers only accounts that are bound to one on its website (RFC 8555 §7.3.4)";
        return Err(Error::new(Kind::Config, action, cause)
            .remains("Nothing was sent to the CA.")
            .hint("get a key identifier and a MAC key from the CA and put them into the account as `eab`"));
    }
    Ok(())
}

fn account(action: &str, reply: &Reply, url: String) -> Result<Account> {
    let resource: Resource = reply.json(action)?;
    let status = match resource.status.as_str() {
        "valid" => AccountStatus::Valid,
        "deactivated" => AccountStatus::Deactivated,
        "revoked" => AccountStatus::Revoked,
        other => {
            let cause = format!("{} gave the unknown account status “{}”", reply.url, shortened(other, 50));
            return Err(Error::new(Kind::Remote, action, cause));
        }
    };
    let contact = resource.contact.iter().map(|contact| shortened(contact, 320)).collect();
    Ok(Account { url, status, contact })
}
