//! The outside view against our own books: what danesmith published, and what it waits for.

use super::dns::{differing, signatures};
use super::finding::Finding;
use super::record::Tlsa;
use super::survey::{HostView, Seen, Trust};
use super::verdict::key_of;
use crate::clock::minute;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::policy::Policy;
use crate::model::ripeness;
use crate::model::rotation::{Phase, TtlSeen};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Since when runs have found the servers to have different records at an owner name (absolute).
    pub differing: &'a BTreeMap<String, Timestamp>,
}

/// What is seen and what the books say, the worst first. Where both speak of the same, the books know better.
pub fn with_books(seen: Vec<Finding>, of_books: Vec<Finding>) -> Vec<Finding> {
    let superseded = |finding: &Finding| {
        finding.check == "no-backup"
            || of_books.iter().any(|known| (known.check, &known.at) == (finding.check, &finding.at))
    };
    let mut all: Vec<Finding> = seen.into_iter().filter(|finding| !superseded(finding)).collect();
    all.extend(of_books);
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
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
    found.extend(signatures_of_the_past(ledger, owner, host, now));
    found.extend(disagreement(ledger, owner, host, now));
    found.extend(horizon(host));
    if let Some(rotation) = &ledger.document.rotation {
        let words = format!(
            "{} since {}: from {} to {}",
            rotation.phase.word(),
            minute(rotation.since),
            rotation.from.short(),
            rotation.to.short()
        );
        found.push(Finding::info("rotation", ledger.certificate, words).about(rotation.since));
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
        Some(ripe) if ripe <= now => {
            let words = format!("the backup's pin has been ripe since {}", minute(ripe));
            found.push(Finding::info("backup-ripe", title, words).about(ripe));
        }
        Some(ripe) => {
            let words = format!("the backup's pin will be ripe on {}: no rotation before", minute(ripe));
            found.push(Finding::warn("backup-unripe", title, words).about(ripe));
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

/// Caches may hold the records as long as the longest TTL of the past says, not only today's.
fn signatures_of_the_past(
    ledger: &Ledger<'_>,
    owner: &str,
    host: &HostView,
    now: Timestamp,
) -> Option<Finding> {
    let history = ledger.document.history.iter().find(|history| history.owner == owner)?;
    let lasts = |seen: &&TtlSeen| {
        seen.gone.is_none_or(|gone| now.duration_since(gone) < SignedDuration::from_secs(seen.ttl.into()))
    };
    let longest = history.ttls.iter().filter(lasts).map(|seen| seen.ttl).max()?;
    signatures(&host.tlsa, longest.max(host.tlsa.ttl), now)
}

/// Secondaries that have not followed within the SOA refresh time do not follow by themselves (RFC 1035 §3.3.13).
fn disagreement(ledger: &Ledger<'_>, owner: &str, host: &HostView, now: Timestamp) -> Option<Finding> {
    let (first, second) = differing(&host.tlsa)?;
    let since = ledger.differing.get(owner)?;
    let refresh = host.tlsa.servers.iter().filter_map(|server| server.refresh).max()?;
    let longer = now.duration_since(*since) > SignedDuration::from_secs(refresh.into());
    longer.then(|| {
        let words = format!(
            "{} and {} have differed since {} at least, longer than the SOA refresh time of {refresh} s: transfers fail",
            first.server,
            second.server,
            minute(*since)
        );
        Finding::error("servers-disagree", host.tlsa.title(), words).about(*since)
    })
}

/// Who has kept a record with its signature can show it until that ends (RFC 7671 §11, §13).
fn horizon(host: &HostView) -> Option<Finding> {
    let own = host.tlsa.trust.as_ref().ok();
    let theirs = host.tlsa.servers.iter().filter_map(|at| at.answer.as_ref().ok().map(|(_, trust)| trust));
    let ends = own.into_iter().chain(theirs).filter_map(|trust| match trust {
        Trust::Secure { last, .. } => Some(*last),
        Trust::Insecure(_) | Trust::Bogus(_) => None,
    });
    let until = ends.max().filter(|_| !host.tlsa.records.is_empty())?;
    let words = format!(
        "a pin that is withdrawn now can be replayed until its signatures end, {} (RFC 7671 §13)",
        minute(until)
    );
    Some(Finding::info("replay-horizon", host.tlsa.title(), words).about(until))
}

fn published(records: &[Tlsa], key: SpkiDigest) -> bool {
    records.iter().any(|record| is_pin(record, key))
}

fn is_pin(record: &Tlsa, key: SpkiDigest) -> bool {
    record.parameters() == "3 1 1" && record.data == key.0
}
