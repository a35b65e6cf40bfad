//! Issuing, read top-down: look where the challenges go, order, publish all TXT values, see them on every server,
//! answer all challenges at once, finalize, download, check, install. The order's URL and every TXT value are on disk
//! before the request that makes us owe them.

use crate::acme::{Ca, Order, OrderStatus, Polled};
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::flow::keys::{self, Material};
use crate::flow::locate::{Located, locate};
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::flow::zone_writer::{Ticket, text};
use crate::flow::{challenge, order, txt};
use crate::model::certificate::Chain;
use crate::model::document::Installed;
use crate::model::key::SpkiDigest;
use crate::model::ledger;
use crate::store::Generation;
use futures_util::future::{Either, join, join_all, select, try_join, try_join_all};
use hickory_proto::rr::{Name, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

/// What happens to the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is served from now on.
    Serve,
    /// It is kept for the switch to its key.
    Keep,
}

/// Gets a certificate for this key. On failure nothing that is served has changed, and what is owed stays noted.
pub(super) async fn issue(
    world: &World,
    working: &mut Working<'_>,
    key: SpkiDigest,
    purpose: Use,
) -> Result<()> {
    let material = keys::material(world, working.wanted, key).await?;
    working.step(world, "looking where the challenges go");
    let tickets = announce(world, working)?;
    let (ca, places) = prepare(world, working).await?;

    let ordered = order::order(world, working, ca.as_ref(), key).await?;
    let result = fulfil(world, working, ca.as_ref(), &places, ordered, &material).await;
    drop(tickets);
    let chain = match result {
        Ok(chain) => chain,
        Err(e) => return Err(clean_up_after(world, working, e).await),
    };
    install(world, working, (key, purpose), &chain, material.private).await
}

/// Tells the zones' writers that changes of ours are on their way.
fn announce<'w>(world: &'w World, working: &Working<'_>) -> Result<Vec<Ticket<'w>>> {
    let owners = owners(&working.wanted.names)?;
    let vias: BTreeSet<_> = owners
        .iter()
        .filter_map(|o| world.zone_of(o))
        .filter(|z| z.provider.is_some())
        .map(|z| &z.apex)
        .collect();
    vias.into_iter().map(|apex| Ok(world.writer(apex)?.announce())).collect()
}

fn owners(names: &[String]) -> Result<BTreeSet<Name>> {
    names.iter().map(|n| txt::challenge_owner(n)).collect()
}

/// DNS and CA side by side: where each challenge record lives, whether we may write there, and an open connection.
async fn prepare(
    world: &World,
    working: &Working<'_>,
) -> Result<(std::sync::Arc<dyn Ca>, BTreeMap<Name, Located>)> {
    let connect = async {
        let ca = world.ca(&working.wanted.account).await?;
        ca.warm_up(working.wanted.names.len()).await?;
        Ok::<_, Error>(ca)
    };
    let survey = async {
        let owners = owners(&working.wanted.names)?;
        let places = try_join(
            try_join_all(owners.iter().map(|o| locate(world, o, RecordType::TXT))),
            try_join_all(unpinned(working).map(|o| locate(world, o, RecordType::TLSA))),
        );
        // Opens the connections to the primaries meanwhile, where the configured zone is likely the right one.
        let (places, ()) = join(places, dial(world, &owners)).await;
        let (located, pins) = places?;
        preflight(world, &located, &pins).await?;
        let places: BTreeMap<Name, Located> = located.into_iter().map(|l| (l.asked.clone(), l)).collect();
        Ok::<_, Error>(places)
    };
    // The DNS side decides first: what is wrong there is told at once, whatever the CA does meanwhile.
    match select(pin!(connect), pin!(survey)).await {
        Either::Left((ca, survey)) => {
            let places = survey.await?;
            Ok((ca?, places))
        }
        Either::Right((places, connect)) => {
            let places = places?;
            Ok((connect.await?, places))
        }
    }
}

/// One early question per zone; its answer does not matter.
async fn dial(world: &World, owners: &BTreeSet<Name>) {
    let zones: BTreeMap<&Name, &Name> =
        owners.iter().filter_map(|o| Some((&world.zone_of(o)?.apex, o))).collect();
    join_all(zones.into_iter().map(|(apex, owner)| async move {
        if let Ok(writer) = world.writer(apex) {
            let _ = writer.look_ahead(apex, &[(owner.clone(), RecordType::TXT)]).await;
        }
    }))
    .await;
}

/// Owner names that have no pin of ours yet: whether we may write there is found out before the CA hears of anything. A
/// renewal leaves TLSA alone and must not fail over it.
fn unpinned<'a>(working: &'a Working<'_>) -> impl Iterator<Item = &'a Name> {
    let pins = &working.document.pins;
    working.wanted.tlsa.iter().filter(|owner| !pins.iter().any(|p| p.owner == owner.to_ascii()))
}

/// Tests credentials that were not seen to work within the last day; opens the providers' connections in any case.
async fn preflight(world: &World, txt: &[Located], tlsa: &[Located]) -> Result<()> {
    let txt = txt.iter().map(|at| (at, RecordType::TXT));
    let tlsa = tlsa.iter().map(|at| (at, RecordType::TLSA));
    let mut zones: BTreeMap<(&Name, &Name), Vec<(&Located, RecordType)>> = BTreeMap::new();
    for (at, rtype) in txt.chain(tlsa) {
        zones.entry((&at.via, &at.zone)).or_default().push((at, rtype));
    }
    try_join_all(zones.iter().map(|((via, zone), targets)| preflight_zone(world, via, zone, targets)))
        .await
        .map(|_| ())
}

