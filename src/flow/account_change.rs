//! Another key for an account (RFC 8555 §7.3.5), and its end (§7.3.6).
//!
//! A new key of ours is on disk before the CA hears of it, and takes the former one's place after the CA has said yes. A run that
//! is killed between leaves both; the next one asks the CA which of them it knows ([`Holder::open`]).

use super::account::{Holder, IfUnknown};
use crate::acme::{AccountKey, AccountStatus};
use crate::error::{Error, Kind, Result};
use crate::model::desired::Account;
use crate::secret::Secret;
use std::path::PathBuf;

/// A change of the account key.
#[derive(Debug)]
pub struct KeyChange {
    /// The account's URL, which stays.
    pub url: String,
    /// RFC 7638 thumbprint of the key that the CA knows now.
    pub thumbprint: String,
    /// The CA had taken it before: an earlier run was interrupted after that.
    pub before: bool,
}

/// The end of an account.
#[derive(Debug)]
pub struct End {
    /// The account's URL.
    pub url: String,
    /// The folder that has its record, and its key when it was ours.
    pub aside: PathBuf,
}

impl Holder<'_> {
    /// Gives the account another key: `own` (PEM) where the administrator keeps the key, else a new one of ours.
    pub async fn change_key(&self, own: Option<Secret>) -> Result<KeyChange> {
        let Account { directory, name, key, .. } = self.account;
        let refuse = |cause: &str| {
            Error::new(Kind::Usage, format!("change the key of account `{name}`"), cause)
                .remains("Nothing was changed.")
        };
        match (key, own) {
            (Some(_), None) => Err(refuse("zones.yaml names its key, which is yours to make").hint(format!(
                "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out NEW.pem; danesmith account rollover {name} --key \
                 NEW.pem; then name NEW.pem in zones.yaml"
            ))),
            (None, Some(_)) => Err(refuse("danesmith keeps this account's key, and makes the new one itself")
                .hint("leave out --key")),
            (Some(_), Some(new)) => {
                let before = self.is_known(&new).await?;
                let new = AccountKey::from_pem(new.bytes())?;
                let thumbprint = new.thumbprint();
                if before {
                    let url = self.store.account(directory, name).await?.and_then(|k| k.record.account_url);
                    return Ok(KeyChange { url: url.unwrap_or_default(), thumbprint, before });
                }
                let client = self.open(IfUnknown::Refuse).await?;
                client.change_key(&new).await?;
                Ok(KeyChange { url: client.account_url().unwrap_or_default(), thumbprint, before })
            }
            (None, None) => self.change_own_key().await,
        }
    }

    async fn change_own_key(&self) -> Result<KeyChange> {
        let Account { directory, name, .. } = self.account;
        let next = async || Ok::<_, Error>(self.store.account(directory, name).await?.and_then(|k| k.next));
        let begun = next().await?.is_some();
        let client = self.open(IfUnknown::Refuse).await?;
        let url = client.account_url().unwrap_or_default();
        let new = match next().await? {
            None if begun => {
                return Ok(KeyChange { url, thumbprint: client.thumbprint(), before: true });
            }
            Some(begun) => AccountKey::from_pem(begun.bytes())?,
            None => {
                client.changes_keys().await?;
                let (new, pem) = AccountKey::generate()?;
                self.store.save_next_key(directory, name, Secret::new(pem.as_bytes().to_vec())).await?;
                new
            }
        };
        client.change_key(&new).await?;
        self.store.adopt_next_key(directory, name).await?;
        Ok(KeyChange { url, thumbprint: new.thumbprint(), before: false })
    }

    /// Ends the account at the CA, then puts what is kept of it aside.
    pub async fn deactivate(&self) -> Result<End> {
        let Account { directory, name, .. } = self.account;
        let client = self.open(IfUnknown::Refuse).await?;
        let account = client.account().await?;
        if account.status == AccountStatus::Valid {
            client.deactivate().await?;
        }
        let aside = self.store.set_aside(directory, name).await?;
        Ok(End { url: account.url, aside })
    }
}
