//! The recipes of a rotation: each writes down what it is about to do, does it, and writes down the result. A run that is
//! killed between any two is taken up by the next `apply`.

use crate::clock::full_minute;
use crate::error::Result;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::flow::{keys, observe};
use crate::model::desired::{Certificate, Endpoints};
use crate::model::evidence::Ripe;
use crate::model::key::SpkiDigest;
use crate::model::pin::TlsaOwner;
use crate::model::plan::{OwnerView, Wish};
use crate::model::{dane_others, ledger};
use hickory_proto::rr::Name;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The rotation begins: from here on both keys stay pinned until it ends.
pub(super) async fn begin(
    world: &World,
    working: &mut Working<'_>,
    evidence: &Ripe,
    from: SpkiDigest,
) -> Result<()> {
    let forced = working.switches_at_once();
    let to = evidence.key();
    ledger::begin(&mut working.document, from, to, forced, world.clock.now());
    working.wish = None;
    working.save(world).await?;
    working.changed(format!("rotation from the key {from} to {to} begun"));
    Ok(())
}

/// Document, then link, as with every installation.
pub(super) async fn serve_spare(world: &World, working: &mut Working<'_>, key: SpkiDigest) -> Result<()> {
    let reload = working.reloads();
    ledger::serve_spare(&mut working.document, reload);
    working.save(world).await?;
    if let Some(generation) = working.document.installed.as_ref().map(|i| i.generation) {
        working.switch(world, generation).await?;
    }
    working.changed(format!("the certificate for the key {key} is installed"));
    Ok(())
}

/// Nothing was served yet: the rotation never was. Who asks for one gets it now, or hears why not.
pub(super) async fn withdraw(world: &World, working: &mut Working<'_>, why: &str) -> Result<()> {
    ledger::settle(&mut working.document);
    working.wish = working.asked;
    working.save(world).await?;
    working.changed(format!("the rotation was withdrawn before anything was switched: {why}"));
    Ok(())
}

pub(super) async fn abort(world: &World, working: &mut Working<'_>) -> Result<()> {
    ledger::abort(&mut working.document);
    working.wish = None;
    working.save(world).await?;
    working.changed("the rotation is being aborted".into());
    Ok(())
}

pub(super) async fn settle(world: &World, working: &mut Working<'_>) -> Result<()> {
    ledger::settle(&mut working.document);
    working.wish = working.asked.filter(|asked| *asked != Wish::Abort);
    working.save(world).await?;
    working.changed(
        "the rotation was aborted: every server presents the former key; the new one stays pinned".into(),
    );
    Ok(())
}

/// Nobody presents the former key. Its pin can be replayed until its signature ends (RFC 7671 §13): a horizon to know
/// when the key leaked.
pub(super) async fn retire(
    world: &World,
    working: &mut Working<'_>,
    key: SpkiDigest,
    views: Option<&BTreeMap<String, OwnerView>>,
) -> Result<()> {
    ledger::retire(&mut working.document);
    views.into_iter().for_each(|views| ledger::note_replay(&mut working.document, key, views));
    working.save(world).await?;
    working.changed(format!("no server presents the key {key} any more: its pin is removed"));
    let replay = working.document.replayable.iter().find(|replay| replay.spki == key);
    if let Some(end) = replay.map(|replay| full_minute(replay.until)) {
        working.changed(format!("a withdrawn pin can be replayed until its last signature ends, {end}"));
    }
    Ok(())
}

/// The roles shift, and the next backup key is there.
pub(super) async fn shift(world: &World, working: &mut Working<'_>) -> Result<()> {
    let backup = keys::make_backup(world, working.wanted).await?;
    let owners: Vec<_> = working.wanted.tlsa.iter().map(|owner| owner.to_ascii()).collect();
    ledger::shift(&mut working.document, &owners, backup, world.clock.now());
    working.save(world).await?;
    let Some(pair) = working.document.keys.clone() else { return Ok(()) };
    working.changed(format!("rotation done: the key {} is the active one", pair.active));
    match backup {
        Some(backup) => working.changed(format!("made the backup key {backup}")),
        None => working.warn(
            "the former key is retired: give the new active key as `active` and a new key as `backup` in zones.yaml".into(),
        ),
    }
    Ok(())
}

