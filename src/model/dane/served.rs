//! Checks of what endpoints present, against what is published.

use super::finding::Finding;
use super::matching::{Mismatch, considered, matching};
use super::record::Tlsa;
use super::survey::{HostView, Seen};
use super::verdict::{is_named, is_smtp, key_of};
use crate::model::desired::Protocol;
use crate::model::endpoint::{Algorithm, Failure, FailureKind, Sni};
use crate::model::key::SpkiDigest;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What one address shows DANE clients, each chain once.
type Shown<'h> = BTreeMap<(Algorithm, &'h [Vec<u8>]), ()>;

/// Judges every address of the host.
pub(super) fn served(host: &HostView, now: Timestamp, mx_secure: bool, findings: &mut Vec<Finding>) {
    let addresses: BTreeSet<SocketAddr> = host.probes.iter().map(|probe| probe.address).collect();
    if addresses.is_empty() && host.a.is_believed() && host.aaaa.is_believed() {
        findings.push(Finding::error("no-address", host.endpoint.to_string(), "the host has no address"));
    }
    let protected = mx_secure && host.a.is_secure() && host.aaaa.is_secure() && host.tlsa.is_secure();
    let mut all_shown = Shown::new();
    for address in addresses {
        let shown = shown(host, address);
        failures(host, address, findings);
        for (algorithm, chain) in shown.keys() {
            compare(host, address, (*algorithm, chain), protected, now, findings);
        }
        nameless(host, address, &shown, findings);
        all_shown.extend(shown);
    }
    if host.tlsa.is_believed() {
        stale(host, &all_shown, now, findings);
    }
}

fn shown(host: &HostView, address: SocketAddr) -> Shown<'_> {
    let here = host.probes.iter().filter(|probe| probe.address == address && is_named(host, probe.ask));
    here.filter_map(|probe| match &probe.seen {
        Seen::Chain(chain) => Some(((probe.ask.algorithm, chain.as_slice()), ())),
        Seen::NothingFor | Seen::Failed(_) => None,
    })
    .collect()
}

fn failures(host: &HostView, address: SocketAddr, findings: &mut Vec<Finding>) {
    let at = format!("{} at {address}", host.endpoint);
    let here: Vec<_> = host
        .probes
        .iter()
        .filter(|probe| probe.address == address && is_named(host, probe.ask))
        .map(|probe| &probe.seen)
        .collect();
    let required = usable(host);
    if here.iter().all(|seen| **seen == Seen::NothingFor) {
        let words = "no TLS handshake is possible: neither TLS 1.3 nor TLS 1.2 with forward secrecy, or no certificate";
        findings.push(match required {
            true => Finding::critical("no-tls", &at, format!("{words}; senders defer")),
            false => Finding::warn("no-tls", &at, words),
        });
    }
    let failed: BTreeSet<&Failure> = here
        .iter()
        .filter_map(|seen| match seen {
            Seen::Failed(failure) => Some(failure),
            Seen::Chain(_) | Seen::NothingFor => None,
        })
        .collect();
    findings.extend(failed.into_iter().map(|failure| told(failure, &at, required)));
}

/// Whether senders insist on TLS here.
fn usable(host: &HostView) -> bool {
    host.tlsa.is_secure() && host.tlsa.records.iter().any(|record| record.usable(is_smtp(host)).is_ok())
}

fn told(failure: &Failure, at: &str, required: bool) -> Finding {
    let words = &failure.words;
    match failure.kind {
        FailureKind::NoStarttls if required => {
            Finding::critical("no-starttls", at, format!("{words}, while TLSA demands TLS: senders defer"))
        }
        FailureKind::NoStarttls => {
            Finding::warn("no-starttls", at, format!("{words}: mail comes in plain text"))
        }
        FailureKind::Handshake if required => {
            Finding::critical("tls-failed", at, format!("{words}; senders defer"))
        }
        FailureKind::Handshake => Finding::warn("tls-failed", at, words),
        FailureKind::NoRoute => Finding::warn("not-reached", at, words),
        FailureKind::NoAddress => Finding::error("no-address", at, words),
        FailureKind::Refused | FailureKind::Timeout | FailureKind::Dialogue => {
            Finding::error("unreachable", at, format!("{words}; what it presents is unknown"))
        }
    }
}

/// One chain against the records as the resolver has them, and against those of each server that has others: a sender may
/// have got its answer there (RFC 7671 §8).
fn compare(
    host: &HostView,
    address: SocketAddr,
    (algorithm, chain): (Algorithm, &[Vec<u8>]),
    protected: bool,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let at = format!("{} at {address}, {algorithm}", host.endpoint);
    if !host.tlsa.is_believed() {
        return; // the look-up stops mail already
    }
    let mut sets: Vec<(String, &[Tlsa])> = vec![(String::new(), &host.tlsa.records)];
    for server in &host.tlsa.servers {
        if let Ok((records, _)) = &server.answer
            && !sets.iter().any(|(_, known)| same(known, records))
        {
            sets.push((format!(" that {} has", server.server), records));
        }
    }
    for (whose, records) in sets {
        let counted = considered(records, is_smtp(host));
        if counted.is_empty() {
            continue;
        }
        let results: Vec<_> = counted.iter().map(|r| (*r, matching(r, chain, &host.names, now))).collect();
        if results.iter().any(|(_, result)| result.is_ok()) {
            continue;
        }
        let words = format!(
            "presents {}, and none of the records{whose} matches ({}){}",
            key_of(chain).map_or("no readable certificate".into(), |key| format!("the key {key}")),
            list(&counted),
            ignored(records, &counted, chain, host, now),
        );
        findings.push(match protected {
            true => Finding::critical("no-match", &at, format!("{words}: senders defer")),
            false => {
                let but = "no sender honours them now, but mail stops when one does";
                Finding::error("no-match", &at, format!("{words}; {but}"))
            }
        });
    }
}

