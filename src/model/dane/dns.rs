//! Checks of look-ups and of the records themselves.

use super::finding::{Finding, Severity};
use super::record::{Tlsa, Unusable};
use super::survey::{AtServer, Found, HostView, Trust};
use super::verdict::is_smtp;
use crate::clock::minute;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How long after a look the next one may come. Our choice: `apply` belongs into an hourly timer.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// Signatures that end sooner deserve a look. Our choice: long enough for a weekend.
const SIGNATURES_LAST: SignedDuration = SignedDuration::from_hours(72);
/// A longer TTL makes every change wait for days (RFC 7671 §13 advises against it).
const LONGEST_TTL: u32 = 86_400;
/// A shorter one makes every delivery ask again. Our choice: resolvers commonly keep records for this long anyway.
const SHORTEST_TTL: u32 = 300;

/// Bogus, failing, disagreeing, soon unsigned.
///
/// A server that does not answer at all, while others of its zone do, is no reason for senders to defer: their resolvers go
/// to the next. So it is an error, and critical only when nobody answers.
pub(super) fn look_up<T: Ord + Clone>(found: &Found<T>, now: Timestamp, findings: &mut Vec<Finding>) {
    let title = found.title();
    let all_silent = found.servers.iter().all(|at| at.answer.is_err() && at.serial.is_none());
    match &found.trust {
        Err(why) => findings.push(Finding::critical(
            "lookup-failed",
            &title,
            format!("no answer: {why}; senders defer (RFC 7672 §2.1.2)"),
        )),
        Ok(Trust::Bogus(why)) => {
            let is_bogus = |at: &AtServer<T>| matches!(at.answer, Ok((_, Trust::Bogus(_))));
            // Resolvers that drop signatures make every signed name look so.
            let but = match found.servers.iter().any(is_bogus) {
                true => "",
                false => {
                    ". No server of the zone was seen to answer so: ask another resolver (--resolver ADDRESS), this \
                          one may drop signatures"
                }
            };
            findings.push(Finding::critical("lookup-bogus", &title, bogus(why) + but));
        }
        Ok(_) => {}
    }
    for at in &found.servers {
        let here = format!("{title} at {}", at.server);
        match &at.answer {
            Ok((_, Trust::Bogus(why))) => findings.push(Finding::critical("lookup-bogus", here, bogus(why))),
            Ok(_) => {}
            Err(why) if at.serial.is_some() => findings.push(Finding::critical(
                "lookup-failed",
                here,
                format!("this server answers for the zone, but not this question: {why}"),
            )),
            Err(why) if all_silent => findings.push(Finding::critical(
                "server-silent",
                at.server.clone(),
                format!("it does not answer from here, nor does any other server of the zone: {why}"),
            )),
            Err(why) => findings.push(Finding::error(
                "server-silent",
                at.server.clone(),
                format!(
                    "it does not answer from here ({why}); resolvers ask the others, and no rotation begins"
                ),
            )),
        }
    }
    disagreement(found, &title, findings);
    findings.extend(signatures(found, found.ttl, now));
}

fn bogus(why: &str) -> String {
    format!("fails DNSSEC validation: {why}; senders defer (RFC 7672 §2.1.2)")
}

/// Two servers with different records.
pub(super) fn differing<T: Ord + Clone>(found: &Found<T>) -> Option<(&AtServer<T>, &AtServer<T>)> {
    let mut answers = found.servers.iter().filter_map(|at| Some((at, &at.answer.as_ref().ok()?.0)));
    let (first, expected) = answers.next()?;
    let expected: BTreeSet<&T> = expected.iter().collect();
    let (second, _) = answers.find(|(_, records)| records.iter().collect::<BTreeSet<_>>() != expected)?;
    Some((first, second))
}

fn disagreement<T: Ord + Clone>(found: &Found<T>, title: &str, findings: &mut Vec<Finding>) {
    let Some((first, second)) = differing(found) else { return };
    let answering = found.servers.iter().filter(|at| at.answer.is_ok());
    let serials: BTreeSet<_> = answering.map(|at| at.serial).collect();
    let between = format!("{} and {} differ", first.server, second.server);
    findings.push(match serials.len() {
        1 => Finding::error(
            "servers-disagree",
            title,
            format!("{between} under the same SOA serial: this does not heal by itself"),
        ),
        _ => Finding::warn(
            "servers-disagree",
            title,
            format!("{between}: one is behind. If it stays so past the SOA refresh time, transfers fail"),
        ),
    });
}

