//! Reading requests: a method with a path, what goes with it, and what its answer gives.

use super::expression::Escape;
use super::fields::{Fields, Reading};
use super::spec::{Body, Pages, Step, Turn, Wait};
use super::yaml::Node;
use std::time::Duration;

const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];
/// Keys that every request may have.
pub(super) const STEP: &[&str] = &[
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "query",
    "headers",
    "json",
    "form",
    "text",
    "xml",
    "content_type",
    "if",
    "save",
    "wait",
    "missing",
    "batch",
];
/// Keys of a request that answers with items.
pub(super) const PAGES: &[&str] = &["items", "more", "next", "next_is", "first_page"];
/// Variables that every answer gives.
pub(super) const REPLY: &[&str] = &["status", "body", "headers"];

pub(super) fn both<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<&'a str> {
    a.iter().chain(b).copied().collect()
}

/// A node that is a request and nothing else.
pub(super) fn step(node: &Node, what: &str, scope: &[&str], reading: &mut Reading<'_>) -> Option<Step> {
    let fields = reading.fields(node, what, STEP);
    request(&fields, what, scope, reading)
}

/// The request among the keys of a mapping.
pub(super) fn request(
    fields: &Fields<'_>,
    what: &str,
    scope: &[&str],
    reading: &mut Reading<'_>,
) -> Option<Step> {
    let mut methods = METHODS.iter().filter_map(|(key, method)| fields.get(key).map(|node| (node, *method)));
    let Some((path, method)) = methods.next() else {
        reading.say(fields.at, format!("{what} lacks a request: get, post, put, patch or delete"));
        return None;
    };
    if let Some((second, _)) = methods.next() {
        reading.say(second.at, format!("{what} has two requests"));
    }
    let after = both(scope, REPLY);
    let batch = fields.get("batch").and_then(|node| reading.number(node, 2, 1000));
    let save = fields.get("save").map(|node| save(node, &after, reading)).unwrap_or_default();
    let mut template =
        |name: &str, scope: &[&str]| fields.get(name).map(|node| reading.template(node, Escape::None, scope));
    let query = template("query", scope);
    let headers = template("headers", &both(scope, &["payload"]));
    let missing_is_empty = match fields.get("missing") {
        Some(node) => reading.choice(node, &[("empty", true)]).unwrap_or_default(),
        None => false,
    };
    Some(Step {
        at: path.at,
        method,
        path: reading.template(path, Escape::Url, scope),
        query,
        headers,
        body: body(fields, what, scope, reading),
        only_if: fields.get("if").and_then(|node| reading.expression(node, scope)),
        save,
        wait: fields.get("wait").and_then(|node| wait(node, &after, reading)).map(Box::new),
        missing_is_empty,
        batch: batch.and_then(|number| usize::try_from(number).ok()),
    })
}

fn body(fields: &Fields<'_>, what: &str, scope: &[&str], reading: &mut Reading<'_>) -> Body {
    let bodies: Vec<_> = ["json", "form", "text", "xml"]
        .into_iter()
        .filter_map(|key| fields.get(key).map(|node| (key, node)))
        .collect();
    if let Some((_, second)) = bodies.get(1) {
        reading.say(second.at, format!("{what} has two bodies"));
    }
    let content_type = fields.get("content_type").and_then(|node| reading.text(node));
    let Some((kind, node)) = bodies.first() else { return Body::None };
    match *kind {
        "json" => Body::Json(reading.template(node, Escape::None, scope)),
        "form" => Body::Form(reading.template(node, Escape::None, scope)),
        "xml" => Body::Text {
            content_type: content_type.unwrap_or_else(|| "text/xml".to_owned()),
            text: reading.template(node, Escape::Xml, scope),
        },
        _ => Body::Text {
            content_type: content_type.unwrap_or_else(|| "text/plain".to_owned()),
            text: reading.template(node, Escape::None, scope),
        },
    }
}

fn save(
    node: &Node,
    scope: &[&str],
    reading: &mut Reading<'_>,
) -> Vec<(String, super::expression::Expression)> {
    let super::yaml::Yaml::Map(members) = &node.value else {
        reading.say(node.at, "`save` must be a mapping of names to expressions");
        return vec![];
    };
    let expressions = members.iter().map(|(key, node)| (key.name.clone(), reading.expression(node, scope)));
    expressions.filter_map(|(name, expression)| Some((name, expression?))).collect()
}

fn wait(node: &Node, scope: &[&str], reading: &mut Reading<'_>) -> Option<Wait> {
    let keys = both(STEP, &["until", "failed", "every"]);
    let fields = reading.fields(node, "`wait`", &keys);
    let until = fields.need("until", "`wait`", reading)?;
    let until = reading.expression(until, scope)?;
    let failed = fields.get("failed").and_then(|node| reading.expression(node, scope));
    let every = match fields.get("every") {
        Some(node) => reading.number(node, 1, 60)?,
        None => 1,
    };
    let mut step = request(&fields, "`wait`", scope, reading)?;
    let only_if = step.only_if.take();
    Some(Wait { only_if, step, until, failed, every: Duration::from_secs(every.unsigned_abs()) })
}

/// A request with `items` and pages.
pub(super) fn pages(
    fields: &Fields<'_>,
    what: &str,
    scope: &[&str],
    reading: &mut Reading<'_>,
) -> Option<Pages> {
    let inside = both(scope, &["page", "cursor", "offset"]);
    let after = both(&inside, REPLY);
    let step = request(fields, what, &inside, reading);
    let items = fields.need("items", what, reading).and_then(|node| reading.expression(node, &after));
    let more = fields.get("more").and_then(|node| reading.expression(node, &after));
    let next = fields.get("next").and_then(|node| reading.expression(node, &after));
    let is_url = match fields.get("next_is") {
        Some(node) => reading.choice(node, &[("url", true), ("cursor", false)])?,
        None => false,
    };
    let turn = match (more, next) {
        (Some(_), Some(next)) => {
            reading.say(next.at, format!("{what} has both `more` and `next`"));
            Turn::Never
        }
        (Some(more), None) => Turn::While(more),
        (None, Some(next)) if is_url => Turn::Url(next),
        (None, Some(next)) => Turn::Cursor(next),
        (None, None) => Turn::Never,
    };
    let first_page = match fields.get("first_page") {
        Some(node) => reading.number(node, 0, 1)?,
        None => 1,
    };
    Some(Pages { step: step?, items: items?, turn, first_page })
}
