//! A file from its first key to its last: every problem is found when it is read, none when it is used.

use super::expression::Escape;
use super::fields::{Fields, Known, Reading};
use super::settings;
use super::spec::{
    Answers, ErrorRule, Http, ListStep, Probe, Sign, Spec, TtlRules, TxtForm, Verdict, Write, ZoneStep,
};
use super::steps::{self, PAGES, REPLY, STEP, both};
use super::template::Template;
use super::yaml::{self, Node, Problem, Yaml};
use crate::{Atomicity, Semantics};
use hickory_proto::rr::RecordType;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Largest file, octets: ten times the longest of the catalog.
pub(super) const LARGEST: usize = 128 * 1024;

const KEYS: &[&str] = &[
    "name", "title", "docs", "note", "evidence", "types", "config", "atomic", "ttl", "http", "errors",
    "says", "login", "zone", "per_type", "list", "add", "remove", "replace", "update", "clear", "commit",
    "probe",
];
/// Variables that are always there.
const ALWAYS: &[&str] = &["config", "session", "now"];
/// Variables of a request about one name and type.
const NAMED: &[&str] = &["config", "session", "now", "zone", "fqdn", "rel", "type"];
/// Variables of a request about one value.
const VALUED: &[&str] = &[
    "config", "session", "now", "zone", "fqdn", "rel", "type", "ttl", "value", "txt", "tlsa", "rdata",
    "exists",
];
/// Variables of a request about a whole RRset.
const SETS: &[&str] = &[
    "config", "session", "now", "zone", "fqdn", "rel", "type", "ttl", "final", "old", "exists", "set", "etag",
];
/// Variables of one request about several RRsets.
const BATCHED: &[&str] = &["config", "session", "now", "zone", "changes"];

pub(super) fn spec(text: &str, file: &str) -> Result<Spec, Vec<Problem>> {
    if text.len() > LARGEST {
        let message = format!("is larger than {} KiB", LARGEST / 1024);
        return Err(vec![Problem { file: file.to_owned(), at: Default::default(), message }]);
    }
    let root = yaml::parse(text, file).map_err(|problem| vec![problem])?;
    let mut reading = Reading { file, known: known(&root), problems: vec![] };
    let spec = whole(&root, &mut reading);
    match spec {
        Some(spec) if reading.problems.is_empty() => Ok(spec),
        _ => {
            reading.problems.sort_by_key(|problem| (problem.at.line, problem.at.column));
            Err(reading.problems)
        }
    }
}

fn whole(root: &Node, reading: &mut Reading<'_>) -> Option<Spec> {
    let fields = reading.fields(root, "a catalog file", KEYS);
    let text = |name: &str, reading: &mut Reading<'_>| fields.get(name).and_then(|node| reading.text(node));
    let name = fields.need("name", "the file", reading).and_then(|node| settings::name(node, reading));
    let title = fields.need("title", "the file", reading).and_then(|node| reading.text(node));
    let (docs, note) = (text("docs", reading), text("note", reading));
    let evidence =
        fields.need("evidence", "the file", reading).and_then(|node| settings::evidence(node, reading));
    let types =
        fields.need("types", "the file", reading).map(|node| types(node, reading)).unwrap_or_default();
    let config = fields.get("config").map(|node| settings::fields(node, reading)).unwrap_or_default();
    let ttl = settings::ttl(fields.get("ttl"), reading);
    let http = fields.need("http", "the file", reading).and_then(|node| http(node, reading));
    let errors = fields.get("errors").map(|node| errors(node, reading)).unwrap_or_default();
    let says = fields.get("says").and_then(|node| reading.expression(node, REPLY));
    let login = fields.get("login").map(|node| login(node, reading)).unwrap_or_default();
    let zone = fields.need("zone", "the file", reading).and_then(|node| zone(node, reading));
    let per_type = per_type(fields.get("per_type"), &types, reading);
    let list = fields.need("list", "the file", reading).and_then(|node| list(node, &types, reading));
    let write = write(&fields, reading);
    let commit = fields
        .get("commit")
        .and_then(|node| steps::step(node, "`commit`", &["config", "session", "now", "zone"], reading));
    let probe = fields.get("probe").and_then(|node| probe(node, reading));
    let atomicity = match fields.get("atomic") {
        Some(node) => reading.choice(node, ATOMIC),
        None => Some(Atomicity::None),
    };
    let saved = reading.known.session.iter().cloned().collect();
    let (list, write) = (list?, write?);
    let (evidence, tlsa_evidence) = evidence?;
    let semantics = match &write {
        Write::Sets { .. } => Semantics::RrSet,
        Write::Values { .. } if list.id.is_some() => Semantics::Record,
        Write::Values { .. } => Semantics::Value,
    };
    Some(Spec {
        file: reading.file.to_owned(),
        name: name?,
        title: title?,
        docs,
        note,
        evidence,
        tlsa_evidence,
        types: types.iter().filter_map(|word| record_type(word)).collect(),
        fields: config,
        semantics,
        atomicity: atomicity?,
        ttl: ttl?,
        http: http?,
        errors,
        says,
        login,
        saved,
        zone: zone?,
        per_type,
        list,
        write,
        commit,
        probe,
    })
}

