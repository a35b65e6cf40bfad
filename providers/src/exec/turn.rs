//! Who writes to a zone: one at a time. Most hosts' interfaces read, change and write back without any check, so two
//! writers that overlap lose each other's values.

use crate::{Class, Error};
use hickory_proto::rr::Name;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};

/// How often a lock file of another process is tried; our choice.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Hands out turns.
#[derive(Default)]
pub(crate) struct Turns {
    zones: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>,
    /// Where lock files lie, for other processes of this host.
    dir: Option<PathBuf>,
}

/// A turn; it ends when dropped. The kernel frees the lock file whoever dies.
pub(crate) struct Turn {
    _zone: OwnedMutexGuard<()>,
    _file: Option<File>,
}

impl Turns {
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Turns { zones: Mutex::default(), dir }
    }

    /// Waits for the turn of `zone` until `deadline`.
    ///
    /// Errors: [`Class::Transient`] when others wrote until the deadline, [`Class::Internal`] when there can be no lock
    /// file.
    pub(crate) async fn wait(&self, zone: &Name, deadline: Instant) -> Result<Turn, Error> {
        let of_zone = {
            let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(zones.entry(zone.clone()).or_default())
        };
        let taken = tokio::time::timeout_at(deadline, of_zone.lock_owned()).await;
        let _zone = taken.map_err(|_| busy(zone))?;
        let _file = match &self.dir {
            Some(dir) => Some(lock(&dir.join(format!("{}.lock", file_name(zone))), zone, deadline).await?),
            None => None,
        };
        Ok(Turn { _zone, _file })
    }
}

async fn lock(path: &Path, zone: &Name, deadline: Instant) -> Result<File, Error> {
    let failed = |error: std::io::Error| {
        Error::new(Class::Internal, format!("the lock file {} cannot be used: {error}", path.display()))
    };
    let file = File::options().create(true).append(true).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(busy(zone)),
            Err(TryLockError::WouldBlock) => sleep(TRY_AGAIN).await,
        }
    }
}

fn busy(zone: &Name) -> Error {
    let text = format!("another run kept writing to zone {}", super::value::plain(zone));
    Error::new(Class::Transient, text).hint("run again when it has ended")
}

/// Labels may hold any octet, a slash, too (RFC 2181 §11).
fn file_name(zone: &Name) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '+' };
    super::value::plain(zone).chars().map(letter).collect()
}
