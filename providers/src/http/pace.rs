//! What all providers of this process share about one zone: who is writing now, and how fast.

use super::crypto;
use super::spec::Rate;
use crate::{Class, Error};
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep, timeout_at};

/// By what they are about: an interface, or a zone of it.
static PLACES: LazyLock<Mutex<HashMap<String, Arc<Place>>>> = LazyLock::new(Mutex::default);

/// How often a lock that another process holds is tried.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// An interface, or a zone of it, as all providers of this process see it.
#[derive(Debug, Default)]
pub(super) struct Place {
    writer: Arc<tokio::sync::Mutex<()>>,
    /// When requests were sent, oldest first.
    sent: tokio::sync::Mutex<VecDeque<Instant>>,
}

/// Held while a zone is changed.
#[derive(Debug)]
pub(super) struct Writer {
    _here: OwnedMutexGuard<()>,
    /// Closing it frees the lock, also when the process dies.
    _everywhere: Option<File>,
}

impl Place {
    /// The one of that name.
    pub(super) fn of(name: &str) -> Arc<Place> {
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(name.to_owned()).or_default().clone()
    }

    /// Waits until nobody else in this process and, with a lock file, on this machine is writing.
    pub(super) async fn write(&self, lock_file: Option<PathBuf>, until: Instant) -> Result<Writer, Error> {
        let here = timeout_at(until, self.writer.clone().lock_owned()).await.map_err(|_| {
            Error::new(Class::Transient, "another change of the zone is still running in this process")
        })?;
        let everywhere = match lock_file {
            Some(path) => Some(lock(&path, until).await?),
            None => None,
        };
        Ok(Writer { _here: here, _everywhere: everywhere })
    }

    /// Waits until one more request stays within the rates, or tells how long that would take past `until`.
    pub(super) async fn pass(&self, rates: &[Rate], until: Instant) -> Result<(), Duration> {
        let Some(longest) = rates.iter().map(|rate| rate.per).max() else { return Ok(()) };
        let mut sent = self.sent.lock().await;
        loop {
            let now = Instant::now();
            while sent.front().is_some_and(|at| now.duration_since(*at) >= longest) {
                sent.pop_front();
            }
            let free = rates.iter().filter_map(|rate| {
                let back = sent.len().checked_sub(usize::try_from(rate.count).ok()?)?;
                Some(*sent.get(back)? + rate.per)
            });
            match free.max().filter(|free| *free > now) {
                None => break,
                Some(free) if free > until => return Err(free - now),
                Some(free) => tokio::time::sleep_until(free).await,
            }
        }
        sent.push_back(Instant::now());
        Ok(())
    }
}

/// The lock file of a zone: readable, and no two zones or hosts share one.
pub(super) fn lock_file(folder: &Path, provider: &str, place: &str) -> PathBuf {
    let digest = crypto::hex(&crypto::sha256(place.as_bytes()));
    folder.join(format!("{provider}-{}.lock", digest.get(..16).unwrap_or_default()))
}

async fn lock(path: &Path, until: Instant) -> Result<File, Error> {
    let failed = |why: String| {
        Error::new(Class::Internal, format!("cannot lock the zone by {}: {why}", path.display()))
            .hint("the folder of lock files must exist and be writable")
    };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(|e| failed(e.to_string()))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(TRY_AGAIN).await,
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("another process is still changing the zone: it holds {}", path.display());
                return Err(Error::new(Class::Transient, message));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rate_is_kept_and_what_would_take_too_long_is_told() {
        let place = Place::default();
        let rates = [
            Rate { count: 2, per: Duration::from_millis(200) },
            Rate { count: 3, per: Duration::from_secs(3600) },
        ];
        let start = Instant::now();
        let until = start + Duration::from_secs(30);
        for n in 0..3 {
            assert_eq!(place.pass(&rates, until).await, Ok(()), "{n}");
        }
        assert!(start.elapsed() >= Duration::from_millis(200), "the third waits");
        let wait = place.pass(&rates, until).await.expect_err("the hour is used up");
        assert!(wait > Duration::from_secs(3500), "{wait:?}");
    }
}
