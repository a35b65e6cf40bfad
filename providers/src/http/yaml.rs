//! YAML text to a tree that remembers where everything stood; the only user of the YAML crate here.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// Nesting beyond this is a mistake or an attack; the deepest file of the catalog needs 9. Our choice.
const MAX_DEPTH: usize = 32;
/// Values in one file, aliases counted each time. Our choice: the longest file of the catalog has 300.
const MAX_NODES: usize = 20_000;

/// Where something stands in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {message}", at.line, at.column)]
pub struct Problem {
    /// The file as the reader knows it.
    pub file: String,
    /// Where in it.
    pub at: At,
    /// What is wrong.
    pub message: String,
}

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Yaml,
}

/// What can stand in a catalog file.
#[derive(Debug, Clone)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; the YAML crate refuses equal keys.
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: At,
    pub(super) name: String,
}

impl Node {
    pub(super) fn what(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "true or false",
            Yaml::Int(_) => "a number",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }
}

/// Reads one document.
pub(super) fn parse(text: &str, file: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false, // the excerpt would repeat neighbouring lines
        strict_booleans: true, // YAML 1.2: `no` and `off` are text
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_nodes: MAX_NODES },
    };
    serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options).map(Node::from).map_err(|error| {
        let at = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        let message = format!("is not YAML of a catalog file: {words}");
        Problem { file: file.to_owned(), at: At { line: at.0, column: at.1 }, message }
    })
}

impl From<Spanned<Yaml>> for Node {
    fn from(spanned: Spanned<Yaml>) -> Self {
        let at = spanned.referenced;
        Node { at: At { line: at.line(), column: at.column() }, value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, text, a whole number, true or false")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Yaml, E> {
        i64::try_from(value).map(Yaml::Int).map_err(|_| E::custom("a number that is too large"))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Int(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Yaml>>()? {
            list.push(item.into());
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Yaml>>()? {
            let at = At { line: key.referenced.line(), column: key.referenced.column() };
            map.push((Key { at, name: key.value }, Node::from(value)));
        }
        Ok(Yaml::Map(map))
    }
}
