//! The keys of a certificate: the administrator's files, or those that danesmith makes and keeps.

use crate::error::{Error, Kind, Result};
use crate::flow::world::World;
use crate::model::csr::Csr;
use crate::model::desired::{ActiveKey, BackupKey, Certificate, KeyAlgorithm, Keys};
use crate::model::document::{Document, KeyPair};
use crate::model::key::{self, SpkiDigest};
use crate::model::private_key::PrivateKey;
use crate::secret::Secret;
use futures_util::future::try_join;
use std::path::Path;

/// The keys that a certificate shall have, known by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedKeys {
    /// Served.
    pub active: SpkiDigest,
    /// Pinned, not served.
    pub backup: Option<SpkiDigest>,
}

/// What an order needs of the active key.
pub(super) struct Material {
    pub(super) csr: Vec<u8>,
    pub(super) private: Option<Secret>,
}

/// The keys as they are; `None` when danesmith is to make them and has not yet.
pub(super) async fn known(
    world: &World,
    wanted: &Certificate,
    document: &Document,
) -> Result<Option<WantedKeys>> {
    let Keys::Own { active, backup } = &wanted.keys else {
        return Ok(document.keys.as_ref().map(|k| WantedKeys { active: k.active, backup: k.backup }));
    };
    let active = match active {
        ActiveKey::Csr(path) => csr(world, path).await?.spki,
        ActiveKey::PrivateKey(path) => private(world, path).await?.spki(),
    };
    let backup = match backup {
        None => None,
        Some(BackupKey::SpkiSha256(digest)) => Some(*digest),
        Some(BackupKey::Csr(path)) => Some(csr(world, path).await?.spki),
        Some(BackupKey::PrivateKey(path)) => Some(private(world, path).await?.spki()),
        Some(BackupKey::PublicKey(path)) => {
            let bytes = world.open.file(path).await?;
            Some(key::read_any(&bytes).map_err(|e| e.in_file(format!("`{}`", path.display())))?.0)
        }
    };
    if let Some(backup) = backup {
        key::distinct(active, backup)
            .map_err(|e| e.during(format!("use the keys of certificate {}", wanted.name)))?;
    }
    Ok(Some(WantedKeys { active, backup }))
}

/// Makes active and backup key. They are on disk, and in the document, before anything uses them.
pub(super) async fn make(
    world: &World,
    certificate: &str,
    algorithm: KeyAlgorithm,
    document: &mut Document,
) -> Result<WantedKeys> {
    let (active, backup) = (PrivateKey::generate(algorithm)?, PrivateKey::generate(algorithm)?);
    let save = |key: &PrivateKey| world.store.save_key(certificate, key.spki(), secret(key));
    try_join(save(&active), save(&backup)).await?;
    let keys = WantedKeys { active: active.spki(), backup: Some(backup.spki()) };
    document.keys = Some(KeyPair { active: keys.active, backup: keys.backup });
    world.store.put(certificate, document).await?;
    Ok(keys)
}

/// The CSR of the active key, and the key itself where danesmith has it.
pub(super) async fn material(world: &World, wanted: &Certificate, keys: &WantedKeys) -> Result<Material> {
    match &wanted.keys {
        Keys::Managed(_) => {
            let pem = world.store.key(&wanted.name, keys.active).await?.ok_or_else(|| lost(wanted, keys))?;
            let key = PrivateKey::from_bytes(pem.bytes()).map_err(Error::from)?;
            Ok(Material { csr: key.csr(&wanted.names)?, private: Some(pem) })
        }
        Keys::Own { active: ActiveKey::PrivateKey(path), .. } => {
            let key = private(world, path).await?;
            Ok(Material { csr: key.csr(&wanted.names)?, private: Some(secret(&key)) })
        }
        Keys::Own { active: ActiveKey::Csr(path), .. } => {
            Ok(Material { csr: checked_csr(world, path, &wanted.names).await?, private: None })
        }
    }
}

/// Whether somebody deleted the installed files.
pub(super) async fn files_lost(world: &World, wanted: &Certificate, document: &Document) -> Result<bool> {
    let Some(installed) = &document.installed else { return Ok(false) };
    let with_key = !matches!(wanted.keys, Keys::Own { active: ActiveKey::Csr(_), .. });
    Ok(!world.store.intact(&wanted.name, installed.generation, with_key).await?)
}

/// Keys of ours that somebody deleted; told in every run, before they are needed.
pub(super) async fn lost_keys(
    world: &World,
    wanted: &Certificate,
    document: &Document,
) -> Result<Vec<String>> {
    let (Keys::Managed(_), Some(pair)) = (&wanted.keys, &document.keys) else { return Ok(Vec::new()) };
    let mut lost = Vec::new();
    for (role, spki) in [("active", Some(pair.active)), ("backup", pair.backup)] {
        if let Some(spki) = spki
            && !world.store.holds_key(&wanted.name, spki).await?
        {
            lost.push(format!(
                "the {role} key {spki} is not in the state directory: restore the folder `keys` of {} from a backup",
                wanted.name
            ));
        }
    }
    Ok(lost)
}

async fn checked_csr(world: &World, path: &Path, names: &[String]) -> Result<Vec<u8>> {
    let csr = csr(world, path).await?;
    let missing: Vec<_> = names.iter().filter(|n| !csr.names.contains(n)).collect();
    let extra: Vec<_> = csr.names.iter().filter(|n| !names.contains(n)).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(csr.der);
    }
    Err(Error::new(
        Kind::Input,
        format!("use the CSR `{}`", path.display()),
        format!("its names differ from zones.yaml: missing {missing:?}, extra {extra:?}"),
    )
    .remains("Nothing was ordered.")
    .hint("make the CSR again with exactly the names of zones.yaml: danesmith keys csr"))
}

async fn csr(world: &World, path: &Path) -> Result<Csr> {
    let bytes = world.open.file(path).await?;
    let csr = Csr::parse(&bytes).map_err(|e| e.in_file(format!("`{}`", path.display())))?;
    for warning in &csr.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(csr)
}

async fn private(world: &World, path: &Path) -> Result<PrivateKey> {
    let bytes = Secret::new(world.open.file(path).await?);
    PrivateKey::from_bytes(bytes.bytes()).map_err(|e| e.in_file(format!("`{}`", path.display())))
}

fn secret(key: &PrivateKey) -> Secret {
    Secret::new(key.to_pem().as_bytes().to_vec())
}

fn lost(wanted: &Certificate, keys: &WantedKeys) -> Error {
    Error::new(
        Kind::Local,
        format!("read the active key of certificate {}", wanted.name),
        format!("the key {} is not in the state directory", keys.active),
    )
    .remains("The installed certificate and the TLSA records are as they were.")
    .hint("restore the folder `keys` of this certificate from a backup")
}
