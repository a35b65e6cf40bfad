//! The provider of the simulated zones: adds and removes values at the primary, one update at a time.

use super::faults::{Fate, Peer};
use super::universe::{Universe, lock};
use crate::clock::Clock;
use async_trait::async_trait;
use danesmith_providers::{
    Applied, Atomicity, Capabilities, Change, Class, Error, Provider, RrSet, Semantics,
};
use hickory_proto::rr::{Name, RecordType};
use std::sync::Arc;
use std::time::Duration;

/// A provider of zones.yaml by name.
pub(super) struct Updates {
    pub(super) universe: Arc<Universe>,
    pub(super) name: String,
}

/// An update and reading it back.
const ROUND: Duration = Duration::from_millis(40);
/// How long an updater waits for an answer that never comes.
const PATIENCE: Duration = Duration::from_secs(10);

impl Updates {
    /// A question that changes nothing.
    async fn hears(&self) -> Result<(), Error> {
        if self.universe.hears(Peer::Provider) {
            return Ok(());
        }
        self.universe.clock().sleep(PATIENCE).await;
        Err(Error::new(Class::Transient, "no answer"))
    }
}

#[async_trait]
impl Provider for Updates {
    fn describe(&self) -> String {
        format!("the rehearsal's own for `{}`", self.name)
    }

    fn capabilities(&self) -> Capabilities {
        let types = vec![RecordType::TXT, RecordType::TLSA];
        let (semantics, atomicity) = (Some(Semantics::Value), Atomicity::Batch);
        Capabilities { types, semantics, atomicity, min_ttl: 0, max_ttl: u32::MAX }
    }

    async fn preflight(&self, _: &Name, _: &[(Name, RecordType)]) -> Result<(), Error> {
        self.hears().await
    }

    async fn list(&self, _: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        self.hears().await?;
        Ok(lock(&self.universe.zones).newest(name, rtype))
    }

    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        let universe = &self.universe;
        let fate = universe.before("UPDATE", Peer::Provider).await;
        let lost = || Error::new(Class::Transient, "no answer to the update");
        if fate == Fate::Lost {
            universe.clock().sleep(PATIENCE).await;
            return Err(lost());
        }
        universe.clock().sleep(ROUND).await;
        let changed = universe.change_zone(zone, changes);
        universe.after("UPDATE").await;
        if fate == Fate::AnswerLost {
            universe.clock().sleep(PATIENCE).await;
            return Err(lost());
        }
        Ok(Applied { writes: u32::from(changed) })
    }
}
