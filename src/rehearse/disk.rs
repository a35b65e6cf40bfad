//! The state directory in memory: the same documents, replaced as a whole; what was written is there after a kill.

use super::faults::{Fate, Peer};
use super::mail::Chain;
use super::universe::{Universe, lock};
use crate::error::{Error, Kind, Result};
use crate::model::certificate::Chain as Parsed;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::memory::Memory;
use crate::secret::Secret;
use crate::store::{Generation, Store};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What the disk holds.
#[derive(Default)]
pub(super) struct Disk {
    folders: BTreeMap<String, Folder>,
    memory: Memory,
}

/// Everything of one certificate.
#[derive(Default)]
struct Folder {
    document: Document,
    generations: BTreeMap<u64, Files>,
    live: Option<u64>,
    keys: BTreeMap<SpkiDigest, Secret>,
}

/// A generation: its chain, its serial number, and whether the key is there and nobody deleted anything.
struct Files {
    chain: Arc<Chain>,
    serial: String,
    with_key: bool,
    deleted: bool,
}

impl Disk {
    /// The document as it is durable.
    pub(super) fn document(&self, certificate: &str) -> Document {
        self.folders.get(certificate).map(|folder| folder.document.clone()).unwrap_or_default()
    }

    /// The generation that `live` points to.
    #[cfg(test)]
    pub(super) fn live(&self, certificate: &str) -> Option<u64> {
        self.folders.get(certificate).and_then(|folder| folder.live)
    }

    /// A generation's chain and serial number, for the servers.
    pub(super) fn files(&self, certificate: &str, generation: u64) -> Option<(Arc<Chain>, String)> {
        let files = self.folders.get(certificate)?.generations.get(&generation)?;
        Some((files.chain.clone(), files.serial.clone()))
    }

    /// An administrator deletes the installed files.
    pub(super) fn delete_installed(&mut self, certificate: &str) -> bool {
        let Some(folder) = self.folders.get_mut(certificate) else { return false };
        let Some(files) = folder.live.and_then(|live| folder.generations.get_mut(&live)) else {
            return false;
        };
        files.deleted = true;
        true
    }

    /// What stood on the disk before the rehearsal.
    pub(super) fn begin_with(&mut self, certificate: &str, document: Document, live: Option<u64>) {
        let folder = self.folder(certificate);
        (folder.document, folder.live) = (document, live);
    }

    /// Another generation that stood there: the spare one.
    pub(super) fn add_generation(
        &mut self,
        certificate: &str,
        generation: u64,
        serial: String,
        chain: Arc<Chain>,
    ) {
        let files = Files { chain, serial, with_key: true, deleted: false };
        self.folder(certificate).generations.insert(generation, files);
    }

    /// A private key that stood there.
    pub(super) fn add_key(&mut self, certificate: &str, spki: SpkiDigest, pem: Secret) {
        self.folder(certificate).keys.insert(spki, pem);
    }

    fn folder(&mut self, certificate: &str) -> &mut Folder {
        self.folders.entry(certificate.to_owned()).or_default()
    }
}

impl Universe {
    /// One durable write.
    async fn write<T: Send>(&self, what: &str, work: impl FnOnce(&mut Disk) -> T + Send) -> Result<T> {
        if self.before(what, Peer::Disk).await != Fate::Fine {
            return Err(Error::new(
                Kind::Local,
                format!("write {what}"),
                "No space left on device (os error 28)",
            ));
        }
        let done = work(&mut lock(&self.disk));
        self.after(what).await;
        Ok(done)
    }
}

fn internal(e: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, "keep the rehearsal's state", e)
}

#[async_trait]
impl Store for Universe {
    async fn certificates(&self) -> Result<Vec<String>> {
        Ok(lock(&self.disk).folders.keys().cloned().collect())
    }

    async fn document(&self, certificate: &str) -> Result<Document> {
        Ok(lock(&self.disk).document(certificate))
    }

    async fn put(&self, certificate: &str, document: &Document) -> Result<()> {
        // As a file would give it back.
        let text = serde_json::to_vec(document).map_err(internal)?;
        let read: Document = serde_json::from_slice(&text).map_err(internal)?;
        let now = self.time.moment();
        self.write("the document", |disk| {
            let former = std::mem::replace(&mut disk.folder(certificate).document, read.clone());
            let keys = lock(&self.keys);
            lock(&self.story).document_changed(certificate, (&former, &read), &keys, now);
        })
        .await
    }

    async fn write_generation(&self, certificate: &str, generation: Generation) -> Result<()> {
        let parsed =
            Parsed::parse(&format!("{}{}", generation.cert, generation.chain)).map_err(Error::from)?;
        let chain = Chain::new(parsed.spki, parsed.certs_der);
        let with_key = generation.key.is_some();
        let files = Files { chain, serial: parsed.serial, with_key, deleted: false };
        self.write("the generation", |disk| {
            disk.folder(certificate).generations.insert(generation.number, files);
        })
        .await
    }

    async fn switch(&self, certificate: &str, generation: u64, keep: Option<u64>) -> Result<()> {
        let now = self.time.moment();
        self.write("the link `live`", |disk| {
            let folder = disk.folder(certificate);
            folder.live = Some(generation);
            folder.generations.retain(|number, _| number + 1 >= generation || Some(*number) == keep);
            if let Some(files) = folder.generations.get(&generation) {
                let which = (generation, files.serial.clone());
                lock(&self.mail).linked(certificate, which, files.chain.clone(), now);
            }
        })
        .await
    }

    async fn chain(&self, certificate: &str, generation: u64) -> Result<Vec<Vec<u8>>> {
        let found = lock(&self.disk).files(certificate, generation);
        let missing = || Error::new(Kind::Local, format!("read generation {generation}"), "it is not there");
        found.map(|(chain, _)| chain.certs.clone()).ok_or_else(missing)
    }

    fn live_path(&self, certificate: &str) -> PathBuf {
        PathBuf::from("certificates").join(certificate).join("live")
    }

    async fn live(&self, certificate: &str) -> Result<Option<u64>> {
        Ok(lock(&self.disk).folders.get(certificate).and_then(|folder| folder.live))
    }

    async fn intact(&self, certificate: &str, generation: u64, with_key: bool) -> Result<bool> {
        let disk = lock(&self.disk);
        let files = disk.folders.get(certificate).and_then(|folder| folder.generations.get(&generation));
        Ok(files.is_some_and(|files| !files.deleted && (files.with_key || !with_key)))
    }

    async fn holds_key(&self, certificate: &str, spki: SpkiDigest) -> Result<bool> {
        Ok(lock(&self.disk).folders.get(certificate).is_some_and(|folder| folder.keys.contains_key(&spki)))
    }

    async fn save_key(&self, certificate: &str, spki: SpkiDigest, pem: Secret) -> Result<()> {
        self.write("a key", |disk| disk.add_key(certificate, spki, pem)).await
    }

    async fn key(&self, certificate: &str, spki: SpkiDigest) -> Result<Option<Secret>> {
        let disk = lock(&self.disk);
        Ok(disk.folders.get(certificate).and_then(|folder| folder.keys.get(&spki).cloned()))
    }

    async fn memory(&self) -> Memory {
        lock(&self.disk).memory.clone()
    }

    async fn put_memory(&self, memory: &Memory) -> Result<()> {
        let memory = memory.clone();
        self.write("memory.json", |disk| disk.memory = memory).await
    }
}