const ATOMIC: &[(&str, Atomicity)] = &[
    ("none", Atomicity::None),
    ("value", Atomicity::Value),
    ("cas", Atomicity::CompareAndSwap),
    ("batch", Atomicity::Batch),
];

fn record_type(word: &str) -> Option<RecordType> {
    match word {
        "TXT" => Some(RecordType::TXT),
        "TLSA" => Some(RecordType::TLSA),
        _ => None,
    }
}

fn types(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let words = reading.texts(node);
    if words.is_empty() {
        reading.say(node.at, "`types` must name TXT, TLSA or both");
    }
    for word in &words {
        if record_type(word).is_none() {
            reading.say(node.at, format!("`{word}` is no type that can be written; TXT and TLSA are"));
        }
    }
    words
}

/// What the file calls members of its own variables, read ahead.
fn known(root: &Node) -> Known {
    let members = |node: Option<&Node>| -> BTreeSet<String> {
        match node.map(|node| &node.value) {
            Some(Yaml::Map(members)) => members.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => BTreeSet::new(),
        }
    };
    let logins: Vec<&Node> = match child(root, "login") {
        Some(Node { value: Yaml::List(items), .. }) => items.iter().collect(),
        Some(node) => vec![node],
        None => vec![],
    };
    let mut zone = members(child(root, "zone").and_then(|node| child(node, "zone")));
    zone.insert("name".to_owned());
    Known {
        config: members(child(root, "config")),
        session: logins.into_iter().flat_map(|login| members(child(login, "save"))).collect(),
        zone,
    }
}

fn child<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.value {
        Yaml::Map(members) => members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
        _ => None,
    }
}

fn http(node: &Node, reading: &mut Reading<'_>) -> Option<Http> {
    let keys = ["base", "headers", "query", "json", "cookies", "answers", "sign", "rate", "requests"];
    let fields = reading.fields(node, "`http`", &keys);
    let base = fields.need("base", "`http`", reading)?;
    let template = |name: &str, reading: &mut Reading<'_>| {
        fields.get(name).map(|node| reading.template(node, Escape::None, ALWAYS))
    };
    let (headers, query, json) =
        (template("headers", reading), template("query", reading), template("json", reading));
    let answers = match fields.get("answers") {
        Some(node) => {
            let kinds = [("json", Answers::Json), ("xml", Answers::Xml), ("text", Answers::Text)];
            reading.choice(node, &kinds)?
        }
        None => Answers::Json,
    };
    Some(Http {
        base: reading.template(base, Escape::None, &["config"]),
        headers,
        query,
        json,
        cookies: reading.flag(fields.get("cookies")),
        answers,
        sign: fields.get("sign").and_then(|node| sign(node, reading)),
        writes: fields.get("rate").map(|node| settings::rates(node, reading)).unwrap_or_default(),
        requests: fields.get("requests").map(|node| settings::rates(node, reading)).unwrap_or_default(),
    })
}