async fn preflight_zone(
    world: &World,
    via: &Name,
    zone: &Name,
    targets: &[(&Located, RecordType)],
) -> Result<()> {
    let writer = world.writer(via)?;
    let now = world.clock.now();
    let memory = world.memory();
    let label = |at: &Located, rtype: RecordType| {
        format!("{} {} {} {rtype}", writer.provider_name(), text(zone), text(&at.owner))
    };
    let target = |(at, rtype): &(&Located, RecordType)| (at.owner.clone(), *rtype);
    let unproven: Vec<_> =
        targets.iter().filter(|(at, rtype)| !memory.is_proven(&label(at, *rtype), now)).collect();
    let test: Vec<_> = unproven.iter().map(|t| target(t)).collect();
    let all: Vec<_> = targets.iter().map(target).collect();
    let tested = async { if test.is_empty() { Ok(()) } else { writer.preflight(zone, &test).await } };
    // A look is signed, so that even a key that was proven a while ago is tried once more.
    let (tested, seen) = join(tested, writer.look_ahead(zone, &all)).await;
    tested.and(seen)?;
    world.remember(|m| m.proven.extend(unproven.iter().map(|(at, rtype)| (label(at, *rtype), now))));
    Ok(())
}

/// From the order to the checked chain.
async fn fulfil(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    places: &BTreeMap<Name, Located>,
    order: Order,
    material: &Material,
) -> Result<Chain> {
    let mut order = Polled { value: order, retry_after: None };
    if order.value.status == OrderStatus::Pending {
        working.step(world, "reading the authorizations");
        let authorizations =
            try_join_all(order.value.authorizations.iter().map(|url| ca.authorization(url))).await?;
        let authorizations: Vec<_> = authorizations.into_iter().map(|p| p.value).collect();
        let challenges = challenge::challenges(&order.value, &authorizations)?;
        challenge::publish(world, working, ca, places, &challenges).await?;
        let answered = challenge::answer(world, working, ca, &challenges).await?;
        order = order::validated(world, working, ca, order.value, &answered, material).await?;
    } else {
        working.save(world).await?;
    }
    // What is owed is removed while the CA signs.
    let owed = working.document.owed.clone();
    let (clock, preferred) = (world.clock.as_ref(), working.wanted.preferred_chain.as_deref());
    let (chain, (left, failed)) =
        join(order::download(clock, preferred, ca, order, material), txt::remove(world, &owed)).await;
    working.document.owed = left;
    if let Some(e) = failed {
        working.warn(format!("TXT records of this run still stand; the next run removes them: {e}"));
    }
    let chain = chain?;
    let expected = certificate_request_spki(material)?;
    chain.check(expected, &working.wanted.names, world.clock.now()).map_err(|e| {
        let mut e = Error::from(e);
        e.kind = Kind::Remote;
        e.action = format!("accept the certificate that {} issued", ca.describe());
        e.remains("It was not installed; what is served is as it was.")
    })?;
    Ok(chain)
}

fn certificate_request_spki(material: &Material) -> Result<SpkiDigest> {
    Ok(crate::model::csr::Csr::parse(&material.csr).map_err(Error::from)?.spki)
}

/// Removes our TXT after a failure; what cannot be removed stays noted.
async fn clean_up_after(world: &World, working: &mut Working<'_>, error: Error) -> Error {
    let (left, failed) = txt::remove(world, &working.document.owed).await;
    working.document.owed = left;
    if let Err(e) = working.save(world).await {
        tracing::warn!("{e}");
    }
    match failed {
        None => error,
        Some(e) => error.hint(format!(
            "TXT records of this run may still stand; the next run looks again and removes them: {e}"
        )),
    }
}

/// Generation folder, document, link: in this order (see [`crate::store`]).
async fn install(
    world: &World,
    working: &mut Working<'_>,
    (key, purpose): (SpkiDigest, Use),
    chain: &Chain,
    private: Option<crate::secret::Secret>,
) -> Result<()> {
    working.step(world, "installing");
    let number = working.document.next_generation();
    let name = working.wanted.name.clone();
    let files = Generation { number, cert: chain.leaf_pem(), chain: chain.rest_pem(), key: private };
    world.store.write_generation(&name, files).await?;
    let certificate = Installed {
        generation: number,
        names: working.wanted.names.clone(),
        spki: key,
        not_before: chain.not_before,
        not_after: chain.not_after,
        serial: chain.serial.clone(),
        issuer: chain.issuer.clone(),
        certificate_id: chain.certificate_id.clone(),
        revoked: None,
    };
    let until = minute(chain.not_after);
    if purpose == Use::Keep {
        ledger::stage(&mut working.document, certificate);
        working.save(world).await?;
        working
            .changed(format!("certificate {} for the key {key} is ready, valid until {until}", chain.serial));
        return Ok(());
    }
    let reload = working.reloads();
    ledger::install(&mut working.document, certificate, reload, world.clock.now());
    working.save(world).await?;
    working.switch(world, number).await?;
    working.changed(format!("certificate {} installed, valid until {until}", chain.serial));
    Ok(())
}
