//! Signed requests (RFC 8555 §6): nonces, what is repeated and what is not, and the directory they start from.

use super::client::Client;
use super::directory::Directory;
use super::jws::{self, Signer};
use super::transport::{Failure, Reply};
use crate::error::{Error, Kind, Result};
use futures_util::StreamExt;
use reqwest::{Method, Version};
use std::slice::Iter;
use std::sync::Arc;
use std::time::Duration;

/// How often one request is sent while the CA refuses its nonces. RFC 8555 §6.5 wants retries; at 50 % refusals ten
/// tries fail once in a thousand requests (our choice).
const NONCE_TRIES: usize = 10;

/// Waits before the second, third and fourth try when the CA names none (our choice).
const BACKOFF: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// A CA that asks for more patience than this gets it from the next run, not from a sleeping one (our choice).
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Most nonces fetched in advance: the number of HTTP/2 streams that servers commonly allow (Go's default).
const MOST_NONCES: usize = 250;

/// Connections that an HTTP/1.1 CA must bear when nonces are fetched in advance (our choice).
const HTTP1_CONNECTIONS: usize = 4;

/// Whether a request may be sent again when its outcome is unknown or the CA is in trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing.
    Safe,
    /// Only when it certainly did not leave this machine.
    Never,
}

/// One signed request.
pub(super) struct Call<'a> {
    /// Completes "could not …".
    pub(super) action: &'a str,
    pub(super) signer: Signer<'a>,
    pub(super) url: &'a str,
    /// JSON; empty for POST-as-GET (§6.3).
    pub(super) payload: &'a str,
    pub(super) repeat: Repeat,
}

impl Client {
    /// POST-as-GET for the account (§6.3). Any status.
    pub(super) async fn get(&self, action: &str, url: &str) -> Result<Reply> {
        let account = self.account_url_found().await?;
        let signer = Signer::Account(&account);
        self.post(&Call { action, signer, url, payload: "", repeat: Repeat::Safe }).await
    }

    /// Sends a signed request until it has an answer or may not be repeated. The answer may be a refusal.
    pub(super) async fn post(&self, call: &Call<'_>) -> Result<Reply> {
        let mut waits = BACKOFF.iter();
        loop {
            let outcome = self.post_with_good_nonce(call).await;
            let again = match &outcome {
                Ok(reply) => call.repeat == Repeat::Safe && reply.is_transient(),
                Err(Attempt::Failed(Failure::NotSent(_))) => true,
                Err(Attempt::Failed(Failure::Unknown(_))) => call.repeat == Repeat::Safe,
                Err(_) => false,
            };
            match next_wait(&mut waits, outcome.as_ref().ok()).filter(|_| again) {
                Some(wait) => self.clock.sleep(wait).await,
                None => return outcome.map_err(|attempt| attempt.error(call)),
            }
        }
    }

    /// §6.5: a refusal because of the nonce brings the next one, and is answered at once.
    async fn post_with_good_nonce(&self, call: &Call<'_>) -> Result<Reply, Attempt> {
        let mut nonce = None;
        for _ in 0..NONCE_TRIES {
            let fresh = match nonce.take() {
                Some(nonce) => nonce,
                None => self.nonce(call.action).await?,
            };
            let body = jws::signed(&self.key, &call.signer, &fresh, call.url, call.payload)?;
            let reply =
                self.transport.send(Method::POST, call.url, Some(body)).await.map_err(Attempt::Failed)?;
            if !reply.refused_as("badNonce") {
                reply.nonce.clone().into_iter().for_each(|nonce| self.transport.nonces.put(nonce));
                return Ok(reply);
            }
            tracing::debug!(url = call.url, "badNonce: sent again with the nonce of the refusal");
            nonce = reply.nonce.filter(|nonce| jws::is_base64url(nonce));
        }
        let cause = format!("{} refused {NONCE_TRIES} nonces in a row (badNonce)", call.url);
        let error = Error::new(Kind::Remote, call.action, cause).remains("The CA carried out nothing of it.");
        Err(Attempt::Told(error.hint("a cache between us and the CA, or trouble at the CA: try again later")))
    }

    async fn nonce(&self, action: &str) -> Result<String> {
        match self.transport.nonces.take().await {
            Some(nonce) => Ok(nonce),
            None => Ok(self.fetch_nonce(action).await?.0),
        }
    }

    /// §7.2: HEAD newNonce; the protocol tells how many may be fetched in parallel.
    async fn fetch_nonce(&self, action: &str) -> Result<(String, Version)> {
        let mut directory = self.directory_held().await?;
        loop {
            let url = &directory.new_nonce;
            let reply = self.repeated(Method::HEAD, url).await.map_err(|failure| failure.error(action))?;
            let version = reply.version;
            match reply.nonce.clone().filter(|nonce| reply.status.is_success() && jws::is_base64url(nonce)) {
                Some(nonce) => return Ok((nonce, version)),
                None => match self.newer_directory(&directory).await? {
                    Some(newer) => directory = newer,
                    None => {
                        reply.success(action)?;
                        let cause =
                            format!("{url} answered {} without a well-formed Replay-Nonce", reply.status);
                        return Err(Error::new(Kind::Remote, action, cause));
                    }
                },
            }
        }
    }

