//! One run at a time: `flock` on a file, which the kernel frees when the holder dies, however it dies.

use crate::atomic;
use crate::error::{Error, Kind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock or says who does not let us: exit code 75.
    pub(super) fn take(path: &Path) -> Result<Lock> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(atomic::PRIVATE)
            .open(path)
            .map_err(|e| atomic::failed("open the lock", path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Kind::Locked,
                format!("lock `{}`", path.display()),
                "another danesmith run holds it",
            )
            .remains("Nothing was changed by this run.")
            .hint(
                "wait until the other run has ended, or interrupt it (one with --wait may wait for hours); the lock frees \
                 itself even if that run is killed, and what it began goes on in the next one",
            )),
            Err(TryLockError::Error(e)) => Err(atomic::failed("lock", path, &e)),
        }
    }
}
