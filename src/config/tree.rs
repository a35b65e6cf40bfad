//! YAML text to a tree that remembers where everything stood; the only user of the YAML crate.
//!
//! We read the tree ourselves instead of deserializing straight into structs: serde stops at the first mistake, loses
//! the path, and an error text may quote a scalar that is a secret.

use super::problem::{Place, Sink};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::fmt;

/// Nesting beyond this is a mistake or an attack; zones.yaml needs 7. Our choice.
const MAX_DEPTH: usize = 32;
/// Nodes that aliases may repeat in all: ends alias bombs. Our choice.
const MAX_ALIAS_NODES: usize = 50_000;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Line, from 1.
    pub(super) line: u64,
    /// Column in characters, from 1.
    pub(super) column: u64,
    /// What stands there.
    pub(super) value: Value,
}

/// What can stand in a YAML document, as far as zones.yaml cares.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, not negative.
    Int(u64),
    /// Any other number.
    Number,
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file, duplicates included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// This node's place under a path.
    pub(super) fn place(&self, path: &str) -> Place {
        Place { line: self.line, column: self.column, path: path.to_owned() }
    }

    /// What stands here, in the administrator's words; never the value itself.
    pub(super) fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Number => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. Syntax errors end the reading: there is one, in `sink`.
pub(super) fn parse(text: &str, sink: &mut Sink) -> Option<Node> {
    if text.contains('\0') {
        sink.say(&document(1, 1), "a zero byte stands in this file: it is not text");
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options()) {
        Ok(node) => Some(Node::from(node)),
        Err(error) => {
            report(&error, sink);
            None
        }
    }
}

fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::options! {
        with_snippet: false, // the excerpt would print neighbouring lines
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // `read` reports them all, with their path
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH },
    };
    options.alias_limits.max_total_replayed_events = MAX_ALIAS_NODES;
    options
}

fn document(line: u64, column: u64) -> Place {
    Place { line, column, path: String::new() }
}

/// The parser may quote a scalar, an anchor or a tag; whatever it quotes could be a secret, so quotations are dropped.
fn report(error: &serde_saphyr::Error, sink: &mut Sink) {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    sink.say(&document(line, column), error.to_string());
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        let at = spanned.referenced;
        Node { line: at.line(), column: at.column(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, text, a number, true or false")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Number, Value::Int))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("binary values have no place in zones.yaml"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<Value>, Spanned<Value>>()? {
            map.push((Node::from(key), Node::from(value)));
        }
        Ok(Value::Map(map))
    }
}
