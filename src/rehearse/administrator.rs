//! The administrator of a rehearsal: asks for rotations where zones.yaml leaves them to a person, gives new keys when old
//! ones are used up, and, with faults, does all sorts of things that are no mistake by themselves.

use super::dice::Dice;
use super::stand_ins::Files;
use super::time::{DAY, HOUR, MINUTE, Moment};
use super::universe::{Universe, lock};
use crate::error::Result;
use crate::model::csr::Csr;
use crate::model::desired::{ActiveKey, BackupKey, Certificate, Desired, Endpoints, Keys, Rotate};
use crate::model::key::SpkiDigest;
use crate::model::pin;
use crate::model::plan::Wish;
use crate::model::private_key::PrivateKey;
use crate::model::rehearsal::What;
use danesmith_providers::Change;
use hickory_proto::rr::rdata::TLSA;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::{Name, RData, RecordType};
use std::path::Path;
use std::sync::Arc;

/// What an administrator does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// `danesmith rotate` for a certificate; `wait`: with `--wait`.
    Ask { certificate: String, wish: Wish, wait: bool },
    /// Adds a TLSA record of somebody else beside ours, or removes it again.
    Foreign { owner: Name, add: bool },
    /// Deletes the backup key's pin at one name, while no rotation is under way.
    Unpin { certificate: String },
    /// Lowers the TTL of a TLSA RRset.
    LowerTtl { owner: Name, ttl: u32 },
    /// The CA revokes a certificate; its renewal information says so.
    Revoked { certificate: String },
    /// The CA finds a mistake of its own, and wants every certificate that is valid now to be replaced early.
    Mistake,
    /// The files of a certificate are deleted.
    Deleted { certificate: String },
    /// The machine's clock is ahead of true time by so much from now on.
    Clock(Moment),
    /// Something begins that others do, and lasts until then; only told.
    Told(String, Moment),
}

/// How often somebody who rotates by hand does so: once a year.
const BY_HAND: Moment = 365 * DAY;

/// What is done without faults: rotations by hand, once a year.
pub(super) fn yearly(desired: &Desired, (start, end): (Moment, Moment)) -> Vec<(Moment, Act)> {
    let by_hand = desired.certificates.values().filter(|c| rotates_by_hand(c));
    let mut acts = Vec::new();
    for (number, certificate) in by_hand.enumerate() {
        let wish = Wish::Rotate;
        let mut at = start + BY_HAND / 2 + number as Moment * 7 * DAY;
        while at < end {
            acts.push((at, Act::Ask { certificate: certificate.name.clone(), wish, wait: false }));
            at += BY_HAND;
        }
    }
    acts
}

/// Whether its keys change when a person asks for it only.
pub(super) fn rotates_by_hand(certificate: &Certificate) -> bool {
    let spare = !matches!(certificate.keys, Keys::Own { backup: None, .. });
    let looks = certificate.endpoints != Endpoints::Unchecked && !certificate.tlsa.is_empty();
    certificate.rotate == Rotate::Manual && spare && looks
}

