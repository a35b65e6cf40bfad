//! Files that zones.yaml names. CSRs that are there are used; for all else a key of the rehearsal's own stands in: no
//! secret is ever read.

use super::keys::KeyRing;
use crate::error::{Error, Result};
use crate::model::csr::Csr;
use crate::model::desired::{ActiveKey, BackupKey, Certificate, Desired, KeyAlgorithm, Keys};
use crate::model::key::SpkiDigest;
use crate::model::private_key::PrivateKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads a file; `None`: it is not there.
pub type ReadFile<'a> = dyn Fn(&Path) -> Option<Vec<u8>> + 'a;

/// Files by path, and what people should know about them.
#[derive(Default)]
pub(super) struct Files {
    pub(super) contents: BTreeMap<PathBuf, Vec<u8>>,
    pub(super) notes: Vec<String>,
}

impl Files {
    /// The files of all certificates. Where no request can be made for a backup key, a stand-in takes its place in
    /// `desired`.
    pub(super) fn of(desired: &mut Desired, ring: &mut KeyRing, read: &ReadFile<'_>) -> Result<Files> {
        let mut files = Files::default();
        for certificate in desired.certificates.values_mut() {
            files.add(certificate, ring, read)?;
        }
        Ok(files)
    }

    fn add(&mut self, certificate: &mut Certificate, ring: &mut KeyRing, read: &ReadFile<'_>) -> Result<()> {
        let (name, names) = (certificate.name.clone(), certificate.names.clone());
        let Keys::Own { active, backup } = &mut certificate.keys else { return Ok(()) };
        let mut stood_in = Vec::new();
        match active {
            ActiveKey::Csr(path) => self.csr(path, (&name, &names), ring, read, &mut stood_in)?,
            ActiveKey::PrivateKey(path) => self.private(path, &name, ring, &mut stood_in)?,
        }
        match backup {
            Some(BackupKey::Csr(path)) => self.csr(path, (&name, &names), ring, read, &mut stood_in)?,
            Some(BackupKey::PrivateKey(path)) => self.private(path, &name, ring, &mut stood_in)?,
            Some(BackupKey::PublicKey(_) | BackupKey::SpkiSha256(_)) => {
                let path = self.next_csr((&name, &names), ring)?.0;
                stood_in.push("the backup key".to_owned());
                *backup = Some(BackupKey::Csr(path));
            }
            None => {}
        }
        if !stood_in.is_empty() {
            self.notes.push(format!("{name}: keys of the rehearsal's own stand in for {}", stood_in.join(" and ")));
        }
        Ok(())
    }

    fn csr(
        &mut self,
        path: &Path,
        (name, names): (&str, &[String]),
        ring: &mut KeyRing,
        read: &ReadFile<'_>,
        stood_in: &mut Vec<String>,
    ) -> Result<()> {
        let real = read(path).and_then(|bytes| Csr::parse(&bytes).ok().map(|csr| (csr, bytes)));
        if let Some((csr, bytes)) = real {
            ring.name(name, csr.spki);
            self.contents.insert(path.to_owned(), bytes);
            return Ok(());
        }
        let key = ring.make(name, KeyAlgorithm::P256)?;
        self.contents.insert(path.to_owned(), key.csr(names).map_err(Error::from)?);
        stood_in.push(format!("`{}`", shown(path)));
        Ok(())
    }

    fn private(&mut self, path: &Path, name: &str, ring: &mut KeyRing, stood_in: &mut Vec<String>) -> Result<()> {
        let key = ring.make(name, KeyAlgorithm::P256)?;
        self.contents.insert(path.to_owned(), key.to_pem().as_bytes().to_vec());
        stood_in.push(format!("`{}`", shown(path)));
        Ok(())
    }

    /// A CSR for one more key of the administrator's.
    pub(super) fn next_csr(&mut self, (name, names): (&str, &[String]), ring: &mut KeyRing) -> Result<(PathBuf, SpkiDigest)> {
        let key: PrivateKey = ring.make(name, KeyAlgorithm::P256)?;
        let path = PathBuf::from(format!("{name}-{}.csr", ring.letter(key.spki())));
        self.contents.insert(path.clone(), key.csr(names).map_err(Error::from)?);
        Ok((path, key.spki()))
    }
}

fn shown(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
