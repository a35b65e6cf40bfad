//! One group as SVG: the axis on top, then faults and what happened to no key, the keys, and what the watchers held.
//! Every key has a bar for itself (served) above a bar for its pin, so that a dark bar without one below it leaps to the eye.

use super::interval;
use super::marks::{self, Mark};
use super::rows::{Extent, pack};
use super::scale::Scale;
use super::text::{Escaped, fitting, width};
use crate::clock::minute;
use crate::model::timeline::{Fault, Group, Lane, Moment, Role, Span, SpanKind, Timeline, Watcher};
use std::fmt::Write;

const WIDTH: f64 = 1160.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = 14.0;
const FAULT: f64 = 15.0;
/// Rows of faults with their names. Those for which there is no room share one more row, where only tooltips name them.
const NAMED_FAULTS: usize = 4;
const EVENTS: f64 = 20.0;
const WATCHER: f64 = 17.0;
/// Two lines of labels.
const AXIS: f64 = 32.0;
/// One more for the word "now".
const AXIS_WITH_NOW: f64 = 44.0;
/// Marks closer than this cover each other.
const CROWDED: f64 = 8.0;

/// Heights within a row of keys.
mod row {
    pub(super) const HEIGHT: f64 = 55.0;
    pub(super) const LABEL: f64 = 12.0;
    pub(super) const MARKS: f64 = 21.0;
    pub(super) const SERVED: (f64, f64) = (27.0, 10.0);
    pub(super) const PIN: (f64, f64) = (38.0, 8.0);
    pub(super) const WAITING: (f64, f64) = (47.0, 4.0);
}

/// Draws a group. `number` makes its ids unique in the page.
pub(super) fn svg(timeline: &Timeline, group: &Group, number: usize) -> String {
    let scale = Scale::new(timeline.from, timeline.until, LEFT, WIDTH - LEFT - RIGHT);
    let axis = if timeline.now.is_some() { AXIS_WITH_NOW } else { AXIS };
    let mut drawing = Drawing {
        timeline,
        scale,
        bands: Vec::new(),
        back: String::new(),
        front: String::new(),
        axis,
        y: axis,
    };
    drawing.faults(timeline.faults.iter().chain(&group.faults));
    drawing.events(&group.moments);
    drawing.keys(&group.lanes);
    drawing.watchers(&group.watchers);
    drawing.whole(group, number)
}

struct Drawing<'a> {
    timeline: &'a Timeline,
    scale: Scale,
    /// Its height.
    axis: f64,
    /// Where the faults lie.
    bands: Vec<Extent>,
    /// Below the veil of what is only expected.
    back: String,
    /// Above it: text and marks.
    front: String,
    /// Where the next row begins.
    y: f64,
}

