//! The dns-01 challenges of an order: which must be answered, their TXT values published in one UPDATE per zone and seen
//! on every server, all answered together. What we owe is on disk before it is published.

use crate::acme::{Authorization, AuthorizationStatus, Ca, Challenge, Order, Polled};
use crate::error::{Error, Kind, Result};
use crate::flow::locate::Located;
use crate::flow::propagation::{Expected, wait};
use crate::flow::txt;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::flow::zone_writer::text;
use crate::model::document::OwedTxt;
use danesmith_providers::Change;
use futures_util::future::{Either, join_all, select};
use hickory_proto::rr::{Name, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

/// A challenge that must be answered, and the owner name that its TXT value belongs to.
pub(super) struct Pending<'a> {
    pub(super) authorization: &'a Authorization,
    pub(super) challenge: &'a Challenge,
    pub(super) owner: Name,
}

pub(super) fn challenges<'a>(order: &Order, authorizations: &'a [Authorization]) -> Result<Vec<Pending<'a>>> {
    let fail = |a: &Authorization, cause: String| {
        Error::new(Kind::Remote, format!("prove control of `{}`", a.identifier), cause)
    };
    let mut pending = Vec::new();
    for a in authorizations {
        match a.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid | AuthorizationStatus::Gone => {
                return Err(fail(
                    a,
                    a.error.clone().unwrap_or_else(|| {
                        format!("the authorization of order {} is no longer pending", order.url)
                    }),
                ));
            }
        }
        let challenge =
            a.dns01.as_ref().ok_or_else(|| fail(a, "the CA offers no dns-01 challenge for it".into()))?;
        pending.push(Pending { authorization: a, challenge, owner: txt::challenge_owner(&a.identifier)? });
    }
    Ok(pending)
}

/// All TXT values, one UPDATE per zone, seen on every server.
pub(super) async fn publish(
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
            Error::new(
                Kind::Remote,
                format!("prove control of `{}`", text(owner)),
                "the CA asks for a name that we did not order",
            )
        })?;
        targets.push((at, values));
    }
    let stale = std::mem::take(&mut working.document.owed);
    owe(world, working, &targets, &stale).await?;
    if targets.is_empty() {
        return Ok(());
    }
    working.step(world, "publishing TXT and waiting for every name server to have it");
    let expected: Vec<_> = targets
        .iter()
        .map(|(at, values)| Expected {
            at,
            rtype: RecordType::TXT,
            values: values.iter().map(|v| txt::value(v)).collect(),
        })
        .collect();
    let patience = targets.iter().filter_map(|(at, _)| world.zone_of(&at.via)).map(|z| z.propagation).max();
    // Looking begins at once: while the writer reads its change back, the other servers may have it already.
    let look = async {
        let seen = wait(world, &expected, patience.unwrap_or_default()).await;
        working.unless_at_once(seen)
    };
    written_and_seen(write(world, &targets, &stale), look).await
}

/// A failed look does not stop the writer: what is taken back next must not be on its way any more.
async fn written_and_seen(
    write: impl Future<Output = Result<()>>,
    look: impl Future<Output = Result<()>>,
) -> Result<()> {
    match select(pin!(write), pin!(look)).await {
        Either::Left((written, seen)) => {
            written?;
            seen.await
        }
        Either::Right((seen, written)) => written.await.and(seen),
    }
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
    world.write(zones).await
}

/// Answers all challenges at once. How many there were, and the longest wait that the CA asks for.
pub(super) async fn answer(
    world: &World,
    working: &Working<'_>,
    ca: &dyn Ca,
    challenges: &[Pending<'_>],
) -> Result<Polled<usize>> {
    working.step(world, "the CA validates");
    let answers = join_all(challenges.iter().map(|c| ca.answer(c.challenge))).await;
    let mut retry_after = None;
    for (c, answer) in challenges.iter().zip(answers) {
        let answered = answer.map_err(|mut e| {
            e.action = format!("answer the challenge for `{}`: {}", c.authorization.identifier, e.action);
            e
        })?;
        retry_after = retry_after.max(answered.retry_after);
    }
    Ok(Polled { value: challenges.len(), retry_after })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    async fn after(ms: u64, failure: Option<&str>, done: &AtomicBool) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        done.store(true, Ordering::SeqCst);
        failure.map_or(Ok(()), |why| Err(Error::new(Kind::Remote, "try", why)))
    }

    /// What is told, and whether writing and looking came to their ends.
    async fn outcome(write: (u64, Option<&str>), look: (u64, Option<&str>)) -> (String, bool, bool) {
        let (written, seen) = Default::default();
        let result = written_and_seen(after(write.0, write.1, &written), after(look.0, look.1, &seen)).await;
        let told = result.err().map_or_else(String::new, |e| e.cause);
        (told, written.into_inner(), seen.into_inner())
    }

    #[tokio::test]
    async fn a_failed_look_waits_for_the_write_and_a_failed_write_for_no_look() {
        assert_eq!(outcome((40, None), (0, Some("late"))).await, ("late".into(), true, true));
        assert_eq!(outcome((0, Some("refused")), (40, None)).await, ("refused".into(), true, false));
        assert_eq!(outcome((40, Some("refused")), (0, None)).await, ("refused".into(), true, true));
        assert_eq!(outcome((0, None), (40, None)).await, (String::new(), true, true));
    }
}
