//! The describing part of a file: its name, its evidence, what the configuration gives, TTLs and rates.

use super::fields::{Fields, Reading};
use super::spec::{Evidence, Field, Level, Rate, Spec, TtlRules};
use super::yaml::{Node, Yaml};
use std::time::Duration;

/// Kinds of provider that are built in; a file must not take their names.
const TAKEN: &[&str] = &["rfc2136", "exec", "lexicon", "httpreq"];

pub(super) fn name(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let name = reading.text(node)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
        reading.say(node.at, "a name has 1 to 40 lower-case letters, digits and `-`");
    }
    if TAKEN.contains(&name.as_str()) {
        reading.say(node.at, format!("`{name}` is built in"));
    }
    Some(name)
}

/// What a file rests on, and what its TLSA does where that is something else.
pub(super) fn evidence(node: &Node, reading: &mut Reading<'_>) -> Option<(Evidence, Option<Evidence>)> {
    let fields = reading.fields(node, "`evidence`", &["level", "date", "against", "note", "TLSA"]);
    let tlsa = fields.get("TLSA").and_then(|node| {
        let fields = reading.fields(node, "`TLSA`", &["level", "date", "against", "note"]);
        grounds(node, &fields, reading)
    });
    Some((grounds(node, &fields, reading)?, tlsa))
}

fn grounds(node: &Node, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Option<Evidence> {
    let levels = [
        ("live", Level::Live),
        ("spec", Level::Spec),
        ("recording", Level::Recording),
        ("docs", Level::Docs),
        ("client", Level::Client),
    ];
    let level = fields.need("level", "`evidence`", reading)?;
    let level = reading.choice(level, &levels)?;
    let text = |name: &str, reading: &mut Reading<'_>| fields.get(name).and_then(|n| reading.text(n));
    let date = text("date", reading);
    if let Some(text) = &date
        && text.parse::<jiff::civil::Date>().is_err()
    {
        reading.say(node.at, format!("`{text}` is no date of the form YYYY-MM-DD"));
    }
    let (against, note) = (text("against", reading), text("note", reading));
    Some(Evidence { level, date, against, note })
}

pub(super) fn fields(node: &Node, reading: &mut Reading<'_>) -> Vec<Field> {
    let Yaml::Map(members) = &node.value else {
        reading.say(node.at, "`config` must be a mapping of fields");
        return vec![];
    };
    let mut fields = Vec::new();
    for (key, node) in members {
        let what = format!("the field `{}`", key.name);
        if Spec::OPTIONS.iter().any(|(name, _)| *name == key.name) {
            reading.say(key.at, format!("{what} would hide an option that every file has"));
        }
        let open = reading.fields(node, &what, &["secret", "env", "default", "optional", "doc"]);
        let secret = reading.flag(open.get("secret"));
        let default = open.get("default").and_then(|node| reading.text(node));
        if secret && default.is_some() {
            reading.say(node.at, format!("{what} is secret and cannot have a default"));
        }
        let optional = reading.flag(open.get("optional"));
        fields.push(Field {
            name: key.name.clone(),
            secret,
            env: open.get("env").map(|node| reading.texts(node)).unwrap_or_default(),
            required: default.is_none() && !optional,
            default,
            doc: open.get("doc").and_then(|node| reading.text(node)),
        });
    }
    fields
}

pub(super) fn ttl(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<TtlRules> {
    let mut rules = TtlRules::default();
    let Some(node) = node else { return Some(rules) };
    let fields = reading.fields(node, "`ttl`", &["min", "max", "default", "per", "allowed"]);
    let most = i64::from(rules.max);
    let number = |name: &str, reading: &mut Reading<'_>| {
        let node = fields.get(name)?;
        reading.number(node, 0, most).and_then(|number| u32::try_from(number).ok())
    };
    rules.default = number("default", reading);
    rules.max = number("max", reading).unwrap_or(rules.max);
    match fields.get("min") {
        Some(node) if matches!(node.value, Yaml::Text(_)) => {
            rules.min_of_zone = reading.expression(node, &["zone"]);
        }
        Some(_) => rules.min = number("min", reading).unwrap_or_default(),
        None => {}
    }
    if let Some(node) = fields.get("allowed") {
        match &node.value {
            Yaml::List(items) => {
                let numbers = items.iter().filter_map(|item| reading.number(item, 0, most));
                rules.allowed = numbers.filter_map(|number| u32::try_from(number).ok()).collect();
                rules.allowed.sort_unstable();
            }
            _ => reading.say(node.at, "a list of TTLs is wanted here"),
        }
    }
    if let Some(node) = fields.get("per") {
        rules.per_zone = reading.choice(node, &[("zone", true), ("record", false)])?;
    }
    Some(rules)
}

/// `[2/s, 15/min, 1200/5min, 300/h]`
pub(super) fn rates(node: &Node, reading: &mut Reading<'_>) -> Vec<Rate> {
    let mut rates = Vec::new();
    for text in reading.texts(node) {
        match rate(&text) {
            Some(rate) => rates.push(rate),
            None => {
                reading.say(node.at, format!("`{text}` is no rate; 2/s, 15/min, 1200/5min and 300/h are"))
            }
        }
    }
    rates
}

fn rate(text: &str) -> Option<Rate> {
    let (count, per) = text.split_once('/')?;
    let digits = per.find(|c: char| !c.is_ascii_digit())?;
    let (many, unit) = per.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    let many = if many.is_empty() { 1 } else { many.parse::<u64>().ok()? };
    let count = count.parse::<u32>().ok().filter(|count| (1..=100_000).contains(count))?;
    (1..=3600).contains(&many).then(|| Rate { count, per: Duration::from_secs(many * seconds) })
}
