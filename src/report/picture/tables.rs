//! The drawings in words: for those who do not see them, and for those who want the dates.

use super::text::Escaped;
use super::{interval, marks, stamp};
use crate::model::timeline::{Group, Lane, Span, Timeline};
use jiff::Timestamp;
use std::fmt::Write;

/// A row for each key.
pub(super) fn keys(page: &mut String, timeline: &Timeline) {
    let lanes: Vec<(&Group, &Lane)> =
        timeline.groups.iter().flat_map(|group| group.lanes.iter().map(move |lane| (group, lane))).collect();
    if lanes.is_empty() {
        return;
    }
    head(page, "Keys", &["certificate", "key", "pin", "role", "spans"]);
    for (group, lane) in lanes {
        let mut spans: Vec<&Span> = lane.spans.iter().collect();
        spans.sort_by_key(|span| (span.from, span.kind));
        let spans: Vec<String> = spans.into_iter().map(told).collect();
        let _ = writeln!(
            page,
            "<tr><td>{}</td><th scope=\"row\">{}</th><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            Escaped(&group.name),
            Escaped(&lane.label),
            Escaped(&lane.pin),
            marks::role(lane.role),
            spans.join("<br>"),
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn told(span: &Span) -> String {
    let (_, word, _) = marks::span(span.kind);
    let words = if span.words.is_empty() { String::new() } else { format!(": {}", Escaped(&span.words)) };
    format!("<b>{word}</b> {}{words}", interval(span.from, span.until))
}

/// What happened at one time.
struct Row<'a> {
    at: Timestamp,
    certificate: &'a str,
    key: &'a str,
    what: &'static str,
    words: String,
    caches: &'a str,
}

/// A row for each moment and the beginning and end of each fault, in the order of their times.
pub(super) fn events(page: &mut String, timeline: &Timeline) {
    let mut rows = Vec::new();
    for group in &timeline.groups {
        moments(&mut rows, group);
        faults(&mut rows, &group.name, &group.faults);
    }
    faults(&mut rows, "", &timeline.faults);
    rows.sort_by_key(|row| row.at);
    if rows.is_empty() {
        return;
    }
    let caches = rows.iter().any(|row| !row.caches.is_empty());
    let columns = ["time", "certificate", "key", "event", "details", "caches"];
    head(page, "Events", if caches { &columns } else { &columns[..5] });
    for row in rows {
        let late = timeline.now.is_some_and(|now| row.at > now);
        let _ = write!(
            page,
            "<tr{}><td class=\"when\">{}</td><td>{}</td><td>{}</td><td>{}{}</td><td>{}</td>",
            if late { " class=\"expected\"" } else { "" },
            stamp(row.at),
            Escaped(row.certificate),
            Escaped(row.key),
            row.what,
            if late { " (expected)" } else { "" },
            Escaped(&row.words),
        );
        if caches {
            let _ = write!(page, "<td>{}</td>", Escaped(row.caches));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn moments<'a>(rows: &mut Vec<Row<'a>>, group: &'a Group) {
    let of_keys = group.lanes.iter().flat_map(|lane| lane.moments.iter().map(|m| (lane.label.as_str(), m)));
    for (key, moment) in group.moments.iter().map(|m| ("", m)).chain(of_keys) {
        rows.push(Row {
            at: moment.at,
            certificate: &group.name,
            key,
            what: marks::moment(moment.kind),
            words: moment.words.clone(),
            caches: &moment.caches,
        });
    }
}

fn faults<'a>(rows: &mut Vec<Row<'a>>, certificate: &'a str, faults: &[crate::model::timeline::Fault]) {
    for fault in faults {
        let mut add = |at, what, words| rows.push(Row { at, certificate, key: "", what, words, caches: "" });
        add(fault.from, "fault", fault.name.clone());
        if let Some(until) = fault.until.filter(|until| *until > fault.from) {
            add(until, "fault ends", fault.name.clone());
        }
    }
}

fn head(page: &mut String, title: &str, columns: &[&str]) {
    let _ = write!(page, "<section>\n<h2>{title}</h2>\n<table>\n<thead><tr>");
    for column in columns {
        let _ = write!(page, "<th scope=\"col\">{column}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}
