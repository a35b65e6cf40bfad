//! Files for a server. In its folder stand
//!
//! ```text
//! .danesmith/NAME/GENERATION-DIGEST/   cert.pem … keyandchain.pem, never changed again
//! .danesmith/chains.pem/DIGEST.pem     keys and chains of all that share the file
//! NAME                                 link to the generation: the switch
//! chains.pem                           link to the file: another switch
//! ```
//!
//! so that every switch is one rename, and what is read through one link, or from one file, is of one generation. The
//! digests are over what the files are made of: a look at the links tells whether all is as it should be.

use super::{Copied, Deployment, ground};
use crate::atomic::{self, Access};
use crate::error::{Error, Kind, Result};
use crate::model::desired::{Chains, Part};
use crate::model::key::{self, KeyKind};
use crate::secret::Secret;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Everything of ours in the folder, but for the links.
const OURS: &str = ".danesmith";

/// See [`super::Hooks::deployed`].
pub(super) fn deployed(deployment: &Deployment) -> Result<bool> {
    let access = ground::access(&deployment.files)?;
    let Some(dir) = ground::existing(&deployment.files.dir)? else { return Ok(false) };
    let target = target(deployment, access);
    let whole = parts(deployment)
        .all(|part| ground::has(&dir.join(&target).join(part.file()), access_of(part, access)));
    let named = deployment
        .files
        .links
        .iter()
        .all(|(part, name)| points_to(&dir.join(name), &stable(deployment, *part)));
    if !whole || !named || !points_to(&dir.join(&deployment.certificate), &target) {
        return Ok(false);
    }
    let Some(chains) = &deployment.files.chains else { return Ok(true) };
    let members = members(&dir, chains);
    let file = chains_target(chains, &members, access);
    Ok(members.is_empty()
        || points_to(&dir.join(&chains.name), &file) && ground::has(&dir.join(file), access))
}

/// See [`super::Hooks::deploy`].
pub(super) fn deploy(deployment: &Deployment) -> Result<Copied> {
    let access = ground::access(&deployment.files)?;
    let dir = ground::made(&deployment.files.dir)?;
    let ours = dir.join(OURS);
    ground::inner(&ours)?;
    let _alone = lock(&ours.join("lock"))?;
    for name in deployment.files.links.values().chain([&deployment.certificate]) {
        not_somebody_elses(&dir.join(name), &deployment.certificate)?;
    }
    let name = &deployment.certificate;
    let target = target(deployment, access);
    ground::inner(&ours.join(name))?;
    ground::inner(&dir.join(&target))?;
    for part in parts(deployment) {
        let access = access_of(part, access);
        let (from, to) = (deployment.source.join(part.file()), dir.join(&target).join(part.file()));
        if !ground::has(&to, access) {
            atomic::write_as(&to, read(&from)?.bytes(), access)?;
        }
    }
    atomic::settle(&dir.join(&target))?;
    let former = switch(&dir.join(name), &target)?;
    for (part, link) in &deployment.files.links {
        switch(&dir.join(link), &stable(deployment, *part))?;
    }
    prune(&ours.join(name), &[Some(&target), former.as_deref()]);
    if let Some(chains) = &deployment.files.chains {
        combine(&dir, chains, access)?;
    }
    Ok(what(deployment))
}

/// One file with the keys and chains of all members that are deployed: Postfix's `smtpd_tls_chain_files`.
fn combine(dir: &Path, chains: &Chains, access: Access) -> Result<()> {
    let members = members(dir, chains);
    if members.is_empty() {
        return Ok(()); // no key is here any more: what stands there is a whole pair, and stays
    }
    let target = chains_target(chains, &members, access);
    let folder = dir.join(OURS).join(&chains.name);
    not_somebody_elses(&dir.join(&chains.name), &chains.name)?;
    ground::inner(&folder)?;
    let mut pairs: Vec<(Slot, &str, Secret)> = Vec::new();
    for (member, at) in &members {
        let path = dir.join(at).join(Part::Keyandchain.file());
        let pair = read(&path)?;
        let slot = slot(&path, &pair)?;
        if let Some((_, other, _)) = pairs.iter().find(|(taken, ..)| *taken == slot) {
            return Err(same_algorithm(dir, chains, other, member));
        }
        pairs.push((slot, member, pair));
    }
    pairs.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let all =
        pairs.iter().fold(Secret::new(Vec::new()), |all, (.., pair)| Secret::joined(&all, pair.bytes()));
    if !ground::has(&dir.join(&target), access) {
        atomic::write_as(&dir.join(&target), all.bytes(), access)?;
    }
    atomic::settle(&folder)?;
    let former = switch(&dir.join(&chains.name), &target)?;
    prune(&folder, &[Some(&target), former.as_deref()]);
    Ok(())
}

/// A server takes one key of each; the order is that of preference, since OpenSSL offers what stands first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Ecdsa,
    Rsa,
    Other(String),
}

