//! What must survive a kill: one document per certificate, immutable generations behind one symlink, keys and
//! accounts. [`Store`] and [`Accounts`] are the traits that flow speaks to; [`directory::Directory`] keeps all in a local folder.
//!
//! The commit order (ARCHITECTURE.md, "What a kill can do"): generation folder, then the document — the only commit point —, then
//! the symlink, which is derived and redone by the next run.

mod accounts;
pub mod directory;
pub mod layout;
mod lock;

pub use accounts::{AccountRecord, Accounts, Kept};

use crate::error::Result;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::memory::Memory;
use crate::secret::Secret;
use async_trait::async_trait;

/// The files of one generation.
pub struct Generation {
    /// Its number; greater than every committed one.
    pub number: u64,
    /// Leaf certificate, PEM.
    pub cert: String,
    /// The rest of the chain, PEM.
    pub chain: String,
    /// Private key, PKCS#8 PEM, when danesmith has it.
    pub key: Option<Secret>,
}

/// Durable state, as an effect.
#[async_trait]
pub trait Store: Send + Sync {
    /// The names of all certificates that have a document, in order; zones.yaml need not list them.
    async fn certificates(&self) -> Result<Vec<String>>;
    /// The document of a certificate; a new one when there is none.
    async fn document(&self, certificate: &str) -> Result<Document>;
    /// Replaces the document; durable when it returns.
    async fn put(&self, certificate: &str, document: &Document) -> Result<()>;
    /// Writes a generation folder; nobody looks at it until the document names it.
    async fn write_generation(&self, certificate: &str, generation: Generation) -> Result<()>;
    /// Points `live` at a generation and drops those that are older than its predecessor, but for `keep`.
    async fn switch(&self, certificate: &str, generation: u64, keep: Option<u64>) -> Result<()>;
    /// The chain of a generation, leaf first, DER.
    async fn chain(&self, certificate: &str, generation: u64) -> Result<Vec<Vec<u8>>>;
    /// The path of `live`, for reload commands and people.
    fn live_path(&self, certificate: &str) -> std::path::PathBuf;
    /// The generation that `live` points to.
    async fn live(&self, certificate: &str) -> Result<Option<u64>>;
    /// Whether the files of a generation are there, the key's too when `with_key`; somebody may have deleted them.
    async fn intact(&self, certificate: &str, generation: u64, with_key: bool) -> Result<bool>;
    /// Whether a private key of ours is there; does not read it.
    async fn holds_key(&self, certificate: &str, spki: SpkiDigest) -> Result<bool>;
    /// Saves a private key of ours before anything uses it.
    async fn save_key(&self, certificate: &str, spki: SpkiDigest, pem: Secret) -> Result<()>;
    /// A private key of ours.
    async fn key(&self, certificate: &str, spki: SpkiDigest) -> Result<Option<Secret>>;
    /// What earlier runs remembered.
    async fn memory(&self) -> Memory;
    /// Remembers; losing it does no harm.
    async fn put_memory(&self, memory: &Memory) -> Result<()>;
}
