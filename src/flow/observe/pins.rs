//! TLSA at every authoritative server, each answer validated.

use super::summary::{Looks, label, summary};
use crate::dns::{Lookup, Observation, Server};
use crate::error::{Error, Kind, Result};
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::name;
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::plan::OwnerView;
use futures_util::future::{join, join_all, try_join_all};
use hickory_proto::rr::{Name, RecordType};
use std::collections::{BTreeMap, HashMap, HashSet};

/// TLSA at every owner name of a certificate, and where each lives.
pub(in crate::flow) async fn pins(
    world: &World,
    wanted: &Certificate,
) -> Result<(BTreeMap<String, OwnerView>, Vec<Located>)> {
    let owners = wanted.tlsa.iter().map(|owner| locate(world, owner, RecordType::TLSA));
    let located = try_join_all(owners).await?;
    let asked_at = world.clock.now();
    let looks = join_all(located.iter().map(|at| look(world, at)));
    let (looks, apexes) = join(looks, apexes(world, &located)).await;
    let mut views = BTreeMap::new();
    for (at, mut looks) in located.iter().zip(looks) {
        let apex = at.servers.iter().filter_map(|s| Some((label(s), apexes.get(&(&at.zone, s))?.clone())));
        looks.apexes = apex.collect();
        let view = summary(&at.owner, &looks);
        if looks.tlsa.iter().all(|(_, look)| look.is_err()) {
            let action = format!("read TLSA at `{}`", at.owner);
            return Err(Error::new(Kind::Remote, action, view.silent.join("; "))
                .remains("No TLSA record was changed."));
        }
        views.insert(at.asked.to_ascii(), OwnerView { asked_at: Some(asked_at), ..view });
    }
    Ok((views, located))
}

/// The RRset at every server, and the aliases on the way to it as the recursive resolver sees them: they exist, so the
/// look leaves nothing behind.
async fn look(world: &World, at: &Located) -> Looks {
    let tlsa = join_all(at.servers.iter().map(|server| async move {
        let seen = world.reads.observe(server, &at.zone, &at.owner, RecordType::TLSA).await;
        (label(server), seen.map_err(|e| e.cause))
    }));
    let aliases = join_all(at.aliases.iter().map(|alias| async move {
        let found: Result<Lookup> = world.reads.lookup(alias, RecordType::CNAME).await;
        (alias.clone(), found.map_err(|e| e.cause))
    }));
    let (tlsa, aliases) = join(tlsa, aliases).await;
    Looks { tlsa, aliases, apexes: Vec::new() }
}

/// The SOA at every server of every zone, once each.
async fn apexes<'l>(
    world: &World,
    located: &'l [Located],
) -> HashMap<(&'l Name, &'l Server), Result<Observation, String>> {
    let places = located.iter().flat_map(|at| at.servers.iter().map(move |server| (&at.zone, server)));
    let mut known = HashSet::new();
    let once = places.filter(|place| known.insert(*place));
    let asked = once.map(|(zone, server)| async move {
        let seen = world.reads.observe(server, zone, zone, RecordType::SOA).await;
        ((zone, server), seen.map_err(|e| e.cause))
    });
    join_all(asked).await.into_iter().collect()
}

/// The configured owner name of a located one.
pub(in crate::flow) fn owner_of<'a>(located: &'a [Located], owner: &str) -> Result<Option<&'a Located>> {
    let wanted = name(owner)?;
    Ok(located.iter().find(|l| l.asked == wanted))
}