/// What is done with the faults of a seed.
pub(super) fn erratic(desired: &Desired, seed: u64, (start, end): (Moment, Moment)) -> Vec<(Moment, Act)> {
    let mut dice = Dice::new(seed, "administrator");
    let mut acts = Vec::new();
    let slack =
        desired.certificates.values().map(|c| c.policy.slack.as_secs() * 1000).min().unwrap_or_default();
    for certificate in desired.certificates.values() {
        let name = || certificate.name.clone();
        let rotates = !certificate.tlsa.is_empty() && certificate.endpoints != Endpoints::Unchecked;
        let mut at = start + dice.from(HOUR, 3 * DAY);
        while rotates && at < end {
            let wish = match dice.from(0, 9) {
                0 => Wish::Abort,
                1 => Wish::Emergency { switch_now: false },
                _ => Wish::Rotate,
            };
            acts.push((at, Act::Ask { certificate: name(), wish, wait: dice.once_in(6) }));
            at += dice.one_of(20 * MINUTE, &[HOUR, 3 * HOUR, DAY, 4 * DAY, 9 * DAY]) + dice.from(0, HOUR);
        }
        for owner in &certificate.tlsa {
            let mut at = start + dice.from(DAY, 20 * DAY);
            while at < end {
                let for_long = dice.from(HOUR, 5 * DAY);
                acts.push((at, Act::Foreign { owner: owner.clone(), add: true }));
                acts.push((at + for_long, Act::Foreign { owner: owner.clone(), add: false }));
                at += for_long + dice.from(DAY, 30 * DAY);
            }
            let mut at = start + dice.from(2 * DAY, 60 * DAY);
            while at < end {
                acts.push((at, Act::Unpin { certificate: name() }));
                at += dice.from(5 * DAY, 60 * DAY);
            }
            if dice.once_in(2) {
                let ttl = dice.one_of(300, &[60, 1200]);
                acts.push((dice.from(start, end), Act::LowerTtl { owner: owner.clone(), ttl }));
            }
        }
        if dice.once_in(2) {
            acts.push((dice.from(start, end), Act::Revoked { certificate: name() }));
        }
        if dice.once_in(3) {
            acts.push((dice.from(start, end), Act::Deleted { certificate: name() }));
        }
    }
    if dice.once_in(3) {
        acts.push((dice.from(start, end), Act::Mistake));
    }
    // A clock that is ahead makes a pin ripe too early by that much: half the slack is for that. One that is behind does no
    // harm.
    let mut at = start + dice.from(2 * DAY, 40 * DAY);
    while at < end {
        acts.push((at, Act::Clock(dice.one_of(0, &[-3 * HOUR, -20 * MINUTE, slack.min(2 * HOUR) / 2]))));
        at += dice.from(2 * DAY, 30 * DAY);
    }
    acts
}

impl Universe {
    /// Does what needs no run of danesmith.
    pub(super) fn act(&self, act: &Act) {
        let now = self.time.moment();
        let told = match act {
            Act::Ask { .. } => return,
            Act::Told(words, until) => {
                return lock(&self.story).tell_until(now, *until, words.clone());
            }
            Act::Foreign { owner, add } => self.foreign(owner, *add),
            Act::Unpin { certificate } => self.unpin(certificate),
            Act::LowerTtl { owner, ttl } => {
                let mut faults = lock(&self.faults);
                let done = lock(&self.zones).set_ttl(owner, *ttl, now, &mut |_| faults.lag());
                done.then(|| (String::new(), format!("the TTL at {owner} is lowered to {ttl} s")))
            }
            Act::Revoked { certificate } => self.revoke(certificate),
            Act::Mistake => {
                let asked = lock(&self.authority).hurry(now);
                (asked > 0).then(|| {
                    (String::new(), format!("the CA asks for early renewal of {asked} certificates"))
                })
            }
            Act::Deleted { certificate } => {
                let deleted = lock(&self.disk).delete_installed(certificate);
                deleted.then(|| (certificate.clone(), "somebody deletes its files".into()))
            }
            Act::Clock(ahead) => {
                self.time.set_ahead(*ahead);
                let direction = if *ahead < 0 { "behind" } else { "ahead" };
                Some((String::new(), format!("the clock is {} min {direction}", ahead.abs() / MINUTE)))
            }
        };
        if let Some((certificate, words)) = told {
            lock(&self.story).tell(now, &certificate, What::Outside, words);
        }
    }

    /// At every server at once: danesmith notices it when it looks next. What is deleted and comes back between two looks is outside the
    /// guarantee.
    fn unpin(&self, certificate: &str) -> Option<(String, String)> {
        let document = lock(&self.disk).document(certificate);
        let backup = document.keys.as_ref().filter(|_| document.rotation.is_none())?.backup?;
        let pin = document.pins.iter().find(|pin| pin.spki == backup)?;
        let now = self.time.moment();
        let mut zones = lock(&self.zones);
        let name = zones.expanded(&Name::from_ascii(&pin.owner).ok()?, now);
        let (zone, ttl) = (zones.zone_of(&name)?, zones.newest(&name, RecordType::TLSA).ttl);
        let change =
            Change { name, rtype: RecordType::TLSA, ttl, add: Vec::new(), remove: vec![pin::tlsa(backup)] };
        let deleted = zones.change(&zone, &[change], now, &mut |_| 1);
        let letter = lock(&self.keys).letter(backup);
        deleted.then(|| {
            (certificate.to_owned(), format!("somebody deletes the pin of {letter} at {}", pin.owner))
        })
    }

