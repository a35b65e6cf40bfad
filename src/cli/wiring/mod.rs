//! Puts the real effects together: clock, packets, disk, probes, hooks. The only place where all rooms meet.

mod configuration;
mod hosts;
mod locks;
mod opener;
mod rfc2136;

pub(super) use configuration::{account, catalog, choose, forgotten, load, rehearsed};
pub(super) use hosts::plugin;
pub(super) use opener::MAX_FILE;

use crate::clock::{Clock, SystemClock};
use crate::deploy::Processes;
use crate::dns::{Reads, Resolver, ResolverConfig, TrustAnchor, Validation};
use crate::error::{Error, Kind, Result};
use crate::flow::World;
use crate::flow::account::Holder;
use crate::flow::verify::Eyes;
use crate::flow::world::{Effects, Progress};
use crate::model::desired::{Account, Desired, Validation as WantedValidation};
use crate::store::Store;
use crate::store::directory::Directory;
use crate::verify::{Prober, ProberConfig};
use opener::{Opener, root};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Whether a command may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// No lock; a state directory that does not exist is not made.
    Read,
    /// Takes the lock.
    Change,
}

/// Nobody watches.
pub(super) struct Silent;

impl Progress for Silent {
    fn step(&self, _: &str, _: &str) {}
}

/// An account outside a run. The state directory is locked for as long as the holder or the store lives.
pub(super) fn holder<'a>(
    desired: &Desired,
    account: &'a Account,
) -> Result<(Holder<'a>, impl Store + use<>)> {
    let store = Directory::locked(&desired.state)?;
    let accounts = Arc::new(store.clone());
    let holder =
        Holder { store: accounts, clock: Arc::new(SystemClock::new()), account, root: root(account)? };
    Ok((holder, store))
}

/// The real world.
pub(super) async fn world(
    desired: &Arc<Desired>,
    access: Access,
    progress: impl Progress + 'static,
) -> Result<World> {
    let directory = match access {
        Access::Read => Directory::read_only(&desired.state),
        Access::Change => Directory::locked(&desired.state)?,
    };
    let (store, accounts): (Arc<dyn Store>, _) = (Arc::new(directory.clone()), Arc::new(directory));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let memory = store.memory().await;
    let reads: Arc<dyn Reads> = Arc::new(Resolver::new(resolver(desired)?));
    let opener = Opener { desired: desired.clone(), accounts, clock: clock.clone(), reads: reads.clone() };
    let effects = Effects {
        clock,
        reads,
        store,
        endpoints: Arc::new(Prober::new(ProberConfig::default())?),
        hooks: Arc::new(Processes),
        open: Arc::new(opener),
        progress: Arc::new(progress),
    };
    Ok(World::new(desired.clone(), effects, memory))
}

/// Sixteen hexadecimal digits that nobody else has.
pub(super) fn random_marker() -> Result<String> {
    let mut bytes = [0u8; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Error::new(Kind::Internal, "draw a random number", "the system gave none"))?;
    Ok(hex::encode(bytes))
}

/// What `verify` looks with: resolvers and trust anchor of the command line, else those of zones.yaml, else the
/// system's resolvers and the root's keys.
pub(super) fn eyes(desired: Option<&Desired>, resolvers: &[String], anchor: Option<&Path>) -> Result<Eyes> {
    let mut config = desired.map(resolver).transpose()?.unwrap_or_default();
    if !resolvers.is_empty() {
        config.resolvers = addresses(resolvers, Kind::Usage)?;
    }
    if let Some(path) = anchor {
        config.validation = Validation::Own(TrustAnchor::read(path)?);
    }
    Ok(Eyes {
        clock: Arc::new(SystemClock::new()),
        reads: Arc::new(Resolver::new(config)),
        endpoints: Arc::new(Prober::new(ProberConfig::default())?),
    })
}

fn addresses(resolvers: &[String], kind: Kind) -> Result<Vec<SocketAddr>> {
    let parse = |text: &String| {
        let address = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
        address.map_err(|e| Error::new(kind, format!("use resolver `{text}`"), e))
    };
    resolvers.iter().map(parse).collect()
}

fn resolver(desired: &Desired) -> Result<ResolverConfig> {
    let resolvers = addresses(&desired.resolvers, Kind::Config)?;
    let validation = match &desired.validation {
        WantedValidation::Own { trust_anchor: None } => Validation::Own(TrustAnchor::root()),
        WantedValidation::Own { trust_anchor: Some(path) } => Validation::Own(TrustAnchor::read(path)?),
        WantedValidation::Resolver => Validation::Resolver,
    };
    Ok(ResolverConfig { resolvers, validation, ..ResolverConfig::default() })
}
