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
use std::slice::from_ref;

/// Lines of the trace that a report of a refusal shows.
const SHOWN: usize = 20;
/// Lines that are kept for it: a refusal is noticed when the run is over.
const KEPT: usize = 2_000;

/// An event; what the caches held is added when the run is over.
pub(super) struct Told {
    pub(super) at: Moment,
    pub(super) certificate: String,
    /// When it ends, where it lasts.
    pub(super) until: Option<Moment>,
    pub(super) what: What,
    pub(super) words: String,
    pub(super) keys: Vec<String>,
}

/// The book.
pub(super) struct Story {
    last: VecDeque<(Moment, String)>,
    /// Every line, for tests that compare runs step by step.
    pub(super) all: Option<Vec<String>>,
    digest: Sha256,
    pub(super) told: Vec<Told>,
    /// Changes of zones, and whether they were challenges.
    changes: Vec<(Moment, bool)>,
}

impl Story {
    /// Nothing has happened; `all`: every line is kept.
    pub(super) fn new(all: bool) -> Story {
        Story {
            last: VecDeque::new(),
            all: all.then(Vec::new),
            digest: Sha256::new(),
            told: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// One step.
    pub(super) fn trace(&mut self, at: Moment, words: &str) {
        self.digest.update(at.to_be_bytes());
        self.digest.update(words.as_bytes());
        if let Some(all) = &mut self.all {
            all.push(line(at, words));
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((at, words.to_owned()));
    }

    /// The last steps up to a moment, oldest first.
    pub(super) fn last(&self, until: Moment) -> Vec<String> {
        let before = self.last.iter().rev().filter(|(at, _)| *at <= until).take(SHOWN);
        let mut before: Vec<String> = before.map(|(at, words)| line(*at, words)).collect();
        before.reverse();
        before
    }

    /// SHA-256 over all steps.
    pub(super) fn digest(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }

    /// An event that is about no key.
    pub(super) fn tell(&mut self, at: Moment, certificate: &str, what: What, words: String) {
        self.tell_of(at, certificate, (what, Vec::new()), words);
    }

    /// Trouble for all that lasts.
    pub(super) fn tell_until(&mut self, at: Moment, until: Moment, words: String) {
        self.tell(at, "", What::Outside, words);
        if let Some(told) = self.told.last_mut() {
            told.until = Some(until);
        }
    }

    /// An event.
    pub(super) fn tell_of(&mut self, at: Moment, certificate: &str, of: (What, Vec<String>), words: String) {
        self.tell_late((at, at), certificate, of, words);
    }

    /// An event that is known only some time after it happened: the trace is in the order of knowing.
    pub(super) fn tell_late(
        &mut self,
        (at, known): (Moment, Moment),
        certificate: &str,
        (what, keys): (What, Vec<String>),
        words: String,
    ) {
        self.trace(known, &format!("{certificate} * {}: {words}", what.word()));
        self.told.push(Told { at, certificate: certificate.to_owned(), until: None, what, words, keys });
    }

    /// An update changed a zone.
    pub(super) fn zone_changed(&mut self, at: Moment, challenges: bool) {
        self.changes.push((at, challenges));
    }

    /// Changes of zones up to a moment by month: TLSA, challenges.
    pub(super) fn changes(&self, until: Moment) -> BTreeMap<String, (u64, u64)> {
        let mut months: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (at, challenges) in self.changes.iter().filter(|(at, _)| *at <= until) {
            let (pins, texts) = months.entry(timestamp(*at).strftime("%Y-%m").to_string()).or_default();
            *if *challenges { texts } else { pins } += 1;
        }
        months
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
        let mut tell = |what, keys: &[String], words: String| {
            self.tell_of(at, certificate, (what, keys.to_vec()), words);
        };
        installed(former, new, &key, &mut tell);
        if let Some(spare) = &new.spare
            && former.spare.as_ref().map(|s| &s.serial) != Some(&spare.serial)
            && former.installed.as_ref().map(|i| &i.serial) != Some(&spare.serial)
        {
            let key = key(spare.spki);
            let words = format!("a certificate for key {key} is ready");
            tell(What::Staged, &[key], words);
        }
        pins(former, new, &key, &mut tell);
        rotation(former, new, &key, &mut tell);
    }
}

fn line(at: Moment, words: &str) -> String {
    format!("{} {words}", timestamp(at).strftime("%Y-%m-%d %H:%M:%S%.3f"))
}

type Tell<'a> = dyn FnMut(What, &[String], String) + 'a;
type Name<'a> = dyn Fn(SpkiDigest) -> String + 'a;
type Owners = BTreeMap<SpkiDigest, BTreeSet<String>>;

fn installed(former: &Document, new: &Document, key: &Name<'_>, tell: &mut Tell<'_>) {
    let Some(now) = &new.installed else { return };
    let (until, name) = (minute(now.not_after), key(now.spki));
    match &former.installed {
        None => tell(What::Issued, from_ref(&name), format!("key {name}, valid until {until}")),
        Some(before) if before.serial == now.serial => {}
        Some(before) if before.spki == now.spki => {
            tell(What::Renewed, from_ref(&name), format!("key {name} stays, valid until {until}"));
        }
        Some(before) => {
            let other = key(before.spki);
            let words = format!("key {name} is installed instead of {other}");
            tell(What::Switched, &[name, other], words);
        }
    }
}

fn pins(former: &Document, new: &Document, key: &Name<'_>, tell: &mut Tell<'_>) {
    let (known, know) = (owners(former, false), owners(new, false));
    let (seen, see) = (everywhere(former), everywhere(new));
    let mut added = |now: &Owners, before: &Owners, what, (one, several): (&str, &str)| {
        let letters: Vec<_> =
            now.keys().filter(|spki| !before.contains_key(*spki)).map(|s| key(*s)).collect();
        if !letters.is_empty() {
            let words = if letters.len() > 1 { several } else { one };
            tell(what, &letters, format!("{} {words}", letters.join(", ")));
        }
    };
    added(&know, &known, What::Pinned, ("goes into DNS", "go into DNS"));
    added(
        &see,
        &seen,
        What::Everywhere,
        ("is at every name server: its clock runs", "are at every name server: their clocks run"),
    );
    // A key that is on its way out has no clock either, and that is no trouble.
    let leaving = new.rotation.as_ref().filter(|r| r.phase == Phase::Retiring).map(|r| r.from);
    let stays = |spki: &SpkiDigest| Some(*spki) != leaving && know.contains_key(spki);
    let still: Owners = seen.into_iter().filter(|(spki, _)| stays(spki)).collect();
    added(
        &still,
        &see,
        What::Stopped,
        (
            "was not seen at every name server: its clock stops",
            "were not seen at every name server: their clocks stop",
        ),
    );
}

/// Owner names of each pinned key; `running`: only those where its clock runs.
fn owners(document: &Document, running: bool) -> Owners {
    let mut owners = Owners::new();
    for pin in document.pins.iter().filter(|pin| !running || pin.seen_everywhere.is_some()) {
        owners.entry(pin.spki).or_default().insert(pin.owner.clone());
    }
    owners
}

/// Keys whose clock runs at all their owner names.
fn everywhere(document: &Document) -> Owners {
    let all = owners(document, false);
    owners(document, true).into_iter().filter(|(spki, owners)| all.get(spki) == Some(owners)).collect()
}

fn rotation(former: &Document, new: &Document, key: &Name<'_>, tell: &mut Tell<'_>) {
    let moved = former.phase() != new.phase();
    match (&former.rotation, &new.rotation) {
        (None, Some(r)) => {
            let (to, from) = (key(r.to), key(r.from));
            let words = format!("rotation from key {from} to {to}");
            tell(What::Begun, &[to, from], words);
        }
        (Some(_), Some(r)) if moved && r.phase == Phase::Retiring => {
            tell(What::Retiring, &[key(r.from)], format!("nobody presents key {} any more", key(r.from)));
        }
        (Some(_), Some(r)) if moved && r.phase == Phase::Aborting => {
            let words = format!("key {} shall be served again", key(r.from));
            tell(What::Aborted, &[key(r.from), key(r.to)], words);
        }
        (Some(r), None) if new.retired.contains(&r.from) => {
            tell(What::Retired, &[key(r.from)], format!("key {} is gone from DNS", key(r.from)));
            tell(What::Rotated, &[key(r.to)], format!("key {} is the active one", key(r.to)));
        }
        (Some(r), None) => {
            let words = format!("key {} stays the active one", key(r.from));
            tell(What::Aborted, &[key(r.from), key(r.to)], words);
        }
        _ => {}
    }
}
