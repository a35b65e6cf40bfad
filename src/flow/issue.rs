//! Issuing, read top-down: look where the challenges go, order, publish all TXT values, see them on every server,
//! answer all challenges at once, finalize, download, check, install. The order's URL and every TXT value are on disk
//! before the request that makes us owe them.

use crate::acme::{Authorization, AuthorizationStatus, Ca, Order, OrderStatus, Polled};
use crate::error::{Error, Kind, Result};
use crate::flow::apply::Working;
use crate::flow::keys::{self, Material, WantedKeys};
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::{Expected, wait};
use crate::flow::txt;
use crate::flow::world::World;
use crate::flow::zone_writer::{Ticket, text};
use crate::model::certificate::Chain;
use crate::model::document::{Failures, Installed, OrderInFlight, OwedTxt};
use crate::model::renewal;
use crate::store::Generation;
use danesmith_providers::Change;
use futures_util::future::{join, join_all, try_join_all};
use hickory_proto::rr::{Name, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest that we wait for a CA to validate or to sign. Let's Encrypt takes seconds; our choice.
const CA_PATIENCE: Duration = Duration::from_secs(300);
/// First pause before we look at an order when the CA names none; doubled up to [`LONGEST_POLL`].
const SHORTEST_POLL: Duration = Duration::from_millis(50);
/// Longest pause between two looks when the CA names none.
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// A CA that validates within this time is asked to finalize at once, without looking at the order first.
const QUICK_CA: Duration = Duration::from_millis(500);

/// Gets and installs a certificate. On failure nothing that is served has changed, and what is owed stays noted.
pub(super) async fn issue(world: &World, working: &mut Working<'_>, keys: &WantedKeys) -> Result<()> {
    let material = keys::material(world, working.wanted, keys).await?;
    working.step(world, "looking where the challenges go");
    let tickets = announce(world, working)?;
    let (ca, places) = prepare(world, working).await?;

    let ordered = order(world, working, ca.as_ref(), keys).await?;
    let result = fulfil(world, working, ca.as_ref(), &places, ordered, &material).await;
    drop(tickets);
    let chain = match result {
        Ok(chain) => chain,
        Err(e) => return Err(clean_up_after(world, working, e).await),
    };
    install(world, working, keys, &chain, material.private).await
}

/// Tells the zones' writers that changes of ours are on their way.
fn announce<'w>(world: &'w World, working: &Working<'_>) -> Result<Vec<Ticket<'w>>> {
    let owners = owners(&working.wanted.names)?;
    let vias: BTreeSet<_> =
        owners.iter().filter_map(|o| world.zone_of(o)).filter(|z| z.provider.is_some()).map(|z| &z.apex).collect();
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
        let located = try_join_all(owners.iter().map(|o| locate(world, o, RecordType::TXT))).await?;
        preflight(world, &located).await?;
        let places: BTreeMap<Name, Located> = located.into_iter().map(|l| (l.asked.clone(), l)).collect();
        Ok::<_, Error>(places)
    };
    // The DNS side decides first: wrong credentials are told before the CA hears of anything.
    let (ca, places) = join(connect, survey).await;
    let places = places?;
    Ok((ca?, places))
}

/// Tests credentials that were not seen to work within the last day; opens the providers' connections in any case.
async fn preflight(world: &World, located: &[Located]) -> Result<()> {
    let mut zones: BTreeMap<(Name, Name), Vec<&Located>> = BTreeMap::new();
    for at in located {
        zones.entry((at.via.clone(), at.zone.clone())).or_default().push(at);
    }
    let now = world.clock.now();
    let memory = world.memory();
    try_join_all(zones.iter().map(|((via, zone), places)| {
        let memory = &memory;
        async move {
            let writer = world.writer(via)?;
            let label = |at: &Located| format!("{} {} {} TXT", writer.provider_name(), text(zone), text(&at.owner));
            let unproven: Vec<_> = places.iter().filter(|at| !memory.is_proven(&label(at), now)).collect();
            if unproven.is_empty() {
                // Opens the connection while the CA is still being dialled; a failure shows when we write.
                let _ = writer.provider().await?.list(zone, &places[0].owner, RecordType::TXT).await;
                return Ok(());
            }
            let targets: Vec<_> = unproven.iter().map(|at| (at.owner.clone(), RecordType::TXT)).collect();
            writer.preflight(zone, &targets).await?;
            world.remember(|m| m.proven.extend(unproven.iter().map(|at| (label(at), now))));
            Ok::<_, Error>(())
        }
    }))
    .await
    .map(|_| ())
}

