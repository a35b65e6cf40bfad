//! The ACME account behind a name in zones.yaml: its key is on disk before the CA hears of it; an account that the CA
//! knows by its key is found, not registered again.

use crate::acme::{AccountKey, Client, ClientConfig, Directory, Timeouts};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::model::desired::Account;
use crate::secret::Secret;
use crate::store::{AccountRecord, Accounts, Kept};
use jiff::SignedDuration;
use std::sync::Arc;

/// How long a CA's directory is believed without asking again. Our choice; a URL that fails makes us ask at once.
const DIRECTORY_LASTS: SignedDuration = SignedDuration::from_hours(24);

/// Whether an account may be registered that the CA does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfUnknown {
    /// Register it (needs `agree_terms: true`).
    Register,
    /// Ask the CA even when we know an account URL: a CA that has forgotten us is told again, with the same key.
    AskAndRegister,
    /// Say so.
    Refuse,
}

/// What it takes to speak for an account.
pub struct Holder<'a> {
    /// Where its key and URL are kept.
    pub store: Arc<dyn Accounts>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The account as configured.
    pub account: &'a Account,
    /// PEM trust roots of its CA; `None`: the system's.
    pub root: Option<Vec<u8>>,
}

impl Holder<'_> {
    /// Opens the client, with the account's URL known.
    pub async fn open(&self, if_unknown: IfUnknown) -> Result<Arc<Client>> {
        let kept = self.settled().await?;
        if self.account.key.is_none() && kept.as_ref().is_some_and(|kept| kept.next.is_some()) {
            let name = &self.account.name;
            tracing::warn!(
                "a change of the key of account `{name}` was begun; `danesmith account rollover {name}` ends it"
            );
        }
        self.opened(kept, if_unknown).await
    }

    /// The same with what is kept.
    pub(super) async fn opened(&self, kept: Option<Kept>, if_unknown: IfUnknown) -> Result<Arc<Client>> {
        let account = self.account;
        let (record, kept) = match kept {
            Some(Kept { record, key, .. }) => (Some(record), key),
            None => (None, None),
        };
        let key = self.key(kept, if_unknown).await?;
        let now = self.clock.now();
        let fresh = record
            .as_ref()
            .filter(|r| r.fetched.is_some_and(|at| at <= now && now.duration_since(at) < DIRECTORY_LASTS));
        let directory: Option<Directory> =
            fresh.and_then(|r| r.directory.clone()).and_then(|d| serde_json::from_value(d).ok());
        let was_cached = directory.is_some();
        let url = record
            .as_ref()
            .and_then(|r| r.account_url.clone())
            .filter(|_| if_unknown != IfUnknown::AskAndRegister);
        let client = Arc::new(self.client(key, url, directory)?);
        let known = client.account_url();
        if known.is_none() {
            self.find_or_register(&client, if_unknown).await?;
        }
        if known.is_none() || !was_cached {
            let directory = client.directory().await?;
            let record = AccountRecord {
                version: crate::model::document::VERSION,
                directory_url: account.directory.clone(),
                account_url: client.account_url(),
                directory: serde_json::to_value(directory).ok(),
                fetched: Some(now),
            };
            self.store.put_account(&account.name, &record).await?;
        }
        Ok(client)
    }

    /// What is kept, after a change of the key that was interrupted has been looked into: the CA knows which key it took.
    pub(super) async fn settled(&self) -> Result<Option<Kept>> {
        let Account { directory, name, .. } = self.account;
        let kept = self.store.account(directory, name).await?;
        let Some(next) = kept.as_ref().and_then(|kept| kept.next.as_ref()) else { return Ok(kept) };
        if self.account.key.is_some() {
            return Ok(kept); // of a time when danesmith kept the key
        }
        if self.known_by(next).await?.is_some() {
            self.store.adopt_next_key(directory, name).await?;
            return self.store.account(directory, name).await;
        }
        Ok(kept)
    }

    /// The URL of the account that the CA knows by this key (PEM).
    pub(super) async fn known_by(&self, key: &Secret) -> Result<Option<String>> {
        let client = self.client(AccountKey::from_pem(key.bytes())?, None, None)?;
        Ok(client.find().await?.map(|account| account.url))
    }

    fn client(&self, key: AccountKey, url: Option<String>, directory: Option<Directory>) -> Result<Client> {
        Client::new(ClientConfig {
            directory_url: self.account.directory.clone(),
            root_pem: self.root.clone(),
            key,
            account_url: url,
            directory,
            clock: self.clock.clone(),
            user_agent: concat!("danesmith/", env!("CARGO_PKG_VERSION")).into(),
            timeouts: Timeouts::default(),
        })
    }

    async fn find_or_register(&self, client: &Client, if_unknown: IfUnknown) -> Result<()> {
        let account = self.account;
        if client.find().await?.is_some() {
            return Ok(());
        }
        if if_unknown == IfUnknown::Refuse {
            return Err(Error::new(
                Kind::Credentials,
                format!("find account `{}` at {}", account.name, account.directory),
                "the CA does not know its key",
            )
            .hint(format!("register it: danesmith account register {}", account.name)));
        }
        let eab = match &account.eab {
            Some(eab) => Some((eab.kid.as_str(), mac_key(account, &eab.hmac_key.read()?)?)),
            None => None,
        };
        let eab = eab.as_ref().map(|(kid, key)| (*kid, key.bytes()));
        client.register(&account.contact, account.agree_terms, eab).await.map(|_| ())
    }

    /// The administrator's key, the kept one, or a new one; a new one is saved first.
    async fn key(&self, kept: Option<Secret>, if_unknown: IfUnknown) -> Result<AccountKey> {
        let Account { directory, name, .. } = self.account;
        if let Some(own) = &self.account.key {
            return AccountKey::from_pem(own.read()?.bytes());
        }
        if let Some(kept) = kept {
            return AccountKey::from_pem(kept.bytes());
        }
        if if_unknown == IfUnknown::Refuse {
            return Err(Error::new(Kind::Credentials, format!("open account `{name}`"), "it has no key yet")
                .hint(format!("register it: danesmith account register {name}")));
        }
        let (key, pem) = AccountKey::generate()?;
        self.store.save_account_key(directory, name, Secret::new(pem.as_bytes().to_vec())).await?;
        Ok(key)
    }
}

/// CAs hand the MAC key out as base64url (RFC 8555 §7.3.4), some with padding.
fn mac_key(account: &Account, text: &Secret) -> Result<Secret> {
    let bare: Vec<u8> =
        text.bytes().iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'=').collect();
    let bare = Secret::new(bare);
    data_encoding::BASE64URL_NOPAD.decode(bare.bytes()).map(Secret::new).map_err(|_| {
        Error::new(
            Kind::Credentials,
            format!("use the EAB key of account `{}`", account.name),
            "it is not base64url",
        )
        .hint("copy it exactly as the CA shows it")
    })
}
