//! The kinds of providers: a table of at most 80 columns, one kind in full, and both as JSON.

use crate::report::Output;
use danesmith_providers::conformance::{Finding, Outcome};
use danesmith_providers::kinds::{Grounds, Kind, Setting};
use serde_json::{Value, json};
use std::fmt::Write;

/// What terminals have had since punched cards.
const COLUMNS: usize = 80;

/// `provider list`.
pub fn list(kinds: &[Kind]) -> Output {
    let width = kinds.iter().map(|kind| kind.name.len()).max().unwrap_or(0).max(4);
    let left = |name: &str, types: &str, changes: &str, evidence: &str| {
        format!("{name:width$}  {types:12}  {changes:7}  {evidence:21}  ")
    };
    let mut text = left("NAME", "TYPES", "CHANGES", "EVIDENCE") + "NEEDS\n";
    for kind in kinds {
        let first = left(&kind.name, &types(kind), kind.changes, &evidence(kind));
        let needs: Vec<String> =
            kind.fields.iter().filter(|field| field.required).map(|field| field.name.clone()).collect();
        wrapped(&mut text, &first, &needs.join(", "));
    }
    let tlsa = kinds.iter().filter(|kind| kind.writes_tlsa()).count();
    let _ = write!(
        text,
        "\n{} kinds; {tlsa} write TLSA, and exec and lexicon tell when they run. Evidence: live\n\
         (the real thing answered our tests), spec, recording, docs, client (what another\n\
         program sends there), stand-in. `danesmith provider show NAME` tells more.\n",
        kinds.len()
    );
    Output { text, json: json!({ "providers": kinds.iter().map(kind_json).collect::<Vec<_>>() }) }
}

/// `provider show NAME`.
pub fn show(kind: &Kind) -> Output {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            wrapped(&mut text, &format!("{key:10}"), value);
        }
    };
    line("name", &kind.name);
    line("title", &kind.title);
    let types = types(kind);
    line(
        "types",
        if kind.writes_tlsa() || types == "(tells)" { &types } else { "TXT only: no TLSA, no DANE" },
    );
    line("changes", how(kind.changes));
    if let Some(atomicity) = kind.atomicity {
        line("atomic", takes_effect(atomicity));
    }
    let limits = kind.ttl.map(|(min, max)| format!("{min} to {max} seconds"));
    let ttl: Vec<&str> = limits.as_deref().into_iter().chain(kind.about_ttl.as_deref()).collect();
    line("ttl", &ttl.join("; "));
    line("evidence", &grounds(&kind.evidence));
    line("TLSA", &kind.tlsa_evidence.as_ref().map(grounds).unwrap_or_default());
    line("note", kind.note.as_deref().unwrap_or_default());
    line("docs", kind.docs.as_deref().unwrap_or_default());
    line("file", kind.file.as_deref().unwrap_or_default());
    text.push_str("\nfields\n");
    for field in &kind.fields {
        wrapped(&mut text, &format!("  {:17} ", field.name), &about(field));
    }
    let _ = write!(text, "\nin zones.yaml\n  providers:\n    mine:\n      {}:\n", kind.name);
    for line in kind.example.iter().flat_map(|lines| lines.lines()) {
        let _ = writeln!(text, "        {line}");
    }
    let required = kind.fields.iter().filter(|field| field.required && kind.example.is_none());
    for field in required {
        let value = match (field.secret, field.env.first()) {
            (true, Some(variable)) => format!("{{env: {variable}}}"),
            (true, None) => "{file: PATH}".to_owned(),
            (false, _) => "…".to_owned(),
        };
        let _ = writeln!(text, "        {}: {value}", field.name);
    }
    Output { text, json: json!({ "provider": kind_json(kind) }) }
}

/// `provider check --plugin`.
pub fn findings(findings: &[Finding]) -> Output {
    let mut text = String::new();
    for finding in findings {
        wrapped(&mut text, &format!("{:8}", word(finding.outcome)), finding.check);
        if !finding.detail.is_empty() {
            wrapped(&mut text, &" ".repeat(10), &finding.detail);
        }
    }
    let one = |f: &Finding| json!({ "check": f.check, "outcome": word(f.outcome), "detail": f.detail });
    Output { text, json: json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() }) }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Limited => "limited",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    }
}

