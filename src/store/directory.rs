//! The store in a local directory (0700, files 0600).

use super::layout::Layout;
use super::lock::Lock;
use super::{Generation, Store};
use crate::atomic;
use crate::error::{Error, Kind, Result};
use crate::model::document::{Document, VERSION};
use crate::model::key::SpkiDigest;
use crate::model::memory::Memory;
use crate::secret::Secret;
use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a generation; without the private key the first three.
const PUBLIC_AND_KEY: [&str; 5] =
    ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "keyandchain.pem"];

/// State in a local folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    layout: Arc<Layout>,
    _lock: Option<Arc<Lock>>,
}

impl Directory {
    /// For commands that change nothing: no lock, no folder is made.
    pub fn read_only(root: &Path) -> Directory {
        Directory { layout: Arc::new(Layout::new(root)), _lock: None }
    }

    /// For commands that change things: makes the folder and takes the lock.
    pub fn locked(root: &Path) -> Result<Directory> {
        let layout = Layout::new(root);
        atomic::folder(root)?;
        let lock = Lock::take(&layout.lock())?;
        Ok(Directory { layout: Arc::new(layout), _lock: Some(Arc::new(lock)) })
    }

    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Disk work off the event loop: twenty certificates sync their files side by side.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Layout) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let layout = self.layout.clone();
        tokio::task::spawn_blocking(move || job(&layout))
            .await
            .unwrap_or_else(|e| Err(Error::new(Kind::Internal, "do disk work", e)))
    }
}

#[async_trait]
impl Store for Directory {
    async fn certificates(&self) -> Result<Vec<String>> {
        self.work(|l| {
            let path = l.certificates();
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(atomic::failed("read the folder", &path, &e)),
            };
            let mut names: Vec<String> = entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| l.document(name).is_file())
                .collect();
            names.sort();
            Ok(names)
        })
        .await
    }

    async fn document(&self, certificate: &str) -> Result<Document> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let path = l.document(&name);
            let document: Document = read_json(&path)?.unwrap_or_default();
            if document.version > VERSION {
                return Err(newer(&path, document.version));
            }
            Ok(document)
        })
        .await
    }

    async fn put(&self, certificate: &str, document: &Document) -> Result<()> {
        let (name, text) = (certificate.to_owned(), to_json(document)?);
        self.work(move |l| {
            atomic::folder(&l.certificate(&name))?;
            atomic::write(&l.document(&name), &text)
        })
        .await
    }

    async fn write_generation(&self, certificate: &str, generation: Generation) -> Result<()> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let Generation { number, cert, chain, key } = generation;
            let full = format!("{cert}{chain}");
            let mut files: Vec<(&str, &[u8])> = vec![
                ("cert.pem", cert.as_bytes()),
                ("chain.pem", chain.as_bytes()),
                ("fullchain.pem", full.as_bytes()),
            ];
            let together;
            if let Some(key) = &key {
                together = Secret::joined(key, full.as_bytes());
                files.push(("privkey.pem", key.bytes()));
                files.push(("keyandchain.pem", together.bytes()));
            }
            atomic::write_folder(&l.generation(&name, number), &files)
        })
        .await
    }

    async fn switch(&self, certificate: &str, generation: u64, keep: Option<u64>) -> Result<()> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let target = Path::new("generations").join(generation.to_string());
            atomic::symlink(&target, &l.live(&name))?;
            prune(l, &name, generation, keep);
            Ok(())
        })
        .await
    }

    async fn chain(&self, certificate: &str, generation: u64) -> Result<Vec<Vec<u8>>> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let path = l.generation(&name, generation).join("fullchain.pem");
            let text = fs::read(&path).map_err(|e| atomic::failed("read", &path, &e))?;
            let certificates =
                CertificateDer::pem_slice_iter(&text).collect::<std::result::Result<Vec<_>, _>>();
            let certificates = certificates
                .map_err(|e| Error::new(Kind::Local, format!("read the chain in `{}`", path.display()), e))?;
            Ok(certificates.into_iter().map(|c| c.to_vec()).collect())
        })
        .await
    }

    fn live_path(&self, certificate: &str) -> PathBuf {
        self.layout.live(certificate)
    }

    async fn live(&self, certificate: &str) -> Result<Option<u64>> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let path = l.live(&name);
            match fs::read_link(&path) {
                Ok(target) => Ok(target.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok())),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => Err(no_link(&path)),
                Err(e) => Err(atomic::failed("read the link", &path, &e)),
            }
        })
        .await
    }

    async fn intact(&self, certificate: &str, generation: u64, with_key: bool) -> Result<bool> {
        let name = certificate.to_owned();
        self.work(move |l| {
            let folder = l.generation(&name, generation);
            let names: &[_] = if with_key { &PUBLIC_AND_KEY } else { &PUBLIC_AND_KEY[..3] };
            Ok(names.iter().all(|n| folder.join(n).is_file()))
        })
        .await
    }

    async fn holds_key(&self, certificate: &str, spki: SpkiDigest) -> Result<bool> {
        let name = certificate.to_owned();
        self.work(move |l| Ok(l.key(&name, spki).is_file())).await
    }

    async fn save_key(&self, certificate: &str, spki: SpkiDigest, pem: Secret) -> Result<()> {
        let name = certificate.to_owned();
        self.work(move |l| save_secret(&l.key(&name, spki), &pem)).await
    }

    async fn key(&self, certificate: &str, spki: SpkiDigest) -> Result<Option<Secret>> {
        let name = certificate.to_owned();
        self.work(move |l| read_secret(&l.key(&name, spki))).await
    }

    async fn memory(&self) -> Memory {
        self.work(|l| read_json(&l.memory())).await.ok().flatten().unwrap_or_default()
    }

    async fn put_memory(&self, memory: &Memory) -> Result<()> {
        let text = to_json(memory)?;
        self.work(move |l| atomic::write_lazily(&l.memory(), &text)).await
    }
}

