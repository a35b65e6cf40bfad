//! A tree of YAML with expressions in it, and the tree it becomes. `{{ x }}` alone keeps its type; members that are
//! none vanish; `$each` makes a list, `$merge` joins a mapping.

use super::expression::{self, Escape, Expression, Scope};
use super::yaml::{At, Node, Yaml};
use minijinja::value::{Value, ValueKind};
use std::collections::BTreeMap;

/// What a node becomes at load time.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Nothing to evaluate.
    Plain(Value),
    /// One expression; its value keeps its type.
    Whole(Expression),
    /// Text with expressions in it.
    Text { at: At, source: String, escape: Escape },
    /// Item by item.
    List(Vec<Template>),
    /// Member by member.
    Map(Vec<Member>),
    /// One item for each of a list.
    Each { list: Expression, name: String, item: Box<Template> },
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub(super) enum Member {
    Named(String, Template),
    /// All members of another mapping.
    Merge(Template),
}

impl Template {
    /// Its value in a scope.
    pub(super) fn render(&self, scope: &Scope) -> Result<Value, String> {
        match self {
            Template::Plain(value) => Ok(value.clone()),
            Template::Whole(expression) => expression.value(scope),
            Template::Text { at, source, escape } => expression::render(source, *escape, scope)
                .map(Value::from)
                .map_err(|why| format!("`{}` (line {}) has no value here: {why}", source.trim(), at.line)),
            Template::List(items) => {
                items.iter().map(|item| item.render(scope)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Template::Map(members) => map(members, scope),
            Template::Each { list, name, item } => {
                let list = list.value(scope)?;
                let items = match list.kind() {
                    ValueKind::Seq | ValueKind::Iterable => list.try_iter().map_err(|e| e.to_string())?,
                    kind => return Err(format!("`$each` of what is no list: {kind}")),
                };
                let rendered = items.map(|value| item.render(&scope.with_own(name, value)));
                rendered.collect::<Result<Vec<_>, _>>().map(Value::from)
            }
        }
    }

    /// Its value as text; none where it is none.
    pub(super) fn text(&self, scope: &Scope) -> Result<Option<String>, String> {
        let value = self.render(scope)?;
        match value.kind() {
            ValueKind::None => Ok(None),
            ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(Some(value.to_string())),
            kind => Err(format!("text is wanted, not {kind}")),
        }
    }

    /// The named texts of a mapping (query, headers, form).
    pub(super) fn pairs(&self, scope: &Scope) -> Result<Vec<(String, String)>, String> {
        let map = self.render(scope)?;
        let mut pairs = Vec::new();
        for key in map.try_iter().map_err(|_| "a mapping is wanted".to_owned())? {
            let value = map.get_item(&key).map_err(|_| "a mapping is wanted".to_owned())?;
            match value.kind() {
                ValueKind::None => {}
                ValueKind::String | ValueKind::Number | ValueKind::Bool => {
                    pairs.push((key.to_string(), value.to_string()));
                }
                kind => return Err(format!("`{key}` must be text, not {kind}")),
            }
        }
        Ok(pairs)
    }
}

fn map(members: &[Member], scope: &Scope) -> Result<Value, String> {
    let mut map: BTreeMap<String, Value> = BTreeMap::new();
    for member in members {
        match member {
            Member::Named(name, template) => {
                let value = template.render(scope)?;
                if !value.is_none() {
                    map.insert(name.clone(), value);
                }
            }
            Member::Merge(template) => {
                let more = template.render(scope)?;
                if more.is_none() {
                    continue;
                }
                let keys = match more.kind() {
                    ValueKind::Map => more.try_iter().map_err(|e| e.to_string())?,
                    kind => return Err(format!("`$merge` of what is no mapping: {kind}")),
                };
                for key in keys {
                    let value = more.get_item(&key).map_err(|e| e.to_string())?;
                    if !value.is_none() {
                        map.insert(key.to_string(), value);
                    }
                }
            }
        }
    }
    Ok(Value::from_pairs(map))
}

/// What the reader of a template is told: variables with their members and the place.
pub(super) trait Watcher {
    /// An expression or text uses these.
    fn uses(&mut self, at: At, variables: Result<std::collections::BTreeSet<String>, String>, own: &[String]);
    /// Something is wrong.
    fn wrong(&mut self, at: At, message: String);
}

/// Compiles a node; `own` are the names that enclosing `$each` gave.
pub(super) fn compile(node: &Node, escape: Escape, own: &[String], watcher: &mut dyn Watcher) -> Template {
    match &node.value {
        Yaml::Null => Template::Plain(Value::from(())),
        Yaml::Bool(value) => Template::Plain(Value::from(*value)),
        Yaml::Int(value) => Template::Plain(Value::from(*value)),
        Yaml::Text(text) => compile_text(node.at, text, escape, own, watcher),
        Yaml::List(items) => {
            Template::List(items.iter().map(|item| compile(item, escape, own, watcher)).collect())
        }
        Yaml::Map(members) if members.iter().any(|(key, _)| key.name == "$each") => {
            each(node, members, escape, own, watcher)
        }
        Yaml::Map(members) => {
            let mut compiled = Vec::new();
            for (key, value) in members {
                let template = compile(value, escape, own, watcher);
                match key.name.as_str() {
                    "$merge" => compiled.push(Member::Merge(template)),
                    name if name.starts_with('$') => {
                        watcher.wrong(key.at, format!("`{name}` is not known; `$each` and `$merge` are"))
                    }
                    name => compiled.push(Member::Named(name.to_owned(), template)),
                }
            }
            Template::Map(compiled)
        }
    }
}

fn compile_text(at: At, text: &str, escape: Escape, own: &[String], watcher: &mut dyn Watcher) -> Template {
    if let Some(source) = whole(text) {
        let expression = Expression { at, source: source.to_owned() };
        watcher.uses(at, expression.variables(), own);
        // A part of a URL is escaped even when it stands alone.
        if escape == Escape::None {
            return Template::Whole(expression);
        }
    } else if text.contains("{{") || text.contains("{%") {
        watcher.uses(at, expression::template_variables(text), own);
    } else {
        return Template::Plain(Value::from(text));
    }
    Template::Text { at, source: text.to_owned(), escape }
}

/// The expression when the text is one `{{ … }}` and nothing else.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

fn each(
    node: &Node,
    members: &[(super::yaml::Key, Node)],
    escape: Escape,
    own: &[String],
    watcher: &mut dyn Watcher,
) -> Template {
    let (mut list, mut name, mut item) = (None, None, None);
    for (key, value) in members {
        match (key.name.as_str(), &value.value) {
            ("$each", Yaml::Text(source)) => {
                let expression =
                    Expression { at: value.at, source: whole(source).unwrap_or(source).to_owned() };
                watcher.uses(value.at, expression.variables(), own);
                list = Some(expression);
            }
            ("as", Yaml::Text(text)) => name = Some(text.clone()),
            ("item", _) => item = Some(value),
            _ => watcher.wrong(key.at, "`$each` takes an expression, `as` a name and `item`".to_owned()),
        }
    }
    let (Some(list), Some(name), Some(item)) = (list, name, item) else {
        watcher.wrong(node.at, "`$each` needs `as` and `item` beside it".to_owned());
        return Template::Plain(Value::from(()));
    };
    let mut inner = own.to_vec();
    inner.push(name.clone());
    Template::Each { list, name, item: Box::new(compile(item, escape, &inner, watcher)) }
}
