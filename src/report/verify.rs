//! The result of `verify`: what was looked up, what is presented, what is wrong. At most 80 columns.

use crate::model::dane::{
    Finding, Found, HostView, Outcome, Severity, Tlsa, Trust, Verdict, Verified, verdicts,
};
use crate::model::endpoint::{Ask, Sni, Versions};
use crate::report::Output;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// What terminals have had since punched cards.
const COLUMNS: usize = 80;
/// Where the third column begins.
const THIRD: usize = 20;

/// The table, and all of it as JSON.
pub fn verified(all: &[Verified], now: Timestamp) -> Output {
    let mut text = String::new();
    for (number, one) in all.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        target(&mut text, one, now);
    }
    let targets: Vec<Value> = all.iter().map(|one| target_json(one, now)).collect();
    Output { text, json: json!({ "targets": targets }) }
}

/// "1 critical, 2 errors"; `None`: nothing worse than a warning.
pub fn trouble(all: &[Verified]) -> Option<(Severity, String)> {
    let worst = all.iter().filter_map(Verified::worst).max().filter(|worst| *worst >= Severity::Error)?;
    let findings = || all.iter().flat_map(|one| &one.findings);
    Some((worst, tally(findings().filter(|finding| finding.severity >= Severity::Error))))
}

fn target(text: &mut String, one: &Verified, now: Timestamp) {
    let certificate = one.certificate.as_ref().map(|name| format!(" (certificate {name})"));
    wrap(text, 0, 2, &format!("{}{}", one.survey.target, certificate.unwrap_or_default()));
    if let Some(mail) = &one.survey.mail {
        let sorted: BTreeSet<_> = mail.mx.records.iter().collect();
        let hosts: Vec<String> = sorted.iter().map(|(n, host)| format!("{n} {host}")).collect();
        let implicit = hosts.is_empty() && mail.mx.is_believed();
        row(text, &mail.mx, if implicit { vec!["none: the domain itself".into()] } else { hosts });
    }
    for host in &one.survey.hosts {
        if one.survey.target != host.endpoint.to_string() {
            wrap(text, 0, 2, &host.endpoint.to_string());
        }
        host_rows(text, host, now);
    }
    for finding in &one.findings {
        let head = format!("{} {}", finding.severity.word(), finding.check);
        wrap(text, 2, 4, &format!("{head}: {}", finding.at));
        wrap(text, 4, 4, &finding.words);
    }
    let well = one.worst().is_none_or(|worst| worst == Severity::Info).then(|| "all is well".to_owned());
    let counted = Some(tally(one.findings.iter())).filter(|counted| !counted.is_empty());
    let verdict: Vec<String> = well.into_iter().chain(counted).collect();
    wrap(text, 0, 2, &format!("{}: {}", one.survey.target, verdict.join(", ")));
}

fn host_rows(text: &mut String, host: &HostView, now: Timestamp) {
    for addresses in [&host.a, &host.aaaa] {
        let sorted: BTreeSet<_> = addresses.records.iter().collect(); // servers change the order from answer to answer
        row(text, addresses, sorted.iter().map(ToString::to_string).collect());
    }
    let mut lines = Vec::new();
    if !host.tlsa.records.is_empty() {
        lines.push(format!("TTL {} s at {}", host.tlsa.ttl, host.tlsa.at));
    }
    let records: BTreeSet<_> = host.tlsa.records.iter().collect();
    lines.extend(records.iter().map(ToString::to_string));
    row(text, &host.tlsa, lines);
    let verdicts = verdicts(host, now);
    let addresses: BTreeSet<_> = verdicts.iter().map(|verdict| verdict.address).collect();
    for address in addresses {
        let _ = writeln!(text, "  {}", address.ip());
        for verdict in verdicts.iter().filter(|v| v.address == address && !repeats(v, &verdicts)) {
            wrap(text, 4, THIRD + 12, &format!("{:<28}{}", verdict.ask.to_string(), words(&verdict.result)));
        }
    }
}

/// The same without a name, or in the older version of TLS: not worth a line.
fn repeats(verdict: &Verdict, all: &[Verdict]) -> bool {
    let ask = verdict.ask;
    let plainer = [Ask { sni: Sni::Sent, ..ask }, Ask { sni: Sni::Sent, versions: Versions::Both, ..ask }];
    ask.sni == Sni::Absent
        && all
            .iter()
            .any(|v| v.address == verdict.address && plainer.contains(&v.ask) && v.result == verdict.result)
}

