//! The nonce pool (RFC 8555 §6.5): every answer refills it; whoever needs one waits for those already on their way.

use super::jws::is_base64url;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// More nonces than this are dropped, the oldest first; CAs limit their life as well.
const CAPACITY: usize = 256;

/// A longer nonce is not kept: it is no nonce but an attack on our headers.
const LONGEST: usize = 1024;

#[derive(Default)]
pub(super) struct Nonces {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The freshest is last and is used first.
    nonces: Vec<String>,
    /// Requests under way that exist to bring a nonce.
    expected: usize,
}

impl Nonces {
    /// Keeps a nonce when it is well-formed (RFC 8555 §6.5.1).
    pub(super) fn put(&self, nonce: String) {
        if !is_base64url(&nonce) || nonce.len() > LONGEST {
            return;
        }
        let mut state = self.lock();
        if state.nonces.len() == CAPACITY {
            state.nonces.remove(0);
        }
        state.nonces.push(nonce);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A nonce, waiting while one is expected; `None`: fetch one.
    pub(super) async fn take(&self) -> Option<String> {
        loop {
            // Made before looking, so that a nonce put in between wakes us.
            let changed = self.changed.notified();
            {
                let mut state = self.lock();
                if let Some(nonce) = state.nonces.pop() {
                    return Some(nonce);
                }
                if state.expected == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// How many are here or on their way.
    pub(super) fn promised(&self) -> usize {
        let state = self.lock();
        state.nonces.len() + state.expected
    }

    /// Announces a request that will bring a nonce; it is over when the guard is dropped, whatever came of it.
    pub(super) fn announce(self: &Arc<Self>) -> Expected {
        self.lock().expected += 1;
        Expected(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One announced nonce.
pub(super) struct Expected(Arc<Nonces>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.lock().expected -= 1;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{CAPACITY, Nonces};
    use std::sync::Arc;

    #[tokio::test]
    async fn the_freshest_nonce_goes_first_and_malformed_ones_are_dropped() {
        let nonces = Nonces::default();
        for nonce in ["old", "", "new line\n", "a+b", "fresh"] {
            nonces.put(nonce.to_string());
        }
        assert_eq!(nonces.take().await.as_deref(), Some("fresh"));
        assert_eq!(nonces.take().await.as_deref(), Some("old"));
        assert_eq!(nonces.take().await, None);
    }

    #[tokio::test]
    async fn the_pool_is_bounded() {
        let nonces = Nonces::default();
        (0..CAPACITY + 5).for_each(|number| nonces.put(number.to_string()));
        assert_eq!(nonces.promised(), CAPACITY);
    }

    #[tokio::test]
    async fn a_taker_waits_for_an_expected_nonce_and_not_for_a_failed_one() {
        let nonces = Arc::new(Nonces::default());
        let (first, second) = (nonces.announce(), nonces.announce());
        let taker = |nonces: Arc<Nonces>| tokio::spawn(async move { nonces.take().await });
        let (one, two) = (taker(nonces.clone()), taker(nonces.clone()));
        tokio::task::yield_now().await;
        nonces.put("came".into());
        drop(first);
        drop(second);
        let mut got = [one.await.unwrap(), two.await.unwrap()];
        got.sort();
        assert_eq!(got, [None, Some("came".to_string())]);
    }
}
