//! RFC 8555: the nouns, the [`Ca`] trait that flow speaks to, and the real client behind it.

mod account;
mod account_change;
mod authorization;
mod chain;
mod client;
mod directory;
mod jws;
mod key;
mod link;
mod nonce;
mod order;
mod problem;
mod renewal_info;
mod request;
mod revocation;
mod transport;

pub use account::{Account, AccountStatus};
pub use client::{Client, ClientConfig, Timeouts};
pub use directory::{Directory, Meta};
pub use key::AccountKey;
pub use revocation::{Revocation, RevocationReason};

use crate::error::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// What one answer of the CA held, and how long it asked us to wait before looking again (Retry-After, RFC 8555 §8.2).
#[derive(Debug, Clone)]
pub struct Polled<T> {
    /// The resource.
    pub value: T,
    /// Retry-After as a duration from now; both forms of RFC 9110 §10.2.3 are read.
    pub retry_after: Option<Duration>,
}

/// RFC 8555 §7.1.6: an order's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Authorizations are missing.
    Pending,
    /// All authorizations are valid: finalize.
    Ready,
    /// The CA is issuing.
    Processing,
    /// Issued.
    Valid,
    /// Failed; see `error` and the authorizations.
    Invalid,
}

impl OrderStatus {
    /// As the RFC writes it.
    pub fn word(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Ready => "ready",
            OrderStatus::Processing => "processing",
            OrderStatus::Valid => "valid",
            OrderStatus::Invalid => "invalid",
        }
    }
}

/// RFC 8555 §7.1.6: an authorization's or challenge's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// Waits for our answer (or, for a challenge, is `processing`).
    Pending,
    /// Proven.
    Valid,
    /// Failed.
    Invalid,
    /// Given up by us, expired or revoked by the CA.
    Gone,
}

/// RFC 8555 §7.1.3.
#[derive(Debug, Clone)]
pub struct Order {
    /// The order's own URL (Location header of newOrder).
    pub url: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// When the CA forgets it.
    pub expires: Option<Timestamp>,
    /// dns identifiers as the CA repeats them, lower-case A-labels; `*.` kept.
    pub identifiers: Vec<String>,
    /// Authorization URLs.
    pub authorizations: Vec<String>,
    /// Where the CSR goes.
    pub finalize: String,
    /// Where the chain lies once valid.
    pub certificate: Option<String>,
    /// Why it became invalid, readable.
    pub error: Option<String>,
}

/// What is asked of the CA in newOrder.
#[derive(Debug, Clone, Copy)]
pub struct NewOrder<'a> {
    /// Lower-case A-labels, `*.` allowed.
    pub identifiers: &'a [String],
    /// One of the profiles that the CA offers (draft-ietf-acme-profiles §3); `None`: its default.
    pub profile: Option<&'a str>,
    /// The certificate that this one replaces (RFC 9773 §5); only a hint: where the CA refuses it, or knows no renewal
    /// information, the order is placed without.
    pub replaces: Option<&'a str>,
}

/// RFC 9773 §4.2: when the CA would like a certificate to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestedWindow {
    /// Its begin.
    pub start: Timestamp,
    /// Its end, after the begin; both may be in the past.
    pub end: Timestamp,
    /// A page that says why.
    pub explanation: Option<String>,
}

/// RFC 8555 §7.1.4.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Its own URL.
    pub url: String,
    /// The identifier without `*.`.
    pub identifier: String,
    /// It stands for `*.identifier`.
    pub wildcard: bool,
    /// Where it stands.
    pub status: AuthorizationStatus,
    /// The dns-01 challenge, when the CA offers one.
    pub dns01: Option<Challenge>,
    /// Why it failed, readable, naming the identifier.
    pub error: Option<String>,
}

/// RFC 8555 §8.4: a dns-01 challenge.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// Where the answer is posted.
    pub url: String,
    /// base64url; checked, never part of a path.
    pub token: String,
    /// Where it stands.
    pub status: AuthorizationStatus,
}

/// A certification authority, as flow sees it. The real one is `acme::Client`; the rehearsal brings its own.
#[async_trait]
pub trait Ca: Send + Sync {
    /// For messages: the directory URL.
    fn describe(&self) -> String;
    /// Opens the connection and fetches what `names` authorizations will need (directory, nonces, account), early and
    /// in parallel with DNS work.
    async fn warm_up(&self, names: usize) -> Result<()>;
    /// RFC 8555 §7.4.
    async fn new_order(&self, wanted: NewOrder<'_>) -> Result<Polled<Order>>;
    /// The order's present state (POST-as-GET). `None`: the CA does not know it any more.
    async fn order(&self, url: &str) -> Result<Option<Polled<Order>>>;
    /// RFC 8555 §7.5.
    async fn authorization(&self, url: &str) -> Result<Polled<Authorization>>;
    /// The TXT value for a dns-01 token: base64url(SHA-256(key authorization)), RFC 8555 §8.4.
    fn dns01_value(&self, token: &str) -> String;
    /// RFC 8555 §7.5.1: tells the CA to validate.
    async fn answer(&self, challenge: &Challenge) -> Result<Polled<AuthorizationStatus>>;
    /// RFC 8555 §7.4: sends the CSR (DER). `None`: the CA said orderNotReady.
    async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Option<Polled<Order>>>;
    /// RFC 8555 §7.4.2: the chain as PEM, the alternate whose topmost issuer's common name is `preferred` when offered.
    async fn certificate(&self, url: &str, preferred: Option<&str>) -> Result<String>;
    /// RFC 9773 §4.1: when this certificate should be replaced. `None`: the CA has no such information.
    async fn renewal_info(&self, certificate_id: &str) -> Result<Option<Polled<SuggestedWindow>>>;
}

impl Client {
    /// RFC 7638 thumbprint of the account key, base64url.
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }
}
