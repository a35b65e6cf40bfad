//! From the tree to the mirror of zones.yaml (`spec`): types, unknown and missing fields, duplicates. Reading never
//! stops at a mistake: it reports and goes on, so that one run shows them all.

use super::problem::{Place, Sink, nearest, quote};
use super::tree::{Node, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// A type that can be read from a node.
pub(super) trait Read: Sized {
    /// The value; `None` when a problem was reported instead.
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self>;

    /// The value of an absent field; `None` when the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    /// What stands there.
    pub(super) value: T,
    /// Where.
    pub(super) place: Place,
}

/// A mapping from names of the administrator's choice. An entry whose value was wrong keeps its name, so that
/// references to it are not reported as well.
#[derive(Debug)]
pub(super) struct Map<T>(pub(super) Vec<(At<String>, Option<T>)>);

impl<T> Map<T> {
    /// The names, in the order of the file.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.value.as_str())
    }
}

/// Declares a mapping with fixed fields once: the struct, its JSON schema and its reader.
macro_rules! mapping {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_meta])* pub(super) $field: $type,)*
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                path: &str,
                sink: &mut $crate::config::problem::Sink,
            ) -> Option<Self> {
                let fields = $crate::config::read::Fields::open(node, path, &[$(stringify!($field)),*], sink)?;
                $(let $field = fields.take::<$type>(stringify!($field), sink);)*
                Some($name { $($field: $field?,)* })
            }
        }
    };
}
pub(super) use mapping;

/// The fields of one mapping; opening it reports unknown and repeated ones.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    place: Place,
    values: BTreeMap<&'n str, &'n Node>,
}

impl<'n> Fields<'n> {
    /// `None` (and a problem) when no mapping stands here.
    pub(super) fn open(node: &'n Node, path: &str, known: &[&str], sink: &mut Sink) -> Option<Self> {
        let mut values = BTreeMap::new();
        for (key, name, value) in entries(node, path, known, sink)? {
            if known.contains(&name) {
                values.insert(name, value);
            } else {
                unknown(key, name, path, known, sink);
            }
        }
        Some(Fields { place: node.place(path), values })
    }

    /// A field as it stands.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.values.get(name).copied()
    }

    /// Where the mapping stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Reads one field.
    pub(super) fn take<T: Read>(&self, name: &str, sink: &mut Sink) -> Option<T> {
        let path = join(&self.place.path, name);
        match self.values.get(name) {
            Some(node) => T::read(node, &path, sink),
            None if sink.blames(&path) => T::absent(),
            None => T::absent().or_else(|| {
                let hint = format!("add `{name}: …` here");
                sink.say_with(&self.place, format!("`{name}` is missing"), hint);
                None
            }),
        }
    }
}

/// Reports an unknown field, and remembers which known one it was meant to be.
fn unknown(key: &Node, name: &str, path: &str, known: &[&str], sink: &mut Sink) {
    if sink.is_full() {
        return;
    }
    // What stands here by mistake may be a line of another file, or a secret.
    let letters = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '-';
    let like_ours = name.len() <= 32 && name.chars().all(letters);
    let shown = if like_ours || nearest(name, known.iter().copied()).is_some() { name } else { "…" };
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => {
            sink.meant(join(path, near));
            format!("did you mean `{near}`?")
        }
        None => format!("known here: {}", known.join(", ")),
    };
    sink.say_with(&key.place(&join(path, shown)), "unknown field", hint);
}

/// A mapping's entries with their keys as text; repeated keys are reported and left out.
pub(super) fn entries<'n>(
    node: &'n Node,
    path: &str,
    known: &[&str],
    sink: &mut Sink,
) -> Option<Vec<(&'n Node, &'n str, &'n Node)>> {
    let Value::Map(map) = &node.value else {
        let fields = if known.is_empty() { String::new() } else { format!(" of {}", known.join(", ")) };
        let hint = "write its fields in lines of their own, indented, or in {braces}";
        sink.say_with(&node.place(path), format!("must be a mapping{fields}, not {}", node.what()), hint);
        return None;
    };
    let mut first: HashMap<&str, u64> = HashMap::new();
    let mut found = Vec::new();
    for (key, value) in map {
        let Value::Text(name) = &key.value else {
            sink.say_with(
                &key.place(path),
                format!("a key must be text, not {}", key.what()),
                "write it in quotes",
            );
            continue;
        };
        match first.get(name.as_str()) {
            Some(line) => {
                let twice = format!("stands twice; first in line {line}");
                sink.say_with(
                    &key.place(&join(path, name)),
                    twice,
                    "drop one of the two, or put them together",
                );
            }
            None => {
                first.insert(name, key.line);
                found.push((key, name.as_str(), value));
            }
        }
    }
    Some(found)
}