fn types(kind: &Kind) -> String {
    let words: Vec<String> = kind.types.iter().map(ToString::to_string).collect();
    match words.is_empty() {
        true => "(tells)".to_owned(),
        false if kind.writes_tlsa() => words.join(" "),
        false => format!("{}, no TLSA", words.join(" ")),
    }
}

/// In the table: what TLSA rests on takes the place of the date where it is something else.
fn evidence(kind: &Kind) -> String {
    let level = kind.evidence.level;
    match (&kind.tlsa_evidence, &kind.evidence.date) {
        (Some(tlsa), _) if tlsa.level != level => format!("{level}, TLSA {}", tlsa.level),
        (_, Some(date)) => format!("{level} {date}"),
        (_, None) => level.to_owned(),
    }
}

/// In full, with what is left open.
fn grounds(grounds: &Grounds) -> String {
    let Grounds { level, date, against, note } = grounds;
    let date = date.as_deref().map(|date| format!(" {date}")).unwrap_or_default();
    let against = against.as_deref().map(|what| format!(" ({what})")).unwrap_or_default();
    let note = note.as_deref().map(|note| format!("; {note}")).unwrap_or_default();
    format!("{level}{date}{against}{note}")
}

fn grounds_json(grounds: &Grounds) -> Value {
    let Grounds { level, date, against, note } = grounds;
    json!({"level": level, "date": date, "against": against, "note": note})
}

fn how(changes: &str) -> &'static str {
    match changes {
        "batch" => "all changes of a zone in one message",
        "value" => "values are added and removed by what they are",
        "record" => "each value is a record of its own",
        "rrset" => "whole RRsets are read, changed and replaced",
        _ => "as the program does it",
    }
}

fn takes_effect(atomicity: danesmith_providers::Atomicity) -> &'static str {
    use danesmith_providers::Atomicity;
    match atomicity {
        Atomicity::None => "no: another program that writes at the same moment may come between",
        Atomicity::Value => "value by value, without touching its siblings",
        Atomicity::CompareAndSwap => "a whole RRset, refused when it changed meanwhile",
        Atomicity::Batch => "all changes of a call, refused when anything of it changed meanwhile",
    }
}

fn about(field: &Setting) -> String {
    let mut parts = vec![if field.required { "required" } else { "optional" }.to_owned()];
    if field.secret {
        parts.push("secret: {env:}, {file:}, {command:} or {credential:}".to_owned());
    }
    if let Some(default) = &field.default {
        parts.push(format!("default {default}"));
    }
    let mut text = parts.join("; ");
    if !field.doc.is_empty() {
        text = format!("{} ({text})", field.doc.trim_end_matches('.'));
    }
    text
}

/// `first`, then words up to the last column, further lines indented as far as `first` is long.
fn wrapped(text: &mut String, first: &str, words: &str) {
    let indent = first.chars().count();
    let mut line = first.to_owned();
    let mut used = indent;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if used > indent && used + length > COLUMNS {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(indent);
            used = indent;
        }
        line.push_str(word);
        line.push(' ');
        used += length + 1;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn kind_json(kind: &Kind) -> Value {
    let field = |field: &Setting| {
        json!({
            "name": field.name, "required": field.required, "secret": field.secret, "doc": field.doc,
            "default": field.default, "env": field.env,
        })
    };
    json!({
        "name": kind.name,
        "title": kind.title,
        "types": kind.types.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "writes_tlsa": if kind.types.is_empty() { Value::Null } else { json!(kind.writes_tlsa()) },
        "semantics": kind.changes,
        "evidence": grounds_json(&kind.evidence),
        "tlsa_evidence": kind.tlsa_evidence.as_ref().map(grounds_json),
        "ttl_seconds": kind.ttl.map(|(min, max)| json!({"min": min, "max": max})),
        "needs": kind.fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect::<Vec<_>>(),
        "about_ttl": kind.about_ttl,
        "fields": kind.fields.iter().map(field).collect::<Vec<_>>(),
        "note": kind.note,
        "docs": kind.docs,
        "file": kind.file,
    })
}
