//! Another key for an account (RFC 8555 §7.3.5), and its end (§7.3.6).
//!
//! A new key of ours is on disk before the CA hears of it, and takes the former one's place after the CA has said yes. A run that
//! is killed between leaves both; the next one asks the CA which of them it knows ([`Holder::open`]).

use super::account::{Holder, IfUnknown};
use crate::acme::{AccountKey, Client};
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
    /// It had ended before.
    pub before: bool,
}

impl Holder<'_> {
    /// Gives the account another key: `own` (PEM) where the administrator keeps the key, else a new one of ours.
    ///
    /// Errors: `Usage` for a key where danesmith makes it, none where it does not, the same one, and one of another account.
    pub async fn change_key(&self, own: Option<Secret>) -> Result<KeyChange> {
        let name = &self.account.name;
        match (&self.account.key, own) {
            (Some(_), None) => Err(self.refuse("zones.yaml names its key, which is yours to make").hint(format!(
                "danesmith keys new --out NEW.pem; danesmith account rollover {name} --key NEW.pem; then name NEW.pem in zones.yaml"
            ))),
            (None, Some(_)) => Err(self
                .refuse("danesmith keeps this account's key, and makes the new one itself")
                .hint("leave out --key")),
            (Some(former), Some(new)) => self.change_given_key(&former.read()?, &new).await,
            (None, None) => self.change_own_key().await,
        }
    }

    fn refuse(&self, cause: &str) -> Error {
        Error::new(Kind::Usage, format!("change the key of account `{}`", self.account.name), cause)
            .remains("Nothing was changed.")
    }

    async fn change_given_key(&self, former: &Secret, new: &Secret) -> Result<KeyChange> {
        let Account { directory, name, .. } = self.account;
        let key = AccountKey::from_pem(new.bytes())?;
        let thumbprint = key.thumbprint();
        if AccountKey::from_pem(former.bytes())?.thumbprint() == thumbprint {
            return Err(self.refuse("that is the key that it has"));
        }
        let recorded = self.store.account(directory, name).await?.and_then(|k| k.record.account_url);
        match self.known_by(new).await? {
            Some(url) if recorded.as_ref() == Some(&url) => Ok(KeyChange { url, thumbprint, before: true }),
            Some(url) => {
                Err(self.refuse("the CA knows another account by that key").hint(format!("it is {url}")))
            }
            None => {
                let client = self.open(IfUnknown::Refuse).await?;
                client.change_key(&key).await?;
                Ok(KeyChange { url: client.account_url().unwrap_or_default(), thumbprint, before: false })
            }
        }
    }

    async fn change_own_key(&self) -> Result<KeyChange> {
        let Account { directory, name, .. } = self.account;
        let begun = self.store.account(directory, name).await?.is_some_and(|kept| kept.next.is_some());
        let mut kept = self.settled().await?;
        let next = kept.as_mut().and_then(|kept| kept.next.take());
        let client = self.opened(kept, IfUnknown::Refuse).await?;
        let url = client.account_url().unwrap_or_default();
        let new = match next {
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

    /// Ends the account at the CA, then puts what is kept of it aside. One that the CA has ended already is put aside, too: an
    /// earlier run was killed before that, or somebody else ended it.
    pub async fn deactivate(&self) -> Result<End> {
        let Account { directory, name, .. } = self.account;
        let client = self.opened(self.settled().await?, IfUnknown::Refuse).await?;
        let url = client.account_url().unwrap_or_default();
        let before = match client.deactivate().await {
            Ok(()) => false,
            Err(refusal) if refusal.kind == Kind::Credentials && has_ended(&client).await => true,
            Err(e) => return Err(e),
        };
        let aside = self.store.set_aside(directory, name).await?;
        Ok(End { url, aside, before })
    }
}

/// RFC 8555 §7.3.6: whatever an account asks for after its end is refused as unauthorized, also to be found by its key; one that
/// the CA does not know is told apart from that.
async fn has_ended(client: &Client) -> bool {
    matches!(client.find().await, Err(e) if e.kind == Kind::Credentials)
}
