//! Every effect that flow has, in one place.

use crate::acme::Ca;
use crate::clock::Clock;
use crate::deploy::Hooks;
use crate::dns::{Reads, Server};
use crate::error::{Error, Kind, Result};
use crate::flow::zone_writer::ZoneWriter;
use crate::model::desired::{Desired, KeyAlgorithm, Zone};
use crate::model::memory::Memory;
use crate::model::private_key::PrivateKey;
use crate::store::Store;
use crate::verify::Endpoints;
use async_trait::async_trait;
use danesmith_providers::{Change, Provider};
use futures_util::future::join_all;
use hickory_proto::rr::Name;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Opens what needs credentials, when it is first needed: `plan` opens nothing.
#[async_trait]
pub trait Open: Send + Sync {
    /// The CA behind an account of zones.yaml, its account found or registered.
    async fn ca(&self, account: &str) -> Result<Arc<dyn Ca>>;
    /// The provider of zones.yaml by name.
    async fn provider(&self, name: &str) -> Result<Arc<dyn Provider>>;
    /// Bytes of a file that zones.yaml names (CSR, key).
    async fn file(&self, path: &std::path::Path) -> Result<Vec<u8>>;
    /// A new private key for a certificate whose keys are managed.
    fn new_key(&self, _certificate: &str, algorithm: KeyAlgorithm) -> Result<PrivateKey> {
        Ok(PrivateKey::generate(algorithm)?)
    }
}

/// Tells a person what is going on.
pub trait Progress: Send + Sync {
    /// The certificate has reached this step.
    fn step(&self, certificate: &str, step: &str);
}

/// One run: its effects (reached as `world.clock`, `world.reads`, …) and what is shared between its certificates.
pub struct World {
    effects: Effects,
    desired: Arc<Desired>,
    cas: BTreeMap<String, OnceCell<Arc<dyn Ca>>>,
    writers: BTreeMap<Name, ZoneWriter>,
    servers: Mutex<BTreeMap<Name, Arc<OnceCell<Vec<Server>>>>>,
    memory: Mutex<Memory>,
}

/// The effects that a [`World`] is made of.
pub struct Effects {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Questions to name servers.
    pub reads: Arc<dyn Reads>,
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Probes.
    pub endpoints: Arc<dyn Endpoints>,
    /// Reload commands.
    pub hooks: Arc<dyn Hooks>,
    /// CAs and providers.
    pub open: Arc<dyn Open>,
    /// Progress.
    pub progress: Arc<dyn Progress>,
}

impl std::ops::Deref for World {
    type Target = Effects;

    fn deref(&self) -> &Effects {
        &self.effects
    }
}

impl World {
    /// A world for one run over `desired`; `memory` is what earlier runs left.
    pub fn new(desired: Arc<Desired>, effects: Effects, memory: Memory) -> World {
        let cas = desired.accounts.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        let writers = desired
            .zones
            .values()
            .filter_map(|z| {
                Some((
                    z.apex.clone(),
                    ZoneWriter::new(z.provider.clone()?, effects.open.clone(), effects.clock.clone()),
                ))
            })
            .collect();
        World { effects, desired, cas, writers, servers: Mutex::default(), memory: Mutex::new(memory) }
    }

    /// What zones.yaml says.
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// The CA of an account, opened once per run.
    pub async fn ca(&self, account: &str) -> Result<Arc<dyn Ca>> {
        let cell = self.cas.get(account).ok_or_else(|| missing("account", account))?;
        cell.get_or_try_init(|| self.open.ca(account)).await.cloned()
    }

    /// The configured zone that covers a name: the longest apex on a label boundary.
    pub fn zone_of(&self, name: &Name) -> Option<&Zone> {
        self.desired.zone_of(name)
    }

    /// The one writer of a configured zone.
    pub(super) fn writer(&self, apex: &Name) -> Result<&ZoneWriter> {
        self.writers.get(apex).ok_or_else(|| missing("provider for zone", &apex.to_ascii()))
    }

    /// Makes the changes of several zones side by side; keys are the configured zone and the zone that holds the names.
    /// A zone that refuses does not stop the others half-way: whoever takes the changes back must know that none of them
    /// is still on its way. The first failure is told when all have ended.
    pub(super) async fn write(&self, zones: BTreeMap<(Name, Name), Vec<Change>>) -> Result<()> {
        let writes = zones
            .into_iter()
            .map(|((via, zone), changes)| async move { self.writer(&via)?.apply(&zone, changes).await });
        all_ended(writes).await
    }

    /// The servers to look at for `zone`, which the configured zone `via` covers; asked once per run, and
    /// once more after each wait.
    pub(super) async fn servers(&self, via: &Zone, zone: &Name) -> Result<Vec<Server>> {
        let cell = {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.entry(zone.clone()).or_default().clone()
        };
        cell.get_or_try_init(|| servers_of(self.reads.as_ref(), &via.check, zone)).await.cloned()
    }

    /// Which servers a zone has is asked again when it is needed next.
    pub(super) fn forget_servers(&self) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is not known of the name servers of these zones, for people; nothing where `check:` names them.
    pub(super) fn doubts<'z>(&self, zones: impl Iterator<Item = &'z Name>) -> BTreeSet<String> {
        let named = |zone: &Name| self.zone_of(zone).is_some_and(|via| !via.check.is_empty());
        zones.filter(|zone| !named(zone)).filter_map(|zone| self.reads.doubt(zone)).collect()
    }

    /// What this and earlier runs remembered.
    pub fn memory(&self) -> Memory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers something.
    pub(super) fn remember(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs all of them to their ends, then tells the first failure.
async fn all_ended<T>(work: impl IntoIterator<Item = impl Future<Output = Result<T>>>) -> Result<()> {
    join_all(work).await.into_iter().collect::<Result<Vec<_>>>().map(|_| ())
}

/// The servers of `check:`; when it is empty, those of the zone's NS sets.
pub(super) async fn servers_of(reads: &dyn Reads, check: &[String], zone: &Name) -> Result<Vec<Server>> {
    if check.is_empty() {
        return reads.name_servers(zone).await;
    }
    let mut all = Vec::new();
    for server in check {
        all.extend(reads.addresses(server).await?);
    }
    Ok(all)
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(Kind::Config, "use zones.yaml", format!("no {what} `{name}`"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_failure_is_told_when_the_others_have_ended() {
        let ended = AtomicUsize::new(0);
        let work = [0, 20, 40].map(|ms| {
            let ended = &ended;
            async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                ended.fetch_add(1, Ordering::SeqCst);
                if ms == 40 { Ok(()) } else { Err(missing("zone", &ms.to_string())) }
            }
        });
        assert_eq!(all_ended(work).await.unwrap_err().cause, "no zone `0`");
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }
}
