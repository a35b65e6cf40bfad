//! What the world is made of, in as few states as possible: keys and pins are numbers and sets of bits, instances are
//! interchangeable, and so are caches. It is always the same second; instead of the clock going on, everything that is
//! remembered grows older, until its age makes no difference any more. So time has no end.

use crate::model::document::{Document, Installed};
use crate::model::key::SpkiDigest;
use crate::model::plan::{Observed, Step, Wish};
use crate::model::rotation::Phase;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// What an instance presents before danesmith's first certificate; pinned nowhere.
pub(super) const STRANGE: u8 = 0;
/// TTL of a new RRset, and what the administrator lowers it to, seconds.
pub(super) const TTL: u8 = 3;
pub(super) const LOW_TTL: u8 = 1;
const NOW: i64 = 100;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct State {
    pub(super) disk: Shared<Document>,
    /// The key of the certificate that `live` points to.
    pub(super) live: Option<u8>,
    /// What zones.yaml names as backup; `None`: it is lost.
    pub(super) backup: Option<u8>,
    pub(super) run: Option<Shared<Run>>,
    pub(super) primary: Rrset,
    /// What each secondary has; `None`: the world has fewer.
    pub(super) secondaries: [Option<Rrset>; 2],
    pub(super) caches: [Option<Cached>; 2],
    /// What each instance presents; `None`: the world has fewer instances.
    pub(super) serves: [Option<u8>; 3],
    pub(super) crashes: u8,
    pub(super) rotations: u8,
    pub(super) aborts: u8,
    pub(super) hand: Hand,
    /// Seconds in which mail may be deferred, because the administrator forced the switch.
    pub(super) forced: u8,
}

/// What the administrator did by hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Hand {
    /// A record that is not ours was added, and whether it was removed again.
    pub(super) foreign: Foreign,
    /// This pin was deleted, and whether a round of questions has noticed.
    pub(super) deleted: Option<(u8, bool)>,
    /// Pins that were put in.
    pub(super) restored: u8,
    /// The backup key that zones.yaml no longer names.
    pub(super) lost: Option<u8>,
    /// Another backup key was named once.
    pub(super) changed: bool,
}

/// What became of the record of somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Foreign {
    /// There never was one.
    #[default]
    Never,
    /// It must be there.
    There,
    /// It must be there, and a round of questions has noticed it.
    Noticed,
    /// Its owner has removed it.
    Removed,
}

/// TLSA at one server: a set of pins, a `3 0 0` of somebody else for the certificate of this key, the TTL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Rrset {
    pub(super) keys: u8,
    pub(super) foreign: Option<u8>,
    pub(super) ttl: u8,
}

/// Records that a cache holds, and for how many seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Cached {
    pub(super) keys: u8,
    pub(super) foreign: Option<u8>,
    pub(super) left: u8,
}

/// A run of danesmith; all of it is lost in a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Run {
    pub(super) wish: Option<Wish>,
    pub(super) observed: Observed,
    /// The document is written; the effect comes next.
    pub(super) effect: Option<Step>,
    /// With `Broken::WriteLate`: the effect is done, this is yet to be written.
    pub(super) unwritten: Option<Document>,
    /// The last step ended a rotation in this phase.
    pub(super) ended: Option<Phase>,
}

/// A large part of a state, hashed once and shared by all states that have it.
#[derive(Clone)]
pub(super) struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash> Shared<T> {
    pub(super) fn new(value: T) -> Shared<T> {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Shared(Arc::new((hasher.finish(), value)))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.0);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}

pub(super) fn key(n: u8) -> SpkiDigest {
    SpkiDigest([n; 32])
}

pub(super) fn number(key: SpkiDigest) -> u8 {
    key.0[0]
}

pub(super) fn bit(n: u8) -> u8 {
    1 << n
}

pub(super) fn set(keys: u8) -> BTreeSet<SpkiDigest> {
    numbers(keys).map(key).collect()
}

pub(super) fn numbers(keys: u8) -> impl Iterator<Item = u8> {
    (1..8).filter(move |n| keys & bit(*n) != 0)
}

/// The present.
pub(super) fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(NOW)
}

/// Longer ago than any rule looks back. All caches of then have expired.
pub(super) fn long_ago() -> Timestamp {
    now() - SignedDuration::from_secs(i64::from(TTL) + 1)
}

/// The chain of the certificate for a key, as far as records of others know it.
pub(super) fn chain(key: SpkiDigest) -> Vec<Vec<u8>> {
    vec![vec![number(key)]]
}

