//! The result of `rehearse`: a timeline for people, at most 80 columns wide, and the same for programs.

use crate::model::rehearsal::{Event, Rehearsal, thousands};
use crate::report::Output;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns of a terminal that was never widened.
const WIDTH: usize = 80;
/// Characters of an event; the whole story of a failure is in `--json`.
const LONGEST: usize = 180;
/// One rehearsal; `source` is where zones.yaml came from.
pub fn rehearsed(rehearsal: &Rehearsal, source: &str) -> Output {
    let mut text = String::new();
    let seed = rehearsal.seed.map(|seed| format!(", faults of seed {seed}")).unwrap_or_default();
    let (from, until) = (day(rehearsal.from), day(rehearsal.until));
    wrapped(&mut text, "", &format!("rehearsal of {source} from {from} to {until}{seed}"));
    for note in &rehearsal.notes {
        wrapped(&mut text, "  ", note);
    }
    text.push('\n');
    let longest = rehearsal.events.iter().map(|event| event.certificate.chars().count()).max();
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    for event in &rehearsal.events {
        line(&mut text, event, longest.unwrap_or(0).min(16), &mut shown);
    }
    text.push('\n');
    verdict(&mut text, rehearsal);
    Output { text, json: json!({ "rehearsal": to_json(rehearsal) }) }
}

/// Many rehearsals, of which none refused a delivery: what they counted together.
pub fn all_rehearsed(rehearsals: &[Rehearsal], source: &str) -> Output {
    let sum = |of: fn(&Rehearsal) -> u64| rehearsals.iter().map(of).sum::<u64>();
    let seeds: Vec<u64> = rehearsals.iter().filter_map(|r| r.seed).collect();
    let (first, last) = (seeds.first().copied().unwrap_or(0), seeds.last().copied().unwrap_or(0));
    let days = rehearsals.first().map_or(0, |r| r.until.duration_since(r.from).as_hours() / 24);
    let mut text = String::new();
    let what = format!(
        "{} rehearsals of {source}, {days} days each, faults of seeds {first} to {last}",
        seeds.len()
    );
    wrapped(&mut text, "", &what);
    let lines = [
        ("runs", thousands(sum(|r| r.counts.runs))),
        ("  killed", thousands(sum(|r| r.counts.killed))),
        ("  put off", thousands(sum(|r| r.counts.put_off))),
        ("  failed", thousands(sum(|r| r.counts.failed))),
        ("rotations", thousands(sum(|r| r.counts.rotations))),
        ("certificates", thousands(sum(|r| r.counts.certificates))),
        ("deliveries", thousands(sum(|r| r.counts.deliveries))),
        ("  refused", "0".to_owned()),
    ];
    for (what, count) in lines {
        let _ = writeln!(text, "{what:<14}{count:>20}");
    }
    let each: Vec<Value> =
        rehearsals.iter().map(|r| json!({ "seed": r.seed, "trace": r.trace_digest })).collect();
    let json = json!({
        "rehearsals": each,
        "deliveries": sum(|r| r.counts.deliveries),
        "refused": 0,
        "rotations": sum(|r| r.counts.rotations),
        "certificates": sum(|r| r.counts.certificates),
        "orders": { "all": sum(|r| r.counts.orders) },
        "runs": {
            "all": sum(|r| r.counts.runs),
            "put_off": sum(|r| r.counts.put_off),
            "failed": sum(|r| r.counts.failed),
            "killed": sum(|r| r.counts.killed),
        },
    });
    Output { text, json }
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// `2026-11-23 07:00  mx1  renewed     key A stays, …`, and what the caches hold where that is news.
fn line<'e>(text: &mut String, event: &'e Event, names: usize, shown: &mut BTreeMap<&'e str, String>) {
    let name: String = event.certificate.chars().take(names).collect();
    let head =
        format!("{}  {name:<names$}  {:<10}  ", event.at.strftime("%Y-%m-%d %H:%M"), event.what.word());
    let mut words: String = event.words.chars().take(LONGEST).collect();
    if words.len() < event.words.len() {
        words.push('…');
    }
    if !event.caches.is_empty() {
        let held: Vec<String> = event.caches.iter().map(|(held, count)| format!("{held} {count}")).collect();
        let caches = held.join(", ");
        let former = shown.insert(&event.certificate, caches.clone());
        if former.as_ref() != Some(&caches) {
            let _ = write!(words, " [caches: {caches}]");
        }
    }
    let mut first = true;
    for part in split(&words, WIDTH.saturating_sub(head.chars().count()).max(20)) {
        let _ = match std::mem::take(&mut first) {
            true => writeln!(text, "{head}{part}"),
            false => writeln!(text, "{:width$}{part}", "", width = head.chars().count()),
        };
    }
}

