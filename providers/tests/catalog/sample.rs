//! Whether our requests have the shape of examples from elsewhere: the same members of the same kinds.

use super::case::same_request;
use super::tree;
use super::wire::Request;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// What a request of that host looks like, from a source of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    from: String,
    /// Method and path, as in an answer's `on`.
    request: String,
    when: Option<String>,
    /// JSON, or the fields of a form.
    json: Option<Json>,
    /// An XML-RPC call.
    xml: Option<String>,
    /// Parameters of the address, where there is no body.
    query: Option<Json>,
}

impl Sample {
    pub(crate) fn is_of(&self, request: &Request) -> bool {
        let mut scope = tree::Scope::new();
        let path: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        scope.insert("body".into(), request.content());
        scope.insert("path".into(), json!(path));
        scope.insert("q".into(), Json::Object(request.query.clone()));
        same_request(&self.request, request)
            && self.when.as_ref().is_none_or(|when| tree::holds(when, &scope))
    }

    /// The same members of the same kinds; values differ.
    pub(crate) fn compare(&self, request: &Request, name: &str) {
        let (mut wanted, mut given) = (BTreeSet::new(), BTreeSet::new());
        match (&self.json, &self.xml, &self.query) {
            (Some(json), None, None) => {
                shape(json, "", &mut wanted);
                shape(&request.content(), "", &mut given);
            }
            (None, Some(xml), None) => {
                elements(xml, &mut wanted);
                elements(&request.body, &mut given);
            }
            (None, None, Some(query)) => {
                shape(query, "", &mut wanted);
                shape(&Json::Object(request.query.clone()), "", &mut given);
            }
            _ => panic!("{name}: a sample is either json or xml or query"),
        }
        assert_eq!(given, wanted, "{name}: left ours, right {}", self.from);
    }
}

fn shape(json: &Json, at: &str, into: &mut BTreeSet<String>) {
    let kind = match json {
        Json::Object(members) => {
            members.iter().for_each(|(name, value)| shape(value, &format!("{at}/{name}"), into));
            "mapping"
        }
        Json::Array(items) => {
            items.iter().for_each(|value| shape(value, &format!("{at}/*"), into));
            "list"
        }
        Json::String(_) => "text",
        Json::Number(_) => "number",
        Json::Bool(_) => "truth",
        Json::Null => "null",
    };
    into.insert(format!("{at} {kind}"));
}

/// Paths of elements, each with its number among its siblings; the name of a struct's member belongs to the path.
fn elements(xml: &str, into: &mut BTreeSet<String>) {
    let document = roxmltree::Document::parse(xml).expect("XML");
    walk(document.root_element(), "", into);
}

fn walk(element: roxmltree::Node<'_, '_>, at: &str, into: &mut BTreeSet<String>) {
    let text = element.text().unwrap_or_default().trim();
    let said = if ["name", "methodName"].contains(&element.tag_name().name()) { text } else { "" };
    let path = format!("{at}/{}{said}", element.tag_name().name());
    into.insert(path.clone());
    for (number, child) in element.children().filter(roxmltree::Node::is_element).enumerate() {
        walk(child, &format!("{path}#{number}"), into);
    }
}
