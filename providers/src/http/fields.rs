//! Reading mappings key by key: what is not known is a problem, and so is what is missing or of the wrong kind.

use super::expression::{Escape, Expression};
use super::template::{self, Template, Watcher};
use super::yaml::{At, Key, Node, Problem, Yaml};
use std::collections::BTreeSet;

/// Names that belong to the expression language.
const GLOBALS: &[&str] = &["range", "dict", "namespace", "loop"];
/// Members of `tlsa`.
const TLSA: &[&str] = &["usage", "selector", "matching", "data"];

/// Members that this file gives its own variables.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) config: BTreeSet<String>,
    pub(super) session: BTreeSet<String>,
    pub(super) zone: BTreeSet<String>,
}

/// The reading of one file.
pub(super) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) known: Known,
    pub(super) problems: Vec<Problem>,
}

impl Reading<'_> {
    pub(super) fn say(&mut self, at: At, message: impl Into<String>) {
        let problem = Problem { file: self.file.to_owned(), at, message: message.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Opens a mapping whose keys are `known`.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Fields<'n> {
        let Yaml::Map(members) = &node.value else {
            self.say(node.at, format!("{what} must be a mapping, not {}", node.what()));
            return Fields { at: node.at, members: vec![] };
        };
        for (key, _) in members {
            if !known.contains(&key.name.as_str()) {
                let message = format!("{what} has no key `{}`; known are {}", key.name, known.join(", "));
                self.say(key.at, message);
            }
        }
        Fields { at: node.at, members: members.iter().map(|(key, node)| (key, node)).collect() }
    }

    /// An expression, with or without braces around it.
    pub(super) fn expression(&mut self, node: &Node, scope: &[&str]) -> Option<Expression> {
        let text = self.text(node)?;
        let inner = text.trim();
        let bare = inner.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inner);
        let expression = Expression { at: node.at, source: bare.trim().to_owned() };
        Scoped { reading: self, scope }.uses(node.at, expression.variables(), &[]);
        Some(expression)
    }

    pub(super) fn template(&mut self, node: &Node, escape: Escape, scope: &[&str]) -> Template {
        template::compile(node, escape, &[], &mut Scoped { reading: self, scope })
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Yaml::Text(text) => Some(text.clone()),
            Yaml::Int(number) => Some(number.to_string()),
            Yaml::Bool(value) => Some(value.to_string()),
            _ => {
                self.say(node.at, format!("text is wanted here, not {}", node.what()));
                None
            }
        }
    }

    pub(super) fn texts(&mut self, node: &Node) -> Vec<String> {
        let Yaml::List(items) = &node.value else {
            self.say(node.at, format!("a list of texts is wanted here, not {}", node.what()));
            return vec![];
        };
        items.iter().filter_map(|item| self.text(item)).collect()
    }

    pub(super) fn flag(&mut self, node: Option<&Node>) -> bool {
        match node.map(|node| (&node.value, node.at)) {
            None => false,
            Some((Yaml::Bool(value), _)) => *value,
            Some((_, at)) => {
                self.say(at, "true or false is wanted here");
                false
            }
        }
    }

    /// A whole number of seconds or the like within bounds.
    pub(super) fn number(&mut self, node: &Node, least: i64, most: i64) -> Option<i64> {
        match node.value {
            Yaml::Int(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.say(node.at, format!("a whole number from {least} to {most} is wanted here"));
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.say(node.at, format!("`{text}` is not one of {}", words.join(", ")));
        }
        found
    }
}

/// An open mapping.
pub(super) struct Fields<'n> {
    pub(super) at: At,
    members: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.members.iter().find(|(key, _)| key.name == name).map(|(_, node)| *node)
    }

    /// The node, or a problem.
    pub(super) fn need(&self, name: &str, what: &str, reading: &mut Reading<'_>) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() {
            reading.say(self.at, format!("{what} lacks `{name}`"));
        }
        found
    }
}

/// Checks variables against what is in scope.
struct Scoped<'r, 'f, 's> {
    reading: &'r mut Reading<'f>,
    scope: &'s [&'s str],
}

impl Watcher for Scoped<'_, '_, '_> {
    fn uses(&mut self, at: At, variables: Result<BTreeSet<String>, String>, own: &[String]) {
        let variables = match variables {
            Ok(variables) => variables,
            Err(why) => return self.reading.say(at, why),
        };
        for variable in variables {
            let mut parts = variable.split('.');
            let (root, member) = (parts.next().unwrap_or_default(), parts.next());
            if own.iter().any(|name| name == root) || GLOBALS.contains(&root) {
                continue;
            }
            if !self.scope.contains(&root) {
                let message = format!("`{root}` is not defined here; defined are {}", self.scope.join(", "));
                self.reading.say(at, message);
                continue;
            }
            let Some(member) = member else { continue };
            let known = &self.reading.known;
            let missing = match root {
                "config" => !known.config.contains(member),
                "session" => !known.session.contains(member),
                "zone" => !known.zone.contains(member),
                "tlsa" => !TLSA.contains(&member),
                _ => false,
            };
            if missing {
                self.reading.say(at, format!("`{root}` has no member `{member}` in this file"));
            }
        }
    }

    fn wrong(&mut self, at: At, message: String) {
        self.reading.say(at, message);
    }
}