/// The order of an interrupted run when the CA still knows it, else a new one.
async fn order(world: &World, working: &mut Working<'_>, ca: &dyn Ca, keys: &WantedKeys) -> Result<Order> {
    if let Some(resumed) = resume(world, working, ca, keys).await? {
        working.changed(format!("order {} resumed", resumed.url));
        return Ok(resumed);
    }
    working.step(world, "ordering");
    let order = ca.new_order(&working.wanted.names).await?.value;
    working.document.order = Some(OrderInFlight {
        url: order.url.clone(),
        account: ca.describe(),
        names: working.wanted.names.clone(),
        spki: keys.active,
        created: world.clock.now(),
    });
    Ok(order)
}

async fn resume(world: &World, working: &mut Working<'_>, ca: &dyn Ca, keys: &WantedKeys) -> Result<Option<Order>> {
    let wanted = working.wanted;
    let Some(flight) = working.document.order.clone() else { return Ok(None) };
    let ours = flight.names == wanted.names && flight.spki == keys.active && flight.account == ca.describe();
    if ours {
        working.step(world, "resuming the order of an interrupted run");
        match ca.order(&flight.url).await {
            Ok(Some(found)) if found.value.status != OrderStatus::Invalid => return Ok(Some(found.value)),
            Ok(_) => {}
            // Another account's order: nothing to go on with.
            Err(e) if e.kind == Kind::Credentials => tracing::debug!("{e}"),
            Err(e) => return Err(e),
        }
    }
    working.document.order = None;
    Ok(None)
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
    let mut order = order;
    if order.status == OrderStatus::Pending {
        working.step(world, "reading the authorizations");
        let authorizations =
            try_join_all(order.authorizations.iter().map(|url| ca.authorization(url))).await?;
        let authorizations: Vec<_> = authorizations.into_iter().map(|p| p.value).collect();
        let challenges = challenges(&order, &authorizations)?;
        publish(world, working, ca, places, &challenges).await?;
        answer(world, working, ca, &challenges).await?;
        order = validated(world, working, ca, order, &challenges, material).await?;
    } else {
        working.save(world).await?;
    }
    // What is owed is removed while the CA signs.
    let owed = working.document.owed.clone();
    let (chain, (left, failed)) =
        join(download(world, working.wanted.preferred_chain.as_deref(), ca, order, material), txt::remove(world, &owed)).await;
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

fn certificate_request_spki(material: &Material) -> Result<crate::model::key::SpkiDigest> {
    Ok(crate::model::csr::Csr::parse(&material.csr).map_err(Error::from)?.spki)
}

/// A challenge that must be answered, and the owner name that its TXT value belongs to.
struct Pending<'a> {
    authorization: &'a Authorization,
    challenge: &'a crate::acme::Challenge,
    owner: Name,
}

fn challenges<'a>(order: &Order, authorizations: &'a [Authorization]) -> Result<Vec<Pending<'a>>> {
    let fail = |a: &Authorization, cause: String| {
        Error::new(Kind::Remote, format!("prove control of `{}`", a.identifier), cause)
    };
    let mut pending = Vec::new();
    for a in authorizations {
        match a.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid | AuthorizationStatus::Gone => {
                return Err(fail(a, a.error.clone().unwrap_or_else(|| format!("the authorization of order {} is no longer pending", order.url))));
            }
        }
        let challenge = a.dns01.as_ref().ok_or_else(|| fail(a, "the CA offers no dns-01 challenge for it".into()))?;
        pending.push(Pending { authorization: a, challenge, owner: txt::challenge_owner(&a.identifier)? });
    }
    Ok(pending)
}

