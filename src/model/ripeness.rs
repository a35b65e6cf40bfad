//! When every cache that lacks a pin has expired (RFC 7671 §8.1). A pin is ripe then, and only then may its key be served.

use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use jiff::{SignedDuration, Timestamp};

/// When the pin of `key` at `owner` is ripe; `None` while its clock does not run, because some server lacks it or was not
/// seen to have it.
///
/// Caches that lack the pin were filled before the clock started, from an RRset whose TTL was one of those seen until
/// then: each of them has expired one TTL after its last sight; the policy asks for two, and some slack (RFC 7671 §8.1).
/// What stood before we first looked is unknown: the floor counts from there. Other records of then count as much: a sender
/// that holds a `3 1 2` of the old key looks at no `3 1 1` beside it (RFC 7671 §9).
pub fn ripe_at(document: &Document, owner: &str, key: SpkiDigest, policy: &Policy) -> Option<Timestamp> {
    let pin = document.pins.iter().find(|p| p.owner == owner && p.spki == key)?;
    let history = document.history.iter().find(|h| h.owner == owner)?;
    let seen_everywhere = pin.seen_everywhere?;
    let clock = history.others_since.map_or(seen_everywhere, |since| since.max(seen_everywhere));
    if history.ttls.is_empty() {
        return None; // nobody told the TTL of the RRset that holds the pin
    }
    let known = history.ttls.iter().map(|seen| {
        let until = seen.gone.map_or(clock, |gone| gone.min(clock));
        later(until, waiting(policy, seen.ttl))
    });
    let unknown = later(history.since, policy.floor).max(clock);
    Some(known.fold(unknown, Timestamp::max))
}

/// When the pins of `key` are ripe at all these owners; `None` while some clock does not run.
pub fn ripe_everywhere(
    document: &Document,
    owners: &[String],
    key: SpkiDigest,
    policy: &Policy,
) -> Option<Timestamp> {
    let mut each = owners.iter().map(|owner| ripe_at(document, owner, key, policy));
    each.try_fold(Timestamp::MIN, |latest, ripe| Some(latest.max(ripe?)))
}

/// Until when caches may hold records from before the first look, with a TTL that nobody saw; `None` once that is over.
pub fn unknown_until(
    document: &Document,
    owners: &[String],
    policy: &Policy,
    now: Timestamp,
) -> Option<Timestamp> {
    let histories = document.history.iter().filter(|history| owners.contains(&history.owner));
    histories.map(|history| later(history.since, policy.floor)).max().filter(|until| *until > now)
}

/// How long after the last sight of this TTL (seconds) caches are waited for.
pub fn waiting(policy: &Policy, ttl: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(ttl) * i64::from(policy.ttls)) + policy.slack
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
