//! What the drawings mean: an entry for everything that they show, and for nothing else.

use super::drawing::{bar, mark_at};
use super::marks::{self, MARKS, Mark, SPANS};
use super::rows::Extent;
use super::text::Escaped;
use crate::model::timeline::{SpanKind, Timeline};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Writes the legend, with the patterns that drawings refer to.
pub(super) fn legend(page: &mut String, timeline: &Timeline) {
    page.push_str(PATTERNS);
    page.push_str("<ul class=\"legend\" aria-label=\"legend\">\n");
    let lanes = || timeline.groups.iter().flat_map(|group| &group.lanes);
    let spans: BTreeSet<SpanKind> = lanes().flat_map(|lane| &lane.spans).map(|span| span.kind).collect();
    for kind in SPANS.into_iter().filter(|kind| spans.contains(kind)) {
        let (class, word, meaning) = marks::span(kind);
        entry(page, word, meaning, |svg| swatch(svg, class));
    }
    let moments = timeline.groups.iter().flat_map(|group| &group.moments);
    let moments = moments.chain(lanes().flat_map(|lane| &lane.moments));
    let drawn: BTreeSet<Mark> = moments.filter_map(|moment| Mark::of(moment.kind)).collect();
    for mark in MARKS.into_iter().filter(|mark| drawn.contains(mark)) {
        entry(page, "", mark.words(), |svg| mark_at(svg, mark, (15.0, 7.0), mark.words()));
    }
    let faults = timeline.groups.iter().flat_map(|group| &group.faults).chain(&timeline.faults).count();
    if faults > 0 {
        entry(page, "fault", "something goes wrong", |svg| swatch(svg, "fault"));
    }
    let states = || timeline.groups.iter().flat_map(|g| &g.watchers).flat_map(|w| &w.states);
    if states().any(|state| state.well) {
        entry(page, "held", "what a server or cache has", |svg| swatch(svg, "holds"));
    }
    if states().any(|state| !state.well) {
        entry(page, "unwell", "a server or cache in trouble", |svg| swatch(svg, "ill"));
    }
    page.push_str("</ul>\n");
}

fn entry(page: &mut String, word: &str, meaning: &str, draw: impl Fn(&mut String)) {
    page.push_str("<li><svg viewBox=\"0 0 30 14\" width=\"30\" height=\"14\" aria-hidden=\"true\">\n");
    draw(page);
    page.push_str("</svg>");
    if !word.is_empty() {
        let _ = write!(page, "<b>{}</b>: ", Escaped(word));
    }
    let _ = writeln!(page, "{}</li>", Escaped(meaning));
}

fn swatch(svg: &mut String, class: &str) {
    bar(svg, class, Extent { begin: 1.0, end: 29.0 }, (3.0, 8.0), class);
}

/// Hatchings, so that bars differ without colour.
const PATTERNS: &str = r#"<svg class="patterns" width="0" height="0" aria-hidden="true">
<defs>
<pattern id="rising" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="lines" d="M1 0V5"/></pattern>
<pattern id="falling" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><path class="lines" d="M1 0V3"/></pattern>
<pattern id="crossed" width="4" height="4" patternUnits="userSpaceOnUse"><path class="lines bad" d="M0 0L4 4M4 0L0 4"/></pattern>
<pattern id="dotted" width="5" height="4" patternUnits="userSpaceOnUse"><path class="dots" d="M0 1H3V3H0z"/></pattern>
<pattern id="faulty" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><path class="lines bad" d="M1 0V6"/></pattern>
</defs>
</svg>
"#;