fn same(one: &[Tlsa], other: &[Tlsa]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}

fn list(records: &[&Tlsa]) -> String {
    records.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A record that would match, were there no stronger digest beside it.
fn ignored(
    records: &[Tlsa],
    counted: &[&Tlsa],
    chain: &[Vec<u8>],
    host: &HostView,
    now: Timestamp,
) -> String {
    let smtp = is_smtp(host);
    let hidden = records.iter().find(|record| {
        record.usable(smtp).is_ok()
            && !counted.contains(record)
            && matching(record, chain, &host.names, now).is_ok()
    });
    hidden.map_or_else(String::new, |record| {
        format!("; {record} would match, but counts for nothing beside a stronger digest (RFC 7671 §9)")
    })
}

/// Sets of parameters with past or future keys only (RFC 7671 §8.1), and what is wrong with usage 2.
fn stale(host: &HostView, shown: &Shown<'_>, now: Timestamp, findings: &mut Vec<Finding>) {
    let smtp = is_smtp(host);
    let mut triples: BTreeMap<String, Vec<&Tlsa>> = BTreeMap::new();
    for record in host.tlsa.records.iter().filter(|record| record.usable(smtp).is_ok()) {
        triples.entry(record.parameters()).or_default().push(record);
    }
    for (parameters, records) in triples {
        let at = format!("{}: {parameters}", host.tlsa.title());
        let mut told = BTreeSet::new();
        let anchors = records.iter().any(|record| matches!(record.usage, 0 | 2));
        // Where nothing matches at all, that is told already; why a trust anchor does not match, is not.
        let told_already = |chain: &[Vec<u8>]| !anchors && !considered_match(host, chain, now);
        for (algorithm, chain) in shown.keys().filter(|(_, chain)| !told_already(chain)) {
            let results: Vec<_> = records.iter().map(|r| matching(r, chain, &host.names, now)).collect();
            if results.iter().any(Result::is_ok) {
                continue;
            }
            let (check, words) = why(anchors, results, *algorithm);
            if told.insert((check, words.clone())) {
                findings.push(Finding::error(check, &at, words));
            }
        }
    }
}

fn considered_match(host: &HostView, chain: &[Vec<u8>], now: Timestamp) -> bool {
    let counted = considered(&host.tlsa.records, is_smtp(host));
    counted.into_iter().any(|record| matching(record, chain, &host.names, now).is_ok())
}

/// The most telling of the reasons why no record of a triple matches.
fn why(anchors: bool, results: Vec<Result<(), Mismatch>>, algorithm: Algorithm) -> (&'static str, String) {
    let mut reasons: Vec<Mismatch> = results.into_iter().filter_map(Result::err).collect();
    reasons.sort_by_key(|reason| matches!(reason, Mismatch::Other | Mismatch::Absent));
    match reasons.into_iter().next() {
        Some(Mismatch::Name(words)) => ("ta-name", words),
        Some(Mismatch::Dates(words)) => ("ta-dates", words),
        Some(Mismatch::Chain(words)) => {
            ("ta-chain", format!("the trust anchor is in the handshake, but {words}"))
        }
        _ if anchors => (
            "ta-absent",
            format!(
                "the trust anchor is not among the certificates that the server sends ({algorithm}): the issuer \
                 changed, or the chain is not installed"
            ),
        ),
        _ => (
            "stale-triple",
            format!(
                "past or future keys only: the {algorithm} key that is served is not among them (RFC 7671 §8.1)"
            ),
        ),
    }
}

/// Clients that send no name (RFC 7672 §8.1).
fn nameless(host: &HostView, address: SocketAddr, shown: &Shown<'_>, findings: &mut Vec<Finding>) {
    let here = host.probes.iter().filter(|probe| probe.address == address && probe.ask.sni == Sni::Absent);
    let here: Vec<_> = here.filter(|probe| !is_named(host, probe.ask)).map(|probe| &probe.seen).collect();
    let at = format!("{} at {address}, without SNI", host.endpoint);
    let chains =
        || here.iter().filter_map(|seen| if let Seen::Chain(chain) = seen { Some(chain) } else { None });
    let known = |chain: &[Vec<u8>]| shown.keys().any(|(_, known)| key_of(known) == key_of(chain));
    if let Some(other) = chains().find(|chain| !known(chain)) {
        let key = key_of(other).map_or_else(String::new, |key: SpkiDigest| format!(" {key}"));
        let words = format!("another key{key}: DANE clients send the name and do not see it (RFC 7672 §8.1)");
        findings.push(Finding::info("fallback", &at, words));
    }
    let smtp = matches!(host.endpoint.protocol, Protocol::Smtp | Protocol::Submission);
    if smtp && !shown.is_empty() && !here.is_empty() && chains().next().is_none() {
        let words = "no handshake: SMTP servers must not insist on a name (RFC 7672 §8.1)";
        findings.push(Finding::warn("sni-required", &at, words));
    }
}
