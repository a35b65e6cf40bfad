//! `--from-state`: a rehearsal that begins with the real state documents. No private key is read: each key gets a stand-in,
//! and its digest is exchanged wherever it stands.

use super::authority;
use super::keys::KeyRing;
use super::mail::Chain;
use super::run::Run;
use super::stand_ins::Files;
use super::time::{DAY, Moment};
use super::universe::lock;
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::model::csr::Csr;
use crate::model::desired::{Certificate, KeyAlgorithm, Keys};
use crate::model::document::{Document, Installed};
use crate::model::key::SpkiDigest;
use crate::model::pin;
use crate::model::private_key::PrivateKey;
use crate::model::rehearsal::What;
use crate::secret::Secret;
use danesmith_providers::Change;
use hickory_proto::rr::{Name, RecordType};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the state directory holds of a certificate.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its document.
    pub document: Document,
    /// The generation that `live` points to.
    pub live: Option<u64>,
}

/// State by certificate.
pub type State = BTreeMap<String, Standing>;

/// What stood in DNS before is looked at so far back: longer than any TTL that zones.yaml takes.
pub(super) const PAST: Moment = 8 * DAY;

impl Run {
    /// Puts the real state in the place of the empty one, before the first run.
    pub(super) fn begin_with(&mut self, state: &State, files: &mut Files) -> Result<()> {
        let desired = lock(&self.universe.desired).clone();
        let mut standing: Vec<(Moment, Name, SpkiDigest, u32)> = Vec::new();
        for certificate in desired.certificates.values() {
            let Some(found) = state.get(&certificate.name) else { continue };
            let document = self.exchange(certificate, &found.document, files)?;
            standing.extend(pins(certificate, &document, self.span().0));
            self.tell(certificate, &document);
            self.put(certificate, document, found.live, files)?;
        }
        // In the order of their times: RRsets that lacked a pin a while ago are still in caches.
        standing.sort();
        for (at, owner, spki, ttl) in standing {
            let mut zones = lock(&self.universe.zones);
            let name = zones.expanded(&owner, at);
            let Some(apex) = zones.zone_of(&name) else { continue };
            let (add, remove) = (vec![pin::tlsa(spki)], Vec::new());
            let change = Change { name, rtype: RecordType::TLSA, ttl, add, remove };
            zones.change(&apex, &[change], at, &mut |_| 1);
        }
        Ok(())
    }

    /// What is there, told as the first events.
    fn tell(&self, certificate: &Certificate, document: &Document) {
        let (start, name) = (self.span().0, &certificate.name);
        let letter = |spki: SpkiDigest| lock(&self.universe.keys).letter(spki);
        if let Some(installed) = &document.installed {
            let served = letter(installed.spki);
            let until = minute(installed.not_after);
            let words = format!("key {served} is installed, its certificate valid until {until}");
            lock(&self.universe.story).tell_of(start, name, (What::Serves, vec![served]), words);
        }
        let pinned: BTreeSet<SpkiDigest> = document.pins.iter().map(|pin| pin.spki).collect();
        if !pinned.is_empty() {
            let letters: Vec<String> = pinned.into_iter().map(letter).collect();
            let words = format!("{}: in DNS", letters.join(", "));
            lock(&self.universe.story).tell_of(start, name, (What::Stands, letters), words);
        }
        if let Some(rotation) = &document.rotation {
            let (to, from) = (letter(rotation.to), letter(rotation.from));
            let words = format!("rotation from key {from} to {to} is under way ({})", rotation.phase.word());
            lock(&self.universe.story).tell_of(start, name, (What::Begun, vec![to, from]), words);
        }
    }

    /// The document with the digests of stand-ins, which the disk then has.
    fn exchange(
        &self,
        certificate: &Certificate,
        document: &Document,
        files: &mut Files,
    ) -> Result<Document> {
        let mut keys = lock(&self.universe.keys);
        let (first, second) = roles(document);
        let mut exchanged: BTreeMap<SpkiDigest, SpkiDigest> = BTreeMap::new();
        if let (Some(given), Keys::Own { .. }) = (files.given.get(&certificate.name), &certificate.keys) {
            let stands = |digest: &SpkiDigest| given.active == *digest || given.backup == Some(*digest);
            for (real, stand_in) in
                [(first, Some(given.active)), (second, given.backup), (given.written, given.backup)]
            {
                if let (Some(real), Some(stand_in)) = (real, stand_in)
                    && !exchanged.contains_key(&real)
                {
                    exchanged.insert(real, if stands(&real) { real } else { stand_in });
                }
            }
        }
        let all = [first, second].into_iter().flatten().chain(digests(document));
        for real in all {
            if let Entry::Vacant(place) = exchanged.entry(real) {
                place.insert(self.stand_in(certificate, &mut keys, files)?);
            }
        }
        let mut text = serde_json::to_string(document).map_err(internal)?;
        for (real, stand_in) in &exchanged {
            text = text.replace(&real.to_string(), &stand_in.to_string());
        }
        let mut document: Document = serde_json::from_str(&text).map_err(internal)?;
        // The simulated CA calls certificates by names of its own, see `put`.
        document.renewal_info = None;
        // The simulated zones have no aliases, and serials of their own.
        for history in &mut document.history {
            history.target.clone_from(&history.owner);
            history.serials.clear();
        }
        Ok(document)
    }

