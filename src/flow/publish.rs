//! Publishing pins: written down first, added by value in one UPDATE per zone, seen on every server.

use crate::error::Result;
use crate::flow::keys::WantedKeys;
use crate::flow::locate::Located;
use crate::flow::observe::owner_of;
use crate::flow::propagation::{Expected, wait};
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::evidence::NobodyPresents;
use crate::model::key::SpkiDigest;
use crate::model::ledger;
use crate::model::pin;
use danesmith_providers::Change;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeMap;

/// Adds the pins and waits until every authoritative server has them. Those of certificates beside this one are noted by
/// themselves.
pub(super) async fn publish(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    located: &[Located],
    missing: &[(String, Vec<SpkiDigest>)],
) -> Result<()> {
    working.step(world, "publishing TLSA");
    let mut targets = Vec::new();
    for (owner, keys) in missing {
        if let Some(at) = owner_of(located, owner)? {
            targets.push((owner, at, keys));
        }
    }
    let beside = |key: &SpkiDigest| keys.siblings.iter().any(|sibling| sibling.keys.contains(key));
    let own = |keys: &[SpkiDigest]| keys.iter().copied().filter(|key| !beside(key)).collect();
    let ours: Vec<_> = missing.iter().map(|(owner, keys)| (owner.clone(), own(keys))).collect();
    ledger::note_pins(&mut working.document, &ours, world.clock.now());
    working.save(world).await?;
    write(world, &targets).await?;

    working.step(world, "waiting for every name server to have the TLSA records");
    let expected: Vec<_> = targets
        .iter()
        .map(|(_, at, keys)| Expected {
            at,
            rtype: RecordType::TLSA,
            values: keys.iter().map(|k| pin::tlsa(*k)).collect(),
        })
        .collect();
    let patience =
        targets.iter().filter_map(|(_, at, _)| world.zone_of(&at.via)).map(|z| z.propagation).max();
    let seen = wait(world, &expected, patience.unwrap_or_default()).await;
    if std::mem::replace(&mut working.published, true) {
        seen?; // the plan would publish for ever for a server that answers and never gets it
    } else {
        working.unless_at_once(seen)?;
    }

    for (owner, keys) in missing {
        for key in keys {
            working.changed(format!("TLSA 3 1 1 {key} published at {}", owner.trim_end_matches('.')));
        }
    }
    Ok(())
}

/// Removes the pins of one key, by value. Their clocks stop on disk first.
pub(super) async fn unpublish(
    world: &World,
    working: &mut Working<'_>,
    located: &[Located],
    owners: &[String],
    evidence: &NobodyPresents,
) -> Result<()> {
    let key = evidence.key();
    working.step(world, "removing the pin of a key that nobody presents");
    let pins: Vec<_> = owners.iter().map(|owner| (owner.clone(), vec![key])).collect();
    ledger::clear_clocks(&mut working.document, &pins);
    working.save(world).await?;
    let mut zones: BTreeMap<(Name, Name), Vec<Change>> = BTreeMap::new();
    for owner in owners {
        let Some(at) = owner_of(located, owner)? else { continue };
        let changes = zones.entry((at.via.clone(), at.zone.clone())).or_default();
        if !changes.iter().any(|c| c.name == at.owner) {
            let remove = vec![pin::tlsa(key)];
            let (name, rtype) = (at.owner.clone(), RecordType::TLSA);
            changes.push(Change { name, rtype, ttl: 0, add: Vec::new(), remove });
        }
    }
    world.write(zones).await?;
    for owner in owners {
        working.changed(format!("TLSA 3 1 1 {key} removed at {}", owner.trim_end_matches('.')));
    }
    Ok(())
}

async fn write(world: &World, targets: &[(&String, &Located, &Vec<SpkiDigest>)]) -> Result<()> {
    let mut zones: BTreeMap<(Name, Name), Vec<Change>> = BTreeMap::new();
    for (_, at, keys) in targets {
        let ttl = world.zone_of(&at.via).map_or(3600, |z| z.tlsa_ttl);
        let changes = zones.entry((at.via.clone(), at.zone.clone())).or_default();
        let add: Vec<RData> = keys.iter().map(|k| pin::tlsa(*k)).collect();
        match changes.iter_mut().find(|c| c.name == at.owner) {
            Some(change) => {
                change.add.extend(add.into_iter().filter(|v| !change.add.contains(v)).collect::<Vec<_>>())
            }
            None => changes.push(Change {
                name: at.owner.clone(),
                rtype: RecordType::TLSA,
                ttl,
                add,
                remove: Vec::new(),
            }),
        }
    }
    world.write(zones).await
}
