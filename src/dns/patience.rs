//! How long an authoritative server is waited for. One that was silent for the whole of its time is most likely dead, and is
//! asked many things in one run: for a while it gets less time, until it answers again.

use super::transport::Trouble;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long silence is held against a server. Our choice: longer than one look at everything, shorter than a restart of most.
const MEMORY: Duration = Duration::from_secs(30);

/// What a silent server gets of the whole time: of 5 s it is 2 s, in which a question is sent three times.
const SHARE: (u32, u32) = (2, 5);

/// Who was silent lately.
#[derive(Debug)]
pub(super) struct Patience {
    whole: Duration,
    silent: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Patience {
    /// `whole` is the time of one question to a server of which nothing is known.
    pub(super) fn new(whole: Duration) -> Patience {
        Patience { whole, silent: Mutex::default() }
    }

    /// The time for one question to this server, now.
    pub(super) fn with(&self, server: SocketAddr) -> Duration {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match silent.get(&server) {
            Some(since) if since.elapsed() < MEMORY => self.whole * SHARE.0 / SHARE.1,
            _ => self.whole,
        }
    }

    /// Remembers how a question ended.
    pub(super) fn note<T>(&self, server: SocketAddr, outcome: &Result<T, Trouble>) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(Trouble::Silent { .. }) => drop(silent.insert(server, Instant::now())),
            _ => drop(silent.remove(&server)),
        }
    }
}
