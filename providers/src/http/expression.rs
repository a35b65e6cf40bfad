//! Expressions and templates: minijinja, bounded, with the few filters that APIs need.

use super::yaml::At;
use super::{crypto, totp, value};
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Steps of one evaluation; a page of 1,000 records filtered twice needs about 40,000. Our choice.
const FUEL: u64 = 2_000_000;

/// For values: what is undefined is an error, except where it is only asked whether it is there.
static STRICT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(UndefinedBehavior::SemiStrict));
/// For conditions over answers of any shape: what is undefined is false, and so are its members.
static LENIENT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(UndefinedBehavior::Chainable));

/// The variables that an expression sees.
#[derive(Clone, Default)]
pub(super) struct Scope(BTreeMap<&'static str, Value>, BTreeMap<String, Value>);

impl Scope {
    /// This scope and one variable more, or another value of it.
    pub(super) fn with(&self, name: &'static str, value: impl Into<Value>) -> Scope {
        let mut scope = self.clone();
        scope.set(name, value);
        scope
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.insert(name, value.into());
    }

    /// A variable that the file names itself (`$each … as`).
    pub(super) fn with_own(&self, name: &str, value: Value) -> Scope {
        let mut scope = self.clone();
        scope.1.insert(name.to_owned(), value);
        scope
    }

    /// All variables as one value.
    pub(super) fn value(&self) -> Value {
        let fixed = self.0.iter().map(|(name, value)| (*name, value.clone()));
        let own = self.1.iter().map(|(name, value)| (name.as_str(), value.clone()));
        Value::from_pairs(fixed.chain(own))
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).entries(self.1.keys()).finish()
    }
}

/// One expression of a file.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    pub(super) at: At,
    pub(super) source: String,
}

impl Expression {
    /// Its value; undefined is an error.
    pub(super) fn value(&self, scope: &Scope) -> Result<Value, String> {
        let value = self.evaluate(&STRICT, scope)?;
        if value.is_undefined() {
            return Err(self.story("it is not there"));
        }
        Ok(value)
    }

    /// Whether it holds; undefined counts as false.
    pub(super) fn holds(&self, scope: &Scope) -> Result<bool, String> {
        Ok(self.evaluate(&LENIENT, scope)?.is_true())
    }

    /// Its value, or nothing when any part of it is not there.
    pub(super) fn lookup(&self, scope: &Scope) -> Option<Value> {
        let value = self.evaluate(&LENIENT, scope).ok()?;
        (!value.is_undefined() && !value.is_none()).then_some(value)
    }

    fn evaluate(&self, environment: &Environment<'static>, scope: &Scope) -> Result<Value, String> {
        let compiled = environment.compile_expression(&self.source).map_err(|e| self.story(&words(&e)))?;
        compiled.eval(scope.value()).map_err(|e| self.story(&words(&e)))
    }

    fn story(&self, why: &str) -> String {
        format!("`{}` (line {}) has no value here: {why}", self.source, self.at.line)
    }

    /// Names it uses, with members: `config.url`.
    pub(super) fn variables(&self) -> Result<BTreeSet<String>, String> {
        let compiled = STRICT.compile_expression(&self.source).map_err(|e| words(&e))?;
        compiled.eval(()).map(|_| ()).or_else(only_unknown_names)?;
        unknown_filters(&self.source)?;
        Ok(compiled.undeclared_variables(true).into_iter().collect())
    }
}

/// How text that is put together out of parts is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// RFC 3986 §2.1, so that a value cannot leave its path segment; `| safe` opts out.
    Url,
    /// So that a value cannot leave its element.
    Xml,
}

impl Escape {
    fn name(self) -> &'static str {
        match self {
            Escape::None => "text",
            Escape::Url => "text.url",
            Escape::Xml => "text.xml",
        }
    }
}

/// Text with expressions in it.
pub(super) fn render(source: &str, escape: Escape, scope: &Scope) -> Result<String, String> {
    STRICT.render_named_str(escape.name(), source, scope.value()).map_err(|e| words(&e))
}

/// Names that a template uses, with members.
pub(super) fn template_variables(source: &str) -> Result<BTreeSet<String>, String> {
    let template = STRICT.template_from_str(source).map_err(|e| words(&e))?;
    unknown_filters(source)?;
    Ok(template.undeclared_variables(true).into_iter().collect())
}

/// Evaluated without variables an expression may lack values, but nothing else.
fn only_unknown_names(error: Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod => Err(words(&error)),
        _ => Ok(()),
    }
}

