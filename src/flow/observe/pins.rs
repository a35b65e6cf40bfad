//! TLSA at every authoritative server, each answer validated.

use super::summary::{Looks, label, summary};
use crate::dns::{Lookup, Observation, Security, Server};
use crate::error::{Error, Kind, Result};
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::name;
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::plan::OwnerView;
use futures_util::future::{join, join_all, join3};
use hickory_proto::rr::{Name, RecordType};
use std::collections::{BTreeMap, HashMap, HashSet};

/// TLSA at every owner name of a certificate, and where each lives that could be found.
pub(in crate::flow) async fn pins(
    world: &World,
    wanted: &Certificate,
) -> Result<(BTreeMap<String, OwnerView>, Vec<Located>)> {
    let owners = wanted.tlsa.iter().map(|owner| locate(world, owner, RecordType::TLSA));
    let mut views = BTreeMap::new();
    let mut located = Vec::new();
    for (owner, found) in wanted.tlsa.iter().zip(join_all(owners).await) {
        match found {
            Ok(at) => located.push(at),
            Err(e) if e.kind == Kind::Remote => {
                views.insert(owner.to_ascii(), nowhere(&e));
            }
            Err(e) => return Err(e),
        }
    }
    let asked_at = world.clock.now();
    let looks = join_all(located.iter().map(|at| look(world, at)));
    let (looks, apexes) = join(looks, apexes(world, &located)).await;
    for (at, mut looks) in located.iter().zip(looks) {
        let apex = at.servers.iter().filter_map(|s| Some((label(s), apexes.get(&(&at.zone, s))?.clone())));
        looks.apexes = apex.collect();
        let view = summary(&at.owner, &looks);
        views.insert(at.asked.to_ascii(), OwnerView { asked_at: Some(asked_at), ..view });
    }
    Ok((views, located))
}

/// Not even the servers could be found, or none of them said what is there: as good as silent, all of them.
fn nowhere(e: &Error) -> OwnerView {
    let words = std::iter::once(e.to_string()).chain(e.hints.iter().cloned());
    OwnerView { unheard: true, silent: vec![words.collect::<Vec<_>>().join("; ")], ..OwnerView::default() }
}

/// The RRset at every server, and the aliases on the way to it, as the recursive resolver sees them (they exist, so the look
/// leaves nothing behind) and at every server of zones of ours.
async fn look(world: &World, at: &Located) -> Looks {
    let tlsa = join_all(at.servers.iter().map(|server| async move {
        let seen = world.reads.observe(server, &at.zone, &at.owner, RecordType::TLSA).await;
        (label(server), seen.map_err(|e| e.cause))
    }));
    let aliases = join_all(at.aliases.iter().map(|alias| async move {
        let found: Result<Lookup> = world.reads.lookup(alias, RecordType::CNAME).await;
        (alias.clone(), found.map_err(|e| e.cause))
    }));
    let targets = at.aliases.iter().skip(1).chain([&at.owner]);
    let ours = join_all(at.aliases.iter().zip(targets).map(|(alias, target)| strays(world, alias, target)));
    let (tlsa, aliases, strays) = join3(tlsa, aliases, ours).await;
    Looks { tlsa, aliases, strays: strays.concat(), apexes: Vec::new() }
}

/// What servers of a zone of ours say of an alias that they should not: senders who ask there are led elsewhere.
async fn strays(world: &World, alias: &Name, target: &Name) -> Vec<String> {
    let Some(via) = world.zone_of(alias) else { return Vec::new() };
    let Ok(servers) = world.servers(via, &via.apex).await else { return Vec::new() };
    let asked = servers.iter().map(|server| async move {
        let seen = world.reads.observe(server, &via.apex, alias, RecordType::CNAME).await;
        stray(seen.as_ref().map_err(|e| e.cause.as_str()), target)
            .map(|why| format!("{}: the alias `{}` {why}", label(server), alias.to_ascii()))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Why senders would not believe this answer, or not follow it to the target. Below a delegation the recursive resolver's
/// word stands alone.
fn stray(seen: Result<&Observation, &str>, target: &Name) -> Option<String> {
    let seen = match seen {
        Ok(seen) if seen.answer.referral.is_some() => return None,
        Ok(seen) => seen,
        Err(cause) => return Some(format!("is not known: {cause}")),
    };
    match (&seen.security, &seen.answer.alias) {
        (Security::Bogus(why), _) => Some(format!("is bogus: {why}")),
        (_, Some(there)) if there.eq_ignore_root(target) => None,
        (_, Some(there)) => Some(format!("leads to `{}`", there.to_ascii())),
        (_, None) => Some("is not there".into()),
    }
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

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
