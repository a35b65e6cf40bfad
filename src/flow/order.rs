//! One order at the CA: placed or resumed, watched until it is ready, finalized, its chain fetched. Its URL is on disk
//! before anything is finalized.

use crate::acme::{Ca, NewOrder, Order, OrderStatus, Polled};
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::flow::keys::Material;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::certificate::Chain;
use crate::model::document::{Failures, OrderInFlight};
use crate::model::key::SpkiDigest;
use crate::model::renewal;
use futures_util::future::join_all;
use std::time::Duration;

/// Longest that we wait for a CA to validate or to sign. Let's Encrypt takes seconds; our choice.
const CA_PATIENCE: Duration = Duration::from_secs(300);
/// Shortest pause before we look at an order when the CA names none. It grows to a quarter of the time spent waiting.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
/// Shortest pause before we ask whether a CA has validated or signed. Our choice: below a usual round trip.
const SHORTEST_WAIT: Duration = Duration::from_millis(25);
/// Longest pause between two looks when the CA names none.
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// A CA that validates within this time is asked to finalize at once, without looking at the order first.
const QUICK_CA: Duration = Duration::from_millis(500);

/// The order of an interrupted run when the CA still knows it, else a new one.
pub(super) async fn order(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    key: SpkiDigest,
) -> Result<Order> {
    if let Some(resumed) = resume(world, working, ca, key).await? {
        working.changed(format!("order {} resumed", resumed.url));
        return Ok(resumed);
    }
    working.step(world, "ordering");
    let order = ca.new_order(wanted(working, ca, key)).await?.value;
    working.document.order = Some(OrderInFlight {
        url: order.url.clone(),
        account: ca.describe(),
        names: working.wanted.names.clone(),
        spki: key,
        created: world.clock.now(),
    });
    Ok(order)
}

/// A certificate that the CA has told about is replaced by one for the same key; its order is then counted against none of Let's
/// Encrypt's limits. One for another key is kept for a rotation, and replaces nothing yet.
fn wanted<'a>(working: &'a Working<'_>, ca: &dyn Ca, key: SpkiDigest) -> NewOrder<'a> {
    let document = &working.document;
    let told = document.renewal_info.as_ref().filter(|info| info.directory == ca.describe());
    let replaced =
        document.installed.as_ref().filter(|i| i.spki == key).and_then(|i| i.certificate_id.as_deref());
    NewOrder {
        identifiers: &working.wanted.names,
        profile: working.wanted.profile.as_deref(),
        replaces: replaced.filter(|id| told.is_some_and(|info| info.certificate_id == *id)),
    }
}