/// minijinja looks filters and tests up when it runs; we want to know before.
fn unknown_filters(source: &str) -> Result<(), String> {
    let code = without_strings(source);
    for (mark, before) in [("|", ""), (" is not ", " "), (" is ", " ")] {
        for (at, _) in code.match_indices(mark) {
            let rest = code[at + mark.len()..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() || name == "not" {
                continue;
            }
            let probe = if before.is_empty() { format!("none|{name}") } else { format!("none is {name}") };
            let outcome = LENIENT.compile_expression(&probe).and_then(|probe| probe.eval(()).map(|_| ()));
            if let Err(error) = outcome {
                only_unknown_names(error)?;
            }
        }
    }
    Ok(())
}

/// What stands in quotes becomes spaces.
fn without_strings(source: &str) -> String {
    let mut quote = None;
    let blank = |c: char| match (quote, c) {
        (None, '\'' | '"') => {
            quote = Some(c);
            ' '
        }
        (None, c) => c,
        (Some(end), c) => {
            if c == end {
                quote = None;
            }
            ' '
        }
    };
    source.chars().map(blank).collect()
}

/// The engine's words, without the source text around them.
fn words(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::OutOfFuel => return "it takes too many steps".to_owned(),
        kind => kind.to_string(),
    };
    match error.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind,
    }
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| match name {
        name if name.ends_with(".url") => AutoEscape::Custom("url".into()),
        name if name.ends_with(".xml") => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment.set_formatter(format_value);
    environment.add_filter("aslist", as_list);
    environment.add_filter("unquote", |text: &str| value::unquoted(text));
    environment.add_filter("merge", merge);
    environment.add_filter("fromjson", from_json);
    environment.add_filter("hex", |v: &Value| octets(v).map(|octets| crypto::hex(&octets)));
    environment.add_filter("b64", |v: &Value| octets(v).map(|octets| data_encoding::BASE64.encode(&octets)));
    environment.add_filter("b64decode", |text: &str| {
        let decoded = data_encoding::BASE64.decode(text.trim().as_bytes());
        decoded.map(Value::from_bytes).map_err(|_| invalid("this is not base64"))
    });
    environment.add_filter("sha1", |v: &Value| octets(v).map(|o| Value::from_bytes(crypto::sha1(&o))));
    environment.add_filter("sha256", |v: &Value| octets(v).map(|o| Value::from_bytes(crypto::sha256(&o))));
    environment.add_filter("sha512", |v: &Value| octets(v).map(|o| Value::from_bytes(crypto::sha512(&o))));
    for (name, algorithm) in crypto::HMACS {
        environment.add_filter(*name, move |text: &Value, key: &Value| {
            Ok::<_, Error>(Value::from_bytes(crypto::hmac(*algorithm, &octets(key)?, &octets(text)?)))
        });
    }
    for (name, encoding) in crypto::RSA {
        environment.add_filter(*name, move |text: &Value, pem: &str| {
            crypto::rsa(*encoding, pem, &octets(text)?).map(Value::from_bytes).map_err(invalid)
        });
    }
    environment.add_filter("utc", utc);
    environment.add_filter("totp", |secret: &str, now: u64| totp::code(secret, now).map_err(invalid));
    environment.add_filter("google_jwt", |key: &Value, scope: &str, now: u64| {
        let member = |name: &str| key.get_attr(name).ok().and_then(|v| v.as_str().map(str::to_owned));
        crypto::google_jwt(member, scope, now).map_err(invalid)
    });
    environment
}

fn format_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() && state.env().undefined_behavior() == UndefinedBehavior::SemiStrict {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let url = matches!(state.auto_escape(), AutoEscape::Custom(name) if name == "url");
    if url && !value.is_safe() {
        return out.write_str(&escaped(&value.to_string(), PATH_KEEPS)).map_err(Error::from);
    }
    if url {
        return out.write_str(&value.to_string()).map_err(Error::from);
    }
    if value.is_none() {
        return Err(invalid("none cannot stand inside text; give it a `default`"));
    }
    minijinja::escape_formatter(out, state, value)
}

/// Characters beyond RFC 3986 "unreserved" that need no escape within one path segment (§3.3).
pub(super) const PATH_KEEPS: &str = "@:=,*";

/// Percent-encodes all but "unreserved" and `keep` (RFC 3986 §2.3).
pub(super) fn escaped(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        let c = char::from(octet);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || keep.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// Nothing is no item, a single thing is one: XML cannot tell a list of one from its item.
fn as_list(value: &Value) -> Vec<Value> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => vec![],
        ValueKind::String if value.as_str().is_some_and(str::is_empty) => vec![],
        ValueKind::Seq | ValueKind::Iterable => value.try_iter().map(Iterator::collect).unwrap_or_default(),
        _ => vec![value.clone()],
    }
}

fn merge(base: &Value, more: &Value) -> Result<Value, Error> {
    let mut merged: BTreeMap<String, Value> = BTreeMap::new();
    for map in [base, more] {
        if map.kind() != ValueKind::Map {
            return Err(invalid("`merge` wants two mappings"));
        }
        for key in map.try_iter()? {
            merged.insert(key.to_string(), map.get_item(&key)?);
        }
    }
    Ok(Value::from_pairs(merged))
}

fn from_json(text: &str) -> Result<Value, Error> {
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    parsed.map(|json| value::from_json(&json)).map_err(|_| invalid("this is not JSON"))
}

/// A Unix time in UTC; the format is strftime's.
fn utc(now: i64, format: &str) -> Result<String, Error> {
    let time = jiff::Timestamp::from_second(now).map_err(|_| invalid("the time is out of range"))?;
    Ok(time.strftime(format).to_string())
}

fn octets(value: &Value) -> Result<Vec<u8>, Error> {
    match value.as_bytes() {
        Some(octets) => Ok(octets.to_vec()),
        None if value.is_undefined() || value.is_none() => Err(Error::from(ErrorKind::UndefinedError)),
        None => Ok(value.to_string().into_bytes()),
    }
}

fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}
