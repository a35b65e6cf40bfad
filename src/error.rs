//! One error type for the whole program. An error tells a story: what we were doing, where, what happened, what
//! remains true, what to do next; its kind decides the exit code.

use std::fmt;
use std::io;

/// Result with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is; each has one exit code (see [`Kind::exit_code`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Some certificates failed, the others are done.
    Partial,
    /// Refused: it would break mail (or publish what cannot be trusted).
    Refused,
    /// The command line is wrong.
    Usage,
    /// An input file (CSR, key, bundle) is unusable.
    Input,
    /// CA, DNS server or provider failed; worth retrying.
    Remote,
    /// A defect of ours.
    Internal,
    /// Local read or write failed.
    Local,
    /// Another run holds the lock.
    Locked,
    /// Credentials were refused.
    Credentials,
    /// The configuration is wrong.
    Config,
    /// Ended by this signal; what was begun is taken up by the next run.
    Interrupted(u8),
}

impl Kind {
    /// The process exit code, as documented in README; numbers from 64 on keep their sysexits.h meaning.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Partial => 4,
            Kind::Refused => 5,
            Kind::Usage => 64,
            Kind::Input => 65,
            Kind::Remote => 69,
            Kind::Internal => 70,
            Kind::Local => 74,
            Kind::Locked => 75,
            Kind::Credentials => 77,
            Kind::Config => 78,
            // As shells tell it.
            Kind::Interrupted(signal) => 128 + signal,
        }
    }

    /// The word that stands for this kind in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Partial => "partial",
            Kind::Refused => "refused",
            Kind::Usage => "usage",
            Kind::Input => "input",
            Kind::Remote => "remote",
            Kind::Internal => "internal",
            Kind::Local => "local",
            Kind::Locked => "locked",
            Kind::Credentials => "credentials",
            Kind::Config => "config",
            Kind::Interrupted(_) => "interrupted",
        }
    }
}

/// A failure with its story. Never holds a secret.
#[derive(Debug, Clone)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What we were doing and where: "publish TXT at `_acme-challenge.example.org` (zone …)".
    pub action: String,
    /// What happened, peers quoted.
    pub cause: String,
    /// What remains true: "Mail is safe: …", "Nothing was changed."
    pub remains: Option<String>,
    /// What to do next, one sentence each.
    pub hints: Vec<String>,
    /// Seconds the peer asked us to wait before trying again.
    pub retry_after: Option<std::time::Duration>,
}

impl Error {
    /// `action` completes "could not …"; `cause` says what happened.
    pub fn new(kind: Kind, action: impl Into<String>, cause: impl fmt::Display) -> Self {
        Error {
            kind,
            action: action.into(),
            cause: cause.to_string(),
            remains: None,
            hints: Vec::new(),
            retry_after: None,
        }
    }

    /// Adds what remains true.
    pub fn remains(mut self, text: impl Into<String>) -> Self {
        self.remains = Some(text.into());
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Adds what to do next about a file or folder that could not be read or written.
    pub fn hint_of(self, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                self.hint("free space on this file system, then run again")
            }
            io::ErrorKind::PermissionDenied => self.hint("run danesmith as a user who may do that"),
            io::ErrorKind::ReadOnlyFilesystem => {
                self.hint("name a place on a file system that can be written to, or mount this one so")
            }
            io::ErrorKind::NotFound => self.hint("look at the path: every folder in it must exist"),
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => self.hint("name a file"),
            _ => self,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.action, self.cause)
    }
}

impl std::error::Error for Error {}
