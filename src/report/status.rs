//! The result of `status`: keys, pins, clocks, expiry, next step, from the state directory alone.

pub mod timeline;

use crate::clock::full_minute;
use crate::model::document::{Installed, RenewalInfo};
use crate::model::key::SpkiDigest;
use crate::model::memory::{End, LastRun};
use crate::model::outcome::{Facts, PinFacts};
use crate::model::plan::Step;
use crate::model::rotation::Rotation;
use crate::report::Output;
use crate::report::apply::minute;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// Columns of text: what every terminal has. Long words (digests, URLs, paths) stay whole.
const WIDTH: usize = 80;

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
    line(text, "names", &facts.names.join(", "));
    match &facts.document.installed {
        None => line(text, "installed", "nothing yet"),
        Some(certificate) => installed(text, facts, certificate, now),
    }
    match &facts.keys {
        None => line(text, "keys", "none yet"),
        Some((active, backup)) => keys(text, facts, *active, *backup, now),
    }
    for pin in &facts.pins {
        let PinFacts { record, role, .. } = pin;
        let owner = record.owner.trim_end_matches('.');
        line(text, "pin", &format!("{} ({role}) at {owner}", record.spki.short()));
        clock(text, pin, now);
    }
    if let Some(rotation) = &facts.document.rotation {
        let Rotation { phase, from, to, since, forced } = rotation;
        let forced = if *forced { ", before its pin was ripe" } else { "" };
        let (phase, from, to) = (phase.word(), from.short(), to.short());
        line(text, "rotation", &format!("{phase} since {}, from {from} to {to}{forced}", minute(*since)));
    }
    for replay in facts.document.replayable.iter().filter(|replay| replay.until > now) {
        let (key, until) = (replay.spki.short(), full_minute(replay.until));
        line(
            text,
            "withdrawn",
            &format!("pin {key}, can be replayed until its last signature ends, {until}"),
        );
    }
    if let Some(due) = facts.rotation_due {
        line(text, "rotation", &format!("due {}", minute(due)));
    }
    for gone in &facts.document.gone {
        line(text, "gone", &format!("{}, left out from {} on", gone.host, minute(gone.from)));
    }
    for owed in &facts.document.owed {
        line(text, "owed", &format!("TXT at {} is still to be removed", owed.owner.trim_end_matches('.')));
    }
    if let Some(order) = &facts.document.order {
        line(text, "order", &format!("in flight: {}", order.url));
    }
    if let Some(f) = &facts.document.failures {
        line(text, "failures", &format!("{}, the last: {}", f.count, f.last));
    }
    if let Some(LastRun { end: end @ (End::Waits | End::Failed), since, why }) = &facts.last_run {
        line(text, "last run", &format!("{}, since {}: {why}", end.word(), minute(*since)));
    }
    match (&facts.trouble, &facts.next) {
        (Some(e), _) => line(text, "next", &e.to_string()),
        (None, Some(step)) => line(text, "next", &describe(facts, step)),
        (None, None) => line(text, "next", "make the keys, then the first certificate"),
    }
}

fn installed(text: &mut String, facts: &Facts, certificate: &Installed, now: Timestamp) {
    let Installed { serial, issuer, not_after, .. } = certificate;
    let days = not_after.duration_since(now).as_hours() / 24;
    line(text, "installed", &format!("serial {serial}, by {issuer}"));
    match *not_after > now {
        true => line(text, "", &format!("valid until {} ({days} days)", minute(*not_after))),
        false => line(text, "", &format!("EXPIRED on {} ({} days ago)", minute(*not_after), -days)),
    }
    if let Some(revoked) = certificate.revoked {
        line(text, "", &format!("REVOKED on {}: apply gets another", minute(revoked)));
    }
    if let Some(due) = facts.renewal_due.filter(|due| *due > now) {
        let info = facts.document.renewal_info.as_ref();
        let suggested = info.filter(|info| Some(&info.certificate_id) == certificate.certificate_id.as_ref());
        let words = match suggested.filter(|info| info.window.is_some()) {
            Some(RenewalInfo { explanation: Some(page), .. }) => format!(", as the CA suggests ({page})"),
            Some(_) => ", as the CA suggests".to_owned(),
            None => String::new(),
        };
        line(text, "", &format!("to be renewed from {} on{words}", minute(due)));
    }
    line(text, "", &facts.live.display().to_string());
    if facts.document.reload_owed.is_some() {
        line(text, "", "not yet deployed, or its server not yet reloaded");
    }
}

