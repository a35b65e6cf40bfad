//! What all providers of this process share about one zone: who is writing now, and how fast.

use super::spec::Rate;
use crate::{Class, Error, lock};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

/// By what they are about: an interface, or a zone of it.
static PLACES: LazyLock<Mutex<HashMap<String, Arc<Place>>>> = LazyLock::new(Mutex::default);

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

    /// Waits until nobody else in this process and, with a folder of lock files, on this machine is writing to `zone`.
    pub(super) async fn write(
        &self,
        locks: Option<&Path>,
        zone: &str,
        until: Instant,
    ) -> Result<Writer, Error> {
        let here = timeout_at(until, self.writer.clone().lock_owned()).await.map_err(|_| {
            Error::new(Class::Transient, "another change of the zone is still running in this process")
        })?;
        let everywhere = match locks {
            Some(folder) => Some(lock::of(folder, zone, until).await?),
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
