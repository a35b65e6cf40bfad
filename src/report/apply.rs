//! The result of `apply` and `plan`.

use crate::error::Error;
use crate::model::outcome::{Outcome, Preview, Report};
use crate::report::Output;
use serde_json::{Value, json};
use std::fmt::Write;

pub use crate::clock::minute;

/// `apply`: what changed, what waits, what failed.
pub fn applied(reports: &[Report]) -> Output {
    let mut text = String::new();
    for report in reports {
        let line = match &report.outcome {
            Outcome::Done(next) if report.changes.is_empty() => {
                format!("nothing to do until {}", minute(*next))
            }
            Outcome::Done(next) => format!("done; next look {}", minute(*next)),
            Outcome::Waits(until, why) => format!("waits until {}: {why}", minute(*until)),
            Outcome::Failed(e) => format!("failed: {e}"),
        };
        let _ = writeln!(text, "{}: {line}", report.certificate);
        for change in &report.changes {
            let _ = writeln!(text, "  {change}");
        }
    }
    let certificates: Vec<Value> = reports.iter().map(report_json).collect();
    Output { text, json: json!({ "certificates": certificates }) }
}

/// `plan`: what would change, as a diff.
pub fn planned(previews: &[Preview]) -> Output {
    let mut text = String::new();
    for preview in previews {
        let line = match (&preview.stopped, preview.changes.is_empty(), preview.next) {
            (Some(e), _, _) => format!("would stop: {e}"),
            (None, true, Some(next)) => format!("nothing to do until {}", minute(next)),
            (None, true, None) => "nothing to do".into(),
            (None, false, _) if preview.changes.iter().all(|change| change.starts_with('…')) => {
                "waits:".into()
            }
            (None, false, _) => "would change:".into(),
        };
        let _ = writeln!(text, "{}: {line}", preview.certificate);
        for change in &preview.changes {
            let _ = writeln!(text, "  {change}");
        }
    }
    let certificates: Vec<Value> = previews
        .iter()
        .map(|p| {
            json!({
                "name": p.certificate,
                "changes": p.changes,
                "next": p.next.map(|t| t.to_string()),
                "warnings": p.warnings,
                "error": p.stopped.as_ref().map(error_json),
            })
        })
        .collect();
    Output { text, json: json!({ "certificates": certificates }) }
}

fn report_json(report: &Report) -> Value {
    let (outcome, until, why) = match &report.outcome {
        Outcome::Done(next) if report.changes.is_empty() => ("unchanged", Some(next.to_string()), None),
        Outcome::Done(next) => ("changed", Some(next.to_string()), None),
        Outcome::Waits(until, why) => ("waits", Some(until.to_string()), Some(why.clone())),
        Outcome::Failed(_) => ("failed", None, None),
    };
    let error = match &report.outcome {
        Outcome::Failed(e) => Some(error_json(e)),
        _ => None,
    };
    json!({
        "name": report.certificate,
        "outcome": outcome,
        "next": until,
        "why": why,
        "changes": report.changes,
        "warnings": report.warnings,
        "error": error,
    })
}

/// An error as JSON: kind, message, what remains true, hints.
pub fn error_json(e: &Error) -> Value {
    json!({
        "kind": e.kind.word(),
        "exit_code": e.kind.exit_code(),
        "action": e.action,
        "cause": e.cause,
        "remains": e.remains,
        "hints": e.hints,
        "retry_after_seconds": e.retry_after.map(|d| d.as_secs()),
    })
}