    fn stand_in(
        &self,
        certificate: &Certificate,
        keys: &mut KeyRing,
        files: &mut Files,
    ) -> Result<SpkiDigest> {
        let key: PrivateKey = keys.make(&certificate.name, KeyAlgorithm::P256)?;
        files.request(&key, &certificate.names)?;
        let pem = Secret::new(key.to_pem().as_bytes().to_vec());
        lock(&self.universe.disk).add_key(&certificate.name, key.spki(), pem);
        Ok(key.spki())
    }

    /// The document, its generations, and what the servers present.
    fn put(
        &self,
        certificate: &Certificate,
        mut document: Document,
        live: Option<u64>,
        files: &Files,
    ) -> Result<()> {
        let (name, start) = (&certificate.name, self.span().0);
        let mut shown = None;
        for installed in [&mut document.spare, &mut document.installed].into_iter().flatten() {
            let Some(csr) = files.requests.get(&installed.spki) else { continue };
            let chain = self.chain(installed, csr)?;
            let (generation, serial) = (installed.generation, installed.serial.clone());
            lock(&self.universe.disk).add_generation(name, generation, serial, chain.clone());
            // What is still owed has not reached the servers: they have the other one.
            if shown.is_none() || document.reload_owed.is_none() {
                shown = Some((installed.clone(), chain));
            }
        }
        if let Some((installed, chain)) = shown {
            let mut mail = lock(&self.universe.mail);
            let which = (installed.generation, installed.serial.clone());
            mail.copied(name, which, chain, start - 30 * DAY);
            mail.reloaded(&certificate.deploy.reload, start - 30 * DAY);
        }
        lock(&self.universe.disk).begin_with(name, document, live);
        Ok(())
    }

    /// A certificate like the one that is there, which the simulated CA knows.
    fn chain(&self, installed: &mut Installed, csr: &Csr) -> Result<Arc<Chain>> {
        let (from, until) = (installed.not_before.as_millisecond(), installed.not_after.as_millisecond());
        let mut authority = lock(&self.universe.authority);
        // Unlike those that are signed later.
        let serial = authority.certificates.len() as u64 + 1;
        let signed = self.universe.signer.sign(csr, &installed.names, serial, (from, until))?;
        installed.certificate_id = Some(signed.id.clone());
        let names = installed.names.clone();
        let known = authority::Certificate { names, from, until, urgent: None, replaced: false };
        authority.certificates.insert(signed.id, known);
        Ok(Chain::new(signed.spki, signed.certs))
    }
}

/// Active and backup key, as far as the document tells.
fn roles(document: &Document) -> (Option<SpkiDigest>, Option<SpkiDigest>) {
    let pair = document.keys.as_ref();
    let active = pair.map(|pair| pair.active).or(document.installed.as_ref().map(|i| i.spki));
    let other = document.pins.iter().map(|pin| pin.spki).find(|spki| Some(*spki) != active);
    (active, pair.and_then(|pair| pair.backup).or(other))
}

/// Every key that a document names.
fn digests(document: &Document) -> Vec<SpkiDigest> {
    let mut all: Vec<SpkiDigest> = document.pins.iter().map(|pin| pin.spki).collect();
    all.extend(document.rotation.iter().flat_map(|r| [r.from, r.to]));
    all.extend([&document.installed, &document.spare].into_iter().flatten().map(|i| i.spki));
    all.extend(document.order.iter().map(|order| order.spki));
    all.extend(&document.retired);
    all
}

/// Since when each pin is taken to stand in DNS: the latest moment that the document allows.
fn pins(
    certificate: &Certificate,
    document: &Document,
    start: Moment,
) -> Vec<(Moment, Name, SpkiDigest, u32)> {
    let pins = document.pins.iter().filter_map(|pin| {
        let owner = certificate.tlsa.iter().find(|owner| owner.to_ascii() == pin.owner)?;
        let seen = pin.seen_everywhere.map_or(start - 1, |seen| seen.as_millisecond());
        let ttls = document.history.iter().filter(|h| h.owner == pin.owner).flat_map(|h| &h.ttls);
        let ttl = ttls.filter(|seen| seen.gone.is_none()).map(|seen| seen.ttl).max().unwrap_or(3600);
        Some((seen.max(start - PAST + 1).min(start - 1), owner.clone(), pin.spki, ttl))
    });
    pins.collect()
}

fn internal(e: serde_json::Error) -> Error {
    Error::new(Kind::Internal, "read the state for a rehearsal", e)
}
