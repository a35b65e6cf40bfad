//! From what was seen to what is wrong: every check of the outside view with its severity.

use super::dns::{look_up, records};
use super::finding::Finding;
use super::matching::matching;
use super::record::Tlsa;
use super::served::served;
use super::survey::{AtServer, HostView, Mail, Seen, Survey, Trust};
use super::verdict::is_smtp;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Everything that is wrong with a domain, host or endpoint, the worst first. Each check has a stable word.
pub fn judge(survey: &Survey, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(mail) = &survey.mail {
        domain(mail, &survey.hosts, now, &mut found);
    }
    for host in &survey.hosts {
        look_up(&host.a, now, &mut found);
        look_up(&host.aaaa, now, &mut found);
        look_up(&host.tlsa, now, &mut found);
        presence(host, survey, &mut found);
        if host.tlsa.is_believed() && !host.tlsa.records.is_empty() {
            unprotected(host, &mut found);
            records(host, &mut found);
            found.extend(backup(host, now));
        }
        served(host, now, mx_is_secure(survey), &mut found);
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut each: Vec<Finding> = Vec::new();
    for finding in found {
        // A server that answers nothing is told once, not for every question.
        let silent = |known: &Finding| finding.check == "server-silent" && known.at == finding.at;
        if !each.iter().any(|known| *known == finding || silent(known)) {
            each.push(finding);
        }
    }
    each
}

fn mx_is_secure(survey: &Survey) -> bool {
    survey.mail.as_ref().is_none_or(|mail| mail.mx.is_secure())
}

fn domain(mail: &Mail, hosts: &[HostView], now: Timestamp, found: &mut Vec<Finding>) {
    look_up(&mail.mx, now, found);
    if mail.mx.records == [(0, String::new())] {
        found.push(Finding::info("null-mx", &mail.domain, "the domain accepts no mail (RFC 7505)"));
        return;
    }
    let pinned = hosts.iter().any(|host| !host.tlsa.records.is_empty());
    if let (Ok(Trust::Insecure(why)), true) = (&mail.mx.trust, pinned) {
        let words = format!("not secured by DNSSEC: {why}; senders do not look for TLSA (RFC 7672 §2.2.1)");
        found.push(Finding::error("insecure", mail.mx.title(), words));
    }
    if mail.reports == Some(false) {
        let words = "no `v=TLSRPTv1` record: senders tell nobody when TLS fails (RFC 8460)";
        found.push(Finding::info("no-tlsrpt", format!("TXT of `_smtp._tls.{}`", mail.domain), words));
    }
}

/// No TLSA at all.
fn presence(host: &HostView, survey: &Survey, found: &mut Vec<Finding>) {
    if !host.tlsa.records.is_empty() || !host.tlsa.is_believed() {
        return;
    }
    let there = |at: &AtServer<Tlsa>| at.answer.as_ref().is_ok_and(|(records, _)| !records.is_empty());
    if let Some(at) = host.tlsa.servers.iter().find(|at| there(at)) {
        let words =
            format!("{} has records, the resolver says none: it remembers the time before", at.server);
        found.push(Finding::warn("resolver-behind", host.tlsa.title(), words));
        return;
    }
    let others = survey.hosts.iter().any(|other| !other.tlsa.records.is_empty());
    let (check, words) = match others {
        true => (
            "mx-without-tlsa",
            "no record, although other hosts of this domain have one: whoever steers senders here gets around DANE",
        ),
        false => ("no-tlsa", "no record: senders use TLS if it is offered, and do not know with whom"),
    };
    found.push(Finding::warn(check, host.tlsa.title(), words));
}

/// Every record is of a key that is served: there is none for the next one. A trust anchor outlives keys.
fn backup(host: &HostView, now: Timestamp) -> Option<Finding> {
    let smtp = is_smtp(host);
    let usable: Vec<&Tlsa> = host.tlsa.records.iter().filter(|record| record.usable(smtp).is_ok()).collect();
    let is_shown = |record: &&Tlsa| {
        let mut shown = host.probes.iter().filter_map(|probe| match &probe.seen {
            Seen::Chain(chain) => Some(chain),
            Seen::NothingFor | Seen::Failed(_) => None,
        });
        matches!(record.usage, 1 | 3) && shown.any(|chain| matching(record, chain, &host.names, now).is_ok())
    };
    let words = "no backup key is pinned: when the one that is served leaks or is lost, whoever honours DANE is shut out for as \
                 long as caches keep its record";
    (!usable.is_empty() && usable.iter().all(is_shown))
        .then(|| Finding::warn("no-backup", host.tlsa.title(), words))
}

/// Records that senders do not even look for, or do not believe.
fn unprotected(host: &HostView, found: &mut Vec<Finding>) {
    let rrsets = [
        (host.a.rtype, &host.a.trust),
        (host.aaaa.rtype, &host.aaaa.trust),
        (host.tlsa.rtype, &host.tlsa.trust),
    ];
    let insecure = rrsets.into_iter().filter_map(|(rtype, trust)| match trust {
        Ok(Trust::Insecure(why)) => Some((rtype, why)),
        _ => None,
    });
    let (types, reasons): (Vec<&str>, BTreeSet<&String>) = insecure.unzip();
    if !types.is_empty() {
        let reasons: Vec<&str> = reasons.into_iter().map(String::as_str).collect();
        let words = format!(
            "{} not secured by DNSSEC: {}; the TLSA records protect nobody (RFC 7672 §2.2)",
            types.join(", "),
            reasons.join("; ")
        );
        found.push(Finding::error("insecure", host.endpoint.to_string(), words));
    }
}
