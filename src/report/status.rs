//! The result of `status`: keys, pins, clocks, expiry, next step, from the state directory alone.

use crate::model::outcome::Facts;
use crate::model::plan::Step;
use crate::report::Output;
use crate::report::apply::minute;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// The table.
pub fn status(all: &[Facts], now: Timestamp) -> Output {
    let mut text = String::new();
    for facts in all {
        one(&mut text, facts, now);
    }
    let certificates: Vec<Value> = all.iter().map(facts_json).collect();
    Output { text, json: json!({ "certificates": certificates }) }
}

fn one(text: &mut String, facts: &Facts, now: Timestamp) {
    let _ = writeln!(text, "{}", facts.certificate);
    let _ = writeln!(text, "  names     {}", facts.names.join(", "));
    match &facts.document.installed {
        None => drop(writeln!(text, "  installed nothing yet")),
        Some(i) => {
            let days = i.not_after.duration_since(now).as_hours() / 24;
            let _ = writeln!(text, "  installed serial {}, by {}", i.serial, i.issuer);
            let _ = match i.not_after > now {
                true => writeln!(text, "            valid until {} ({days} days)", minute(i.not_after)),
                false => {
                    writeln!(text, "            EXPIRED on {} ({} days ago)", minute(i.not_after), -days)
                }
            };
            let _ = writeln!(text, "            {}", facts.live.display());
        }
    }
    match &facts.keys {
        None => drop(writeln!(text, "  keys      none yet")),
        Some((active, backup)) => {
            let _ = writeln!(text, "  active    {active}");
            if let Some(backup) = backup {
                let _ = writeln!(text, "  backup    {backup}");
            }
        }
    }
    for pin in &facts.document.pins {
        let seen = match pin.seen_everywhere {
            Some(at) => format!("on every server since {}", minute(at)),
            None => "not yet seen on every server".into(),
        };
        let short = &pin.spki.to_string()[..8];
        let left = facts.keys.is_some_and(|(active, backup)| pin.spki != active && Some(pin.spki) != backup);
        let left = if left { " (not a key of zones.yaml now)" } else { "" };
        let _ = writeln!(text, "  pin       {short}… at {}: {seen}{left}", pin.owner.trim_end_matches('.'));
    }
    for owed in &facts.document.owed {
        let _ =
            writeln!(text, "  owed      TXT at {} is still to be removed", owed.owner.trim_end_matches('.'));
    }
    if let Some(order) = &facts.document.order {
        let _ = writeln!(text, "  order     in flight: {}", order.url);
    }
    if let Some(f) = &facts.document.failures {
        let _ = writeln!(text, "  failures  {}, the last: {}", f.count, f.last);
    }
    match (&facts.trouble, &facts.next) {
        (Some(e), _) => drop(writeln!(text, "  next      {e}")),
        (None, Some(step)) => drop(writeln!(text, "  next      {}", describe(step))),
        (None, None) => drop(writeln!(text, "  next      make the keys, then the first certificate")),
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Relink(generation) => format!("point live at generation {generation}"),
        Step::CleanUp => "remove TXT records of an interrupted run".into(),
        Step::Issue(reason, _) => format!("get a certificate ({})", reason.words()),
        Step::Stage(_) => "get a certificate for the key to come".into(),
        Step::JudgeOthers => "compare TLSA records of others with the certificate to come".into(),
        Step::Begin(_) => "begin the rotation".into(),
        Step::ServeSpare(key) => format!("install the certificate for the key {key}"),
        Step::Withdraw(why) => format!("withdraw the rotation: {why}"),
        Step::Abort => "abort the rotation".into(),
        Step::Settle => "end the aborted rotation".into(),
        Step::Retire(_) => "retire the former key".into(),
        Step::Unpublish(_, evidence) => format!("remove the pin of {}", evidence.key()),
        Step::Forget(_, key) => format!("note that the pin of {key} is gone"),
        Step::Shift => "end the rotation".into(),
        Step::Reload(generation) => format!("deploy generation {generation} and reload the server"),
        Step::ObservePins => "ask the name servers for TLSA".into(),
        Step::ObserveEndpoints => "publish TLSA once every endpoint presents the active key".into(),
        Step::Publish(_) => "publish TLSA".into(),
        Step::RecordSeen(_) => "note since when the pins are everywhere".into(),
        Step::Wait(until, why) => format!("wait until {}: {why}", minute(*until)),
        Step::Hold(until, refusal) => format!("not before {}: {}", minute(*until), refusal.cause),
        Step::Refuse(refusal) => format!("refused: {}", refusal.cause),
        Step::Nothing(until) => format!("nothing until {}", minute(*until)),
    }
}

fn facts_json(facts: &Facts) -> Value {
    json!({
        "name": facts.certificate,
        "names": facts.names,
        "keys": facts.keys.as_ref().map(|(a, b)| json!({ "active": a.to_string(), "backup": b.map(|b| b.to_string()) })),
        "installed": facts.document.installed,
        "live": facts.live.display().to_string(),
        "pins": facts.document.pins,
        "owed": facts.document.owed,
        "order": facts.document.order,
        "failures": facts.document.failures,
        "next": facts.next.as_ref().map(describe),
        "error": facts.trouble.as_ref().map(crate::report::apply::error_json),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::document::{Document, Installed};
    use crate::model::key::SpkiDigest;
    use crate::model::plan::Reason;

    #[test]
    fn an_expired_certificate_is_called_that() {
        let installed = Installed {
            generation: 1,
            names: vec!["mx1.example.org".into()],
            spki: SpkiDigest([1; 32]),
            not_before: "2026-08-01T00:00:00Z".parse().unwrap(),
            not_after: "2026-11-01T00:00:00Z".parse().unwrap(),
            serial: "0a".into(),
            issuer: "CN=test".into(),
        };
        let facts = Facts {
            certificate: "mx1".into(),
            names: installed.names.clone(),
            document: Document { installed: Some(installed), ..Document::default() },
            keys: Some((SpkiDigest([1; 32]), None)),
            next: Some(Step::Issue(Reason::Due, SpkiDigest([0xaa; 32]))),
            live: "state/certificates/mx1/live".into(),
            trouble: None,
        };
        let text = status(&[facts], "2026-11-23T12:00:00Z".parse().unwrap()).text;
        let expected = format!(
            "mx1\n\
             \x20 names     mx1.example.org\n\
             \x20 installed serial 0a, by CN=test\n\
             \x20           EXPIRED on 2026-11-01 00:00 UTC (22 days ago)\n\
             \x20           state/certificates/mx1/live\n\
             \x20 active    {}\n\
             \x20 next      get a certificate (renewal is due)\n",
            "01".repeat(32)
        );
        assert_eq!(text, expected);
    }
}
