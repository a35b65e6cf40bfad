//! Publishing pins: written down first, added by value in one UPDATE per zone, seen on every server.

use crate::error::Result;
use crate::flow::apply::Working;
use crate::flow::locate::Located;
use crate::flow::observe::owner_of;
use crate::flow::propagation::{Expected, wait};
use crate::flow::world::World;
use crate::model::document::PinRecord;
use crate::model::key::SpkiDigest;
use crate::model::pin;
use danesmith_providers::Change;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeMap;

/// Adds the pins and waits until every authoritative server has them.
pub(super) async fn publish(
    world: &World,
    working: &mut Working<'_>,
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
    note(world, working, missing).await?;
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
    wait(world, &expected, patience.unwrap_or_default()).await?;

    for (owner, keys) in missing {
        for key in keys {
            working.changed(format!("TLSA 3 1 1 {key} published at {}", owner.trim_end_matches('.')));
        }
    }
    let seen: Vec<_> = missing.iter().flat_map(|(o, keys)| keys.iter().map(|k| (o.clone(), *k))).collect();
    // ARCHITECTURE.md, "Rules of pins": the clock of a pin starts when the last server was seen to have it, so: after the waiting.
    record_seen(world, working, &seen, world.clock.now()).await
}

/// Writes down since when these pins were seen everywhere.
pub(super) async fn record_seen(
    world: &World,
    working: &mut Working<'_>,
    seen: &[(String, SpkiDigest)],
    at: jiff::Timestamp,
) -> Result<()> {
    for (owner, spki) in seen {
        match working.document.pins.iter_mut().find(|p| p.owner == *owner && p.spki == *spki) {
            Some(pin) => pin.seen_everywhere = pin.seen_everywhere.or(Some(at)),
            None => working.document.pins.push(PinRecord {
                owner: owner.clone(),
                spki: *spki,
                first_published: at,
                seen_everywhere: Some(at),
            }),
        }
    }
    working.save(world).await
}

/// On disk before the UPDATE: a pin in DNS is always one that we know.
async fn note(world: &World, working: &mut Working<'_>, missing: &[(String, Vec<SpkiDigest>)]) -> Result<()> {
    let now = world.clock.now();
    for (owner, keys) in missing {
        for spki in keys {
            match working.document.pins.iter_mut().find(|p| p.owner == *owner && p.spki == *spki) {
                Some(known) => known.seen_everywhere = None,
                None => working.document.pins.push(PinRecord {
                    owner: owner.clone(),
                    spki: *spki,
                    first_published: now,
                    seen_everywhere: None,
                }),
            }
        }
    }
    working.save(world).await
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
