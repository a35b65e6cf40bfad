//! What happens, written down as it happens: the trace of every step, and the events that people want to see. Events are
//! read off the state documents, so nothing is told that is not durable.

use super::keys::KeyRing;
use super::time::{Moment, timestamp};
use crate::clock::minute;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::rehearsal::What;
use crate::model::rotation::Phase;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lines of the trace that a report of a refusal shows.
const KEPT: usize = 20;

/// An event; what the caches held is added when the run is over.
pub(super) struct Told {
    pub(super) at: Moment,
    pub(super) certificate: String,
    pub(super) what: What,
    pub(super) words: String,
}

/// The book.
pub(super) struct Story {
    last: VecDeque<String>,
    /// Every line, for tests that compare runs step by step.
    pub(super) all: Option<Vec<String>>,
    digest: Sha256,
    pub(super) told: Vec<Told>,
    /// Changes of zones by month: TLSA, challenges.
    pub(super) changes: BTreeMap<String, (u64, u64)>,
}

impl Story {
    /// Nothing has happened; `all`: every line is kept.
    pub(super) fn new(all: bool) -> Story {
        Story {
            last: VecDeque::new(),
            all: all.then(Vec::new),
            digest: Sha256::new(),
            told: Vec::new(),
            changes: BTreeMap::new(),
        }
    }

    /// One step.
    pub(super) fn trace(&mut self, at: Moment, words: &str) {
        self.digest.update(at.to_be_bytes());
        self.digest.update(words.as_bytes());
        let line = || format!("{} {words}", timestamp(at).strftime("%Y-%m-%d %H:%M:%S%.3f"));
        if let Some(all) = &mut self.all {
            all.push(line());
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line());
    }

    /// The last steps, oldest first.
    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// SHA-256 over all steps.
    pub(super) fn digest(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }

    /// An event.
    pub(super) fn tell(&mut self, at: Moment, certificate: &str, what: What, words: String) {
        self.trace(at, &format!("{certificate}: {}: {words}", what.word()));
        self.told.push(Told { at, certificate: certificate.to_owned(), what, words });
    }

    /// An update changed a zone.
    pub(super) fn zone_changed(&mut self, at: Moment, challenges: bool) {
        let month = timestamp(at).strftime("%Y-%m").to_string();
        let (pins, texts) = self.changes.entry(month).or_default();
        *if challenges { texts } else { pins } += 1;
    }

    /// A document was replaced: what that means.
    pub(super) fn document_changed(
        &mut self,
        certificate: &str,
        (former, new): (&Document, &Document),
        keys: &KeyRing,
        at: Moment,
    ) {
        let key = |spki: SpkiDigest| keys.letter(spki);
        let mut tell = |what, words: String| self.tell(at, certificate, what, words);
        installed(former, new, &key, &mut tell);
        if let Some(spare) = &new.spare
            && former.spare.as_ref().map(|s| &s.serial) != Some(&spare.serial)
            && former.installed.as_ref().map(|i| &i.serial) != Some(&spare.serial)
        {
            tell(What::Staged, format!("a certificate for key {} is ready", key(spare.spki)));
        }
        pins(former, new, &key, &mut tell);
        rotation(former, new, &key, &mut tell);
    }
}

type Tell<'a> = dyn FnMut(What, String) + 'a;

fn installed(former: &Document, new: &Document, key: &dyn Fn(SpkiDigest) -> String, tell: &mut Tell<'_>) {
    let Some(now) = &new.installed else { return };
    let until = minute(now.not_after);
    match &former.installed {
        None => tell(What::Issued, format!("key {}, valid until {until}", key(now.spki))),
        Some(before) if before.serial == now.serial => {}
        Some(before) if before.spki == now.spki => {
            tell(What::Renewed, format!("key {} stays, valid until {until}", key(now.spki)));
        }
        Some(before) => {
            tell(What::Switched, format!("key {} is installed instead of {}", key(now.spki), key(before.spki)));
        }
    }
}

fn pins(former: &Document, new: &Document, key: &dyn Fn(SpkiDigest) -> String, tell: &mut Tell<'_>) {
    let owners = |document: &Document, is: &dyn Fn(bool) -> bool| {
        let mut owners: BTreeMap<SpkiDigest, BTreeSet<String>> = BTreeMap::new();
        for pin in document.pins.iter().filter(|pin| is(pin.seen_everywhere.is_some())) {
            owners.entry(pin.spki).or_default().insert(pin.owner.clone());
        }
        owners
    };
    let (known, know) = (owners(former, &|_| true), owners(new, &|_| true));
    let (seen, see) = (owners(former, &|clock| clock), owners(new, &|clock| clock));
    let mut added = |now: &BTreeMap<SpkiDigest, _>, before: &BTreeMap<SpkiDigest, _>, what, words: &str| {
        let letters: Vec<_> = now.keys().filter(|spki| !before.contains_key(*spki)).map(|s| key(*s)).collect();
        if !letters.is_empty() {
            tell(what, format!("{} {words}", letters.join(", ")));
        }
    };
    added(&know, &known, What::Pinned, "goes into DNS");
    let whole = |see: &BTreeMap<SpkiDigest, BTreeSet<String>>, all: &BTreeMap<SpkiDigest, BTreeSet<String>>| {
        let whole = see.iter().filter(|(spki, owners)| all.get(*spki) == Some(*owners));
        whole.map(|(spki, owners)| (*spki, owners.clone())).collect::<BTreeMap<_, _>>()
    };
    let (seen, see) = (whole(&seen, &known), whole(&see, &know));
    added(&see, &seen, What::Everywhere, "is at every name server: its clock runs");
    // A key that is on its way out has no clock either, and that is no trouble.
    let leaving = new.rotation.as_ref().filter(|r| r.phase == Phase::Retiring).map(|r| r.from);
    let still: BTreeMap<_, _> = seen.into_iter().filter(|(s, _)| Some(*s) != leaving && know.contains_key(s)).collect();
    added(&still, &see, What::Stopped, "was not seen at every name server: its clock stops");
}

fn rotation(former: &Document, new: &Document, key: &dyn Fn(SpkiDigest) -> String, tell: &mut Tell<'_>) {
    let phase = |document: &Document| document.phase();
    match (&former.rotation, &new.rotation) {
        (None, Some(r)) => tell(What::Begun, format!("rotation from key {} to {}", key(r.from), key(r.to))),
        (Some(_), Some(r)) if phase(former) != phase(new) => match r.phase {
            Phase::Retiring => tell(What::Retiring, format!("nobody presents key {} any more", key(r.from))),
            Phase::Aborting => tell(What::Aborted, format!("key {} shall be served again", key(r.from))),
            Phase::Deploying => {}
        },
        (Some(r), None) if new.retired.contains(&r.from) => {
            tell(What::Retired, format!("key {} is gone from DNS", key(r.from)));
            tell(What::Rotated, format!("key {} is the active one", key(r.to)));
        }
        (Some(r), None) => tell(What::Aborted, format!("key {} stays the active one", key(r.from))),
        _ => {}
    }
}
