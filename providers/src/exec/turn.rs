//! Who writes to a zone: one at a time, in this process and, with lock files, on this machine.

use super::value::plain;
use crate::{Class, Error, lock};
use hickory_proto::rr::Name;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

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
            Some(dir) => Some(lock::of(dir, &plain(zone), deadline).await?),
            None => None,
        };
        Ok(Turn { _zone, _file })
    }
}

fn busy(zone: &Name) -> Error {
    let text = format!("another change kept writing to zone {}", plain(zone));
    Error::new(Class::Transient, text).hint("run again when it has ended")
}
