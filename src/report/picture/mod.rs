//! A [`Timeline`] as one HTML file: drawings in SVG, a legend, and tables that say the same in words. Nothing is fetched,
//! nothing is executed; the same timeline gives the same bytes.

mod drawing;
mod legend;
mod marks;
mod rows;
mod scale;
mod tables;
mod text;

use crate::clock::minute;
use crate::model::timeline::{Judgement, Timeline};
use jiff::Timestamp;
use std::fmt::Write;
use text::Escaped;

const STYLE: &str = include_str!("style.css");

/// Without scripts there is nothing to allow but the page's own style: a mistake in escaping could not execute anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page.
pub fn html(timeline: &Timeline) -> String {
    let title = Escaped(&timeline.title);
    let mut page = String::new();
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"period\">{} to {}",
        stamp(timeline.from),
        stamp(timeline.until),
    );
    if let Some(now) = timeline.now {
        let _ = write!(page, " · seen at {}; what is later is expected", stamp(now));
    }
    page.push_str("</p>\n");
    verdict(&mut page, timeline);
    page.push_str("</header>\n<main>\n");
    legend::legend(&mut page, timeline);
    for (number, group) in timeline.groups.iter().enumerate() {
        let _ = writeln!(page, "<section>\n<h2>{}</h2>", Escaped(&group.name));
        if !group.about.is_empty() {
            let about: Vec<String> = group.about.iter().map(|a| Escaped(a).to_string()).collect();
            let _ = writeln!(page, "<p class=\"about\">{}</p>", about.join(" · "));
        }
        let _ = writeln!(
            page,
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"drawing of {}\">\n{}</div>\n</section>",
            Escaped(&group.name),
            drawing::svg(timeline, group, number),
        );
    }
    notes(&mut page, timeline);
    tables::keys(&mut page, timeline);
    tables::events(&mut page, timeline);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn verdict(page: &mut String, timeline: &Timeline) {
    if timeline.verdict.is_empty() {
        return;
    }
    page.push_str("<dl class=\"verdict\">\n");
    for line in &timeline.verdict {
        let (class, sign) = match line.judgement {
            Judgement::Good => ("good", "✓ "),
            Judgement::Bad => ("bad", "✗ "),
            Judgement::Plain => ("plain", ""),
        };
        let (what, value) = (Escaped(&line.what), Escaped(&line.value));
        let _ = writeln!(page, "<div class=\"{class}\"><dt>{what}</dt><dd>{sign}{value}</dd></div>");
    }
    page.push_str("</dl>\n");
}

fn notes(page: &mut String, timeline: &Timeline) {
    if timeline.notes.is_empty() {
        return;
    }
    page.push_str("<section class=\"notes\">\n<h2>Notes</h2>\n<ul>\n");
    for note in &timeline.notes {
        let _ = writeln!(page, "<li>{}</li>", Escaped(note));
    }
    page.push_str("</ul>\n</section>\n");
}

/// For people and programs.
fn stamp(at: Timestamp) -> String {
    format!("<time datetime=\"{}\">{}</time>", at.strftime("%Y-%m-%dT%H:%M:%SZ"), minute(at))
}

/// From when until when.
fn interval(from: Timestamp, until: Option<Timestamp>) -> String {
    match until {
        Some(until) if until == from => minute(from),
        Some(until) => format!("{} to {}", minute(from), minute(until)),
        None => format!("from {} on", minute(from)),
    }
}

#[cfg(test)]
mod tests;
