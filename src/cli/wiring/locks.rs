//! Where the lock files of zones lie: not in the state directory, because two runs with different ones may write to the same
//! zone.

use crate::atomic;
use crate::error::Result;
use danesmith_providers::catalog::check_owner;
use nix::unistd::geteuid;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// That of root. Nobody else can make anything in `/run`; `/run/lock` is open to everybody on some systems.
const OF_ROOT: &str = "/run/danesmith";
/// That of others, in their `$XDG_RUNTIME_DIR`.
const OF_USER: &str = "danesmith";
/// Below the state directory, where there is no better place.
const IN_STATE: &str = "zone-locks";

/// The folder that all runs of this user on this machine share. Where it cannot be had, or others could meddle with it, that of
/// the state directory serves, which keeps only runs with the same one apart: a certificate that is not renewed would be
/// worse. None: there is no state directory either.
pub(super) fn folder(state: Option<&Path>) -> Result<Option<PathBuf>> {
    match shared(geteuid().is_root(), std::env::var_os("XDG_RUNTIME_DIR")) {
        None => tracing::debug!("no XDG_RUNTIME_DIR: runs with other state directories are not kept apart"),
        Some(path) => match usable(&path) {
            Ok(()) => return Ok(Some(path)),
            Err(why) => tracing::warn!(
                "runs with other state directories are not kept from writing to the same zone: {why}"
            ),
        },
    }
    let Some(folder) = state.map(|state| state.join(IN_STATE)) else { return Ok(None) };
    atomic::folder(&folder)?;
    Ok(Some(folder))
}

fn shared(is_root: bool, runtime: Option<OsString>) -> Option<PathBuf> {
    if is_root {
        return Some(OF_ROOT.into());
    }
    runtime.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.join(OF_USER))
}

/// Makes the folder where it is missing; it and all above must be ours or root's, and nobody else may write there.
fn usable(path: &Path) -> Result<(), String> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(format!("{} cannot be made: {e}", path.display()));
        }
        _ => {}
    }
    check_owner(path)?;
    let meta = fs::symlink_metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    if !meta.is_dir() {
        return Err(format!("{} is no folder", path.display()));
    }
    if meta.uid() != geteuid().as_raw() {
        return Err(format!("{} belongs to user {}", path.display(), meta.uid()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn root_has_one_place_and_others_that_of_their_session() {
        assert_eq!(shared(true, Some("/run/user/1000".into())), Some("/run/danesmith".into()));
        assert_eq!(shared(false, Some("/run/user/7".into())), Some("/run/user/7/danesmith".into()));
        assert_eq!((shared(false, None), shared(false, Some("here".into()))), (None, None));
    }

    #[test]
    fn a_folder_that_others_could_have_made_is_not_used() {
        let root = std::env::temp_dir().join(format!("danesmith-locks-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let ours = root.join("ours");
        assert_eq!((usable(&ours), usable(&ours)), (Ok(()), Ok(())), "made, and found again");
        assert_eq!(fs::metadata(&ours).unwrap().permissions().mode() & 0o7777, 0o700);
        let why = |name: &str| usable(&root.join(name)).unwrap_err();
        symlink(&ours, root.join("link")).unwrap();
        assert!(why("link").contains("symbolic link"), "{}", why("link"));
        fs::write(root.join("file"), "").unwrap();
        assert!(why("file").contains("is no folder"), "{}", why("file"));
        assert!(why("missing/folder").contains("cannot be made"), "{}", why("missing/folder"));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(why("ours").contains("may be changed by others"), "{}", why("ours"));
        if geteuid().is_root() {
            fs::set_permissions(&ours, fs::Permissions::from_mode(0o700)).unwrap();
            chown(&ours, Some(65534), None).unwrap();
            assert!(why("ours").contains("belongs to user 65534"), "{}", why("ours"));
            chown(&root, Some(65534), None).unwrap();
            assert!(why("new").contains("belongs to user 65534"), "{}", why("new"));
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