    /// Tells it by itself: what is revoked is drawn where the certificate is.
    fn revoke(&self, certificate: &str) -> Option<(String, String)> {
        let installed = lock(&self.disk).document(certificate).installed?;
        let now = self.time.moment();
        if !lock(&self.authority).revoke(installed.certificate_id.as_deref()?, now) {
            return None;
        }
        let words = format!("the CA revokes the certificate with serial number {}", installed.serial);
        lock(&self.story).tell(now, certificate, What::Revoked, words);
        None
    }

    /// A record that matches nobody: beside ours it does no harm.
    fn foreign(&self, owner: &Name, add: bool) -> Option<(String, String)> {
        let now = self.time.moment();
        let name = lock(&self.zones).expanded(owner, now);
        let zone = lock(&self.zones).zone_of(&name)?;
        let stands = lock(&self.zones).newest(&name, RecordType::TLSA);
        let record =
            RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![0xf0; 32]));
        if add && stands.values.len() < 2 {
            return None; // alone it would stop mail by itself
        }
        let (values, none) = (vec![record], Vec::new());
        let (add_these, remove) = if add { (values, none) } else { (none, values) };
        let change = Change { name, rtype: RecordType::TLSA, ttl: stands.ttl, add: add_these, remove };
        let verb = if add { "added" } else { "removed" };
        self.change_zone(&zone, &[change])
            .then(|| (String::new(), format!("a foreign TLSA record is {verb} at {owner}")))
    }

    /// After a rotation of the administrator's own keys: the new active key is written as `active`, a new CSR as `backup`.
    pub(super) fn renew_own_keys(&self) -> Result<()> {
        let desired = lock(&self.desired).clone();
        let mut edited = None;
        for certificate in desired.certificates.values() {
            let document = lock(&self.disk).document(&certificate.name);
            let Keys::Own { active, backup: Some(backup) } = &certificate.keys else { continue };
            let (Some(first), Some(second)) =
                (self.digest(active_file(active)), self.digest(backup_file(backup)))
            else {
                continue;
            };
            let is_active = document.keys.as_ref().is_some_and(|pair| pair.active == second);
            if !is_active || !document.retired.contains(&first) || document.rotation.is_some() {
                continue;
            }
            let mut files = Files { contents: std::mem::take(&mut *lock(&self.files)), ..Files::default() };
            let made = files.next_csr((&certificate.name, &certificate.names), &mut lock(&self.keys));
            *lock(&self.files) = files.contents;
            let (path, _) = made?;
            let desired: &mut Desired = edited.get_or_insert_with(|| (*desired).clone());
            if let Some(certificate) = desired.certificates.get_mut(&certificate.name) {
                let active = match backup {
                    BackupKey::PrivateKey(path) => ActiveKey::PrivateKey(path.clone()),
                    BackupKey::Csr(path) | BackupKey::PublicKey(path) => ActiveKey::Csr(path.clone()),
                    BackupKey::SpkiSha256(_) | BackupKey::Managed(_) => continue,
                };
                certificate.keys = Keys::Own { active, backup: Some(BackupKey::Csr(path)) };
            }
            let words = "the administrator writes down the new active key and gives a new backup key".into();
            lock(&self.story).tell(self.time.moment(), &certificate.name, What::Outside, words);
        }
        if let Some(edited) = edited {
            *lock(&self.desired) = Arc::new(edited);
        }
        Ok(())
    }

    fn digest(&self, path: Option<&Path>) -> Option<SpkiDigest> {
        let bytes = lock(&self.files).get(path?).cloned()?;
        let csr = Csr::parse(&bytes).ok().map(|csr| csr.spki);
        csr.or_else(|| PrivateKey::from_bytes(&bytes).ok().map(|key| key.spki()))
    }
}

fn active_file(active: &ActiveKey) -> Option<&Path> {
    match active {
        ActiveKey::Csr(path) | ActiveKey::PrivateKey(path) => Some(path),
    }
}

fn backup_file(backup: &BackupKey) -> Option<&Path> {
    match backup {
        BackupKey::Csr(path) | BackupKey::PublicKey(path) | BackupKey::PrivateKey(path) => Some(path),
        BackupKey::SpkiSha256(_) | BackupKey::Managed(_) => None,
    }
}