fn words(outcome: &Outcome) -> String {
    let key = |key: &Option<crate::model::key::SpkiDigest>| {
        key.map_or_else(|| "no readable certificate".to_owned(), |key| format!("key {}…", key.short()))
    };
    match outcome {
        Outcome::Matches(_, record) => format!("matches {record}"),
        Outcome::NoMatch(shown) => format!("NO MATCH: {}", key(shown)),
        Outcome::NoRecords(shown) => key(shown),
        Outcome::NothingFor => "not offered".into(),
        Outcome::Failed(failure) => failure.words.clone(),
    }
}

/// "  TLSA   secure    what was found", one line each; what is too long for the third column has lines of its own.
fn row<T>(text: &mut String, found: &Found<T>, lines: Vec<String>) {
    let trust = found.trust.as_ref().map_or("failed", Trust::word);
    let mut head = format!("  {:<7}{trust:<11}", found.rtype);
    let lines = if lines.is_empty() { vec!["none".into()] } else { lines };
    for line in lines {
        if THIRD + line.chars().count() <= COLUMNS {
            let _ = writeln!(text, "{head}{line}");
        } else {
            if !head.trim().is_empty() {
                let _ = writeln!(text, "{}", head.trim_end());
            }
            wrap(text, 4, 6, &line);
        }
        head = " ".repeat(THIRD);
    }
}