/// All TXT values, one UPDATE per zone, seen on every server.
async fn publish(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    places: &BTreeMap<Name, Located>,
    challenges: &[Pending<'_>],
) -> Result<()> {
    let mut values: BTreeMap<&Name, BTreeSet<String>> = BTreeMap::new();
    for c in challenges {
        values.entry(&c.owner).or_default().insert(ca.dns01_value(&c.challenge.token));
    }
    let mut targets = Vec::new();
    for (owner, values) in values {
        let at = places.get(owner).ok_or_else(|| {
            Error::new(Kind::Remote, format!("prove control of `{}`", text(owner)), "the CA asks for a name that we did not order")
        })?;
        targets.push((at, values));
    }
    let stale = std::mem::take(&mut working.document.owed);
    owe(world, working, &targets, &stale).await?;
    if targets.is_empty() {
        return Ok(());
    }
    working.step(world, "publishing TXT");
    write(world, &targets, &stale).await?;
    working.step(world, "waiting for every name server to have the TXT records");
    let expected: Vec<_> = targets
        .iter()
        .map(|(at, values)| Expected { at, rtype: RecordType::TXT, values: values.iter().map(|v| txt::value(v)).collect() })
        .collect();
    let patience = targets.iter().filter_map(|(at, _)| world.zone_of(&at.via)).map(|z| z.propagation).max();
    wait(world, &expected, patience.unwrap_or_default()).await
}

/// Order URL and TXT values on disk, in one go, before the UPDATE.
async fn owe(
    world: &World,
    working: &mut Working<'_>,
    targets: &[(&Located, BTreeSet<String>)],
    stale: &[OwedTxt],
) -> Result<()> {
    working.document.owed = stale.to_vec();
    for (at, values) in targets {
        for value in values {
            let owed = OwedTxt {
                zone: at.zone.to_ascii(),
                owner: at.owner.to_ascii(),
                value: value.clone(),
                via: at.via.to_ascii(),
            };
            if !working.document.owed.contains(&owed) {
                working.document.owed.push(owed);
            }
        }
    }
    working.save(world).await
}

/// Adds the values; what an earlier run left at the same names goes in the same UPDATE, so that the CA sees only ours.
async fn write(world: &World, targets: &[(&Located, BTreeSet<String>)], stale: &[OwedTxt]) -> Result<()> {
    let mut zones: BTreeMap<(Name, Name), Vec<Change>> = BTreeMap::new();
    for (at, values) in targets {
        let changes = zones.entry((at.via.clone(), at.zone.clone())).or_default();
        let add: Vec<_> = values.iter().map(|v| txt::value(v)).collect();
        let here = at.owner.to_ascii();
        let old = stale.iter().filter(|o| o.owner == here && !values.contains(&o.value));
        let remove: Vec<_> = old.map(|o| txt::value(&o.value)).collect();
        match changes.iter_mut().find(|c| c.name == at.owner) {
            // Two names whose aliases lead to one owner share its RRset.
            Some(change) => change.add.extend(add),
            None => changes.push(Change {
                name: at.owner.clone(),
                rtype: RecordType::TXT,
                ttl: world.zone_of(&at.via).map_or(60, |z| z.txt_ttl),
                add,
                remove,
            }),
        }
    }
    try_join_all(
        zones.into_iter().map(|((via, zone), changes)| async move { world.writer(&via)?.apply(&zone, changes).await }),
    )
    .await
    .map(|_| ())
}

async fn answer(world: &World, working: &Working<'_>, ca: &dyn Ca, challenges: &[Pending<'_>]) -> Result<()> {
    working.step(world, "the CA validates");
    let answers = join_all(challenges.iter().map(|c| ca.answer(c.challenge))).await;
    for (c, answer) in challenges.iter().zip(answers) {
        answer.map_err(|mut e| {
            e.action = format!("answer the challenge for `{}`: {}", c.authorization.identifier, e.action);
            e
        })?;
    }
    Ok(())
}

