//! After an installation: files for a server, in a folder of its own, and the administrator's reload command.

mod files;
mod ground;
mod reload;

use crate::error::Result;
use crate::model::desired::Files;
use async_trait::async_trait;
use std::path::{Path, PathBuf};

/// What is to be copied for a server.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The certificate's name in zones.yaml; a folder name.
    pub certificate: String,
    /// Number of the installed generation.
    pub generation: u64,
    /// What tells this generation from one of the same number in a former state directory: the serial number.
    pub serial: String,
    /// The folder with the installed files.
    pub source: PathBuf,
    /// Where to, and how.
    pub files: Files,
}

/// What was there to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// The private key and the chain.
    KeyAndChain,
    /// The chain alone: the private key is elsewhere.
    Chain,
}

/// What a reload command is told, besides PATH.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// `DANESMITH_CERTIFICATE`
    pub certificate: &'a str,
    /// `DANESMITH_GENERATION`
    pub generation: u64,
    /// `DANESMITH_LIVE`: the folder with the installed files in the state directory.
    pub live: &'a Path,
    /// `DANESMITH_DIR`: the folder they were copied to.
    pub dir: Option<&'a Path>,
}

/// What happens on the server's host, as an effect.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Whether everything of this deployment stands as it should. Looks at names, owners, modes and links; opens no file.
    async fn deployed(&self, deployment: &Deployment) -> Result<bool>;
    /// Copies the files; whole pairs stand at every moment, and doing it twice is the same as once.
    async fn deploy(&self, deployment: &Deployment) -> Result<Copied>;
    /// Runs `argv` without a shell.
    async fn run(&self, argv: &[String], facts: Facts<'_>) -> Result<()>;
}

/// Real files and processes.
pub struct Processes;

#[async_trait]
impl Hooks for Processes {
    async fn deployed(&self, deployment: &Deployment) -> Result<bool> {
        let deployment = deployment.clone();
        blocking(move || files::deployed(&deployment)).await
    }

    async fn deploy(&self, deployment: &Deployment) -> Result<Copied> {
        let deployment = deployment.clone();
        blocking(move || files::deploy(&deployment)).await
    }

    async fn run(&self, argv: &[String], facts: Facts<'_>) -> Result<()> {
        reload::run(argv, facts).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| crate::error::Error::new(crate::error::Kind::Internal, "deploy files", e))?
}
