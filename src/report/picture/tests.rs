//! The page: whole for a small period, by its properties for all. `BLESS=1` writes the small one anew; `PICTURES=DIR` leaves
//! all of them in a folder, to be looked at in a browser.
#![allow(clippy::unwrap_used)]

mod periods;

use super::html;
use super::marks::{self, MARKS, SPANS};
use crate::model::timeline::{MomentKind, Timeline};
use periods::{every_kind, hostile, two_days, two_years};

/// Draws, and keeps the page for whoever wants to look at it.
fn page(name: &str, timeline: &Timeline) -> String {
    let page = html(timeline);
    if let Ok(folder) = std::env::var("PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), &page).unwrap();
    }
    page
}

#[test]
fn two_days_of_a_rotation_look_as_they_did() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/picture/tests/two_days.html");
    let page = page("two_days", &two_days());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, &page).unwrap();
    }
    let known = std::fs::read_to_string(golden).unwrap();
    let differs = page.lines().zip(known.lines()).find(|(new, old)| new != old);
    assert!(page == known, "BLESS=1 accepts the new page, which differs in: {differs:?}");
}

#[test]
fn a_timeline_survives_json_and_gives_the_same_bytes_again() {
    for timeline in [two_days(), two_years(), every_kind(), hostile()] {
        let json = serde_json::to_string(&timeline).unwrap();
        let again: Timeline = serde_json::from_str(&json).unwrap();
        assert_eq!(again, timeline);
        assert_eq!(html(&again), html(&timeline));
    }
}

#[test]
fn the_page_refers_to_nothing_outside_and_executes_nothing() {
    for (name, timeline) in [("two_years", two_years()), ("every_kind", every_kind()), ("hostile", hostile())]
    {
        let page = page(name, &timeline).to_lowercase();
        for word in [
            "http:",
            "https:",
            "//",
            "src=",
            "href",
            "@import",
            "<script",
            "<link",
            "<img",
            "<iframe",
            "javascript:",
        ] {
            // What a hostile name says stays text: it is looked for where a browser would read it.
            let markup = without_text(&page);
            assert!(!markup.contains(word), "{name}: {word}");
        }
        let references = page.matches("url(").count();
        assert_eq!(references, page.matches("url(#").count(), "{name}");
        assert!(page.contains("default-src 'none'"), "{name}");
    }
}

/// Tags and the style sheet; not what stands between tags, nor what an `aria-label` says.
fn without_text(page: &str) -> String {
    let (mut markup, mut rest) = (String::new(), page);
    while let Some(begin) = rest.find('<') {
        let end = rest[begin..].find('>').map_or(rest.len(), |end| begin + end + 1);
        // The only attribute that holds a name; it is closed before anything else could be read as markup.
        let label =
            rest[begin..end].split_once("aria-label=\"").filter(|_| !rest[begin..].starts_with("<ul"));
        match label.and_then(|(before, after)| Some((before, after.split_once('"')?.1))) {
            Some((before, after)) => markup.extend([before, after]),
            None => markup.push_str(&rest[begin..end]),
        }
        if rest[begin..end].starts_with("<style") {
            markup.push_str(&rest[end..rest.find("</style").unwrap()]);
        }
        rest = &rest[end..];
    }
    markup
}

#[test]
fn names_and_words_stay_text_wherever_they_stand() {
    let hostile = hostile();
    let page = html(&hostile);
    let planted = serde_json::to_string(&hostile).unwrap().matches("<script").count();
    assert!(planted >= 15, "every text of the timeline is hostile: {planted}");
    assert!(!page.contains("<script") && !page.contains("\" onload"), "markup of a name is in the page");
    assert!(page.matches("&lt;script").count() >= planted);
    assert!(!page.contains('\u{202e}'), "a name turns what follows around");
}

#[test]
fn everything_that_is_drawn_has_an_entry_in_the_legend_and_nothing_else_has() {
    let legend = |timeline: &Timeline| {
        let page = html(timeline);
        let begin = page.find("<ul class=\"legend\"").unwrap();
        page[begin..begin + page[begin..].find("</ul>").unwrap()].to_owned()
    };
    let all = legend(&every_kind());
    for kind in SPANS {
        let (class, word, meaning) = marks::span(kind);
        assert!(
            all.contains(&format!("<rect class=\"{class}\""))
                && all.contains(&format!("<b>{word}</b>: {meaning}"))
        );
    }
    for mark in MARKS {
        assert!(all.contains(mark.path()) && all.contains(mark.words()), "{mark:?}");
    }
    assert_eq!(
        all.matches("<li>").count(),
        SPANS.len() + MARKS.len() + 3,
        "faults and two states of watchers"
    );

    let mut nothing = every_kind();
    nothing.groups.clear();
    nothing.faults.clear();
    assert_eq!(legend(&nothing).matches("<li>").count(), 0);
}

