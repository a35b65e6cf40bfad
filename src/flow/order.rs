//! One order at the CA: placed or resumed, watched until it is ready, finalized, its chain fetched. Its URL is on disk
//! before anything is finalized.

use crate::acme::{Ca, NewOrder, Order, OrderStatus, Polled};
use crate::clock::{Clock, minute};
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
    answered: &Polled<usize>,
    material: &Material,
) -> Result<Polled<Order>> {
    let began = world.clock.elapsed();
    let (any, asked) = (answered.value > 0, answered.retry_after);
    let usual = world.memory().validation_ms.get(&ca.describe()).map(|ms| Duration::from_millis(*ms));
    let soon = |usual: &Duration| *usual <= QUICK_CA && asked.is_none_or(|asked| asked <= *usual);
    if let Some(usual) = usual.filter(|usual| any && soon(usual)) {
        world.clock.sleep(usual).await;
        if let Some(finalized) = ca.finalize(&order, &material.csr).await? {
            remember(world, ca, (usual * 4 / 5).max(SHORTEST_WAIT));
            return Ok(finalized);
        }
    }
    let clock = world.clock.as_ref();
    let (order, asked_at) =
        poll(clock, ca, &order.url, (SHORTEST_POLL, asked), |o| o.status != OrderStatus::Pending).await?;
    if order.value.status == OrderStatus::Invalid {
        return Err(refused(world, working, ca, &order.value).await);
    }
    if any {
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

/// Looks at the order until `done`, as often as the CA allows (RFC 8555 §7.4, Retry-After): the first time after `first`
/// or what an earlier answer asked for. Also says when the look that found it was sent.
async fn poll(
    clock: &dyn Clock,
    ca: &dyn Ca,
    url: &str,
    (first, mut asked): (Duration, Option<Duration>),
    done: impl Fn(&Order) -> bool,
) -> Result<(Polled<Order>, Duration)> {
    let began = clock.elapsed();
    let mut own = first;
    let mut status = OrderStatus::Processing;
    loop {
        let waited = clock.elapsed().saturating_sub(began);
        let Some(pause) = pause(asked, own, CA_PATIENCE.saturating_sub(waited)) else {
            return Err(out_of_patience(url, status, waited, asked));
        };
        clock.sleep(pause).await;
        let asked_at = clock.elapsed();
        let order = ca.order(url).await?.ok_or_else(|| {
            Error::new(Kind::Remote, format!("look at the order {url}"), "the CA does not know it any more")
                .hint("run again: a new order is made")
        })?;
        if done(&order.value) {
            return Ok((order, asked_at));
        }
        own = (asked_at.saturating_sub(began) / 4).clamp(SHORTEST_POLL, LONGEST_POLL);
        (status, asked) = (order.value.status, order.retry_after);
    }
}

/// Until the next look: what the CA asks for, but never nothing; without its word what we choose. `None`: that would be
/// longer than we wait.
fn pause(asked: Option<Duration>, own: Duration, left: Duration) -> Option<Duration> {
    let pause = asked.map_or(own, |asked| asked.max(SHORTEST_POLL));
    (pause <= left).then_some(pause)
}

fn out_of_patience(url: &str, status: OrderStatus, waited: Duration, asked: Option<Duration>) -> Error {
    let mut cause = format!("it is still {} after {} s", status.word(), waited.as_secs());
    if let Some(asked) = asked {
        cause.push_str(&format!(
            ", and the CA wants to be asked again in {} s (Retry-After)",
            asked.as_secs()
        ));
    }
    let error = Error::new(Kind::Remote, format!("get the order {url} on"), cause);
    Error { retry_after: asked, ..error }.remains("The order is noted; the next run goes on with it.")
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
    clock: &dyn Clock,
    preferred: Option<&str>,
    ca: &dyn Ca,
    order: Polled<Order>,
    material: &Material,
) -> Result<Chain> {
    let mut order = order;
    if order.value.status == OrderStatus::Ready {
        let not_pending = |o: &Order| o.status != OrderStatus::Pending;
        order = match ca.finalize(&order.value, &material.csr).await? {
            Some(finalized) => finalized,
            None => poll(clock, ca, &order.value.url, (SHORTEST_POLL, None), not_pending).await?.0,
        };
    }
    if order.value.certificate.is_none() || order.value.status == OrderStatus::Processing {
        let issued = |o: &Order| !matches!(o.status, OrderStatus::Processing | OrderStatus::Ready);
        let first = (SHORTEST_WAIT, order.retry_after);
        order = poll(clock, ca, &order.value.url, first, issued).await?.0;
    }
    let order = order.value;
    let Some(url) = order.certificate.as_deref().filter(|_| order.status == OrderStatus::Valid) else {
        let cause = order.error.clone().unwrap_or_else(|| format!("the order is {}", order.status.word()));
        return Err(Error::new(Kind::Remote, format!("get the certificate of order {}", order.url), cause));
    };
    Chain::parse(&ca.certificate(url, preferred).await?).map_err(Error::from)
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
