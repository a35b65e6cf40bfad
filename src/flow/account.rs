//! The ACME account behind a name in zones.yaml: its key is on disk before the CA hears of it; an account that the CA
//! knows by its key is found, not registered again.

use crate::acme::{AccountKey, Client, ClientConfig, Directory, Timeouts};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::model::desired::Account;
use crate::secret::Secret;
use crate::store::{AccountRecord, Store};
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

/// Opens the client for an account, with its URL known.
pub async fn open(
    store: &dyn Store,
    clock: &Arc<dyn Clock>,
    account: &Account,
    root: Option<Vec<u8>>,
    if_unknown: IfUnknown,
) -> Result<Arc<Client>> {
    let found = store.account(&account.directory, &account.name).await?;
    let (record, kept) = match found {
        Some((record, key)) => (Some(record), key),
        None => (None, None),
    };
    let key = account_key(store, account, kept, if_unknown).await?;
    let fresh = record.as_ref().filter(|r| {
        r.fetched.is_some_and(|at| at <= clock.now() && clock.now().duration_since(at) < DIRECTORY_LASTS)
    });
    let directory: Option<Directory> =
        fresh.and_then(|r| r.directory.clone()).and_then(|d| serde_json::from_value(d).ok());
    let was_cached = directory.is_some();
    let client = Arc::new(Client::new(ClientConfig {
        directory_url: account.directory.clone(),
        root_pem: root,
        key,
        account_url: record
            .as_ref()
            .and_then(|r| r.account_url.clone())
            .filter(|_| if_unknown != IfUnknown::AskAndRegister),
        directory,
        clock: clock.clone(),
        user_agent: concat!("danesmith/", env!("CARGO_PKG_VERSION")).into(),
        timeouts: Timeouts::default(),
    })?);
    let known = client.account_url();
    if known.is_none() {
        find_or_register(&client, account, if_unknown).await?;
    }
    if known.is_none() || !was_cached {
        let directory = client.directory().await?;
        let record = AccountRecord {
            version: crate::model::document::VERSION,
            directory_url: account.directory.clone(),
            account_url: client.account_url(),
            directory: serde_json::to_value(directory).ok(),
            fetched: Some(clock.now()),
        };
        store.put_account(&account.name, &record).await?;
    }
    Ok(client)
}

async fn find_or_register(client: &Client, account: &Account, if_unknown: IfUnknown) -> Result<()> {
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

/// The administrator's key, the kept one, or a new one; a new one is saved first.
async fn account_key(
    store: &dyn Store,
    account: &Account,
    kept: Option<Secret>,
    if_unknown: IfUnknown,
) -> Result<AccountKey> {
    if let Some(own) = &account.key {
        return AccountKey::from_pem(own.read()?.bytes());
    }
    if let Some(kept) = kept {
        return AccountKey::from_pem(kept.bytes());
    }
    if if_unknown == IfUnknown::Refuse {
        return Err(Error::new(
            Kind::Credentials,
            format!("open account `{}`", account.name),
            "it has no key yet",
        )
        .hint(format!("register it: danesmith account register {}", account.name)));
    }
    let (key, pem) = AccountKey::generate()?;
    store.save_account_key(&account.directory, &account.name, Secret::new(pem.as_bytes().to_vec())).await?;
    Ok(key)
}