fn keys(text: &mut String, facts: &Facts, active: SpkiDigest, backup: Option<SpkiDigest>, now: Timestamp) {
    line(text, "active", &active.to_string());
    if let Some(since) = facts.document.serving_since {
        let renewals = match facts.document.renewals {
            0 => String::new(),
            1 => ", renewed once".to_owned(),
            n => format!(", renewed {n} times"),
        };
        line(text, "", &format!("installed since {}{renewals}", minute(since)));
    }
    let Some(backup) = backup else { return };
    line(text, "backup", &backup.to_string());
    match facts.backup_ripe {
        Some(ripe) if ripe <= now => line(text, "", &format!("may be served since {}", minute(ripe))),
        Some(ripe) => line(text, "", &format!("may be served from {} on", minute(ripe))),
        None => {}
    }
}

fn clock(text: &mut String, pin: &PinFacts, now: Timestamp) {
    match pin.record.seen_everywhere {
        Some(at) => line(text, "", &format!("on every server since {}", minute(at))),
        None => line(text, "", "not seen on every server"),
    }
    match pin.ripe {
        Some(ripe) if ripe <= now => line(text, "", &format!("ripe since {}", minute(ripe))),
        Some(ripe) => line(text, "", &format!("ripe at {}", minute(ripe))),
        None => {}
    }
}

/// A label and its content, wrapped at blanks to the width of a terminal; what follows is below the content.
fn line(text: &mut String, label: &str, content: &str) {
    let mut row = format!("  {label:<9}");
    let begin = row.len();
    for word in content.split_whitespace() {
        if row.len() > begin && row.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{}", row.trim_end());
            row = " ".repeat(begin);
        }
        row.push(' ');
        row.push_str(word);
    }
    let _ = writeln!(text, "{}", row.trim_end());
}

fn describe(facts: &Facts, step: &Step) -> String {
    match step {
        Step::ObserveEndpoints if facts.document.rotation.is_some() => {
            "look at the keys that the endpoints present".into()
        }
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
        Step::AskRenewal => "ask the CA when to renew".into(),
        Step::Reload(generation) => format!("deploy generation {generation} and reload the server"),
        Step::ObservePins => "ask the name servers for TLSA".into(),
        Step::ObserveEndpoints => "publish TLSA once every endpoint presents the active key".into(),
        Step::Publish(_) => {
            "look for the TLSA records at every name server, and publish what is missing".into()
        }
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
        "deployment_owed": facts.document.reload_owed.is_some(),
        "renewal_due": facts.renewal_due,
        "renewal_info": facts.document.renewal_info,
        "pins": facts.pins.iter().map(pin_json).collect::<Vec<_>>(),
        "backup_ripe": facts.backup_ripe,
        "serving_since": facts.document.serving_since,
        "renewals": facts.document.renewals,
        "rotation": facts.document.rotation,
        "rotation_due": facts.rotation_due,
        "withdrawn": facts.document.replayable,
        "gone": facts.document.gone,
        "owed": facts.document.owed,
        "order": facts.document.order,
        "failures": facts.document.failures,
        "last_run": facts.last_run,
        "next": facts.next.as_ref().map(|step| describe(facts, step)),
        "error": facts.trouble.as_ref().map(crate::report::apply::error_json),
    })
}

fn pin_json(pin: &PinFacts) -> Value {
    json!({
        "owner": pin.record.owner,
        "spki": pin.record.spki.to_string(),
        "role": pin.role,
        "first_published": pin.record.first_published,
        "seen_everywhere": pin.record.seen_everywhere,
        "ripe": pin.ripe,
    })
}

#[cfg(test)]
mod tests;
