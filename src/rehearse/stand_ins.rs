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
    /// Active and backup key of certificates whose keys are files.
    pub(super) given: BTreeMap<String, Given>,
    /// A request for each key that has one.
    pub(super) requests: BTreeMap<SpkiDigest, Csr>,
}

/// The keys that zones.yaml gives a certificate.
pub(super) struct Given {
    pub(super) active: SpkiDigest,
    pub(super) backup: Option<SpkiDigest>,
    /// The digest that stands in zones.yaml, where the backup key is known by nothing else.
    pub(super) written: Option<SpkiDigest>,
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
        let who = (name.as_str(), names.as_slice());
        let first = match active {
            ActiveKey::Csr(path) => self.csr(path, who, ring, read, &mut stood_in)?,
            ActiveKey::PrivateKey(path) => self.private(path, who, ring, &mut stood_in)?,
        };
        let written = match backup {
            Some(BackupKey::SpkiSha256(digest)) => Some(*digest),
            _ => None,
        };
        let second = match backup {
            Some(BackupKey::Csr(path)) => Some(self.csr(path, who, ring, read, &mut stood_in)?),
            Some(BackupKey::PrivateKey(path)) => Some(self.private(path, who, ring, &mut stood_in)?),
            Some(BackupKey::PublicKey(_) | BackupKey::SpkiSha256(_)) => {
                let (path, spki) = self.next_csr(who, ring)?;
                stood_in.push("the backup key".to_owned());
                *backup = Some(BackupKey::Csr(path));
                Some(spki)
            }
            // The flow makes it, as it would.
            Some(BackupKey::Managed(_)) | None => None,
        };
        self.given.insert(name.clone(), Given { active: first, backup: second, written });
        if !stood_in.is_empty() {
            let what = stood_in.join(" and ");
            self.notes.push(format!("{name}: keys of the rehearsal's own stand in for {what}"));
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
    ) -> Result<SpkiDigest> {
        let real = read(path).and_then(|bytes| Csr::parse(&bytes).ok().map(|csr| (csr, bytes)));
        if let Some((csr, bytes)) = real {
            let spki = csr.spki;
            ring.name(name, spki);
            self.contents.insert(path.to_owned(), bytes);
            self.requests.insert(spki, csr);
            return Ok(spki);
        }
        let key = ring.make(name, KeyAlgorithm::P256)?;
        let request = self.request(&key, names)?;
        self.contents.insert(path.to_owned(), request);
        stood_in.push(format!("`{}`", shown(path)));
        Ok(key.spki())
    }

    fn private(
        &mut self,
        path: &Path,
        (name, names): (&str, &[String]),
        ring: &mut KeyRing,
        stood_in: &mut Vec<String>,
    ) -> Result<SpkiDigest> {
        let key = ring.make(name, KeyAlgorithm::P256)?;
        self.request(&key, names)?;
        self.contents.insert(path.to_owned(), key.to_pem().as_bytes().to_vec());
        stood_in.push(format!("`{}`", shown(path)));
        Ok(key.spki())
    }

    /// A CSR for one more key of the administrator's.
    pub(super) fn next_csr(
        &mut self,
        (name, names): (&str, &[String]),
        ring: &mut KeyRing,
    ) -> Result<(PathBuf, SpkiDigest)> {
        let key = ring.make(name, KeyAlgorithm::P256)?;
        let path = PathBuf::from(format!("{name}-{}.csr", ring.letter(key.spki())));
        let request = self.request(&key, names)?;
        self.contents.insert(path.clone(), request);
        Ok((path, key.spki()))
    }

    /// The request for a key, kept.
    pub(super) fn request(&mut self, key: &PrivateKey, names: &[String]) -> Result<Vec<u8>> {
        let der = key.csr(names).map_err(Error::from)?;
        self.requests.insert(key.spki(), Csr::parse(&der).map_err(Error::from)?);
        Ok(der)
    }
}

fn shown(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
