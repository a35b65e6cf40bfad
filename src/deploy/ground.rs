//! Where files may be deployed, and for whom. A folder in which somebody else can replace files is no place for a private
//! key: he could put a link there, and we would write through it, as root.

use crate::atomic::{self, Access};
use crate::error::{Error, Kind, Result};
use crate::model::desired::Files;
use nix::unistd::{Group, User, geteuid};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Our folders hold nothing secret but files with modes of their own.
const FOLDER: u32 = 0o755;

/// The folder with all links resolved, safe to write to; `None` when there is none yet.
pub(super) fn existing(dir: &Path) -> Result<Option<PathBuf>> {
    let real = match fs::canonicalize(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| atomic::failed("find the folder", dir, &e))?,
    };
    for folder in real.ancestors() {
        let seen = fs::metadata(folder).map_err(|e| atomic::failed("look at the folder", folder, &e))?;
        let above = folder != real;
        if let Some(why) = unsafe_because(&seen, above) {
            return Err(refused(dir, &format!("`{}` {why}", folder.display())));
        }
    }
    Ok(Some(real))
}

/// The same, made when it is not there; the folder above must be.
pub(super) fn made(dir: &Path) -> Result<PathBuf> {
    if let Some(real) = existing(dir)? {
        return Ok(real);
    }
    atomic::one_folder(dir, FOLDER)?;
    existing(dir)?.ok_or_else(|| refused(dir, "it is a link that leads nowhere"))
}

/// A folder of ours in it: made, and no link.
pub(super) fn inner(path: &Path) -> Result<()> {
    atomic::one_folder(path, FOLDER)?;
    let seen = fs::symlink_metadata(path).map_err(|e| atomic::failed("look at the folder", path, &e))?;
    match unsafe_because(&seen, false) {
        Some(why) => Err(refused(path, &format!("it {why}"))),
        None if !seen.is_dir() => Err(refused(path, "it is no folder")),
        None => Ok(()),
    }
}

/// In a folder above, the sticky bit keeps others from replacing what is not theirs (`/tmp`).
fn unsafe_because(seen: &Metadata, above: bool) -> Option<String> {
    let mode = seen.permissions().mode();
    if !seen.is_dir() {
        return Some("is no folder".into());
    }
    if ![0, geteuid().as_raw()].contains(&seen.uid()) {
        let name =
            User::from_uid(seen.uid().into()).ok().flatten().map_or(seen.uid().to_string(), |u| u.name);
        return Some(format!("belongs to the user {name}, who could replace files in it"));
    }
    let sticky = above && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !sticky {
        return Some(format!("can be written by everybody (mode {:04o})", mode & 0o7777));
    }
    let group = seen.gid();
    if !above && mode & 0o020 != 0 && ![0, nix::unistd::getegid().as_raw()].contains(&group) {
        return Some(format!("can be written by its group {group} (mode {:04o})", mode & 0o7777));
    }
    None
}

fn refused(dir: &Path, why: &str) -> Error {
    Error::new(Kind::Config, format!("deploy to `{}`", dir.display()), why)
        .remains("The certificate is installed in the state directory; nothing was deployed.")
        .hint("use a folder that only root, or the user who runs danesmith, can write to: `install -d -m 755 DIR`")
}

/// Owner and group by name or number, from the system's user database.
pub(super) fn access(files: &Files) -> Result<Access> {
    let owner = files.owner.as_deref().map(|name| {
        let found = User::from_name(name).map_err(io::Error::from)?.map(|user| user.uid.as_raw());
        Ok(found.or_else(|| name.parse().ok()))
    });
    let group = files.group.as_deref().map(|name| {
        let found = Group::from_name(name).map_err(io::Error::from)?.map(|group| group.gid.as_raw());
        Ok(found.or_else(|| name.parse().ok()))
    });
    Ok(Access {
        uid: known("user", files.owner.as_deref(), owner)?,
        gid: known("group", files.group.as_deref(), group)?,
        mode: files.mode,
    })
}

fn known(what: &str, name: Option<&str>, found: Option<io::Result<Option<u32>>>) -> Result<Option<u32>> {
    let (Some(name), Some(found)) = (name, found) else { return Ok(None) };
    let action = format!("deploy files for the {what} `{name}`");
    match found {
        Ok(Some(id)) => Ok(Some(id)),
        Ok(None) => Err(Error::new(Kind::Config, action, format!("this host knows no such {what}"))
            .remains("The certificate is installed in the state directory; nothing was deployed.")
            .hint(format!(
                "`getent {}` lists what it knows",
                if what == "user" { "passwd" } else { "group" }
            ))),
        Err(e) => Err(Error::new(Kind::Local, action, format!("the user database cannot be read: {e}"))),
    }
}

/// Whether a file has these rights.
pub(super) fn has(path: &Path, access: Access) -> bool {
    let Ok(seen) = fs::symlink_metadata(path) else { return false };
    seen.is_file()
        && seen.permissions().mode() & 0o7777 == access.mode
        && access.uid.is_none_or(|uid| uid == seen.uid())
        && access.gid.is_none_or(|gid| gid == seen.gid())
}