fn slot(path: &Path, pair: &Secret) -> Result<Slot> {
    let seen = key::look(pair.bytes()).map_err(|e| e.in_file(format!("`{}`", path.display())))?;
    Ok(match seen.key {
        KeyKind::P256 | KeyKind::P384 | KeyKind::ExplicitCurve => Slot::Ecdsa,
        KeyKind::Rsa { .. } => Slot::Rsa,
        KeyKind::Other(name) => Slot::Other(name),
    })
}

fn same_algorithm(dir: &Path, chains: &Chains, first: &str, second: &str) -> Error {
    Error::new(
        Kind::Config,
        format!("write `{}`", dir.join(&chains.name).display()),
        format!("the keys of {first} and {second} have the same algorithm, and a server takes one of each"),
    )
    .remains(format!("The file is as it was; `{first}/` and `{second}/` beside it are up to date."))
    .hint(format!(
        "write `chains: {second}.pem` or `chains: none` for one of them, or give it another folder"
    ))
}

/// Members that are deployed with their key, and where. What is not there yet comes with its own deployment.
fn members(dir: &Path, chains: &Chains) -> Vec<(String, PathBuf)> {
    let deployed = |name: &String| {
        let target = fs::read_link(dir.join(name)).ok()?;
        dir.join(&target).join(Part::Keyandchain.file()).is_file().then(|| (name.clone(), target))
    };
    chains.members.iter().filter_map(deployed).collect()
}

/// A private key is for those whom zones.yaml names; certificates are public.
fn access_of(part: Part, access: Access) -> Access {
    if part.is_secret() { access } else { Access { mode: access.mode | 0o444, ..access } }
}

fn parts(deployment: &Deployment) -> impl Iterator<Item = Part> + use<> {
    let what = what(deployment);
    Part::ALL.into_iter().filter(move |part| what == Copied::KeyAndChain || !part.is_secret())
}

fn what(deployment: &Deployment) -> Copied {
    let with_key = deployment.source.join(Part::Privkey.file()).is_file();
    if with_key { Copied::KeyAndChain } else { Copied::Chain }
}

fn target(deployment: &Deployment, access: Access) -> PathBuf {
    let mark = digest(&format!("{}\n{access:?}\n{:?}", deployment.serial, what(deployment)));
    Path::new(OURS).join(&deployment.certificate).join(format!("{}-{mark}", deployment.generation))
}

fn chains_target(chains: &Chains, members: &[(String, PathBuf)], access: Access) -> PathBuf {
    let mark = digest(&format!("{members:?}\n{access:?}"));
    Path::new(OURS).join(&chains.name).join(format!("{mark}.pem"))
}

fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// Where a stable name leads: through the switch.
fn stable(deployment: &Deployment, part: Part) -> PathBuf {
    Path::new(&deployment.certificate).join(part.file())
}

fn points_to(link: &Path, target: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| to == target)
}

/// Lets the link lead to `target`, in one step; where it led before, when that was elsewhere.
fn switch(link: &Path, target: &Path) -> Result<Option<PathBuf>> {
    let former = fs::read_link(link).ok();
    if former.as_deref() == Some(target) {
        return Ok(None);
    }
    atomic::symlink(target, link)?;
    Ok(former)
}

/// Only our links are replaced: those into [`OURS`], or to the files of the certificate `name`.
fn not_somebody_elses(link: &Path, name: &str) -> Result<()> {
    let ours = match fs::symlink_metadata(link) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(atomic::failed("look at", link, &e)),
        Ok(seen) if seen.is_symlink() => {
            fs::read_link(link).is_ok_and(|to| to.starts_with(OURS) || to.starts_with(name))
        }
        Ok(_) => false,
    };
    if ours {
        return Ok(());
    }
    Err(Error::new(
        Kind::Local,
        format!("deploy to `{}`", link.display()),
        "something that is not danesmith's stands there",
    )
    .remains("It was not touched, and nothing was deployed.")
    .hint("move it away, or choose another folder or name under `deploy`; the next apply deploys"))
}

/// Deployments of certificates that share a folder wait for each other; those of other danesmith runs, too.
fn lock(path: &Path) -> Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let open =
        fs::OpenOptions::new().create(true).truncate(false).write(true).mode(atomic::PRIVATE).open(path);
    let file = open.map_err(|e| atomic::failed("open the lock", path, &e))?;
    file.lock().map_err(|e| atomic::failed("lock", path, &e))?;
    Ok(file)
}

fn read(path: &Path) -> Result<Secret> {
    fs::read(path).map(Secret::new).map_err(|e| atomic::failed("read", path, &e))
}

/// Keeps what the link leads to and what it led to before, for those who are just reading; the rest goes.
fn prune(folder: &Path, keep: &[Option<&Path>]) {
    let keep: Vec<_> = keep.iter().flatten().filter_map(|path| path.file_name()).collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if keep.len() < 2 || keep.contains(&entry.file_name().as_os_str()) {
            continue; // nothing was switched: the former one is not known, and stays
        }
        let path = entry.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(e) = removed {
            tracing::warn!("could not remove the old `{}`: {e}", path.display());
        }
    }
}
