//! `rotate --emergency`: the active key leaked. Where no switch is safe, both ways cost something: both costs are told, and the
//! administrator chooses. And the times that refusals name.

use super::refusals::Blocked;
use super::{Refusal, Wanted, Wish};
use crate::clock::{full_minute, minute};
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::ripeness::{self, ripe_everywhere};
use jiff::{SignedDuration, Timestamp};

/// What caches may hold from before.
pub(super) struct Caches {
    /// The longest TTL seen, in seconds.
    ttl: u32,
    /// The TTL that is assumed of what nobody saw.
    floor: SignedDuration,
    /// Until when that counts.
    unknown_until: Option<Timestamp>,
}

impl Caches {
    pub(super) fn of(wanted: &Wanted, durable: &Document, now: Timestamp) -> Caches {
        Caches {
            ttl: longest_ttl(durable),
            floor: wanted.policy.floor,
            unknown_until: ripeness::unknown_until(durable, &wanted.owners, &wanted.policy, now),
        }
    }

    pub(super) fn words(&self) -> String {
        let seen = format!("longest TTL seen: {} s", self.ttl);
        match self.unknown_until {
            Some(until) => format!(
                "{seen}; what stood there before the first look is not known, and counts with {} s until {}",
                self.floor.as_secs(),
                minute(until)
            ),
            None => seen,
        }
    }

    /// The longest time, in seconds, that a cache may go on with what it has.
    fn longest(&self, now: Timestamp) -> i64 {
        let unknown = self.unknown_until.map_or(0, |until| until.duration_since(now).as_secs());
        unknown.max(self.ttl.into())
    }
}

/// The largest TTL that a cache may still hold the RRsets with, seconds.
fn longest_ttl(durable: &Document) -> u32 {
    durable.history.iter().flat_map(|h| h.ttls.iter().map(|t| t.ttl)).max().unwrap_or(0)
}

/// When a pin is ripe whose clock starts at once: the earliest time at which a rotation may succeed.
pub(super) fn restarted(wanted: &Wanted, durable: &Document, now: Timestamp) -> Timestamp {
    now.checked_add(ripeness::waiting(&wanted.policy, longest_ttl(durable))).unwrap_or(now)
}

/// When the pin of this key is ripe, if its clock goes on, or starts now.
pub(super) fn earliest(wanted: &Wanted, durable: &Document, key: SpkiDigest, now: Timestamp) -> Timestamp {
    let ripe = ripe_everywhere(durable, &wanted.owners, key, &wanted.policy);
    ripe.unwrap_or_else(|| restarted(wanted, durable, now)).max(now)
}

/// The refusal, with the costs of both ways where the key leaked.
pub(super) fn told(wanted: &Wanted, durable: &Document, blocked: &Blocked, now: Timestamp) -> Refusal {
    let plain = Refusal::clone(&blocked.refusal);
    let Some(Wish::Emergency { switch_now }) = wanted.wish else { return plain };
    if wanted.owners.is_empty() {
        return plain; // nothing is pinned: no cache holds anything
    }
    let backup = wanted.backup.filter(|backup| !durable.retired.contains(backup));
    let safe = backup
        .map_or_else(|| restarted(wanted, durable, now), |backup| earliest(wanted, durable, backup, now));
    let not_even = match (switch_now, blocked.first) {
        (true, Some(_)) => "; not even --switch-now goes on before that is mended",
        _ => "",
    };
    let rotate = format!("danesmith rotate {}", wanted.name);
    let ways = format!("(1) {rotate} --wait; (2) {rotate} --emergency --switch-now");
    let hint = match blocked.first {
        Some(first) => format!("{first} ({}); then {ways}", plain.hint),
        None => ways,
    };
    Refusal {
        action: "switch to the backup key at once".into(),
        cause: format!(
            "{}{not_even}. There is no safe choice: (1) keep the leaked key until {} at least: whoever holds it can pose as \
             your server so long; (2) switch now: senders whose caches lack the new pin defer mail, each for at most {} s, \
             and those that ask a name server without it, as long as it is without it",
            plain.cause,
            full_minute(safe),
            Caches::of(wanted, durable, now).longest(now)
        ),
        hint: format!("{hint}. Removing the TLSA records is no way out: caches hold them as long"),
        ..plain
    }
}
