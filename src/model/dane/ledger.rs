//! The outside view against our own books: what danesmith published, and what it waits for.

use super::finding::Finding;
use super::record::Tlsa;
use super::survey::{HostView, Seen};
use super::verdict::key_of;
use crate::clock::minute;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use crate::model::ripeness;
use crate::model::rotation::Phase;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What the state directory says of one certificate.
#[derive(Debug, Clone)]
pub struct Ledger<'a> {
    /// Its name in zones.yaml.
    pub certificate: &'a str,
    /// Its document.
    pub document: &'a Document,
    /// The key that is served, or shall be.
    pub active: Option<SpkiDigest>,
    /// The key that is pinned and not served.
    pub backup: Option<SpkiDigest>,
    /// The waiting rule.
    pub policy: &'a Policy,
}

/// What is wrong at one TLSA owner name (absolute) of the certificate, where this host serves.
pub fn judge_ledger(ledger: &Ledger<'_>, owner: &str, host: &HostView, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let title = host.tlsa.title();
    let pins = ledger.document.pins.iter().filter(|pin| pin.owner == owner);
    let pinned: BTreeSet<SpkiDigest> = pins.map(|pin| pin.spki).collect();
    let rotation = ledger.document.rotation.as_ref();
    let leaving = rotation.filter(|rotation| rotation.phase == Phase::Retiring).map(|rotation| rotation.from);
    let kept = pinned.iter().filter(|key| Some(**key) != leaving);
    for key in kept.filter(|key| !published(&host.tlsa.records, **key)) {
        let words = format!("the record of key {key}, which danesmith published, is gone: run apply");
        found.push(Finding::error("pin-missing", &title, words));
    }
    let known = |record: &Tlsa| {
        pinned.iter().chain(&ledger.active).chain(&ledger.backup).any(|key| is_pin(record, *key))
    };
    let shown: BTreeSet<SpkiDigest> = host
        .probes
        .iter()
        .filter_map(|probe| if let Seen::Chain(chain) = &probe.seen { key_of(chain) } else { None })
        .collect();
    early(ledger, owner, host, &shown, now, &mut found);
    for record in host.tlsa.records.iter().filter(|r| r.parameters() == "3 1 1" && !known(r)) {
        if !shown.iter().any(|key| is_pin(record, *key)) {
            let words = "danesmith does not know it, and no server presents such a key: remove it if nobody else needs it";
            found.push(Finding::warn("pin-unknown", format!("{title}: {record}"), words));
        }
    }
    backup(ledger, owner, &title, now, &mut found);
    serials(ledger, owner, host, &mut found);
    if let Some(rotation) = &ledger.document.rotation {
        let words = format!(
            "{} since {}: from {} to {}",
            rotation.phase.word(),
            minute(rotation.since),
            rotation.from.short(),
            rotation.to.short()
        );
        found.push(Finding::info("rotation", ledger.certificate, words));
    }
    found
}

/// The records match it, yet caches may not know its pin: somebody served it by hand, or in an emergency (RFC 7671 §8.1).
fn early(
    ledger: &Ledger<'_>,
    owner: &str,
    host: &HostView,
    shown: &BTreeSet<SpkiDigest>,
    now: Timestamp,
    found: &mut Vec<Finding>,
) {
    let Some(backup) = ledger.backup.filter(|key| shown.contains(key)) else { return };
    let when = match ripeness::ripe_at(ledger.document, owner, backup, ledger.policy) {
        Some(ripe) if ripe <= now => return,
        Some(ripe) => format!("before {}", minute(ripe)),
        None => "yet".to_owned(),
    };
    let words = format!(
        "a server presents the backup key {backup}, whose pin is not ripe {when}: senders that remember older records defer"
    );
    found.push(Finding::error("served-unripe", host.endpoint.to_string(), words));
}

fn backup(ledger: &Ledger<'_>, owner: &str, title: &str, now: Timestamp, found: &mut Vec<Finding>) {
    let Some(backup) = ledger.backup else {
        let words = "no backup key is pinned: if the active one leaks or is lost, mail stops for as long as caches keep it";
        found.push(Finding::warn("no-backup", title, words));
        return;
    };
    match ripeness::ripe_at(ledger.document, owner, backup, ledger.policy) {
        Some(ripe) if ripe <= now => {}
        Some(ripe) => {
            let words = format!("the backup's pin is ripe on {}: no rotation before", minute(ripe));
            found.push(Finding::warn("backup-unripe", title, words));
        }
        None => {
            let words =
                "the backup's pin has not been seen on every server yet: no rotation before, run apply";
            found.push(Finding::warn("backup-unripe", title, words));
        }
    }
}

/// RFC 1982 §3.2: later serials are at most 2³¹ ahead.
fn serials(ledger: &Ledger<'_>, owner: &str, host: &HostView, found: &mut Vec<Finding>) {
    let Some(history) = ledger.document.history.iter().find(|history| history.owner == owner) else { return };
    for server in &host.tlsa.servers {
        let (Some(now), Some(then)) = (server.serial, history.serials.get(&server.server)) else { continue };
        if now != *then && now.wrapping_sub(*then) > 1 << 31 {
            let words =
                format!("its SOA serial went backwards, from {then} to {now}: it shows an older zone");
            found.push(Finding::error("serial-backwards", server.server.clone(), words));
        }
    }
}

fn published(records: &[Tlsa], key: SpkiDigest) -> bool {
    records.iter().any(|record| is_pin(record, key))
}

fn is_pin(record: &Tlsa, key: SpkiDigest) -> bool {
    record.parameters() == "3 1 1" && record.data == key.0
}
