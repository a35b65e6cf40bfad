//! Why a provider failed, in classes that callers can act on.

use std::time::Duration;

/// The class decides what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The credentials were refused, or do not reach this name.
    Auth,
    /// The zone (or server) does not know what we asked for.
    NotFound,
    /// Too many requests; see `retry_after`.
    RateLimited,
    /// Somebody else changed the RRset, or the name is an alias: read again, decide again.
    Conflict,
    /// Network trouble, SERVFAIL: worth retrying.
    Transient,
    /// The server understood and said no.
    Rejected,
    /// This provider cannot do that.
    Unsupported,
    /// A defect of the provider or of ours.
    Internal,
}

/// A provider's failure. Never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the caller can act on.
    pub class: Class,
    /// What happened, the peer quoted.
    pub message: String,
    /// How long the peer asked us to wait.
    pub retry_after: Option<Duration>,
    /// What to do next, for the person who reads it.
    pub hint: Option<String>,
}

impl Error {
    /// A failure without hint.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Error { class, message: message.into(), retry_after: None, hint: None }
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