/// Waits until the order is ready and sends the CSR. A CA that was quick before gets the CSR without a look at the
/// order first: orderNotReady costs nothing (RFC 8555 §7.4), the look would cost a round trip.
async fn validated(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    order: Order,
    challenges: &[Pending<'_>],
    material: &Material,
) -> Result<Order> {
    let began = world.clock.elapsed();
    let usual = world.memory().validation_ms.get(&ca.describe()).map(|ms| Duration::from_millis(*ms));
    if let Some(usual) = usual.filter(|u| *u <= QUICK_CA && !challenges.is_empty()) {
        world.clock.sleep(usual).await;
        if let Some(finalized) = ca.finalize(&order, &material.csr).await? {
            return Ok(finalized.value);
        }
    }
    let order = poll(world, ca, &order.url, |o| o.status != OrderStatus::Pending).await?;
    if order.status == OrderStatus::Invalid {
        return Err(refused(world, working, ca, &order).await);
    }
    if !challenges.is_empty() {
        let took = (world.clock.elapsed() - began).as_millis() as u64;
        world.remember(|m| {
            m.validation_ms.insert(ca.describe(), took);
        });
    }
    Ok(order)
}

/// Looks at the order until `done`, as often as the CA allows (RFC 8555 §7.4, Retry-After).
async fn poll(world: &World, ca: &dyn Ca, url: &str, done: impl Fn(&Order) -> bool) -> Result<Order> {
    let until = world.clock.elapsed() + CA_PATIENCE;
    let mut pause = SHORTEST_POLL;
    loop {
        world.clock.sleep(pause).await;
        let Polled { value: order, retry_after } = ca.order(url).await?.ok_or_else(|| {
            Error::new(Kind::Remote, format!("look at the order {url}"), "the CA does not know it any more")
                .hint("run again: a new order is made")
        })?;
        if done(&order) {
            return Ok(order);
        }
        if world.clock.elapsed() > until {
            return Err(Error::new(
                Kind::Remote,
                format!("get the order {url} on"),
                format!("it is still {:?} after {} s", order.status, CA_PATIENCE.as_secs()),
            )
            .remains("The order is noted; the next run goes on with it."));
        }
        pause = retry_after.unwrap_or((pause * 2).min(LONGEST_POLL));
    }
}

/// Why the CA refused, by identifier, and no new order for a while.
async fn refused(world: &World, working: &mut Working<'_>, ca: &dyn Ca, order: &Order) -> Error {
    let looks = join_all(order.authorizations.iter().map(|url| ca.authorization(url))).await;
    let mut reasons: Vec<String> = looks.into_iter().flatten().filter_map(|p| p.value.error).collect();
    reasons.extend(order.error.clone().filter(|_| reasons.is_empty()));
    let cause = if reasons.is_empty() { "the order became invalid; the CA gave no reason".into() } else { reasons.join("; ") };
    let count = working.document.failures.as_ref().map_or(0, |f| f.count) + 1;
    let not_before = world.clock.now().checked_add(renewal::backoff(count)).unwrap_or(jiff::Timestamp::MAX);
    working.document.order = None;
    working.document.failures = Some(Failures { count, not_before, last: cause.clone() });
    Error::new(Kind::Remote, format!("get a certificate for {}", working.wanted.names.join(", ")), cause)
        .remains("What is installed and published is as it was.")
        .hint(format!("`danesmith apply` leaves the CA alone until {not_before} (its limits are counted per name and hour); `--now` tries at once"))
}

/// Sends the CSR when that is still to be done, waits for the certificate, fetches it.
async fn download(world: &World, preferred: Option<&str>, ca: &dyn Ca, order: Order, material: &Material) -> Result<Chain> {
    let mut order = order;
    if order.status == OrderStatus::Ready {
        order = match ca.finalize(&order, &material.csr).await? {
            Some(finalized) => finalized.value,
            None => poll(world, ca, &order.url, |o| o.status != OrderStatus::Pending).await?,
        };
    }
    if order.certificate.is_none() || order.status == OrderStatus::Processing {
        order = poll(world, ca, &order.url, |o| !matches!(o.status, OrderStatus::Processing | OrderStatus::Ready)).await?;
    }
    let Some(url) = order.certificate.as_deref().filter(|_| order.status == OrderStatus::Valid) else {
        let cause = order.error.clone().unwrap_or_else(|| format!("the order is {:?}", order.status));
        return Err(Error::new(Kind::Remote, format!("get the certificate of order {}", order.url), cause));
    };
    Chain::parse(&ca.certificate(url, preferred).await?).map_err(Error::from)
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
        Some(e) => error.hint(format!("TXT records of this run still stand and are removed by the next run: {e}")),
    }
}

/// Generation folder, document, link: in this order (see [`crate::store`]).
async fn install(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    chain: &Chain,
    private: Option<crate::secret::Secret>,
) -> Result<()> {
    working.step(world, "installing");
    let number = working.document.installed.as_ref().map_or(0, |i| i.generation) + 1;
    let name = &working.wanted.name;
    let files = Generation { number, cert: chain.leaf_pem(), chain: chain.rest_pem(), key: private };
    world.store.write_generation(name, files).await?;
    working.document.installed = Some(Installed {
        generation: number,
        names: working.wanted.names.clone(),
        spki: keys.active,
        not_before: chain.not_before,
        not_after: chain.not_after,
        serial: chain.serial.clone(),
        issuer: chain.issuer.clone(),
    });
    working.document.order = None;
    working.document.failures = None;
    working.document.reload_owed = (!working.wanted.deploy.reload.is_empty()).then_some(number);
    working.save(world).await?;
    world.store.switch(name, number).await?;
    working.live = Some(number);
    working.changed(format!("certificate {} installed, valid until {}", chain.serial, chain.not_after));
    Ok(())
}
