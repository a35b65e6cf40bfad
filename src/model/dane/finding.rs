//! What is wrong, and how badly.

use jiff::Timestamp;
use std::fmt;

/// How bad a finding is for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Unwise, or it will hurt some day.
    Warn,
    /// DANE protects nothing here, or something is plainly wrong; mail flows.
    Error,
    /// Mail stops, or will, with senders that honour DANE.
    Critical,
}

impl Severity {
    /// As in the report and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
            Severity::Critical => "CRITICAL",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which check: a stable word.
    pub check: &'static str,
    /// What it is about: a name, an owner name, an endpoint with address and algorithm.
    pub at: String,
    /// The story, with what to do.
    pub words: String,
    /// The time it is about, where there is one: since when, until when, from when on.
    pub time: Option<Timestamp>,
}

impl Finding {
    pub(super) fn critical(check: &'static str, at: impl Into<String>, words: impl Into<String>) -> Self {
        Finding { severity: Severity::Critical, check, at: at.into(), words: words.into(), time: None }
    }

    pub(super) fn error(check: &'static str, at: impl Into<String>, words: impl Into<String>) -> Self {
        Finding { severity: Severity::Error, ..Finding::critical(check, at, words) }
    }

    pub(super) fn warn(check: &'static str, at: impl Into<String>, words: impl Into<String>) -> Self {
        Finding { severity: Severity::Warn, ..Finding::critical(check, at, words) }
    }

    pub(super) fn info(check: &'static str, at: impl Into<String>, words: impl Into<String>) -> Self {
        Finding { severity: Severity::Info, ..Finding::critical(check, at, words) }
    }

    pub(super) fn about(self, time: Timestamp) -> Self {
        Finding { time: Some(time), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.severity.word(), self.check, self.at, self.words)
    }
}
