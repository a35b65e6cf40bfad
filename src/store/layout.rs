//! Where things lie in the state directory. Names from the network never form paths; certificate names are checked by
//! the configuration, accounts are filed by digest.

use crate::model::key::SpkiDigest;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The paths below one state directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Paths below `root`.
    pub fn new(root: &Path) -> Self {
        Layout { root: root.to_owned() }
    }

    /// The state directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Held by `flock` while a run changes things.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// See [`crate::model::memory`].
    pub fn memory(&self) -> PathBuf {
        self.root.join("memory.json")
    }

    /// A folder for each certificate.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// Everything of one certificate.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.certificates().join(name)
    }

    /// Its state document.
    pub fn document(&self, name: &str) -> PathBuf {
        self.certificate(name).join("state.json")
    }

    /// One immutable generation.
    pub fn generation(&self, name: &str, number: u64) -> PathBuf {
        self.certificate(name).join("generations").join(number.to_string())
    }

    /// The link that servers read through.
    pub fn live(&self, name: &str) -> PathBuf {
        self.certificate(name).join("live")
    }

    /// A private key of ours, by its public digest.
    pub fn key(&self, name: &str, spki: SpkiDigest) -> PathBuf {
        self.certificate(name).join("keys").join(format!("{spki}.pem"))
    }

    /// An account's folder: digest of its directory URL and configured name.
    pub fn account(&self, directory_url: &str, name: &str) -> PathBuf {
        let digest = Sha256::digest(format!("{directory_url}\n{name}"));
        self.root.join("accounts").join(hex::encode(&digest[..8]))
    }
}