/// Breaks at spaces, and a word that is longer than a line wherever it must.
fn wrap(text: &mut String, first: usize, rest: usize, words: &str) {
    let longest = COLUMNS - first.max(rest);
    let words = words.split(' ').flat_map(|word| {
        let letters: Vec<char> = word.chars().collect();
        let pieces: Vec<String> = letters.chunks(longest).map(|piece| piece.iter().collect()).collect();
        if pieces.is_empty() { vec![String::new()] } else { pieces }
    });
    let mut line = " ".repeat(first);
    let mut empty = true;
    for word in words {
        if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(rest);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(&word);
        empty = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn tally<'f>(findings: impl Iterator<Item = &'f Finding> + Clone) -> String {
    let count = |severity| findings.clone().filter(|finding| finding.severity == severity).count();
    let named = [
        (Severity::Critical, "critical", "critical"),
        (Severity::Error, "error", "errors"),
        (Severity::Warn, "warning", "warnings"),
        (Severity::Info, "note", "notes"),
    ];
    let counted = named.map(|(severity, one, many)| match count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    });
    counted.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn target_json(one: &Verified, now: Timestamp) -> Value {
    json!({
        "target": one.survey.target,
        "certificate": one.certificate,
        "worst": one.worst().map(word),
        "mail": one.survey.mail.as_ref().map(|mail| json!({
            "domain": mail.domain,
            "mx": found_json(&mail.mx, |(preference, host)| json!({ "preference": preference, "host": host })),
            "tlsrpt": mail.reports,
        })),
        "hosts": one.survey.hosts.iter().map(|host| host_json(host, now)).collect::<Vec<_>>(),
        "findings": one.findings.iter().map(|finding| json!({
            "severity": word(finding.severity),
            "check": finding.check,
            "at": finding.at,
            "message": finding.words,
            "time": finding.time.map(|time| time.to_string()),
        })).collect::<Vec<_>>(),
    })
}

fn word(severity: Severity) -> String {
    severity.word().to_ascii_lowercase()
}

fn host_json(host: &HostView, now: Timestamp) -> Value {
    let probes: Vec<Value> = verdicts(host, now)
        .iter()
        .map(|verdict| {
            json!({
                "address": verdict.address.to_string(),
                "algorithm": verdict.ask.algorithm.to_string().to_ascii_lowercase(),
                "sni": verdict.ask.sni == Sni::Sent,
                "tls": if verdict.ask.versions == Versions::Tls12 { json!(["1.2"]) } else { json!(["1.3", "1.2"]) },
                "result": verdict.result.word(),
                "spki_sha256": verdict.result.key().map(|key| key.to_string()),
                "record": if let Outcome::Matches(_, record) = &verdict.result { tlsa_json(record) } else { Value::Null },
                "message": if let Outcome::Failed(failure) = &verdict.result { json!(failure.words) } else { Value::Null },
            })
        })
        .collect();
    json!({
        "endpoint": host.endpoint.to_string(),
        "a": found_json(&host.a, |address| json!(address.to_string())),
        "aaaa": found_json(&host.aaaa, |address| json!(address.to_string())),
        "tlsa": found_json(&host.tlsa, tlsa_json),
        "probes": probes,
    })
}

fn tlsa_json(record: &Tlsa) -> Value {
    json!({
        "usage": record.usage,
        "selector": record.selector,
        "matching": record.matching,
        "data": record.hex(),
    })
}

fn found_json<T>(found: &Found<T>, show: impl Fn(&T) -> Value) -> Value {
    let (why, until) = match &found.trust {
        Ok(Trust::Secure { until, .. }) => (None, Some(until.to_string())),
        Ok(Trust::Insecure(why) | Trust::Bogus(why)) | Err(why) => (Some(why.clone()), None),
    };
    let servers: Vec<Value> = found
        .servers
        .iter()
        .map(|at| {
            json!({
                "server": at.server,
                "serial": at.serial,
                "security": at.answer.as_ref().ok().map(|(_, trust)| trust.word()),
                "records": at.answer.as_ref().ok().map(|(records, _)| records.iter().map(&show).collect::<Vec<_>>()),
                "error": at.answer.as_ref().err(),
            })
        })
        .collect();
    json!({
        "name": found.name,
        "at": found.at,
        "security": found.trust.as_ref().map_or("failed", Trust::word),
        "why": why,
        "signed_until": until,
        "ttl": found.ttl,
        "records": found.records.iter().map(&show).collect::<Vec<_>>(),
        "servers": servers,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::dane::{AtServer, Mail, Probe, Seen, Survey, judge};
    use crate::model::desired::Protocol;
    use crate::model::endpoint::{Algorithm, Endpoint, Failure, FailureKind};

    fn found<T: Clone>(name: &str, rtype: &'static str, records: &[T]) -> Found<T> {
        let server = AtServer {
            server: format!("ns1.{name} (192.0.2.53:53)"),
            answer: Err("no answer within 5 s".into()),
            serial: None,
            refresh: None,
        };
        let until = "2026-11-24T00:00:00Z".parse().unwrap();
        let trust = Ok(Trust::Secure { until, last: until });
        let (name, at) = (name.to_owned(), name.to_owned());
        Found { name, rtype, at, trust, records: records.to_vec(), ttl: 3600, servers: vec![server] }
    }

    /// The table about a domain with one MX host, whose server stays silent.
    fn table(host: &str) -> String {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let failure =
            Failure { kind: FailureKind::Timeout, words: format!("no answer from {host} within 10 s") };
        let ask = Ask { sni: Sni::Sent, algorithm: Algorithm::Ecdsa, versions: Versions::Both };
        let address = "[2001:db8:1111:2222:3333:4444:5555:6666]:25".parse().unwrap();
        let view = HostView {
            endpoint: Endpoint { protocol: Protocol::Smtp, host: host.into(), port: 25 },
            a: found(host, "A", &["192.0.2.1".parse().unwrap()]),
            aaaa: found(host, "AAAA", &[]),
            tlsa: found(
                &format!("_25._tcp.{host}"),
                "TLSA",
                &[Tlsa { usage: 1, selector: 1, matching: 1, data: vec![7; 32] }],
            ),
            missing_parent: Some(format!("_tcp.{host}")),
            wildcard: Vec::new(),
            names: vec![host.into()],
            probes: vec![Probe { address, ask, seen: Seen::Failed(failure) }],
        };
        let mx = found(host, "MX", &[(10, host.to_owned())]);
        let mail = Some(Mail { domain: host.into(), mx, reports: Some(false) });
        let survey = Survey { target: host.into(), mail, hosts: vec![view] };
        let findings = judge(&survey, now);
        verified(&[Verified { certificate: Some("mail".into()), survey, findings }], now).text
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_is_wide() {
        let sixty = format!("{}.mail-servers.department.subsidiary.example.org", "m".repeat(13));
        assert_eq!(sixty.len(), 60);
        let label = "l".repeat(62);
        let longest = [label.as_str(); 4].join(".");
        for host in ["mx1.example.org", &sixty, &longest] {
            let text = table(host);
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{line}\n{text}");
            }
        }
        let text = table(&sixty);
        for whole in [format!("10 {sixty}"), format!("_25._tcp.{sixty}"), format!("smtp://{sixty}:25")] {
            assert!(text.lines().any(|line| line.contains(&whole)), "`{whole}` is torn:\n{text}");
        }
    }
}
