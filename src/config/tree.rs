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
/// Values in one file, aliases counted each time: 10,000 certificates need 100,000. Our choice.
const MAX_NODES: usize = 150_000;
/// Nodes that aliases may repeat in all: ends alias bombs. Our choice.
const MAX_ALIAS_NODES: usize = 50_000;
/// Bytes of all scalars together, repetitions by aliases included: four times the largest file.
const MAX_SCALAR_BYTES: usize = 4 * 1024 * 1024;

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
            Value::Int(_) => "a number",
            Value::Number => "a negative, broken or huge number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. Syntax errors end the reading: there is one, in `sink`.
pub(super) fn parse(text: &str, sink: &mut Sink) -> Option<Node> {
    if text.contains('\0') {
        let hint = "`danesmith init` writes a commented one";
        sink.say_with(&document(1, 1), "a zero byte stands in this file: it is not text", hint);
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
        strict_booleans: true, // YAML 1.2: `no` and `off` are text
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
        },
    };
    options.alias_limits.max_total_replayed_events = MAX_ALIAS_NODES;
    options
}

fn document(line: u64, column: u64) -> Place {
    Place { line, column, path: String::new() }
}

/// The parser's words without its repetition of the place, and without what it quotes: that could be a secret.
fn report(error: &serde_saphyr::Error, sink: &mut Sink) {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or(&text);
    let (message, hint) = match words {
        _ if words.starts_with("multiple YAML documents") => {
            ("a second document begins; zones.yaml is one".to_owned(), "put both together, without the `---`")
        }
        _ if words.starts_with("budget breached") => (
            "holds more or deeper than a zones.yaml ever needs".to_owned(),
            "look for aliases (*name) that repeat much; several files with a state directory each are possible, too",
        ),
        _ if words.contains("unknown anchor") => (
            format!("is not YAML: {}", without_quotations(words)),
            "what begins with * wants quotes: \"*.example.org\"",
        ),
        _ => (
            format!("is not YAML: {}", without_quotations(words)),
            "look at this line and the one above: indentation by spaces, quotes, brackets, a blank after each colon",
        ),
    };
    sink.say_with(&document(line, column), message, hint);
}

/// Anything in quotes that is longer than punctuation becomes `…`.
fn without_quotations(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'', '`']) {
        let mark = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(mark) else { break };
        let quoted = &rest[start + 1..start + 1 + length];
        kept.push_str(&rest[..start]);
        kept.push_str(mark);
        kept.push_str(if quoted.len() <= 2 { quoted } else { "…" });
        kept.push_str(mark);
        rest = &rest[start + length + 2..];
    }
    kept.push_str(rest);
    kept
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