#[test]
fn every_class_of_a_bar_or_mark_is_in_the_style_sheet() {
    let page = html(&every_kind());
    let body = &page[page.find("<body>").unwrap()..];
    for attribute in body.split("class=\"").skip(1) {
        for class in attribute.split('"').next().unwrap().split(' ') {
            let plain = ["backup", "retired", "other", "plain", "edge", "notes", "tick"].contains(&class);
            assert!(plain || super::STYLE.contains(&format!(".{class}")), "{class}");
        }
    }
}

#[test]
fn two_years_of_rotations_fit_a_page_each_certificate_in_few_rows() {
    let page = html(&two_years());
    let heights: Vec<f64> = page
        .split("<svg viewBox=\"0 0 1160 ")
        .skip(1)
        .map(|svg| svg.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(heights.len(), 3);
    assert!(heights.iter().all(|height| *height < 320.0), "{heights:?}");
    // Every key has its name in the drawing, none above another.
    for svg in page.split("role=\"img\"").skip(1).map(|rest| &rest[..rest.find("</svg>").unwrap()]) {
        let mut labels: Vec<(f64, f64, f64)> = svg.split("<text class=\"key ").skip(1).map(label).collect();
        assert!(labels.len() >= 3, "{}", labels.len());
        labels.sort_by(|a, b| (a.1, a.0).partial_cmp(&(b.1, b.0)).unwrap());
        for pair in labels.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
            assert!(pair[0].0 + pair[0].2 < pair[1].0, "labels overlap: {pair:?}");
        }
    }
}

#[test]
fn hundreds_of_faults_do_not_push_the_keys_off_the_page() {
    let mut timeline = two_years();
    timeline.faults = (0..300).map(|n| periods::fault("the CA answered 503", n * 58, Some(n * 58))).collect();
    timeline.groups[0].lanes[0].pin.clear();
    let page = page("many_faults", &timeline);
    let height = page.split("<svg viewBox=\"0 0 1160 ").nth(1).unwrap().split('"').next().unwrap();
    assert!(height.parse::<f64>().unwrap() < 380.0, "{height}");
    assert_eq!(
        page.matches("<rect class=\"fault\"").count(),
        1 + 3 * 301,
        "each is drawn for each certificate"
    );
    assert_eq!(page.matches("<td>fault</td>").count(), 300 + 3, "the table names each once");
    assert!(page.contains(">A<title>key A (retired)</title>"), "no pin is told");
}

/// x, y and width.
fn label(text: &str) -> (f64, f64, f64) {
    let number =
        |name: &str| text.split(name).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
    let words = text.split('>').nth(1).unwrap().split('<').next().unwrap();
    (number(" x=\""), number(" y=\""), super::text::width(words))
}

#[test]
fn the_table_names_every_moment_in_the_order_of_time() {
    let timeline = every_kind();
    let page = html(&timeline);
    let events = &page[page.find("<h2>Events</h2>").unwrap()..];
    for kind in periods::MOMENTS {
        assert!(events.contains(&format!("<td>{}", marks::moment(kind))), "{kind:?}");
    }
    let times: Vec<&str> = events.split("datetime=\"").skip(1).map(|rest| &rest[..20]).collect();
    assert!(times.is_sorted() && times.len() > periods::MOMENTS.len());
    assert!(events.contains("renewal due (expected)") && !events.contains("issued (expected)"));
    assert_eq!(periods::MOMENTS.len(), 21, "{:?} is the last", MomentKind::Expires);
}

#[test]
fn text_has_a_contrast_of_four_and_a_half_to_one_in_every_dress() {
    for (dress, colours) in [("light", 0), ("dark", 1), ("print", 2)] {
        let block = super::STYLE.split(":root {").nth(colours + 1).unwrap().split('}').next().unwrap();
        let colour = |name: &str| {
            let hex = block.split(&format!("--{name}: #")).nth(1).unwrap();
            luminance(&hex[..6])
        };
        for name in ["ink", "quiet", "good", "bad"] {
            let (a, b) = (colour(name), colour("paper"));
            assert!((a.max(b) + 0.05) / (a.min(b) + 0.05) >= 4.5, "{dress}: {name}");
        }
        for (back, front) in [("hold", "ink"), ("odd", "ink"), ("badback", "ink")] {
            let (a, b) = (colour(back), colour(front));
            assert!((a.max(b) + 0.05) / (a.min(b) + 0.05) >= 4.5, "{dress}: {front} on {back}");
        }
        // Bars need 3:1 (WCAG 1.4.11), and served differs from ripe in grey, too.
        for name in ["served", "ripe", "pin"] {
            let (a, b) = (colour(name), colour("paper"));
            assert!((a.max(b) + 0.05) / (a.min(b) + 0.05) >= 3.0, "{dress}: {name}");
        }
        let (a, b) = (colour("served"), colour("ripe"));
        assert!((a.max(b) + 0.05) / (a.min(b) + 0.05) >= 1.2, "{dress}: served and ripe");
    }
}

/// Relative luminance (WCAG 2.2).
fn luminance(hex: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
}
