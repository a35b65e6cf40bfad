//! The keys of a certificate: the administrator's files, or those that danesmith makes and keeps.

use crate::error::{Error, Kind, Result};
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::csr::Csr;
use crate::model::desired::{ActiveKey, BackupKey, Certificate, KeyAlgorithm, Keys};
use crate::model::document::{Document, KeyPair};
use crate::model::key::{self, SpkiDigest};
use crate::model::plan::Sibling;
use crate::model::private_key::PrivateKey;
use crate::secret::Secret;
use futures_util::future::try_join;
use std::collections::BTreeSet;
use std::path::Path;

/// The keys that a certificate shall have, known by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedKeys {
    /// Served.
    pub active: SpkiDigest,
    /// Pinned, not served.
    pub backup: Option<SpkiDigest>,
    /// Whether a certificate can be asked for with the backup key.
    pub backup_usable: bool,
    /// Certificates beside this one, at the same owner names.
    pub siblings: Vec<Sibling>,
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
        let keys = |k: &KeyPair| WantedKeys {
            active: k.active,
            backup: k.backup,
            backup_usable: k.backup.is_some(),
            siblings: Vec::new(),
        };
        return Ok(document.keys.as_ref().map(keys));
    };
    let first = match active {
        ActiveKey::Csr(path) => csr(world, path).await?.spki,
        ActiveKey::PrivateKey(path) => private(world, path).await?.spki(),
    };
    let second = match backup {
        None => None,
        Some(BackupKey::Managed(_)) => return Ok(Some(beside_a_managed_backup(document, first))),
        Some(BackupKey::SpkiSha256(digest)) => Some((*digest, false)),
        Some(BackupKey::Csr(path)) => Some((csr(world, path).await?.spki, true)),
        Some(BackupKey::PrivateKey(path)) => Some((private(world, path).await?.spki(), true)),
        Some(BackupKey::PublicKey(path)) => {
            let bytes = world.open.file(path).await?;
            let key = key::read_any(&bytes).map_err(|e| e.in_file(named(world, path)))?.0;
            Some((key, false))
        }
    };
    if let Some((second, _)) = second {
        key::distinct(first, second)
            .map_err(|e| e.during(format!("use the keys of certificate {}", wanted.name)))?;
    }
    Ok(Some(roles(document, first, second)))
}

/// Who is active is what the last rotation left, whatever the order in zones.yaml; a retired key is no backup.
fn roles(document: &Document, first: SpkiDigest, second: Option<(SpkiDigest, bool)>) -> WantedKeys {
    let as_written = WantedKeys {
        active: first,
        backup: second.map(|(key, _)| key),
        backup_usable: second.is_some_and(|(_, usable)| usable),
        siblings: Vec::new(),
    };
    let Some(pair) = &document.keys else { return as_written };
    if pair.active == first {
        let fresh = second.filter(|(key, _)| !document.retired.contains(key));
        return WantedKeys {
            backup: fresh.map(|(key, _)| key),
            backup_usable: fresh.is_some_and(|(_, usable)| usable),
            ..as_written
        };
    }
    if second.is_some_and(|(key, _)| key == pair.active) {
        let fresh = !document.retired.contains(&first);
        return WantedKeys {
            active: pair.active,
            backup: fresh.then_some(first),
            backup_usable: fresh,
            ..as_written
        };
    }
    as_written
}

/// The administrator gave the first key; those that rotations lead to are ours, once they are made.
fn beside_a_managed_backup(document: &Document, first: SpkiDigest) -> WantedKeys {
    let pair = document.keys.as_ref();
    let went_on = pair.filter(|_| document.retired.contains(&first));
    let active = went_on.map_or(first, |pair| pair.active);
    let backup = pair.and_then(|pair| pair.backup).filter(|backup| *backup != active);
    WantedKeys { active, backup, backup_usable: backup.is_some(), siblings: Vec::new() }
}