/// Signatures that end before caches forget the records. `ttl`: the longest one, seconds.
pub(super) fn signatures<T>(found: &Found<T>, ttl: u32, now: Timestamp) -> Option<Finding> {
    let title = found.title();
    let own = found.trust.as_ref().ok();
    let theirs = found.servers.iter().filter_map(|at| at.answer.as_ref().ok().map(|(_, trust)| trust));
    let ends = own.into_iter().chain(theirs).filter_map(|trust| match trust {
        Trust::Secure { until, .. } => Some(*until),
        Trust::Insecure(_) | Trust::Bogus(_) => None,
    });
    let until = ends.min()?;
    let left = until.duration_since(now);
    let needed = SignedDuration::from_secs(ttl.into()) + CHECK_INTERVAL;
    if left < needed {
        let words = format!(
            "its signatures end on {}, sooner than caches forget it: renew them now, the signer is stuck",
            minute(until)
        );
        Some(Finding::critical("rrsig-expires", title, words).about(until))
    } else if left < SIGNATURES_LAST {
        let words = format!(
            "its signatures end on {}; usual for signers that sign for every answer, late for others",
            minute(until)
        );
        Some(Finding::warn("rrsig-expires", title, words).about(until))
    } else {
        None
    }
}

/// The TLSA records of a host, whatever it serves.
pub(super) fn records(host: &HostView, findings: &mut Vec<Finding>) {
    let title = host.tlsa.title();
    for record in &host.tlsa.records {
        let at = format!("{title}: {record}");
        match record.usable(is_smtp(host)) {
            Err(why) => findings.push(unusable(why, at)),
            Ok(()) => findings.extend(unwise(record, at)),
        }
    }
    mixed(host, &title, findings);
    let ttl = host.tlsa.ttl;
    if ttl > LONGEST_TTL {
        let words = format!("its TTL is {ttl} s: every rotation waits for two of them");
        findings.push(Finding::warn("ttl", &title, words));
    } else if ttl < SHORTEST_TTL {
        let words = format!("its TTL is {ttl} s: resolvers ask again for every delivery");
        findings.push(Finding::warn("ttl", &title, words));
    }
    if let Some(parent) = &host.missing_parent {
        let words = format!(
            "`{parent}` does not exist, say its servers, although there is something below it: resolvers that \
             follow RFC 8020 deny the TLSA records"
        );
        findings.push(Finding::error("nxdomain-above", &title, words));
    }
    let set: BTreeSet<_> = host.tlsa.records.iter().collect();
    if !host.wildcard.is_empty() && set != host.wildcard.iter().collect() {
        let words = "the wildcard `*._tcp` has other records, and they do not count here (RFC 4592 §2.2.1)";
        findings.push(Finding::warn("owner-shadows-wildcard", &title, words));
    }
}

fn unusable(why: Unusable, at: String) -> Finding {
    let check = match why {
        Unusable::UsageOnSmtp => "usage-unusable",
        Unusable::Parameters => "parameters-unknown",
        Unusable::Length => "digest-length",
        Unusable::EmptyDigest => "empty-digest",
    };
    Finding { severity: Severity::Error, check, at, words: why.words().into(), time: None }
}

fn unwise(record: &Tlsa, at: String) -> Vec<Finding> {
    let mut found = Vec::new();
    if record.selector == 0 {
        let words = "selector 0 means the whole certificate: every renewal changes it";
        found.push(Finding::warn("selector-0", &at, words));
    }
    if record.matching == 0 {
        let words =
            "the data in full, not a digest: large answers, and not every sender takes it (RFC 7671 §10.1.2)";
        found.push(Finding::warn("full-data", &at, words));
    }
    found
}

fn mixed(host: &HostView, title: &str, findings: &mut Vec<Finding>) {
    let kinds: BTreeSet<(u8, u8)> = host.tlsa.records.iter().map(|r| (r.usage, r.selector)).collect();
    for (usage, selector) in kinds {
        let of_kind = host.tlsa.records.iter().filter(|r| (r.usage, r.selector) == (usage, selector));
        let types: BTreeSet<u8> = of_kind.map(|record| record.matching).collect();
        if types.len() > 1 {
            let types: Vec<_> = types.iter().map(u8::to_string).collect();
            let words = format!(
                "{usage} {selector} with matching types {}: senders go by the strongest they know and ignore the \
                 others (RFC 7671 §9)",
                types.join(" and ")
            );
            findings.push(Finding::warn("mixed-matching", title, words));
        }
    }
}