fn sign(node: &Node, reading: &mut Reading<'_>) -> Option<Sign> {
    let kinds = reading.fields(node, "`sign`", &["aws-sigv4", "ovh", "own"]);
    let needed = |fields: &Fields<'_>, what: &str, name: &str, reading: &mut Reading<'_>| {
        let node = fields.need(name, what, reading)?;
        Some(reading.template(node, Escape::None, ALWAYS))
    };
    if let Some(node) = kinds.get("aws-sigv4") {
        let keys = ["access_key", "secret_key", "session_token", "region", "service"];
        let fields = reading.fields(node, "`aws-sigv4`", &keys);
        let session = fields.get("session_token").map(|node| reading.template(node, Escape::None, ALWAYS));
        return Some(Sign::AwsSigV4 {
            access_key: needed(&fields, "`aws-sigv4`", "access_key", reading)?,
            secret_key: needed(&fields, "`aws-sigv4`", "secret_key", reading)?,
            session_token: session,
            region: needed(&fields, "`aws-sigv4`", "region", reading)?,
            service: needed(&fields, "`aws-sigv4`", "service", reading)?,
        });
    }
    if let Some(node) = kinds.get("ovh") {
        let keys = ["application_key", "application_secret", "consumer_key"];
        let fields = reading.fields(node, "`ovh`", &keys);
        return Some(Sign::Ovh {
            application_key: needed(&fields, "`ovh`", "application_key", reading)?,
            application_secret: needed(&fields, "`ovh`", "application_secret", reading)?,
            consumer_key: needed(&fields, "`ovh`", "consumer_key", reading)?,
        });
    }
    let Some(node) = kinds.get("own") else {
        reading.say(node.at, "`sign` lacks a kind: aws-sigv4, ovh or own");
        return None;
    };
    let fields = reading.fields(node, "`own`", &["headers", "query"]);
    let scope = both(ALWAYS, &["method", "url", "host", "path", "query", "payload", "date", "nonce"]);
    let template = |name: &str, reading: &mut Reading<'_>| {
        fields.get(name).map(|node| reading.template(node, Escape::None, &scope))
    };
    Some(Sign::Own { headers: template("headers", reading), query: template("query", reading) })
}

fn errors(node: &Node, reading: &mut Reading<'_>) -> Vec<ErrorRule> {
    let Yaml::List(items) = &node.value else {
        reading.say(node.at, "`errors` must be a list");
        return vec![];
    };
    let mut rules = Vec::new();
    for item in items {
        let fields = reading.fields(item, "an error rule", &["when", "class"]);
        let when = fields.need("when", "an error rule", reading);
        let when = when.and_then(|node| reading.expression(node, REPLY));
        let verdict = fields.need("class", "an error rule", reading);
        let verdict = verdict.and_then(|node| reading.choice(node, Verdict::WORDS));
        rules.extend(when.zip(verdict).map(|(when, verdict)| ErrorRule { when, verdict }));
    }
    rules
}

fn login(node: &Node, reading: &mut Reading<'_>) -> Vec<super::spec::Step> {
    let nodes: Vec<&Node> = match &node.value {
        Yaml::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    nodes.into_iter().filter_map(|node| steps::step(node, "`login`", ALWAYS, reading)).collect()
}

fn zone(node: &Node, reading: &mut Reading<'_>) -> Option<ZoneStep> {
    let fields = reading.fields(node, "`zone`", &["find", "list", "zone"]);
    let request = fields.get("find").or_else(|| fields.get("list"));
    let pages = match request {
        Some(node) => {
            let keys = both(STEP, PAGES);
            let inner = reading.fields(node, "the zone's request", &keys);
            steps::pages(&inner, "the zone's request", &both(ALWAYS, &["candidate"]), reading)
        }
        None => {
            reading.say(fields.at, "`zone` lacks `find` (asks for one zone) or `list` (lists all)");
            None
        }
    };
    let scope = both(&both(ALWAYS, REPLY), &["item", "candidate"]);
    let members = fields.need("zone", "`zone`", reading)?;
    if child(members, "name").is_none() {
        reading.say(members.at, "`zone.zone` lacks `name`");
    }
    Some(ZoneStep { members: reading.template(members, Escape::None, &scope), pages: pages? })
}

/// What each type needs; the same for all when it is no mapping of types.
fn by_type(
    node: &Node,
    types: &[String],
    scope: &[&str],
    reading: &mut Reading<'_>,
) -> BTreeMap<String, Template> {
    match &node.value {
        Yaml::Map(members) if members.iter().all(|(key, _)| record_type(&key.name).is_some()) => {
            for word in types.iter().filter(|word| child(node, word).is_none()) {
                reading.say(node.at, format!("nothing is said for {word}, which `types` names"));
            }
            let compiled = members
                .iter()
                .map(|(key, node)| (key.name.clone(), reading.template(node, Escape::None, scope)));
            compiled.collect()
        }
        _ => {
            let template = reading.template(node, Escape::None, scope);
            types.iter().map(|word| (word.clone(), template.clone())).collect()
        }
    }
}

fn per_type(node: Option<&Node>, types: &[String], reading: &mut Reading<'_>) -> BTreeMap<String, Template> {
    let scope = both(NAMED, &["ttl", "value", "txt", "tlsa"]);
    node.map(|node| by_type(node, types, &scope, reading)).unwrap_or_default()
}

fn list(node: &Node, types: &[String], reading: &mut Reading<'_>) -> Option<ListStep> {
    let own = [
        "fetch",
        "match",
        "name",
        "name_form",
        "type",
        "ttl",
        "records",
        "value",
        "txt",
        "id",
        "etag",
        "disabled",
        "skip",
        "refuse",
        "alias",
        "settle",
    ];
    let keys = both(&both(STEP, PAGES), &own);
    let fields = reading.fields(node, "`list`", &keys);
    let pages = steps::pages(&fields, "`list`", NAMED, reading);
    let of_item = both(&both(NAMED, REPLY), &["item"]);
    let of_record = both(&of_item, &["record"]);
    let fetch = fields.get("fetch").and_then(|node| steps::step(node, "`fetch`", &of_item, reading));
    let expression = |name: &str, scope: &[&str], reading: &mut Reading<'_>| {
        fields.get(name).and_then(|node| reading.expression(node, scope))
    };
    let matches = expression("match", &of_item, reading);
    let name = expression("name", &of_item, reading);
    let rtype = expression("type", &of_item, reading);
    let (refuse, alias) = (expression("refuse", &of_item, reading), expression("alias", &of_item, reading));
    let (records, etag) = (expression("records", &of_item, reading), expression("etag", &of_item, reading));
    let (id, skip) = (expression("id", &of_record, reading), expression("skip", &of_record, reading));
    let disabled = expression("disabled", &of_record, reading);
    let ttl = fields.need("ttl", "`list`", reading).and_then(|node| reading.expression(node, &of_record));
    let value = fields.need("value", "`list`", reading);
    let value = value.map(|node| by_type(node, types, &of_record, reading)).unwrap_or_default();
    let settle = fields.get("settle").and_then(|node| reading.number(node, 1, 60)).unwrap_or(1);
    let relative = match fields.get("name_form") {
        Some(node) => reading.choice(node, &[("relative", true), ("fqdn", false)])?,
        None => false,
    };
    let txt = match fields.get("txt") {
        Some(node) => {
            let forms = [("quoted", TxtForm::Quoted), ("raw", TxtForm::Raw), ("either", TxtForm::Either)];
            reading.choice(node, &forms)?
        }
        None => TxtForm::Either,
    };
    Some(ListStep {
        pages: pages?,
        fetch,
        matches,
        name,
        relative,
        rtype,
        ttl: ttl?,
        records,
        value,
        txt,
        id,
        etag,
        disabled,
        skip,
        settle: Duration::from_secs(settle.unsigned_abs()),
        refuse,
        alias,
    })
}