/// Makes active and backup key. They are on disk, and in the document, before anything uses them.
pub(super) async fn make(
    world: &World,
    certificate: &str,
    algorithm: KeyAlgorithm,
    document: &mut Document,
) -> Result<WantedKeys> {
    let new = || world.open.new_key(certificate, algorithm);
    let (active, backup) = (new()?, new()?);
    let save = |key: &PrivateKey| world.store.save_key(certificate, key.spki(), secret(key));
    try_join(save(&active), save(&backup)).await?;
    let keys = WantedKeys {
        active: active.spki(),
        backup: Some(backup.spki()),
        backup_usable: true,
        siblings: Vec::new(),
    };
    document.keys = Some(KeyPair { active: keys.active, backup: keys.backup });
    world.store.put(certificate, document).await?;
    Ok(keys)
}

/// Makes the next backup key, on disk before anything names it; `None` where the administrator gives the keys.
pub(super) async fn make_backup(world: &World, wanted: &Certificate) -> Result<Option<SpkiDigest>> {
    let Some(algorithm) = wanted.keys.managed_backup() else { return Ok(None) };
    let key = world.open.new_key(&wanted.name, algorithm)?;
    world.store.save_key(&wanted.name, key.spki(), secret(&key)).await?;
    Ok(Some(key.spki()))
}

/// The CSR of one of the keys, and the key itself where danesmith has it.
pub(super) async fn material(world: &World, wanted: &Certificate, key: SpkiDigest) -> Result<Material> {
    let Keys::Own { active, backup } = &wanted.keys else {
        let pem = kept(world, wanted, key).await?.ok_or_else(|| lost(wanted, key))?;
        let private = PrivateKey::from_bytes(pem.bytes()).map_err(Error::from)?;
        return Ok(Material { csr: private.csr(&wanted.names)?, private: Some(pem) });
    };
    let (mut keys, mut csrs) = (Vec::new(), Vec::new());
    match active {
        ActiveKey::PrivateKey(path) => keys.push(path),
        ActiveKey::Csr(path) => csrs.push(path),
    }
    match backup {
        Some(BackupKey::PrivateKey(path)) => keys.push(path),
        Some(BackupKey::Csr(path)) => csrs.push(path),
        Some(BackupKey::PublicKey(_) | BackupKey::SpkiSha256(_) | BackupKey::Managed(_)) | None => {}
    }
    if let Some(pem) = kept(world, wanted, key).await? {
        let private = PrivateKey::from_bytes(pem.bytes()).map_err(Error::from)?;
        return Ok(Material { csr: private.csr(&wanted.names)?, private: Some(pem) });
    }
    for path in keys {
        let private = private(world, path).await?;
        if private.spki() == key {
            return Ok(Material { csr: private.csr(&wanted.names)?, private: Some(secret(&private)) });
        }
    }
    for path in csrs {
        if csr(world, path).await?.spki == key {
            return Ok(Material { csr: checked_csr(world, path, &wanted.names).await?, private: None });
        }
    }
    Err(lost(wanted, key))
}

/// A key that danesmith made, where it makes any.
async fn kept(world: &World, wanted: &Certificate, key: SpkiDigest) -> Result<Option<Secret>> {
    match wanted.keys.managed_backup() {
        Some(_) => world.store.key(&wanted.name, key).await,
        None => Ok(None),
    }
}

/// Whether somebody deleted the installed files.
pub(super) async fn files_lost(world: &World, wanted: &Certificate, document: &Document) -> Result<bool> {
    let Some(installed) = &document.installed else { return Ok(false) };
    let with_key = match &wanted.keys {
        Keys::Managed(_) => true,
        Keys::Own { .. } => installed_with_key(world, wanted, installed.spki).await,
    };
    Ok(!world.store.intact(&wanted.name, installed.generation, with_key).await?)
}

/// Whether somebody deleted the files of the certificate that is not served. Not told while `live` leads there: then the
/// look at what is served tells it.
pub(super) async fn spare_lost(world: &World, working: &Working<'_>) -> Result<bool> {
    let spare = working.document.spare.as_ref().filter(|spare| Some(spare.generation) != working.live);
    let Some(spare) = spare else { return Ok(false) };
    let with_key = match &working.wanted.keys {
        Keys::Managed(_) => true,
        Keys::Own { .. } => installed_with_key(world, working.wanted, spare.spki).await,
    };
    Ok(!world.store.intact(&working.wanted.name, spare.generation, with_key).await?)
}

