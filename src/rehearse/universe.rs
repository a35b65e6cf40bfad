//! Everything that a rehearsal simulates, in one place, and the effects that flow gets: each is this one value.

use super::authority::Authority;
use super::ca::Account;
use super::disk::Disk;
use super::faults::{Fate, Faults, Peer};
use super::keys::KeyRing;
use super::mail::MailServers;
use super::signing::Signer;
use super::story::Story;
use super::time::{Moment, VirtualTime};
use super::updates::Updates;
use super::zones::Zones;
use crate::acme::Ca;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::flow::world::{Effects, Open, Progress};
use crate::model::desired::{Desired, KeyAlgorithm};
use crate::model::private_key::PrivateKey;
use async_trait::async_trait;
use danesmith_providers::{Change, Provider};
use hickory_proto::rr::{Name, RecordType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The simulated world. Locks are held for a moment only, never while anybody waits; there is one thread.
pub(super) struct Universe {
    pub(super) time: Arc<VirtualTime>,
    /// The first moment.
    pub(super) start: Moment,
    /// zones.yaml as it is now.
    pub(super) desired: Mutex<Arc<Desired>>,
    pub(super) zones: Mutex<Zones>,
    pub(super) authority: Mutex<Authority>,
    pub(super) disk: Mutex<Disk>,
    pub(super) mail: Mutex<MailServers>,
    pub(super) faults: Mutex<Faults>,
    pub(super) story: Mutex<Story>,
    pub(super) keys: Mutex<KeyRing>,
    /// Files that zones.yaml names.
    pub(super) files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    /// How often this run asked when to renew.
    pub(super) asks: AtomicU64,
    pub(super) signer: Signer,
    /// What servers present before anything is deployed.
    pub(super) own_chain: Vec<Vec<u8>>,
    /// This very value, to hand out.
    pub(super) me: std::sync::Weak<Universe>,
}

/// The value behind a lock; a defect elsewhere does not hide it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Universe {
    pub(super) fn clock(&self) -> &VirtualTime {
        &self.time
    }

    /// One line of the trace, keys by their letters.
    pub(super) fn trace(&self, words: &str) {
        let told = lock(&self.keys).told(words);
        lock(&self.story).trace(self.time.moment(), &told);
    }

    /// Whether a question to this peer is answered.
    pub(super) fn hears(&self, peer: Peer) -> bool {
        let now = self.time.moment();
        lock(&self.faults).hears(peer, now)
    }

    /// An effect is about to happen. A run that is killed here goes no further.
    pub(super) async fn before(&self, what: &str, peer: Peer) -> Fate {
        let now = self.time.moment();
        let fate = lock(&self.faults).before(peer, now);
        match fate {
            Some(Fate::Fine) => self.trace(&format!("  {what}")),
            Some(fate) => self.trace(&format!("  {what}: {fate:?}")),
            None => {
                self.trace(&format!("  killed before: {what}"));
                std::future::pending::<()>().await;
            }
        }
        fate.unwrap_or(Fate::Lost)
    }

    /// An effect has happened. A run that is killed here goes no further.
    pub(super) async fn after(&self, what: &str) {
        if !lock(&self.faults).after() {
            self.trace(&format!("  killed after: {what}"));
            std::future::pending::<()>().await;
        }
    }

    /// Changes a zone; the secondaries follow.
    pub(super) fn change_zone(&self, zone: &Name, changes: &[Change]) -> bool {
        let now = self.time.moment();
        let mut faults = lock(&self.faults);
        let changed = lock(&self.zones).change(zone, changes, now, &mut |_| faults.lag());
        if changed {
            let challenges = changes.iter().all(|change| change.rtype == RecordType::TXT);
            lock(&self.story).zone_changed(now, challenges);
        }
        changed
    }

    /// The effects of one run.
    pub(super) fn effects(self: &Arc<Self>) -> Effects {
        Effects {
            clock: self.time.clone() as Arc<dyn Clock>,
            reads: self.clone(),
            store: self.clone(),
            endpoints: self.clone(),
            hooks: self.clone(),
            open: self.clone(),
            progress: self.clone(),
        }
    }

    fn shared(&self) -> Result<Arc<Universe>> {
        let gone = || Error::new(Kind::Internal, "rehearse", "the simulated world is gone");
        self.me.upgrade().ok_or_else(gone)
    }
}

#[async_trait]
impl Open for Universe {
    async fn ca(&self, account: &str) -> Result<Arc<dyn Ca>> {
        let desired = lock(&self.desired).clone();
        let directory = desired.accounts.get(account).map(|a| a.directory.clone()).unwrap_or_default();
        Ok(Arc::new(Account { universe: self.shared()?, directory }))
    }

    async fn provider(&self, name: &str) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(Updates { universe: self.shared()?, name: name.to_owned() }))
    }

    async fn file(&self, path: &Path) -> Result<Vec<u8>> {
        let missing = || {
            Error::new(Kind::Input, format!("read `{}`", path.display()), "the rehearsal has no such file")
        };
        lock(&self.files).get(path).cloned().ok_or_else(missing)
    }

    fn new_key(&self, certificate: &str, algorithm: KeyAlgorithm) -> Result<PrivateKey> {
        lock(&self.keys).make(certificate, algorithm)
    }
}

impl Progress for Universe {
    fn step(&self, certificate: &str, step: &str) {
        self.trace(&format!("{certificate}: {step}"));
    }
}