fn no_link(path: &Path) -> Error {
    Error::new(Kind::Local, format!("read the link `{}`", path.display()), "it is no symbolic link")
        .remains("It was not touched.")
        .hint("move it away; `danesmith apply` makes the link again")
}

/// Keeps the live generation and its predecessor; what cannot be removed now is removed next time.
fn prune(layout: &Layout, name: &str, live: u64, keep: Option<u64>) {
    let folder = layout.certificate(name).join("generations");
    let numbers = fs::read_dir(&folder).into_iter().flatten().flatten();
    for number in numbers.filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()) {
        if number + 1 < live
            && Some(number) != keep
            && let Err(e) = fs::remove_dir_all(layout.generation(name, number))
        {
            tracing::warn!("could not remove the old generation {number} of {name}: {e}");
        }
    }
}

pub(super) fn save_secret(path: &Path, pem: &Secret) -> Result<()> {
    if let Some(folder) = path.parent() {
        atomic::folder(folder)?;
    }
    atomic::create_new(path, pem.bytes())
}

pub(super) fn read_secret(path: &Path) -> Result<Option<Secret>> {
    Ok(read(path)?.map(Secret::new))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(atomic::failed("read", path, &e)),
    }
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        Error::new(Kind::Local, format!("read `{}`", path.display()), e)
            .remains("Nothing was changed.")
            .hint("restore this file from a backup, or see whether a newer danesmith wrote it")
    })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|e| Error::new(Kind::Internal, "write a document", e))?;
    text.push(b'\n');
    Ok(text)
}

fn newer(path: &Path, version: u32) -> Error {
    Error::new(
        Kind::Local,
        format!("read `{}`", path.display()),
        format!("it has format version {version}, this danesmith knows {VERSION}"),
    )
    .remains("Nothing was changed.")
    .hint("use the danesmith that wrote it, or a newer one")
}