/// The single entry of a mapping in which one key names the kind: `{csr: …}`.
pub(super) fn one_of<'n>(
    node: &'n Node,
    path: &str,
    known: &[&str],
    sink: &mut Sink,
) -> Option<(&'n str, &'n Node, String)> {
    let found = entries(node, path, known, sink)?;
    let choice = known.iter().map(|word| format!("{{{word}: …}}")).collect::<Vec<_>>().join(", ");
    let [(key, name, value)] = found[..] else {
        let hint = "write one of them; the others belong elsewhere, or nowhere";
        sink.say_with(&node.place(path), format!("must be exactly one of {choice}"), hint);
        return None;
    };
    if !known.contains(&name) {
        unknown(key, name, path, known, sink);
        return None;
    }
    Some((name, value, join(path, name)))
}

/// `path.name`; a name that is not a plain word is quoted.
pub(super) fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let shown = match plain && name.len() <= 80 {
        true => name.to_owned(),
        false => format!("\"{}\"", quote(name).trim_matches('`')),
    };
    match path.is_empty() {
        true => shown,
        false => format!("{path}.{shown}"),
    }
}

impl Read for String {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let place = node.place(path);
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                sink.say_with(&place, "must not be empty", "give a value or drop the line")
            }
            Value::Text(text) if text.contains(char::is_control) => sink.say_with(
                &place,
                "holds a control character",
                "write it anew, in one line and without tabs",
            ),
            Value::Text(text) => return Some(text.clone()),
            Value::Int(_) | Value::Number | Value::Bool(_) => sink.say_with(
                &place,
                "must be text, but YAML takes it for a number or for true or false",
                "write it in quotes",
            ),
            _ => sink.say_with(
                &place,
                format!("must be text, not {}", node.what()),
                "write one value, without brackets, braces or dashes",
            ),
        }
        None
    }
}

/// A duration as text, such as `30d`; a bare number lacks its unit.
#[derive(Debug)]
pub(super) struct DurationText(pub(super) String);

impl Read for DurationText {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if let Value::Int(_) | Value::Number = node.value {
            sink.say_with(&node.place(path), "lacks its unit", "write it as in 30s, 5m, 12h, 30d or 2w");
            return None;
        }
        String::read(node, path, sink).map(DurationText)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]+[smhdw]$"})
    }
}

/// A longer time as text, such as `1y`; a bare number lacks its unit.
#[derive(Debug)]
pub(super) struct PeriodText(pub(super) String);

impl Read for PeriodText {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if let Value::Int(_) | Value::Number = node.value {
            sink.say_with(&node.place(path), "lacks its unit", "write it as in 90d, 26w or 1y");
            return None;
        }
        String::read(node, path, sink).map(PeriodText)
    }
}

impl JsonSchema for PeriodText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]+[dwy]$"})
    }
}

impl Read for bool {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let hint = "write one of these two words, without quotes";
        sink.say_with(&node.place(path), format!("must be `true` or `false`, not {}", node.what()), hint);
        None
    }
}

impl Read for u64 {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if let Value::Int(value) = node.value {
            return Some(value);
        }
        let hint = "write digits only, without quotes, sign or unit";
        sink.say_with(&node.place(path), format!("must be a whole number, not {}", node.what()), hint);
        None
    }
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        Some(At { value: T::read(node, path, sink)?, place: node.place(path) })
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        if let Value::Null = node.value {
            sink.say_with(&node.place(path), "has no value", "give one or drop the line");
            return Some(None);
        }
        Some(T::read(node, path, sink)) // a wrong value is reported; the rest of the mapping is still read
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let Value::List(items) = &node.value else {
            sink.say_with(
                &node.place(path),
                format!("must be a list, not {}", node.what()),
                "write it in [brackets]",
            );
            return None;
        };
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| T::read(item, &format!("{path}[{i}]"), sink))
                .collect(),
        )
    }
}

impl<T: Read> Read for Map<T> {
    fn read(node: &Node, path: &str, sink: &mut Sink) -> Option<Self> {
        let found = entries(node, path, &[], sink)?;
        let read_one = |(key, name, value): (&Node, &str, &Node)| {
            let path = join(path, name);
            (At { value: name.to_owned(), place: key.place(&path) }, T::read(value, &path, sink))
        };
        Some(Map(found.into_iter().map(read_one).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}
