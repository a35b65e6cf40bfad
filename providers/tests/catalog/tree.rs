//! Answers of a fake as a tree with expressions: `{{ x }}` alone keeps its type, `$each` makes a list. A little language
//! of the tests' own, so that a fault of the engine's cannot hide in its fakes.

use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value as Json};

/// Names and their values.
pub(crate) type Scope = Map<String, Json>;

/// The tree with all expressions evaluated.
pub(crate) fn render(node: &Json, scope: &Scope) -> Json {
    match node {
        Json::String(text) => match whole(text) {
            Some(source) => evaluate(source, scope),
            None => Json::String(text_of(text, scope)),
        },
        Json::Array(items) => items.iter().map(|item| render(item, scope)).collect(),
        Json::Object(members) if members.contains_key("$each") => {
            Json::Array(each(members, "$each", scope, |inner| render(&members["item"], inner)))
        }
        Json::Object(members) => object(members, scope),
        other => other.clone(),
    }
}

fn object(members: &Map<String, Json>, scope: &Scope) -> Json {
    let mut out = Map::new();
    for (name, node) in members {
        match node {
            Json::Object(spread) if name == "$merge" => {
                let pairs = each(spread, "$map", scope, |inner| {
                    Json::Array(vec![render(&spread["key"], inner), render(&spread["item"], inner)])
                });
                out.extend(pairs.into_iter().map(|pair| (plain(&pair[0]), pair[1].clone())));
            }
            _ => {
                out.insert(name.clone(), render(node, scope));
            }
        }
    }
    Json::Object(out)
}

fn each(members: &Map<String, Json>, key: &str, scope: &Scope, item: impl Fn(&Scope) -> Json) -> Vec<Json> {
    let source = members[key].as_str().expect("an expression");
    let name = members.get("as").and_then(Json::as_str).unwrap_or("r");
    let Json::Array(values) = evaluate(whole(source).unwrap_or(source), scope) else {
        panic!("`{source}` is no list");
    };
    let with = |value: Json| {
        let mut inner = scope.clone();
        inner.insert(name.to_owned(), value);
        inner
    };
    values.into_iter().map(|value| item(&with(value))).collect()
}

/// The value of an expression; undefined is null.
pub(crate) fn evaluate(source: &str, scope: &Scope) -> Json {
    let environment = environment();
    let compiled = environment.compile_expression(source).unwrap_or_else(|e| panic!("`{source}`: {e}"));
    let value = compiled
        .eval(Value::from(minijinja::value::Serde(scope)))
        .unwrap_or_else(|e| panic!("`{source}`: {e}"));
    serde_json::to_value(value).expect("JSON")
}

/// Whether an expression holds.
pub(crate) fn holds(source: &str, scope: &Scope) -> bool {
    match evaluate(source, scope) {
        Json::Null | Json::Bool(false) => false,
        Json::Array(items) => !items.is_empty(),
        Json::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// Text with expressions in it.
pub(crate) fn text_of(text: &str, scope: &Scope) -> String {
    if !text.contains("{{") && !text.contains("{%") {
        return text.to_owned();
    }
    environment()
        .render_str(text, Value::from(minijinja::value::Serde(scope)))
        .unwrap_or_else(|e| panic!("`{text}`: {e}"))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

/// A scalar as text.
pub(crate) fn plain(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