impl Drawing<'_> {
    /// The parts, when all heights are known.
    fn whole(self, group: &Group, number: usize) -> String {
        let height = self.y + 6.0;
        let mut svg = String::new();
        let _ = writeln!(
            svg,
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t{number} d{number}\">\n\
             <title id=\"t{number}\">{} from {} to {}</title>\n<desc id=\"d{number}\">{} keys over time. \
             The tables below say the same in words.</desc>",
            Escaped(&group.name),
            minute(self.timeline.from),
            minute(self.timeline.until),
            group.lanes.len(),
        );
        for Extent { begin, end } in &self.bands {
            let (axis, wide, high) = (self.axis, (end - begin).max(1.0), height - self.axis);
            let _ = writeln!(
                svg,
                "<rect class=\"band\" x=\"{begin:.1}\" y=\"{axis}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
            );
        }
        self.draw_axis(&mut svg, height);
        svg.push_str(&self.back);
        self.now(&mut svg, height);
        svg.push_str(&self.front);
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_axis(&self, svg: &mut String, height: f64) {
        let axis = self.axis;
        let mut free = f64::MIN;
        for tick in self.scale.ticks() {
            let x = tick.x;
            let strong = if tick.context.is_some() { " strong" } else { "" };
            let _ = writeln!(svg, "<path class=\"grid{strong}\" d=\"M{x:.1} {axis}V{height:.1}\"/>");
            let fits = |words: &str| x + 3.0 + width(words) <= WIDTH;
            if fits(&tick.label) {
                text(svg, "tick", (x + 3.0, axis - 4.0), &tick.label);
            }
            if let Some(context) = tick.context.filter(|context| x >= free && fits(context)) {
                text(svg, "context", (x + 3.0, axis - 18.0), &context);
                free = x + width(&context) + 12.0;
            }
        }
        let right = self.scale.right();
        let _ = writeln!(svg, "<path class=\"edge\" d=\"M{LEFT} {axis}H{right}\"/>");
    }

    /// The line of now, and a veil over what is only expected.
    fn now(&self, svg: &mut String, height: f64) {
        let Some(now) = self.timeline.now.filter(|now| self.scale.holds(*now)) else { return };
        let (axis, x) = (self.axis, self.scale.x(now));
        let rest = self.scale.right() - x;
        let _ = writeln!(
            svg,
            "<rect class=\"veil\" x=\"{x:.1}\" y=\"{axis}\" width=\"{rest:.1}\" height=\"{:.1}\"/>\n\
             <path class=\"now\" d=\"M{x:.1} {:.1}v12M{x:.1} {axis}V{height:.1}\"><title>now: {}</title></path>",
            height - axis,
            axis - 42.0,
            minute(now),
        );
        let room = self.scale.right() - x > width("now") + 8.0;
        let (class, at) = if room { ("nowword", x + 3.0) } else { ("nowword end", x - 3.0) };
        text(svg, class, (at, axis - 32.0), "now");
    }

    /// A row for each set of faults that do not overlap; a band goes down from each, over all that it may have troubled.
    fn faults<'f>(&mut self, faults: impl Iterator<Item = &'f Fault>) {
        let faults: Vec<_> = faults.filter_map(|f| Some((f, self.cut(f.from, f.until)?))).collect();
        let extents: Vec<_> = faults.iter().map(|(f, e)| self.beside(*e, &f.name)).collect();
        let (rows, count) = pack(&extents);
        let count = count.min(NAMED_FAULTS + 1);
        if count > 0 {
            self.caption("faults", self.y + 11.0);
        }
        for (((fault, extent), whole), row) in faults.into_iter().zip(extents).zip(rows) {
            let y = self.y + row.min(NAMED_FAULTS) as f64 * FAULT + 2.0;
            let title = format!("{}: {}", fault.name, interval(fault.from, fault.until));
            bar(&mut self.back, "fault", extent, (y + 1.0, FAULT - 6.0), &title);
            let x = if whole.end > extent.end { extent.end + 4.0 } else { whole.begin };
            let room = if whole.end > extent.end { whole.end - x } else { extent.begin - 4.0 - x };
            if let Some(name) = fitting(&fault.name, room).filter(|_| row < NAMED_FAULTS) {
                titled_text(&mut self.front, "halo", (x, y + 9.0), &name, &title);
            }
            self.bands.push(extent);
        }
        self.y += count as f64 * FAULT;
    }

    fn events(&mut self, moments: &[Moment]) {
        let drawn: Vec<_> = moments.iter().map(|m| (m, "")).collect();
        if self.marks(&drawn, self.y + EVENTS / 2.0) {
            self.caption("events", self.y + EVENTS / 2.0 + 4.0);
            self.y += EVENTS;
        }
    }

    fn keys(&mut self, lanes: &[Lane]) {
        let lanes: Vec<_> = lanes.iter().filter_map(|lane| Some((lane, self.extent(lane)?))).collect();
        let extents: Vec<_> = lanes.iter().map(|(lane, e)| self.with_words(*e, &lane.label)).collect();
        let (rows, count) = pack(&extents);
        if count > 0 {
            self.caption("keys", self.y + row::LABEL);
            self.caption("served", self.y + row::SERVED.0 + 8.0);
        }
        let pins = lanes.iter().flat_map(|(lane, _)| &lane.spans);
        if pins.into_iter().any(|span| !matches!(span.kind, SpanKind::Served | SpanKind::Waiting)) {
            self.caption("pin in DNS", self.y + row::PIN.0 + 8.0);
        }
        for (index, (lane, _)) in lanes.iter().enumerate() {
            let y = self.y + rows[index] as f64 * row::HEIGHT;
            let begin = extents[index].begin;
            let others = extents.iter().zip(&rows).filter(|(_, r)| **r == rows[index]);
            let next = others.map(|(e, _)| e.begin).filter(|b| *b > begin).fold(self.scale.right(), f64::min);
            self.lane(lane, y, (begin, next - begin - 4.0));
        }
        for row in 1..count {
            let y = self.y + row as f64 * row::HEIGHT;
            let _ =
                writeln!(self.back, "<path class=\"row\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", self.scale.right());
        }
        self.y += count as f64 * row::HEIGHT;
    }

    /// `label`: where it begins, and its room.
    fn lane(&mut self, lane: &Lane, y: f64, (x, room): (f64, f64)) {
        let pin =
            |before: &str| if lane.pin.is_empty() { String::new() } else { format!("{before}{}", lane.pin) };
        let long = format!("{}{}", lane.label, pin(" · "));
        let title = format!("key {} ({}){}", lane.label, marks::role(lane.role), pin(", pin "));
        let longer = match lane.role {
            Role::Active | Role::Backup if lane.label != marks::role(lane.role) => {
                format!("{long} · {}", marks::role(lane.role))
            }
            _ => long.clone(),
        };
        let names = [longer, long].into_iter().find(|name| width(name) <= room);
        let name = names.or_else(|| fitting(&lane.label, room));
        if let Some(name) = name {
            let at = (x, y + row::LABEL);
            titled_text(&mut self.front, &format!("key {}", marks::role(lane.role)), at, &name, &title);
        }
        let mut spans: Vec<&Span> = lane.spans.iter().collect();
        spans.sort_by_key(|span| (span.kind, span.from));
        for span in spans {
            let Some(extent) = self.cut(span.from, span.until) else { continue };
            let (class, word, _) = marks::span(span.kind);
            let (top, height) = match span.kind {
                SpanKind::Served => row::SERVED,
                SpanKind::Waiting => row::WAITING,
                _ => row::PIN,
            };
            let mut title = format!("key {} {word}: {}", lane.label, interval(span.from, span.until));
            if !span.words.is_empty() {
                let _ = write!(title, " · {}", span.words);
            }
            bar(&mut self.back, class, extent, (y + top, height), &title);
        }
        let moments: Vec<_> = lane.moments.iter().map(|m| (m, lane.label.as_str())).collect();
        self.marks(&moments, y + row::MARKS);
    }

    /// Marks on a line; where they would cover each other, the one that matters most stands for all. Says whether there
    /// was any.
    fn marks(&mut self, moments: &[(&Moment, &str)], y: f64) -> bool {
        let inside = moments.iter().filter(|(m, _)| self.scale.holds(m.at));
        let mut drawn: Vec<(f64, Mark, &Moment, &str)> =
            inside.filter_map(|(m, key)| Some((self.scale.x(m.at), Mark::of(m.kind)?, *m, *key))).collect();
        drawn.sort_by(|a, b| a.2.at.cmp(&b.2.at).then(a.1.cmp(&b.1)));
        let mut rest = drawn.as_slice();
        while let Some((first, ..)) = rest.first() {
            let crowd = rest.iter().take_while(|(x, ..)| x - first < CROWDED).count();
            let (here, later) = rest.split_at(crowd);
            let chief = here.iter().max_by_key(|(_, mark, ..)| *mark);
            if let Some((x, mark, ..)) = chief {
                let titles: Vec<String> = here.iter().map(|(_, _, m, key)| told(m, key)).collect();
                mark_at(&mut self.front, *mark, (*x, y), &titles.join("\n"));
            }
            rest = later;
        }
        !drawn.is_empty()
    }

    fn watchers(&mut self, watchers: &[Watcher]) {
        for watcher in watchers {
            let mut states: Vec<_> = watcher.states.iter().collect();
            states.sort_by_key(|state| state.from);
            let shown: Vec<_> =
                states.into_iter().filter_map(|s| Some((s, self.cut(s.from, s.until)?))).collect();
            if shown.is_empty() {
                continue;
            }
            self.caption(&watcher.name, self.y + 12.0);
            for (index, (state, extent)) in shown.into_iter().enumerate() {
                let class = match (state.well, index % 2) {
                    (false, _) => "ill",
                    (true, 0) => "holds",
                    (true, _) => "holds odd",
                };
                let title =
                    format!("{}: {}, {}", watcher.name, state.holds, interval(state.from, state.until));
                bar(&mut self.back, class, extent, (self.y + 2.0, WATCHER - 4.0), &title);
                if let Some(holds) = fitting(&state.holds, extent.end - extent.begin - 4.0) {
                    titled_text(&mut self.front, "held", (extent.begin + 3.0, self.y + 12.0), &holds, &title);
                }
            }
            self.y += WATCHER;
        }
    }

    /// A name in the left margin.
    fn caption(&mut self, name: &str, y: f64) {
        if let Some(short) = fitting(name, LEFT - 14.0) {
            titled_text(&mut self.front, "caption", (LEFT - 8.0, y), &short, name);
        }
    }

    /// All that a lane shows within the period.
    fn extent(&self, lane: &Lane) -> Option<Extent> {
        let spans = lane.spans.iter().filter_map(|span| self.cut(span.from, span.until));
        let moments = lane.moments.iter().filter(|m| self.scale.holds(m.at) && Mark::of(m.kind).is_some());
        let points = moments.map(|m| self.scale.x(m.at)).map(|x| Extent { begin: x, end: x });
        spans.chain(points).reduce(|a, b| Extent { begin: a.begin.min(b.begin), end: a.end.max(b.end) })
    }

    /// The visible part; `None`: it lies outside.
    fn cut(&self, from: jiff::Timestamp, until: Option<jiff::Timestamp>) -> Option<Extent> {
        let end = until.unwrap_or(jiff::Timestamp::MAX);
        let visible = from <= self.timeline.until && end >= self.timeline.from && end >= from;
        visible.then(|| Extent { begin: self.scale.x(from), end: self.scale.x(end) })
    }

    /// Grown so that the words stand behind it, or before it when there is more room.
    fn beside(&self, extent: Extent, words: &str) -> Extent {
        let Extent { begin, end } = extent;
        let (before, after) = (begin - LEFT, self.scale.right() - end);
        let room = width(words) + 4.5;
        match room <= after || after >= before {
            true => Extent { begin, end: end + room.min(after) },
            false => Extent { begin: begin - room.min(before), end },
        }
    }

    /// Grown so that the words have room, to the left when the right margin is near.
    fn with_words(&self, extent: Extent, words: &str) -> Extent {
        let room = width(words).min(self.scale.right() - LEFT);
        let begin = extent.begin.min(self.scale.right() - room);
        Extent { begin, end: extent.end.max(begin + room) }
    }
}

