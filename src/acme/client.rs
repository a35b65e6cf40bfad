//! The ACME client: what it is made from, what it holds, and how it answers [`Ca`].

use super::directory::Directory;
use super::jws::base64url;
use super::key::AccountKey;
use super::transport::Transport;
use super::{Authorization, AuthorizationStatus, Ca, Challenge, NewOrder, Order, Polled, SuggestedWindow};
use crate::clock::Clock;
use crate::error::Result;
use async_trait::async_trait;
use ring::digest::{SHA256, digest};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// What a [`Client`] is made from.
pub struct ClientConfig {
    /// The directory URL; https. All URLs that the CA gives must be on its origin.
    pub directory_url: String,
    /// PEM trust roots, then the only ones; `None`: the system's.
    pub root_pem: Option<Vec<u8>>,
    /// The account key.
    pub key: AccountKey,
    /// The account's URL when it is known; otherwise it is found by the key.
    pub account_url: Option<String>,
    /// The last run's copy of the directory; saves a round trip, and is replaced when it proves old.
    pub directory: Option<Directory>,
    /// User-Agent (RFC 8555 §6.1).
    pub user_agent: String,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Time and sleep.
    pub clock: Arc<dyn Clock>,
}

/// How long to wait for the CA; our choice.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection: TCP and TLS.
    pub connect: Duration,
    /// For one request, from the first byte to the last of its answer.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(10), request: Duration::from_secs(30) }
    }
}

/// One account at one CA. Shared by all orders of a run: one connection, one nonce pool.
pub struct Client {
    pub(super) directory_url: String,
    pub(super) key: AccountKey,
    pub(super) transport: Arc<Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: Mutex<HeldDirectory>,
    pub(super) account: RwLock<Option<String>>,
    /// Held while the account is looked for, so that parallel orders look once.
    pub(super) looking: Mutex<()>,
}

/// The directory in use.
#[derive(Default)]
pub(super) struct HeldDirectory {
    pub(super) value: Option<Arc<Directory>>,
    /// It comes from the CA itself, in this run.
    pub(super) fetched: bool,
}

impl Client {
    /// Makes a client; nothing is sent. Fails with `Config` on an unusable directory URL or root.
    pub fn new(config: ClientConfig) -> Result<Client> {
        let transport = Arc::new(Transport::new(&config)?);
        let held = HeldDirectory { value: config.directory.map(Arc::new), fetched: false };
        Ok(Client {
            directory_url: config.directory_url,
            key: config.key,
            transport,
            clock: config.clock,
            directory: Mutex::new(held),
            account: RwLock::new(config.account_url),
            looking: Mutex::new(()),
        })
    }

    /// How many HTTP requests were begun.
    pub fn requests(&self) -> u64 {
        self.transport.requests()
    }

    /// The directory in use, to be saved for the next run; fetched when there is none yet.
    pub async fn directory(&self) -> Result<Directory> {
        Ok((*self.directory_held().await?).clone())
    }

    /// The account's URL once known, to be saved for the next run.
    pub fn account_url(&self) -> Option<String> {
        self.account.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("directory", &self.directory_url)
            .field("key", &self.key)
            .field("account", &self.account_url())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Ca for Client {
    fn describe(&self) -> String {
        self.directory_url.clone()
    }

    async fn warm_up(&self, names: usize) -> Result<()> {
        self.directory_held().await?;
        self.fetch_nonces(names).await?;
        self.account_url_found().await.map(drop)
    }

    async fn new_order(&self, wanted: NewOrder<'_>) -> Result<Polled<Order>> {
        self.place_order(wanted).await
    }

    async fn order(&self, url: &str) -> Result<Option<Polled<Order>>> {
        self.read_order(url).await
    }

    async fn authorization(&self, url: &str) -> Result<Polled<Authorization>> {
        self.read_authorization(url).await
    }

    fn dns01_value(&self, token: &str) -> String {
        base64url(digest(&SHA256, format!("{token}.{}", self.key.thumbprint()).as_bytes()))
    }

    async fn answer(&self, challenge: &Challenge) -> Result<Polled<AuthorizationStatus>> {
        self.answer_challenge(challenge).await
    }

    async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Option<Polled<Order>>> {
        self.finalize_order(order, csr).await
    }

    async fn certificate(&self, url: &str, preferred: Option<&str>) -> Result<String> {
        self.download_chain(url, preferred).await
    }

    async fn renewal_info(&self, certificate_id: &str) -> Result<Option<Polled<SuggestedWindow>>> {
        self.read_renewal_info(certificate_id).await
    }
}
