//! A fake of one host, described by `cases/NAME.yaml`: which requests it knows, what it answers, which of them write. A
//! write that does not say what was announced ([`Said`]) is complained of and changes nothing.

use super::carried::Said;
use super::files::here;
use super::sample::Sample;
use super::tree::{self, Scope};
use super::wire::{Reply, Request};
use super::zone::Zone;
use danesmith_providers::Semantics;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Configuration that "T-FIELD" does not serve.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Json>,
    /// What the fake takes for true of the host without having seen it.
    pub(crate) assumes: String,
    pub(crate) answers: Vec<Answer>,
    /// What a request of that host looks like, from a source of its own.
    pub(crate) sample: Option<Sample>,
    /// Why no second value is tried beside another.
    pub(crate) alone: Option<String>,
    /// Headers and members of bodies that differ from run to run.
    #[serde(default)]
    pub(crate) mask: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// Method and path; `*` stands for any part of one segment.
    on: String,
    /// Expressions that must hold, or not.
    when: Option<String>,
    unless: Option<String>,
    /// The method of an XML-RPC call.
    rpc: Option<String>,
    does: Option<Effect>,
    /// The part of a writing request that says what shall stand, as an expression; none: all of it.
    says: Option<String>,
    /// The id of the record that the answer is about, as `r`.
    find: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<Json>,
    text: Option<String>,
    xml: Option<String>,
    xmlrpc: Option<Json>,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Effect {
    Write,
    Commit,
}

fn ok() -> u16 {
    200
}

impl Case {
    pub(crate) fn of(name: &str) -> Case {
        let path = here().join(format!("tests/catalog/cases/{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// A running fake.
pub(crate) struct Fake {
    pub(crate) case: Case,
    semantics: Semantics,
    pub(crate) zone: Mutex<Zone>,
    pub(crate) seen: Mutex<Vec<Request>>,
    /// Requests that it did not understand, or that lack what they should carry.
    pub(crate) complaints: Mutex<Vec<String>>,
}

impl Fake {
    pub(crate) fn new(case: Case, semantics: Semantics) -> Fake {
        Fake { case, semantics, zone: Mutex::default(), seen: Mutex::default(), complaints: Mutex::default() }
    }

    pub(crate) fn answer(&self, request: Request) -> Reply {
        self.seen.lock().expect("unpoisoned").push(request.clone());
        let mut zone = self.zone.lock().expect("unpoisoned");
        let mut scope = zone.scope();
        describe(&request, &mut scope);
        let Some(answer) = self.case.answers.iter().find(|answer| answer.fits(&request, &scope)) else {
            self.complain(format!("no answer to {} {} {}", request.method, request.target, request.body));
            return reply(501, "text/plain", String::new());
        };
        match answer.does {
            Some(Effect::Write) => self.write(answer, &request, &scope, &mut zone),
            Some(Effect::Commit) => zone.commits += 1,
            None => {}
        }
        answer.reply(scope)
    }

    fn write(&self, answer: &Answer, request: &Request, scope: &Scope, zone: &mut Zone) {
        let part = answer.says.as_ref().map(|part| tree::evaluate(part, scope).to_string());
        let said = Said::of(request, part);
        let sole = self.case.alone.is_some();
        let why = match zone.pending.take() {
            None => Some("nothing is left to write".to_owned()),
            Some(change) => match said.wrong(&change, zone, self.semantics, sole) {
                None => return zone.write(change),
                wrong => wrong,
            },
        };
        let Request { method, target, body, .. } = request;
        self.complain(format!("a wrong write, {}: {method} {target} {body}", why.unwrap_or_default()));
    }

    fn complain(&self, why: String) {
        self.complaints.lock().expect("unpoisoned").push(why);
    }
}

fn describe(request: &Request, scope: &mut Scope) {
    let path: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    scope.insert("path".into(), json!(path));
    scope.insert("q".into(), Json::Object(request.query.clone()));
    scope.insert("body".into(), request.content());
    scope.insert("target".into(), json!(request.header("x-amz-target")));
    scope.insert("now".into(), json!(jiff::Timestamp::now().as_second()));
}

impl Answer {
    /// Whether this makes writes count.
    pub(crate) fn commits(&self) -> bool {
        self.does == Some(Effect::Commit)
    }

    fn fits(&self, request: &Request, scope: &Scope) -> bool {
        same_request(&self.on, request)
            && self.when.as_ref().is_none_or(|when| tree::holds(when, scope))
            && self.unless.as_ref().is_none_or(|unless| !tree::holds(unless, scope))
            && self
                .rpc
                .as_ref()
                .is_none_or(|name| request.body.contains(&format!("<methodName>{name}</methodName>")))
    }

    fn reply(&self, mut scope: Scope) -> Reply {
        if let Some(find) = &self.find {
            let id = tree::evaluate(find, &scope);
            let found = scope["records"]
                .as_array()
                .expect("a list")
                .iter()
                .find(|record| record["id"] == id)
                .cloned();
            match found {
                Some(record) => scope.insert("r".into(), record),
                None => return reply(404, "application/json", "null".into()),
            };
        }
        let mut out = match (&self.json, &self.text, &self.xml, &self.xmlrpc) {
            (Some(json), ..) => {
                reply(self.status, "application/json", tree::render(json, &scope).to_string())
            }
            (_, Some(text), ..) => reply(self.status, "text/plain", tree::text_of(text, &scope)),
            (_, _, Some(xml), _) => reply(self.status, "text/xml", tree::text_of(xml, &scope)),
            (_, _, _, Some(value)) => reply(self.status, "text/xml", rpc(&tree::render(value, &scope))),
            _ => reply(self.status, "text/plain", String::new()),
        };
        out.headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        out
    }
}

fn reply(status: u16, kind: &str, body: String) -> Reply {
    Reply { status, headers: vec![("content-type".into(), kind.into())], body }
}

/// Whether a request fits "METHOD /path/*/with*stars".
pub(crate) fn same_request(pattern: &str, request: &Request) -> bool {
    let (method, path) = pattern.split_once(' ').expect("method and path");
    let (wanted, given): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), request.path.split('/').collect());
    method == request.method
        && wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| match wanted.split_once('*') {
            Some((head, tail)) => given.starts_with(head) && given.ends_with(tail) && !given.is_empty(),
            None => wanted == given,
        })
}

/// An XML-RPC answer (xmlrpc.com/spec).
fn rpc(value: &Json) -> String {
    format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param>{}</param></params></methodResponse>",
        rpc_value(value)
    )
}

fn rpc_value(value: &Json) -> String {
    let inner = match value {
        Json::Array(items) => {
            format!("<array><data>{}</data></array>", items.iter().map(rpc_value).collect::<String>())
        }
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| {
                format!("<member><name>{name}</name>{}</member>", rpc_value(value))
            };
            format!("<struct>{}</struct>", members.iter().map(member).collect::<String>())
        }
        Json::Number(number) => format!("<int>{number}</int>"),
        other => {
            let text = tree::plain(other).replace('&', "&amp;").replace('<', "&lt;");
            format!("<string>{text}</string>")
        }
    };
    format!("<value>{inner}</value>")
}
