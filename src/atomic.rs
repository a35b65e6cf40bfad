//! Durable file writes. A file is complete or absent: temporary file (0600 at creation) → fsync → rename → fsync of the
//! folder. The order is what makes a kill or a power cut harmless; nothing here may be reordered for speed.

use crate::error::{Error, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Mode of everything that may hold a secret.
pub const PRIVATE: u32 = 0o600;

/// Replaces (or creates) `path` durably; the file is 0600 from the moment it exists.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content).map_err(|e| failed("write", path, &e))
}

/// Who may use a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Owner; `None`: whoever runs.
    pub uid: Option<u32>,
    /// Group; `None`: that of whoever runs.
    pub gid: Option<u32>,
    /// Permission bits, whatever the umask says.
    pub mode: u32,
}

/// Like [`write()`], for a file that others use: owner, group and mode are final before a byte is in it.
pub fn write_as(path: &Path, content: &[u8], access: Access) -> Result<()> {
    let temp = temporary(path);
    let written = remove_if_there(&temp)
        .and_then(|()| fill_as(&temp, content, access))
        .and_then(|()| fs::rename(&temp, path))
        .and_then(|()| sync_folder(parent(path)));
    written.map_err(|e| {
        let _ = fs::remove_file(&temp);
        failed("write", path, &e)
    })
}

/// Writes what an administrator asked for at a path that may be anything. A regular file is replaced in one step, behind a
/// link the file that it points to; into a pipe or a device (`/dev/stdout`, `/dev/null`) it is written, never over it.
pub fn write_out(path: &Path, content: &[u8], access: Access) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let real = fs::canonicalize(path).map_err(|e| failed("write", path, &e))?;
            write_as(&real, content, access)
        }
        Ok(found) if !found.is_dir() => OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut open| open.write_all(content))
            .map_err(|e| failed("write", path, &e)),
        _ => write_as(path, content, access),
    }
}

fn fill_as(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    fchown(&file, access.uid, access.gid)?;
    file.set_permissions(fs::Permissions::from_mode(access.mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Creates `path` durably; one that exists already is an error and stays untouched. 0600 at creation.
pub fn create_new(path: &Path, content: &[u8]) -> Result<()> {
    let made = (|| {
        let temp = temporary(path);
        remove_if_there(&temp)?;
        // link, not rename: it refuses to replace.
        let linked = write_synced(&temp, content).and_then(|()| fs::hard_link(&temp, path));
        let removed = fs::remove_file(&temp);
        linked.and(removed)?;
        sync_folder(parent(path))
    })();
    made.map_err(|e| failed("create", path, &e))
}

/// Makes `path` a symbolic link to `target`, replacing what stands there in one step.
pub fn symlink(target: &Path, path: &Path) -> Result<()> {
    let made = (|| {
        let temp = temporary(path);
        remove_if_there(&temp)?;
        std::os::unix::fs::symlink(target, &temp)?;
        fs::rename(&temp, path)?;
        sync_folder(parent(path))
    })();
    made.map_err(|e| failed("switch the link", path, &e))
}

/// Gives a file or folder another name in the same folder, durably; a file that has it is replaced.
pub fn rename(path: &Path, to: &Path) -> Result<()> {
    let renamed = fs::rename(path, to).and_then(|()| sync_folder(parent(to)));
    renamed.map_err(|e| failed("rename", path, &e))
}

/// Creates a folder (0700) and its parents; the folder that holds each new one is synced.
pub fn folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        folder(above)?;
    }
    one_folder(path, 0o700)
}

/// Creates one folder with this mode (within the umask); one that is there stays as it is.
pub fn one_folder(path: &Path, mode: u32) -> Result<()> {
    let made = match fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.and_then(|()| sync_folder(parent(path))),
    };
    made.map_err(|e| failed("create the folder", path, &e))
}

/// Writes several files into a fresh folder that nobody looks at yet: all of them, then each is synced (the file system
/// mostly does that in one go), then the folder.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    folder(path)?;
    let mut open = Vec::new();
    for (name, content) in files {
        let file = path.join(name);
        let written = remove_if_there(&file).and_then(|()| write_unsynced(&file, content));
        open.push((written.map_err(|e| failed("write", &file, &e))?, file));
    }
    for (handle, file) in open {
        handle.sync_all().map_err(|e| failed("sync", &file, &e))?;
    }
    sync_folder(path)
        .and_then(|()| sync_folder(parent(path)))
        .map_err(|e| failed("sync the folder", path, &e))
}

/// Makes what was renamed into a folder durable, also what a killed run renamed there.
pub fn settle(path: &Path) -> Result<()> {
    sync_folder(path).map_err(|e| failed("sync the folder", path, &e))
}

/// Replaces `path` in one step but without waiting for the disk: for what may be lost without harm.
pub fn write_lazily(path: &Path, content: &[u8]) -> Result<()> {
    let temp = temporary(path);
    let written = remove_if_there(&temp)
        .and_then(|()| write_unsynced(&temp, content))
        .and_then(|_| fs::rename(&temp, path));
    written.map_err(|e| failed("write", path, &e))
}

/// The error of a failed local read or write (exit code 74).
pub fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Local, format!("{what} `{}`", path.display()), error)
        .remains("What stood on disk before is untouched.")
        .hint_of(error)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temp = temporary(path);
    remove_if_there(&temp)?;
    if let Err(e) = write_synced(&temp, content).and_then(|()| fs::rename(&temp, path)) {
        let _ = fs::remove_file(&temp);
        return Err(e);
    }
    sync_folder(parent(path))
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    write_unsynced(path, content)?.sync_all()
}

fn write_unsynced(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// One fixed name per target: the state lock keeps other runs out, and a leftover of a killed run is simply replaced.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.new"))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("danesmith-atomic-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_written_file_is_private_and_leaves_no_temporary_behind() {
        let folder = scratch("private");
        write(&folder.join("a"), b"one").unwrap();
        write(&folder.join("a"), b"two").unwrap();
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"two");
        assert_eq!(fs::metadata(folder.join("a")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_written_out_goes_into_a_pipe_and_through_a_link_and_replaces_neither() {
        use std::os::unix::fs::FileTypeExt;
        let folder = scratch("out");
        let access = Access { uid: None, gid: None, mode: 0o644 };
        let (pipe, file, link) = (folder.join("pipe"), folder.join("file"), folder.join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reads = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write_out(&pipe, b"page", access).unwrap();
        // Otherwise the reader would wait forever.
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        assert_eq!(reads.join().unwrap(), b"page");
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write_out(&link, b"new", access).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(write_out(&folder, b"x", access).unwrap_err().kind, Kind::Local);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn create_new_refuses_to_replace() {
        let folder = scratch("new");
        create_new(&folder.join("a"), b"one").unwrap();
        let error = create_new(&folder.join("a"), b"two").unwrap_err();
        assert_eq!(error.kind, Kind::Local);
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"one");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_is_replaced_in_one_step() {
        let folder = scratch("link");
        symlink(Path::new("one"), &folder.join("live")).unwrap();
        symlink(Path::new("two"), &folder.join("live")).unwrap();
        assert_eq!(fs::read_link(folder.join("live")).unwrap(), Path::new("two"));
        fs::remove_dir_all(folder).unwrap();
    }
}
