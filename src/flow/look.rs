//! One round of looks: what was seen is written down where it weakens trust, and told where a person should know.

use crate::error::{Error, Kind, Result};
use crate::flow::apply::{Seen, wanted};
use crate::flow::keys::WantedKeys;
use crate::flow::observe;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::endpoint::EndpointView;
use crate::model::key::SpkiDigest;
use crate::model::ledger;
use crate::model::plan::Wanted;
use std::collections::BTreeSet;
use std::time::Duration;

/// TLSA at every name server.
pub(super) async fn at_pins(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    seen: &mut Seen,
) -> Result<()> {
    let (mut views, located) = observe::pins(world, working.wanted).await?;
    for doubt in world.doubts(located.iter().map(|at| &at.zone)) {
        working.warn(doubt);
    }
    for (owner, view) in &views {
        for silent in &view.silent {
            working.warn(format!(
                "a name server did not answer for TLSA at {}: {silent}",
                owner.trim_end_matches('.')
            ));
        }
    }
    let wanted = wanted(world, working.wanted, keys, working.wish);
    if ledger::learn(&mut working.document, &mut views, &wanted, world.clock.now()) {
        working.save(world).await?;
    }
    for (owner, view) in &views {
        let differ = view.everywhere != view.somewhere || view.others_differ;
        world.remember(|memory| memory.note_servers(owner, differ, world.clock.now()));
    }
    for doubt in views.values().flat_map(|v| v.doubtful.iter()) {
        working.warn(format!("a name server's answer is not believed: {doubt}"));
    }
    seen.observed.pins = Some(views);
    seen.located = located;
    Ok(())
}

/// The keys that every endpoint presents.
pub(super) async fn at_endpoints(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    seen: &mut Seen,
) -> Result<()> {
    let view = observe::endpoints(world, working.wanted).await;
    if ledger::learn_endpoints(&mut working.document, &view) {
        working.save(world).await?;
    }
    let wanted = wanted(world, working.wanted, keys, working.wish);
    strange(&view, &wanted).into_iter().for_each(|what| working.warn(what));
    // Where the administrator knows that his zones are not signed, neither are the addresses.
    if wanted.owners.iter().any(|owner| !wanted.unsigned_ok.contains(owner)) {
        view.insecure.iter().for_each(|what| working.warn(what.clone()));
    }
    seen.observed.endpoints = Some(view);
    Ok(())
}

/// Keys that a server shows to clients without SNI, and to no others, and that no pin of ours matches. RFC 7672 §8.1 leaves
/// them to the server, and wants DANE clients to send a name; not all do.
fn strange(view: &EndpointView, wanted: &Wanted) -> BTreeSet<String> {
    let pinned =
        |key: &SpkiDigest| *key == wanted.active || Some(*key) == wanted.backup || wanted.is_sibling(key);
    let strange = view.fallback.iter().filter(|shown| !pinned(&shown.key));
    strange
        .map(|shown| {
            format!(
                "{} presents the key {} to clients that send no name (SNI), and no TLSA record of this certificate matches \
                 it: give the server this certificate as its default",
                shown.at, shown.key
            )
        })
        .collect()
}

/// Secondaries follow: looks again until no server has the pin, or the zone's propagation time is over; then the next run
/// goes on.
pub(super) async fn gone_everywhere(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    seen: &mut Seen,
    owners: &[String],
    key: SpkiDigest,
) -> Result<()> {
    working.step(world, "waiting for every name server to drop the TLSA records");
    let zones = seen.located.iter().filter_map(|at| world.zone_of(&at.via));
    let patience = zones.map(|z| z.propagation).max().unwrap_or_default();
    let end = world.clock.elapsed() + patience;
    loop {
        at_pins(world, working, keys, seen).await?;
        let views = seen.observed.pins.iter().flatten().filter(|(owner, _)| owners.contains(owner));
        if views.into_iter().all(|(_, view)| !view.somewhere.contains(&key)) {
            return Ok(());
        }
        if world.clock.elapsed() >= end {
            let cause = format!("after {} s some server still has the pin of {key}", patience.as_secs());
            return Err(Error::new(
                Kind::Remote,
                "see a TLSA record gone from every authoritative server",
                cause,
            )
            .remains("Mail is safe: every server presents a key that is pinned everywhere.")
            .hint("look at the transfers to the late server; the next apply goes on"));
        }
        world.clock.sleep(Duration::from_millis(500)).await;
    }
}