async fn resume(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    key: SpkiDigest,
) -> Result<Option<Order>> {
    let wanted = working.wanted;
    let Some(flight) = working.document.order.clone() else { return Ok(None) };
    let ours = flight.names == wanted.names && flight.spki == key && flight.account == ca.describe();
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

/// Waits until the order is ready and sends the CSR. A CA that was quick before gets the CSR without a look at the
/// order first: orderNotReady costs nothing (RFC 8555 §7.4), the look would cost a round trip.
pub(super) async fn validated(
    world: &World,
    working: &mut Working<'_>,
    ca: &dyn Ca,
    order: Order,
    answered: usize,
    material: &Material,
) -> Result<Order> {
    let began = world.clock.elapsed();
    let usual = world.memory().validation_ms.get(&ca.describe()).map(|ms| Duration::from_millis(*ms));
    if let Some(usual) = usual.filter(|u| *u <= QUICK_CA && answered > 0) {
        world.clock.sleep(usual).await;
        if let Some(finalized) = ca.finalize(&order, &material.csr).await? {
            remember(world, ca, (usual * 4 / 5).max(SHORTEST_WAIT));
            return Ok(finalized.value);
        }
    }
    let (order, asked_at) =
        poll(world, ca, &order.url, SHORTEST_POLL, |o| o.status != OrderStatus::Pending).await?;
    if order.status == OrderStatus::Invalid {
        return Err(refused(world, working, ca, &order).await);
    }
    if answered > 0 {
        remember(world, ca, asked_at.saturating_sub(began));
    }
    Ok(order)
}

/// How long this CA takes; a little less is tried each time it was ready at once.
fn remember(world: &World, ca: &dyn Ca, took: Duration) {
    world.remember(|m| {
        m.validation_ms.insert(ca.describe(), took.as_millis() as u64);
    });
}

/// Looks at the order until `done`, as often as the CA allows (RFC 8555 §7.4, Retry-After).
/// Also says when the look that found it was sent.
async fn poll(
    world: &World,
    ca: &dyn Ca,
    url: &str,
    first: Duration,
    done: impl Fn(&Order) -> bool,
) -> Result<(Order, Duration)> {
    let began = world.clock.elapsed();
    let mut pause = first;
    loop {
        world.clock.sleep(pause).await;
        let asked_at = world.clock.elapsed();
        let Polled { value: order, retry_after } = ca.order(url).await?.ok_or_else(|| {
            Error::new(Kind::Remote, format!("look at the order {url}"), "the CA does not know it any more")
                .hint("run again: a new order is made")
        })?;
        if done(&order) {
            return Ok((order, asked_at));
        }
        let waited = asked_at.saturating_sub(began);
        if waited > CA_PATIENCE {
            return Err(Error::new(
                Kind::Remote,
                format!("get the order {url} on"),
                format!("it is still {} after {} s", order.status.word(), CA_PATIENCE.as_secs()),
            )
            .remains("The order is noted; the next run goes on with it."));
        }
        pause = retry_after.unwrap_or((waited / 4).clamp(SHORTEST_POLL, LONGEST_POLL));
    }
}

/// Why the CA refused, by identifier, and no new order for a while.
async fn refused(world: &World, working: &mut Working<'_>, ca: &dyn Ca, order: &Order) -> Error {
    let looks = join_all(order.authorizations.iter().map(|url| ca.authorization(url))).await;
    let mut reasons: Vec<String> = looks.into_iter().flatten().filter_map(|p| p.value.error).collect();
    reasons.extend(order.error.clone().filter(|_| reasons.is_empty()));
    let cause = if reasons.is_empty() {
        "the order became invalid; the CA gave no reason".into()
    } else {
        reasons.join("; ")
    };
    let count = working.document.failures.as_ref().map_or(0, |f| f.count) + 1;
    let not_before = world.clock.now().checked_add(renewal::backoff(count)).unwrap_or(jiff::Timestamp::MAX);
    working.document.order = None;
    working.document.failures = Some(Failures { count, not_before, last: cause.clone() });
    Error::new(Kind::Remote, format!("get a certificate for {}", working.wanted.names.join(", ")), cause)
        .remains("What is installed and published is as it was.")
        .hint(format!("`danesmith apply` leaves the CA alone until {} (its limits are counted per name and hour); `--now` tries at once", minute(not_before)))
}

/// Sends the CSR when that is still to be done, waits for the certificate, fetches it.
pub(super) async fn download(
    world: &World,
    preferred: Option<&str>,
    ca: &dyn Ca,
    order: Order,
    material: &Material,
) -> Result<Chain> {
    let mut order = order;
    if order.status == OrderStatus::Ready {
        order = match ca.finalize(&order, &material.csr).await? {
            Some(finalized) => finalized.value,
            None => poll(world, ca, &order.url, SHORTEST_POLL, |o| o.status != OrderStatus::Pending).await?.0,
        };
    }
    if order.certificate.is_none() || order.status == OrderStatus::Processing {
        let issued = |o: &Order| !matches!(o.status, OrderStatus::Processing | OrderStatus::Ready);
        order = poll(world, ca, &order.url, SHORTEST_WAIT, issued).await?.0;
    }
    let Some(url) = order.certificate.as_deref().filter(|_| order.status == OrderStatus::Valid) else {
        let cause = order.error.clone().unwrap_or_else(|| format!("the order is {}", order.status.word()));
        return Err(Error::new(Kind::Remote, format!("get the certificate of order {}", order.url), cause));
    };
    Chain::parse(&ca.certificate(url, preferred).await?).map_err(Error::from)
}