    /// Makes `names` nonces (at most 250) available. Returns with the first, which also shows whether the connection
    /// is HTTP/2; the others follow while the order is placed, and whoever needs one waits for them.
    pub(super) async fn fetch_nonces(&self, names: usize) -> Result<()> {
        let nonces = &self.transport.nonces;
        let missing = names.clamp(1, MOST_NONCES).saturating_sub(nonces.promised());
        if missing == 0 {
            return Ok(());
        }
        let mut announced: Vec<_> = (0..missing).map(|_| nonces.announce()).collect();
        let (nonce, version) = self.fetch_nonce("open a connection to the CA").await?;
        nonces.put(nonce);
        announced.pop();
        let url = self.directory_held().await?.new_nonce.clone();
        let transport = self.transport.clone();
        let width = if version == Version::HTTP_2 { MOST_NONCES } else { HTTP1_CONNECTIONS };
        tokio::spawn(async move {
            let fetches = futures_util::stream::iter(announced).map(|announced| async {
                if let Ok(Reply { nonce: Some(nonce), .. }) = transport.send(Method::HEAD, &url, None).await {
                    transport.nonces.put(nonce);
                }
                drop(announced);
            });
            fetches.buffer_unordered(width).collect::<()>().await;
        });
        Ok(())
    }

    /// A request that changes nothing and needs no signature.
    async fn repeated(&self, method: Method, url: &str) -> Result<Reply, Failure> {
        let mut waits = BACKOFF.iter();
        loop {
            let outcome = self.transport.send(method.clone(), url, None).await;
            let again = match &outcome {
                Ok(reply) => reply.is_transient(),
                Err(Failure::NotSent(_) | Failure::Unknown(_)) => true,
                Err(Failure::Unreadable(_)) => false,
            };
            match next_wait(&mut waits, outcome.as_ref().ok()).filter(|_| again) {
                Some(wait) => self.clock.sleep(wait).await,
                None => return outcome,
            }
        }
    }

    /// The directory: the cached copy, or the CA's.
    pub(super) async fn directory_held(&self) -> Result<Arc<Directory>> {
        let mut held = self.directory.lock().await;
        if let Some(directory) = &held.value {
            return Ok(directory.clone());
        }
        let directory = Arc::new(self.fetch_directory().await?);
        held.value = Some(directory.clone());
        held.fetched = true;
        Ok(directory)
    }

    /// The CA's own directory when `used` was a cached copy and differs from it; asked once.
    pub(super) async fn newer_directory(&self, used: &Directory) -> Result<Option<Arc<Directory>>> {
        let mut held = self.directory.lock().await;
        if !held.fetched {
            held.value = Some(Arc::new(self.fetch_directory().await?));
            held.fetched = true;
        }
        Ok(held.value.clone().filter(|newer| **newer != *used))
    }

    /// The URL of a resource that not every CA has.
    pub(super) async fn resource(
        &self,
        action: &str,
        member: &str,
        of: impl Fn(&Directory) -> Option<String>,
    ) -> Result<String> {
        let held = self.directory_held().await?;
        let found = match of(&held) {
            Some(url) => Some(url),
            None => self.newer_directory(&held).await?.and_then(|newer| of(&newer)),
        };
        let url = found.ok_or_else(|| {
            let cause = format!("the CA's directory has no `{member}`: it does not offer that by ACME");
            Error::new(Kind::Remote, action, cause).hint("its website may")
        })?;
        self.transport.checked(&url).map_err(|why| Error::new(Kind::Remote, action, why))?;
        Ok(url)
    }

    async fn fetch_directory(&self) -> Result<Directory> {
        let action = format!("read the directory of the CA at {}", self.directory_url);
        let outcome = self.repeated(Method::GET, &self.directory_url).await;
        let reply = outcome.map_err(|failure| failure.error(&action))?;
        let directory: Directory = reply.json(&action).map_err(|error| {
            error.hint(
                "check that the account's `directory` is the ACME directory URL from the CA's documentation",
            )
        })?;
        reply.nonce.into_iter().for_each(|nonce| self.transport.nonces.put(nonce));
        for url in [&directory.new_nonce, &directory.new_account, &directory.new_order] {
            self.transport.checked(url).map_err(|why| Error::new(Kind::Remote, &action, why))?;
        }
        Ok(directory)
    }
}

/// Why a signed request has no answer.
enum Attempt {
    Failed(Failure),
    Told(Error),
}

impl Attempt {
    fn error(self, call: &Call<'_>) -> Error {
        match self {
            Attempt::Failed(failure @ Failure::Unknown(_)) if call.repeat == Repeat::Never => failure
                .error(call.action)
                .remains("Whether the CA carried the request out is unknown.")
                .hint("run again: what the CA has done is found and continued"),
            Attempt::Failed(failure) => failure.error(call.action),
            Attempt::Told(error) => error,
        }
    }
}

/// How long to wait before the next try, as the CA asks or by our own schedule; `None`: no further try.
fn next_wait(schedule: &mut Iter<'_, Duration>, reply: Option<&Reply>) -> Option<Duration> {
    let own = *schedule.next()?;
    let wait = reply.and_then(|reply| reply.retry_after).unwrap_or(own);
    (wait <= LONGEST_WAIT).then_some(wait)
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Attempt::Told(error)
    }
}
