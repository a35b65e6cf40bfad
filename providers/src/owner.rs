//! Whose a file is. Who may change one of the folders or symbolic links on the way to it may put another in its place.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Group and others may write.
const WRITABLE: u32 = 0o022;
/// Only owners may replace what is in this folder.
const STICKY: u32 = 0o1000;
/// As many links on the way as Linux itself follows (path_resolution(7)).
const LINKS: usize = 40;

/// Something on the way to a file that is in foreign hands.
pub(crate) struct Foreign {
    /// The file, a folder above it, or a link on the way.
    pub(crate) path: PathBuf,
    /// What is the matter.
    pub(crate) why: String,
}

/// Whether nobody but root and the user who runs this can change the file at this absolute path, or put another in its
/// place: all that is on the way is looked at, behind links, too. A folder with the sticky bit (`/tmp`) lets nobody rename
/// what is not his.
///
/// # Errors
/// What is in foreign hands, or cannot be looked at.
pub(crate) fn check(path: &Path) -> Result<(), Foreign> {
    follow(path, 0, true)
}

fn follow(path: &Path, links: usize, is_file: bool) -> Result<(), Foreign> {
    for (above, part) in path.ancestors().enumerate() {
        let itself = is_file && above == 0;
        let foreign = |why: String| Foreign { path: part.to_owned(), why };
        let meta = fs::symlink_metadata(part).map_err(|error| foreign(format!("cannot be used: {error}")))?;
        if let Some(why) = in_foreign_hands(&meta, itself) {
            return Err(foreign(why));
        }
        if meta.file_type().is_symlink() {
            if links >= LINKS {
                return Err(foreign("leads through too many symbolic links".to_owned()));
            }
            let target = fs::read_link(part).map_err(|error| foreign(format!("cannot be used: {error}")))?;
            let target = part.parent().unwrap_or(Path::new("/")).join(target);
            follow(&target, links + 1, itself)?;
        }
    }
    Ok(())
}

fn in_foreign_hands(meta: &Metadata, itself: bool) -> Option<String> {
    let me = nix::unistd::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != me {
        return Some(format!("belongs to user {}; it must belong to root or to user {me}", meta.uid()));
    }
    if meta.file_type().is_symlink() {
        return None; // everybody may write, says its mode, and it means nothing
    }
    let guarded = !itself && meta.mode() & STICKY != 0;
    let open = meta.mode() & WRITABLE != 0 && !guarded;
    open.then(|| format!("may be changed by others (mode {:o}); run chmod go-w", meta.mode() & 0o7777))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    const NOBODY: Option<u32> = Some(65534);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("danesmith-owner-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(folder.join("real")).unwrap();
            fs::write(folder.join("real/file"), "").unwrap();
            Folder(folder)
        }

        fn why(&self, path: &str) -> String {
            check(&self.0.join(path)).err().map(|f| f.why).unwrap_or_default()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_of_ones_own_is_trusted_also_through_links_of_ones_own() {
        let folder = Folder::new("own");
        symlink("real", folder.0.join("link")).unwrap();
        symlink("link/file", folder.0.join("twice")).unwrap();
        for path in ["real/file", "link/file", "twice"] {
            assert_eq!(folder.why(path), "", "{path}");
        }
        symlink("round", folder.0.join("round")).unwrap();
        assert!(folder.why("round").contains("too many"), "{}", folder.why("round"));
    }

    #[test]
    fn a_link_of_somebody_else_a_link_in_his_folder_and_what_lies_behind_an_open_folder_are_refused() {
        if !nix::unistd::geteuid().is_root() {
            println!("not run as root: nothing can be given to somebody else");
            return;
        }
        let folder = Folder::new("foreign");
        symlink("real", folder.0.join("theirs")).unwrap();
        lchown(folder.0.join("theirs"), NOBODY, None).unwrap();
        assert!(folder.why("theirs/file").contains("belongs to user 65534"));
        fs::create_dir(folder.0.join("home")).unwrap();
        symlink("../real/file", folder.0.join("home/link")).unwrap();
        chown(folder.0.join("home"), NOBODY, None).unwrap();
        assert!(folder.why("home/link").contains("belongs to user 65534"));
        fs::create_dir_all(folder.0.join("open/real")).unwrap();
        fs::write(folder.0.join("open/real/file"), "").unwrap();
        symlink("open/real", folder.0.join("in")).unwrap();
        fs::set_permissions(folder.0.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(folder.why("in/file").contains("may be changed by others"));
    }
}
