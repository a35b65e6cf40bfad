//! What must be known before a step that cannot be taken back, as values that only a look at the world can make: without
//! one of them neither another key can be served nor a pin be removed.

use crate::model::document::Document;
use crate::model::endpoint::{EndpointView, FailedProbe, place_of};
use crate::model::key::SpkiDigest;
use crate::model::plan::{Guard, Wanted};
use jiff::Timestamp;

/// The pin of this key is ripe at every owner, and every server was seen to have it in this very round.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ripe {
    key: SpkiDigest,
}

impl Ripe {
    pub(super) fn believed(key: SpkiDigest) -> Ripe {
        Ripe { key }
    }

    /// The key that may be served.
    pub fn key(&self) -> SpkiDigest {
        self.key
    }
}

/// Every probe of every endpoint was answered, and none presented this key (RFC 7671 §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NobodyPresents {
    key: SpkiDigest,
}

impl NobodyPresents {
    /// `None` when some probe failed or showed the key, when some server showed nothing but keys of certificates beside this
    /// one (its certificate for ours may come back as it was), or when there was no probe at all.
    pub fn of(key: SpkiDigest, seen: &Presence<'_>) -> Option<NobodyPresents> {
        let all = seen.wanted.holds(Guard::AllInstances);
        let known = !all || seen.failed().is_empty() && seen.bare().is_empty();
        let absent = if all {
            seen.view.shown.iter().all(|s| s.key != key)
        } else {
            seen.view.shown.iter().any(|s| s.key != key)
        };
        (known && absent && !seen.view.shown.is_empty()).then_some(NobodyPresents { key })
    }

    /// The key whose pin may be removed.
    pub fn key(&self) -> SpkiDigest {
        self.key
    }
}

/// What the endpoints present, without what does not concern this certificate: keys of certificates beside it (RSA
/// beside ECDSA), and hosts that are gone.
#[derive(Debug, Clone, Copy)]
pub struct Presence<'a> {
    wanted: &'a Wanted,
    durable: &'a Document,
    view: &'a EndpointView,
    now: Timestamp,
}

impl<'a> Presence<'a> {
    /// Looks at a view.
    pub fn new(wanted: &'a Wanted, durable: &'a Document, view: &'a EndpointView, now: Timestamp) -> Self {
        Presence { wanted, durable, view, now }
    }

    /// Probes that told nothing, for people; what they would have shown is unknown. Where no endpoint is listed, only what
    /// answered once is waited for.
    pub fn failed(&self) -> Vec<String> {
        let gone = |host: &str| self.durable.gone.iter().any(|g| g.from <= self.now && g.host == host);
        let answered = |f: &&FailedProbe| self.durable.answered.contains(&f.endpoint);
        let failed = self.view.failed.iter().chain(self.view.unlisted.iter().filter(answered));
        // A host that was gone and has an address again counts: senders find it, whatever it presents.
        let failed = failed.filter(|f| !(f.nowhere && gone(&f.host)));
        failed.map(|f| format!("{}: {}", f.at, f.reason)).collect()
    }

    /// Listed endpoints that showed nothing but keys of certificates beside this one, for people. Which key they have for
    /// this certificate is unknown.
    pub fn bare(&self) -> Vec<String> {
        let ours = |place: &&String| !self.own().any(|(at, _)| place_of(at) == place.as_str());
        let bare = self.view.listed.iter().filter(ours);
        bare.map(|place| format!("{place} shows another certificate only")).collect()
    }

    /// Probes that showed none of these keys, for people.
    pub fn others_than(&self, keys: &[SpkiDigest]) -> Vec<String> {
        let others = self.own().filter(|(_, key)| !keys.contains(key));
        others.map(|(at, key)| format!("{at} presents the key {key}")).collect()
    }

    /// Whether some probe showed this key.
    pub fn shows(&self, key: SpkiDigest) -> bool {
        self.own().any(|(_, shown)| shown == key)
    }

    fn own(&self) -> impl Iterator<Item = (&'a str, SpkiDigest)> + use<'a> {
        let wanted = self.wanted;
        self.view.shown.iter().filter(|s| !wanted.is_sibling(&s.key)).map(|s| (s.at.as_str(), s.key))
    }
}
