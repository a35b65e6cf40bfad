//! `status --prometheus`: what an alert needs, in the text format of Prometheus (version 0.0.4). Times are seconds of the
//! epoch; a series is absent where there is no such time, for example while a pin's clock does not run.

use crate::model::memory::End;
use crate::model::outcome::{Facts, PinFacts};
use crate::model::rotation::Phase;
use jiff::Timestamp;
use std::fmt::Write;

/// What one certificate says to a family: labels besides `certificate`, and the value.
type Series = Vec<(Vec<(&'static str, String)>, i64)>;

/// A metric: its name without `danesmith_`, what it means, its values.
type Family = (&'static str, &'static str, fn(&Facts) -> Series);

/// All are gauges. Names follow the conventions of Prometheus: a unit at the end, base units only.
const FAMILIES: [Family; 15] = [
    ("certificate_installed", "Whether a certificate is installed.", |f| one(f.document.installed.is_some())),
    ("certificate_not_after_timestamp_seconds", "When the installed certificate expires.", |f| {
        at(f.document.installed.as_ref().map(|i| i.not_after))
    }),
    ("certificate_renewal_due_timestamp_seconds", "When the certificate is to be renewed.", |f| {
        at(f.renewal_due)
    }),
    ("deployment_owed", "Whether files are not yet deployed or a server not yet reloaded.", |f| {
        one(f.document.reload_owed.is_some())
    }),
    ("order_failures", "Failed orders since the last certificate.", |f| {
        one(f.document.failures.as_ref().map_or(0, |failures| failures.count))
    }),
    ("last_run", "How the last run of apply ended.", last_run),
    ("last_run_since_timestamp_seconds", "Since when runs of apply have ended like the last one.", |f| {
        at(f.last_run.as_ref().map(|last| last.since))
    }),
    ("pin_published_timestamp_seconds", "When the TLSA record was first published.", |f| {
        pins(f, |pin| Some(pin.record.first_published))
    }),
    ("pin_everywhere_timestamp_seconds", "Since when every name server has the TLSA record.", |f| {
        pins(f, |pin| pin.record.seen_everywhere)
    }),
    ("pin_ripe_timestamp_seconds", "When every cache without the TLSA record has expired.", |f| {
        pins(f, |pin| pin.ripe)
    }),
    ("backup_ripe_timestamp_seconds", "When the backup key may be served.", |f| at(f.backup_ripe)),
    ("key_serving_since_timestamp_seconds", "Since when the active key is served.", |f| {
        at(f.document.serving_since)
    }),
    ("rotation_phase", "How far a rotation of keys is.", phase),
    ("rotation_since_timestamp_seconds", "When the rotation of keys began.", |f| {
        at(f.document.rotation.as_ref().map(|rotation| rotation.since))
    }),
    ("rotation_due_timestamp_seconds", "When the schedule begins the next rotation of keys.", |f| {
        at(f.rotation_due)
    }),
];

/// All metrics of all certificates; a family without values is left out.
pub fn text(all: &[Facts]) -> String {
    let mut text = String::new();
    for (name, help, values) in FAMILIES {
        let mut lines = String::new();
        for facts in all {
            for (labels, value) in values(facts) {
                let mut shown = format!("certificate=\"{}\"", escaped(&facts.certificate));
                for (label, word) in labels {
                    let _ = write!(shown, ",{label}=\"{}\"", escaped(&word));
                }
                let _ = writeln!(lines, "danesmith_{name}{{{shown}}} {value}");
            }
        }
        if !lines.is_empty() {
            let _ = write!(text, "# HELP danesmith_{name} {help}\n# TYPE danesmith_{name} gauge\n{lines}");
        }
    }
    text
}

fn one(value: impl Into<i64>) -> Series {
    vec![(Vec::new(), value.into())]
}

fn at(time: Option<Timestamp>) -> Series {
    time.map_or(Vec::new(), |time| one(time.as_second()))
}

fn last_run(facts: &Facts) -> Series {
    let Some(last) = &facts.last_run else { return Vec::new() };
    End::ALL.map(|end| (vec![("end", end.word().to_owned())], (end == last.end).into())).into()
}

fn phase(facts: &Facts) -> Series {
    let now = facts.document.rotation.as_ref().map_or("none", |rotation| rotation.phase.word());
    let phases = ["none", Phase::Deploying.word(), Phase::Aborting.word(), Phase::Retiring.word()];
    phases.map(|phase| (vec![("phase", phase.to_owned())], (phase == now).into())).into()
}

fn pins(facts: &Facts, time: impl Fn(&PinFacts) -> Option<Timestamp>) -> Series {
    let series = |pin: &PinFacts| {
        let labels = vec![
            ("owner", pin.record.owner.trim_end_matches('.').to_owned()),
            ("role", pin.role.to_owned()),
            ("key", pin.record.spki.short()),
        ];
        Some((labels, time(pin)?.as_second()))
    };
    facts.pins.iter().filter_map(series).collect()
}

/// Of a label's value: backslash, quote and line feed.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