fn verdict(text: &mut String, rehearsal: &Rehearsal) {
    let counts = &rehearsal.counts;
    let refused = u64::from(rehearsal.refusal.is_some());
    let _ = writeln!(text, "deliveries     {}, {refused} refused", thousands(counts.deliveries));
    let runs = format!(
        "{} runs of danesmith, {} put off, {} failed, {} killed",
        thousands(counts.runs),
        counts.put_off,
        counts.failed,
        counts.killed
    );
    let _ = writeln!(text, "runs           {runs}");
    let _ = writeln!(text, "rotations      {}", counts.rotations);
    let week = counts.weeks.values().max().copied().unwrap_or(0);
    let _ = writeln!(text, "orders         {}, at most {week} in a week", counts.orders);
    for (index, budget) in counts.budgets.iter().enumerate() {
        let label = if index == 0 { "limits" } else { "" };
        let reached = if budget.most < budget.limit { "" } else { ": REACHED" };
        let _ = writeln!(text, "{label:<14} {} of {} {}{reached}", budget.most, budget.limit, budget.what);
    }
    let (total, average, most) = rehearsal.dns_changes();
    let _ = writeln!(text, "DNS changes    {total}; {average:.1} a month, at most {most} in one");
    if let Some(refusal) = &rehearsal.refusal {
        let seed = rehearsal.seed.map(|seed| format!(" with seed {seed}")).unwrap_or_default();
        let at = refusal.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        text.push('\n');
        wrapped(
            text,
            "",
            &format!("REFUSED{seed}: mail to {} at {at}: {}", refusal.certificate, refusal.words),
        );
        let _ = writeln!(text, "The last steps before:");
        for step in &refusal.trace {
            wrapped(text, "  ", step);
        }
        let _ = writeln!(text, "trace {}", rehearsal.trace_digest);
    }
}

fn to_json(rehearsal: &Rehearsal) -> Value {
    let event = |event: &Event| {
        json!({
            "at": event.at.to_string(),
            "until": event.until.map(|until| until.to_string()),
            "certificate": event.certificate,
            "event": event.what.word(),
            "words": event.words,
            "caches": event.caches,
        })
    };
    let counts = &rehearsal.counts;
    let changes =
        counts.changes.iter().map(|(month, (pins, texts))| (month, json!({ "tlsa": pins, "txt": texts })));
    json!({
        "from": rehearsal.from.to_string(),
        "until": rehearsal.until.to_string(),
        "seed": rehearsal.seed,
        "notes": rehearsal.notes,
        "events": rehearsal.events.iter().map(event).collect::<Vec<_>>(),
        "deliveries": counts.deliveries,
        "refused": u64::from(rehearsal.refusal.is_some()),
        "runs": { "all": counts.runs, "put_off": counts.put_off, "failed": counts.failed, "killed": counts.killed },
        "rotations": counts.rotations,
        "orders": { "all": counts.orders, "weeks": counts.weeks },
        "limits": counts.budgets.iter().map(|b| (b.word, json!({ "most": b.most, "limit": b.limit }))).collect::<BTreeMap<_, _>>(),
        "changes": changes.collect::<BTreeMap<_, _>>(),
        "refusal": rehearsal.refusal.as_ref().map(|refusal| json!({
            "at": refusal.at.to_string(),
            "certificate": refusal.certificate,
            "words": refusal.words,
            "last_steps": refusal.trace,
        })),
        "trace": rehearsal.trace_digest,
    })
}

fn wrapped(text: &mut String, indent: &str, words: &str) {
    for (index, part) in split(words, WIDTH - 2 - indent.len()).into_iter().enumerate() {
        let _ = writeln!(text, "{indent}{}{part}", if index > 0 { "  " } else { "" });
    }
}

/// Breaks at spaces; a word that is too long is cut.
fn split(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in words.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while rest.len() > width {
            let tail = rest.split_off(width);
            if let Some(last) = lines.last_mut() {
                last.extend(&rest);
            }
            lines.push(String::new());
            rest = tail;
        }
        if let Some(last) = lines.last_mut() {
            if used > 0 {
                last.push(' ');
                used += 1;
            }
            last.extend(&rest);
            used += rest.len();
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_broken_at_spaces_and_cut_where_there_are_none() {
        assert_eq!(split("one two three", 7), ["one two", "three"]);
        assert_eq!(split("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
    }
}