fn write(fields: &Fields<'_>, reading: &mut Reading<'_>) -> Option<Write> {
    let of_record = both(VALUED, &["id", "record"]);
    match (fields.get("replace"), fields.get("add"), fields.get("remove")) {
        (Some(node), None, None) => {
            let batched = child(node, "batch").is_some();
            let replace = steps::step(node, "`replace`", if batched { BATCHED } else { SETS }, reading);
            let other = |name: &str, reading: &mut Reading<'_>| {
                let node = fields.get(name)?;
                steps::step(node, &format!("`{name}`"), SETS, reading)
            };
            let (update, clear) = (other("update", reading), other("clear", reading));
            Some(Write::Sets { replace: replace?, update, clear })
        }
        (None, Some(add), Some(remove)) => {
            let add = steps::step(add, "`add`", VALUED, reading);
            let remove = steps::step(remove, "`remove`", &of_record, reading);
            Some(Write::Values { add: add?, remove: remove? })
        }
        (Some(node), _, _) => {
            reading.say(node.at, "either `replace`, or `add` and `remove`, not both");
            None
        }
        _ => {
            reading.say(fields.at, "the file lacks a way to write: `replace`, or `add` and `remove`");
            None
        }
    }
}

fn probe(node: &Node, reading: &mut Reading<'_>) -> Option<Probe> {
    let keys = both(STEP, &["expect"]);
    let fields = reading.fields(node, "`probe`", &keys);
    let scope = both(&["config", "session", "now", "zone"], &["nonce"]);
    let step = steps::request(&fields, "`probe`", &scope, reading)?;
    let expect = match fields.get("expect").map(|node| (node, &node.value)) {
        None => vec![],
        Some((_, Yaml::List(items))) => {
            items.iter().filter_map(|node| reading.choice(node, Verdict::WORDS)).collect()
        }
        Some((node, _)) => reading.choice(node, Verdict::WORDS).into_iter().collect(),
    };
    Some(Probe { step, expect })
}

/// The rules when a file says nothing about TTLs.
impl Default for TtlRules {
    fn default() -> Self {
        // RFC 2181 §8
        let (min, max) = (0, i32::MAX.unsigned_abs());
        TtlRules { min, max, allowed: vec![], default: None, per_zone: false, min_of_zone: None }
    }
}