/// TLSA records of others, and ours at names that zones.yaml no longer has, that would match nothing once the spare
/// certificate is served.
pub(super) async fn judge_others(
    world: &World,
    working: &mut Working<'_>,
    views: &BTreeMap<String, OwnerView>,
) -> Result<Vec<String>> {
    let Some(spare) = working.document.spare.clone() else { return Ok(Vec::new()) };
    let mut unmatched = left_behind(world, working, spare.spki).await;
    if views.values().any(|v| !v.others.is_empty()) {
        let chain = world.store.chain(&working.wanted.name, spare.generation).await?;
        let of_others =
            |(owner, view): (&String, &OwnerView)| dane_others::unmatched(owner, &view.others, &chain);
        unmatched.extend(views.iter().flat_map(of_others));
    }
    Ok(unmatched)
}

/// TLSA records of others that match nothing of what is served now: a `2 1 1` of the issuing CA beside ours is fine, until a
/// renewal comes from another issuer (RFC 7671 §5.2).
pub(super) async fn warn_of_others(
    world: &World,
    working: &mut Working<'_>,
    views: Option<&BTreeMap<String, OwnerView>>,
) {
    let others = views.into_iter().flatten().filter(|(_, view)| !view.others.is_empty());
    let others: Vec<_> = others.collect();
    let Some(installed) = working.document.installed.clone().filter(|_| !others.is_empty()) else { return };
    let chain = match world.store.chain(&working.wanted.name, installed.generation).await {
        Ok(chain) => chain,
        Err(e) => return working.warn(e.to_string()),
    };
    for record in others.iter().flat_map(|(owner, view)| dane_others::unmatched(owner, &view.others, &chain))
    {
        working.warn(format!(
            "the TLSA record {record}, which danesmith does not keep, matches nothing of the installed certificate (issuer {}): \
             has its issuer changed? Senders that look at it alone defer mail; replace or remove it",
            installed.issuer
        ));
    }
}

/// Records of ours stay where zones.yaml no longer has the name, and others publish at the names of our endpoints; senders
/// believe both. Nobody adds the next keys there, so the one to come may be missing. A name that another certificate has is
/// that one's.
async fn left_behind(world: &World, working: &mut Working<'_>, to: SpkiDigest) -> Vec<String> {
    let named: BTreeSet<_> = world.desired().certificates.values().flat_map(|c| &c.tlsa).cloned().collect();
    let pins = working.document.pins.iter().filter_map(|pin| Name::from_ascii(&pin.owner).ok());
    let pinned: BTreeSet<_> = pins.collect();
    let of_endpoints = owners_of(&working.wanted.endpoints);
    let ours = of_endpoints.into_iter().filter(|owner| world.zone_of(owner).is_some());
    let left: BTreeSet<_> = pinned.iter().cloned().chain(ours).filter(|o| !named.contains(o)).collect();
    let mut unmatched = Vec::new();
    for owner in left {
        let no_longer = if pinned.contains(&owner) { "no longer names" } else { "does not name" };
        let one = Certificate { tlsa: vec![owner.clone()], ..working.wanted.clone() };
        match observe::pins(world, &one).await {
            Ok((views, _)) => {
                let silent = views.values().flat_map(|view| view.silent.iter());
                for silent in silent.cloned().collect::<Vec<_>>() {
                    working.warn(format!("TLSA at a name that zones.yaml {no_longer}: {silent}"));
                }
                let lacks = |view: &OwnerView| !view.somewhere.is_empty() && !view.everywhere.contains(&to);
                if views.values().any(lacks) {
                    unmatched.push(format!(
                        "TLSA at `{}`, which zones.yaml {no_longer}, does not have the key {to}",
                        owner.to_ascii().trim_end_matches('.')
                    ));
                }
            }
            Err(e) => working.warn(format!("TLSA at a name that zones.yaml {no_longer}: {e}")),
        }
    }
    unmatched
}

/// Where senders look for TLSA records before they connect to these (RFC 6698 §3).
fn owners_of(endpoints: &Endpoints) -> BTreeSet<Name> {
    let Endpoints::Listed(list) = endpoints else { return BTreeSet::new() };
    let owners = list.iter().filter(|e| e.host.parse::<IpAddr>().is_err());
    owners.filter_map(|e| TlsaOwner::new(&e.host, e.port).ok()?.name().ok()).collect()
}