/// Other certificates at an owner name of this one: RSA beside ECDSA (RFC 7671 §8.1 asks for the pins of both).
pub(super) async fn siblings(world: &World, wanted: &Certificate) -> Vec<Sibling> {
    let mut found = Vec::new();
    for other in world.desired().certificates.values().filter(|c| c.name != wanted.name) {
        let shared = other.tlsa.iter().filter(|owner| wanted.tlsa.contains(owner));
        let owners: BTreeSet<String> = shared.map(|owner| owner.to_ascii()).collect();
        if owners.is_empty() {
            continue;
        }
        let keys = async { known(world, other, &world.store.document(&other.name).await?).await };
        let keys = keys.await.unwrap_or_else(|e| {
            tracing::warn!("the keys of {}, which shares a TLSA name: {e}", other.name);
            None
        });
        let keys = keys.into_iter().flat_map(|k| [Some(k.active), k.backup]).flatten().collect();
        found.push(Sibling { certificate: other.name.clone(), owners, keys });
    }
    found
}

/// Whether danesmith has the private key of the administrator's that is served.
async fn installed_with_key(world: &World, wanted: &Certificate, key: SpkiDigest) -> bool {
    let Keys::Own { active, backup } = &wanted.keys else { return true };
    if kept(world, wanted, key).await.is_ok_and(|kept| kept.is_some()) {
        return true;
    }
    let mut paths = Vec::new();
    if let ActiveKey::PrivateKey(path) = active {
        paths.push(path);
    }
    if let Some(BackupKey::PrivateKey(path)) = backup {
        paths.push(path);
    }
    for path in paths {
        if private(world, path).await.is_ok_and(|private| private.spki() == key) {
            return true;
        }
    }
    false
}

/// Keys of ours that somebody deleted; told in every run, before they are needed.
pub(super) async fn lost_keys(
    world: &World,
    wanted: &Certificate,
    document: &Document,
) -> Result<Vec<String>> {
    let (Some(_), Some(pair)) = (wanted.keys.managed_backup(), &document.keys) else { return Ok(Vec::new()) };
    let ours = match &wanted.keys {
        Keys::Managed(_) => Some(pair.active),
        // The first key is the administrator's; each later one was a backup key of ours.
        Keys::Own { .. } => Some(pair.active).filter(|_| !document.retired.is_empty()),
    };
    let mut lost = Vec::new();
    for (role, spki) in [("active", ours), ("backup", pair.backup)] {
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
    let csr = Csr::parse(&bytes).map_err(|e| e.in_file(named(world, path)))?;
    for warning in &csr.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(csr)
}

async fn private(world: &World, path: &Path) -> Result<PrivateKey> {
    let bytes = Secret::new(world.open.file(path).await?);
    PrivateKey::from_bytes(bytes.bytes()).map_err(|e| e.in_file(named(world, path)))
}

/// A file, and the line of zones.yaml that names it.
fn named(world: &World, path: &Path) -> String {
    let line = world.desired().named.get(path).map(|at| format!(", which {at} names")).unwrap_or_default();
    format!("`{}`{line}", path.display())
}

fn secret(key: &PrivateKey) -> Secret {
    Secret::new(key.to_pem().as_bytes().to_vec())
}

fn lost(wanted: &Certificate, key: SpkiDigest) -> Error {
    let place = match &wanted.keys {
        Keys::Managed(_) => "in the state directory",
        Keys::Own { .. } => "among the CSRs and keys of zones.yaml",
    };
    Error::new(
        Kind::Local,
        format!("read the keys of certificate {}", wanted.name),
        format!("the key {key} is not {place}"),
    )
    .remains("The installed certificate and the TLSA records are as they were.")
    .hint("restore the folder `keys` of this certificate, or the file that zones.yaml names, from a backup")
    .hint(
        "a backup key that is lost for good is replaced by another `backup` in zones.yaml, with `keys: {active: {key: FILE}, \
         backup: {key: FILE}}` where danesmith kept the keys",
    )
}