/// A mark with its tooltip; the legend uses it too.
pub(super) fn mark_at(svg: &mut String, mark: Mark, (x, y): (f64, f64), title: &str) {
    let (class, path) = (mark.class(), mark.path());
    let _ = writeln!(
        svg,
        "<path class=\"mark {class}\" transform=\"translate({x:.1} {y:.1})\" d=\"{path}\"><title>{}</title></path>",
        Title(title),
    );
}

/// A bar of at least a unit, so that what is short is still seen; the legend uses it too.
pub(super) fn bar(svg: &mut String, class: &str, extent: Extent, (y, height): (f64, f64), title: &str) {
    let (x, wide) = (extent.begin, (extent.end - extent.begin).max(1.0));
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
        Escaped(title),
    );
}

fn text(svg: &mut String, class: &str, (x, y): (f64, f64), words: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Escaped(words));
}

fn titled_text(svg: &mut String, class: &str, (x, y): (f64, f64), words: &str, title: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}<title>{}</title></text>",
        Escaped(words),
        Escaped(title),
    );
}

fn told(moment: &Moment, key: &str) -> String {
    let mut told = format!("{} {}", minute(moment.at), marks::moment(moment.kind));
    if !key.is_empty() {
        let _ = write!(told, ", key {key}");
    }
    if !moment.words.is_empty() {
        let _ = write!(told, ": {}", moment.words);
    }
    told
}

/// Escaped, but with its line breaks: tooltips show them.
struct Title<'a>(&'a str);

impl std::fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, line) in self.0.split('\n').enumerate() {
            let before = if index > 0 { "\n" } else { "" };
            write!(f, "{before}{}", Escaped(line))?;
        }
        Ok(())
    }
}
