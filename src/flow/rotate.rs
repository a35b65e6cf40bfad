//! The recipes of a rotation: each writes down what it is about to do, does it, and writes down the result. A run that is
//! killed between any two is taken up by the next `apply`.

use crate::clock::minute;
use crate::error::Result;
use crate::flow::keys;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::evidence::Ripe;
use crate::model::key::SpkiDigest;
use crate::model::plan::{OwnerView, Wish};
use crate::model::{dane_others, ledger};
use std::collections::BTreeMap;

/// The rotation begins: from here on both keys stay pinned until it ends.
pub(super) async fn begin(
    world: &World,
    working: &mut Working<'_>,
    evidence: &Ripe,
    from: SpkiDigest,
) -> Result<()> {
    let forced = matches!(working.wish, Some(Wish::Emergency { switch_now: true }));
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
    working.save(world).await?;
    working.changed(format!("no server presents the key {key} any more: its pin is removed"));
    if let Some(end) = views.into_iter().flat_map(|v| v.values()).filter_map(|v| v.signed_until).max() {
        working.changed(format!(
            "a withdrawn pin can be replayed until its last signature ends, {}",
            minute(end)
        ));
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

/// TLSA records of others that would match nothing once the spare certificate is served.
pub(super) async fn judge_others(
    world: &World,
    working: &Working<'_>,
    views: &BTreeMap<String, OwnerView>,
) -> Result<Vec<String>> {
    let Some(spare) =
        working.document.spare.as_ref().filter(|_| views.values().any(|v| !v.others.is_empty()))
    else {
        return Ok(Vec::new());
    };
    let chain = world.store.chain(&working.wanted.name, spare.generation).await?;
    Ok(views.iter().flat_map(|(owner, view)| dane_others::unmatched(owner, &view.others, &chain)).collect())
}