/// A certificate that never needs renewal. Its generation is its key's number: there is one per key.
pub(super) fn certificate(key: SpkiDigest) -> Installed {
    Installed {
        certificate_id: None,
        revoked: None,
        generation: u64::from(number(key)),
        names: vec!["mx.test".into()],
        spki: key,
        not_before: Timestamp::UNIX_EPOCH,
        not_after: Timestamp::MAX,
        serial: String::new(),
        issuer: String::new(),
    }
}

/// Dates that no rule looks at would only multiply the states, and so would the order of what has none.
pub(super) fn tidy(document: &mut Document) {
    document.serving_since = None;
    document.renewals = 0;
    document.pins.iter_mut().for_each(|p| p.first_published = long_ago());
    document.pins.sort_by_key(|p| p.spki);
    document.history.iter_mut().for_each(|h| h.ttls.sort_by_key(|t| t.ttl));
    if let Some(rotation) = &mut document.rotation {
        rotation.since = long_ago();
    }
}

impl State {
    /// One second later.
    pub(super) fn grow_older(&mut self) {
        for cache in &mut self.caches {
            *cache = cache.and_then(|c| (c.left > 1).then(|| Cached { left: c.left - 1, ..c }));
        }
        self.forced = self.forced.saturating_sub(1);
        let mut disk = (*self.disk).clone();
        age(&mut disk);
        let used = self.used();
        disk.retired.retain(|key| used & bit(number(*key)) != 0);
        if disk != *self.disk {
            self.disk = Shared::new(disk);
        }
        if let Some(run) = &self.run {
            let mut older = (**run).clone();
            for view in older.observed.pins.iter_mut().flat_map(|views| views.values_mut()) {
                view.asked_at = view.asked_at.map(one_second_older);
            }
            older.unwritten.iter_mut().for_each(age);
            if older != **run {
                self.run = Some(Shared::new(older));
            }
        }
    }

    /// Caches, instances and secondaries differ in what they hold only.
    pub(super) fn sort(&mut self) {
        self.secondaries.sort_unstable();
        self.caches.sort_unstable();
        self.serves.sort_unstable();
    }

    /// The keys that instances present, or may present in the next moment.
    pub(super) fn served(&self) -> u8 {
        self.serves.iter().flatten().chain(&self.live).fold(0, |all, n| all | bit(*n))
    }

    /// What every name server has.
    pub(super) fn servers(&self) -> impl Iterator<Item = Rrset> {
        std::iter::once(self.primary).chain(self.secondaries.iter().flatten().copied())
    }

    /// A number for a new key: one that stands for no other any more.
    pub(super) fn unused(&self) -> Option<u8> {
        let used = self.used();
        (1..8).find(|n| used & bit(*n) == 0)
    }

    /// Keys of which there is a trace, apart from the list of retired ones.
    fn used(&self) -> u8 {
        let document = &*self.disk;
        let certificates = [&document.installed, &document.spare].into_iter().flatten().map(|c| c.spki);
        let rotation = document.rotation.iter().flat_map(|r| [r.from, r.to]);
        let active = document.keys.iter().map(|k| k.active);
        let pins = document.pins.iter().map(|p| p.spki);
        let known = certificates.chain(rotation).chain(active).chain(pins);
        let mut used = known.fold(self.served(), |all, key| all | bit(number(key)));
        used |= self.hand.restored | self.backup.map_or(0, bit);
        let sets = self.servers().map(|s| (s.keys, s.foreign));
        let sets = sets.chain(self.caches.iter().flatten().map(|c| (c.keys, c.foreign)));
        used |= sets.fold(0, |all, (keys, foreign)| all | keys | foreign.map_or(0, bit));
        used |= self.hand.deleted.map_or(0, |(n, _)| bit(n)) | self.hand.lost.map_or(0, bit);
        used
    }
}

fn age(document: &mut Document) {
    for pin in &mut document.pins {
        pin.seen_everywhere = pin.seen_everywhere.map(one_second_older);
    }
    for history in &mut document.history {
        history.since = one_second_older(history.since);
        history.others_since = history.others_since.map(one_second_older);
        for seen in &mut history.ttls {
            seen.gone = seen.gone.map(one_second_older);
        }
    }
}

fn one_second_older(time: Timestamp) -> Timestamp {
    (time - SignedDuration::from_secs(1)).max(long_ago())
}
