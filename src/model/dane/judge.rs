//! From what was seen to what is wrong: every check of the outside view with its severity.

use super::dns::{look_up, records};
use super::finding::Finding;
use super::served::served;
use super::survey::{HostView, Mail, Survey};
use jiff::Timestamp;

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
        if !host.tlsa.records.is_empty() {
            unprotected(host, &mut found);
            records(host, &mut found);
        }
        served(host, now, mx_is_secure(survey), &mut found);
    }
    let mut each = Vec::new();
    for finding in found {
        if !each.contains(&finding) {
            each.push(finding);
        }
    }
    each.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
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
    if let (Ok(super::survey::Trust::Insecure(why)), true) = (&mail.mx.trust, pinned) {
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
    if !host.tlsa.records.is_empty() || host.tlsa.trust.is_err() {
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

/// Records that senders do not even look for, or do not believe.
fn unprotected(host: &HostView, found: &mut Vec<Finding>) {
    use super::survey::Trust::Insecure;
    let insecure = |trust: &Result<super::survey::Trust, String>| match trust {
        Ok(Insecure(why)) => Some(why.clone()),
        _ => None,
    };
    for (title, trust) in [
        (host.a.title(), &host.a.trust),
        (host.aaaa.title(), &host.aaaa.trust),
        (host.tlsa.title(), &host.tlsa.trust),
    ] {
        if let Some(why) = insecure(trust) {
            let words =
                format!("not secured by DNSSEC: {why}; the TLSA records protect nobody (RFC 7672 §2.2)");
            found.push(Finding::error("insecure", title, words));
        }
    }
}
