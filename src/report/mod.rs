//! What commands say: text for people and zone files, JSON for programs.

pub mod apply;
pub mod metrics;
pub mod picture;
pub mod provider;
pub mod rehearse;
pub mod status;
pub mod tlsa;
pub mod verify;

/// What a command has to say; printing it is the caller's.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// For standard output, with its final newline; empty when there is nothing to say.
    pub text: String,
    /// The `result` of `--json`.
    pub json: serde_json::Value,
}
