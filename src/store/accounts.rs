//! ACME accounts: a folder for each, with the key and what the CA said of it.
//!
//! A key that is going to take the former one's place lies beside it from before the CA hears of it until the CA is known to
//! have taken it: whichever of the two the CA knows after a kill, it is here.

use super::directory::{Directory, read_json, read_secret, save_secret, to_json};
use crate::atomic;
use crate::error::{Error, Kind, Result};
use crate::model::document::VERSION;
use crate::secret::Secret;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An ACME account as kept on disk; its key lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Format version.
    pub version: u32,
    /// Directory URL it belongs to.
    pub directory_url: String,
    /// Account URL once the CA has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_url: Option<String>,
    /// The CA's directory as last fetched, opaque here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<serde_json::Value>,
    /// When it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<jiff::Timestamp>,
}

/// What is kept of an account.
#[derive(Debug)]
pub struct Kept {
    /// What the CA said; without anything when it was never asked.
    pub record: AccountRecord,
    /// Its key, when danesmith keeps it.
    pub key: Option<Secret>,
    /// The key that shall take its place: a change was begun.
    pub next: Option<Secret>,
}

/// Durable accounts, as an effect. An account is known by directory URL and configured name.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// What is kept of it.
    async fn account(&self, directory_url: &str, name: &str) -> Result<Option<Kept>>;
    /// Saves an account's key before the CA hears of it; refuses to replace one.
    async fn save_account_key(&self, directory_url: &str, name: &str, pem: Secret) -> Result<()>;
    /// Saves the key to come before the CA hears of it; refuses to replace one.
    async fn save_next_key(&self, directory_url: &str, name: &str, pem: Secret) -> Result<()>;
    /// The key to come is the key: the CA knows it by that one now.
    async fn adopt_next_key(&self, directory_url: &str, name: &str) -> Result<()>;
    /// Replaces the account's record.
    async fn put_account(&self, name: &str, record: &AccountRecord) -> Result<()>;
    /// The account has ended: its folder gets another name, which is returned, and the next one begins with an empty one.
    async fn set_aside(&self, directory_url: &str, name: &str) -> Result<PathBuf>;
}

const KEY: &str = "key.pem";
const NEXT_KEY: &str = "next-key.pem";
const RECORD: &str = "account.json";

impl Directory {
    async fn in_account<T: Send + 'static>(
        &self,
        (directory_url, name): (&str, &str),
        job: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.layout().account(directory_url, name);
        self.work(move |_| job(&folder)).await
    }
}

#[async_trait]
impl Accounts for Directory {
    async fn account(&self, directory_url: &str, name: &str) -> Result<Option<Kept>> {
        let empty = AccountRecord {
            version: VERSION,
            directory_url: directory_url.to_owned(),
            account_url: None,
            directory: None,
            fetched: None,
        };
        self.in_account((directory_url, name), move |folder| {
            let (key, next) = (read_secret(&folder.join(KEY))?, read_secret(&folder.join(NEXT_KEY))?);
            let record = read_json(&folder.join(RECORD))?;
            let nothing = record.is_none() && key.is_none() && next.is_none();
            Ok((!nothing).then(|| Kept { record: record.unwrap_or(empty), key, next }))
        })
        .await
    }

    async fn save_account_key(&self, directory_url: &str, name: &str, pem: Secret) -> Result<()> {
        self.in_account((directory_url, name), move |folder| save_secret(&folder.join(KEY), &pem)).await
    }

    async fn save_next_key(&self, directory_url: &str, name: &str, pem: Secret) -> Result<()> {
        self.in_account((directory_url, name), move |folder| save_secret(&folder.join(NEXT_KEY), &pem)).await
    }

    async fn adopt_next_key(&self, directory_url: &str, name: &str) -> Result<()> {
        let adopt = |folder: &Path| atomic::rename(&folder.join(NEXT_KEY), &folder.join(KEY));
        self.in_account((directory_url, name), adopt).await
    }

    async fn put_account(&self, name: &str, record: &AccountRecord) -> Result<()> {
        let text = to_json(record)?;
        self.in_account((&record.directory_url, name), move |folder| {
            atomic::folder(folder)?;
            atomic::write(&folder.join(RECORD), &text)
        })
        .await
    }

    async fn set_aside(&self, directory_url: &str, name: &str) -> Result<PathBuf> {
        self.in_account((directory_url, name), |folder| {
            let free =
                (1..1000).map(|n| folder.with_extension(format!("ended-{n}"))).find(|path| !path.exists());
            let aside = free.ok_or_else(|| {
                Error::new(Kind::Local, format!("move `{}` aside", folder.display()), "a thousand are there")
            })?;
            atomic::rename(folder, &aside).map(|()| aside)
        })
        .await
    }
}
