//! What the user gets: the same facts as text and as JSON.

pub mod apply;
pub mod status;
pub mod tlsa;

/// A command's result: text for people, JSON for programs; the caller prints one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// For stdout, lines ending in a newline; may be empty.
    pub text: String,
    /// Merged into the one JSON document of `--json`.
    pub json: serde_json::Value,
}
