//! What stands: pages of items, the zone among them, the records of one name and type.

use super::engine::{Answer, Call, Engine};
use super::expression::{Expression, Scope};
use super::options::Secrets;
use super::spec::{Pages, Step, Turn, Verdict};
use super::{client, value};
use crate::{Class, Error};
use hickory_proto::rr::{Name, RData, RecordType};
use minijinja::value::{Value, ValueKind};
use reqwest::Url;
use std::collections::HashSet;

/// Pages of one answer. Our choice: with 100 items each more than any zone we change.
const MOST_PAGES: usize = 1000;
/// Items of one answer.
const MOST_ITEMS: usize = 200_000;
/// Octets of all pages of one answer: as two of the longest.
const MOST_OCTETS: usize = 2 * client::LONGEST_BODY;

/// One record as it stands.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Canonical; none when it is not understood: then it is nobody of ours, and stays.
    pub(super) value: Option<RData>,
    /// As the host wrote it.
    pub(super) text: String,
    pub(super) raw: Value,
    pub(super) id: Value,
    pub(super) ttl: u32,
    pub(super) disabled: bool,
}

/// What stands at one name and type.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) entries: Vec<Entry>,
    /// The raw item that held the first of them.
    pub(super) item: Option<Value>,
    pub(super) etag: Option<Value>,
}

/// A zone as the host knows it.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    /// Its variables.
    pub(super) members: Value,
    pub(super) name: String,
    pub(super) min_ttl: u32,
}

/// A name without final dot, lower case.
pub(super) fn plain(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

/// The same of what a host wrote: perhaps with a final dot, upper case or U-labels.
fn normal(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    idna::domain_to_ascii(text).unwrap_or_else(|_| text.to_ascii_lowercase())
}

impl Engine {
    /// All items of all pages, each with its scope.
    async fn items(
        &self,
        pages: &Pages,
        scope: &Scope,
        call: &Call<'_>,
    ) -> Result<Vec<(Scope, Value)>, Error> {
        let mut found = Vec::new();
        let (mut page, mut cursor, mut url) = (pages.first_page, Value::from(()), None::<Url>);
        let mut seen: HashSet<String> = HashSet::new();
        let mut octets = 0;
        for _ in 0..MOST_PAGES {
            let mut inside = scope.clone();
            inside.set("page", page);
            inside.set("cursor", cursor.clone());
            inside.set("offset", found.len());
            let answer = self.step(&pages.step, &inside, url.as_ref(), call).await?;
            if answer.verdict == Verdict::Failed(Class::NotFound) {
                return Ok(found);
            }
            let step = &pages.step;
            let items = self.list(step, &pages.items, &answer.scope)?;
            found.extend(items.into_iter().map(|item| (answer.scope.clone(), item)));
            octets += answer.octets;
            if found.len() > MOST_ITEMS {
                return Err(self.defect(step, &format!("it lists more than {MOST_ITEMS} items")));
            }
            if octets > MOST_OCTETS {
                let mib = MOST_OCTETS >> 20;
                return Err(self.defect(step, &format!("its pages have more than {mib} MiB")));
            }
            match self.next(pages, &answer)? {
                None => return Ok(found),
                Some(Next::Page) => page += 1,
                Some(Next::Cursor(next)) => cursor = next,
                Some(Next::Url(next)) => url = Some(next),
            }
            let position = format!("{page} {cursor} {url:?}");
            if !seen.insert(position) {
                return Err(self.defect(step, "its pages go round in a circle"));
            }
        }
        Err(self.defect(&pages.step, &format!("it has more than {MOST_PAGES} pages")))
    }

    fn next(&self, pages: &Pages, answer: &Answer) -> Result<Option<Next>, Error> {
        let some = |expression: &Expression| {
            let value = expression.lookup(&answer.scope)?;
            value.is_true().then_some(value)
        };
        match &pages.turn {
            Turn::Never => Ok(None),
            Turn::While(more) => {
                let more = more.holds(&answer.scope).map_err(|why| self.defect(&pages.step, &why))?;
                Ok(more.then_some(Next::Page))
            }
            Turn::Cursor(next) => Ok(some(next).map(Next::Cursor)),
            Turn::Url(next) => some(next).map(|text| self.next_url(pages, answer, &text)).transpose(),
        }
    }

    /// RFC 3986 §5: relative to the page; never to another host, because our credentials go with it.
    fn next_url(&self, pages: &Pages, answer: &Answer, text: &Value) -> Result<Next, Error> {
        let url = answer.url.join(&text.to_string());
        let url = url.map_err(|_| self.defect(&pages.step, "the next page's address is no URL"))?;
        if url.origin() != answer.url.origin() {
            let place = client::quoted(&url.origin().ascii_serialization(), &Secrets::default());
            let message =
                format!("{}: the next page is said to be at {place}, another host; not asked", self.label);
            return Err(Error::new(Class::Rejected, message));
        }
        Ok(Next::Url(url))
    }

    fn value(&self, step: &Step, expression: &Expression, scope: &Scope) -> Result<Value, Error> {
        expression.value(scope).map_err(|why| self.defect(step, &why))
    }

    /// A list and nothing else: none or text must not read as "no items".
    fn list(&self, step: &Step, expression: &Expression, scope: &Scope) -> Result<Vec<Value>, Error> {
        let value = self.value(step, expression, scope)?;
        let items = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter().ok(),
            _ => None,
        };
        let no_list = || format!("`{}` is {}, not a list", expression.source, value.kind());
        items.map(Iterator::collect).ok_or_else(|| self.defect(step, &no_list()))
    }

    /// The zone of that name.
    pub(super) async fn zone(&self, zone: &Name, call: &Call<'_>) -> Result<Zone, Error> {
        let (steps, wanted) = (&self.spec.zone, plain(zone));
        let scope = self.scope().with("candidate", wanted.clone());
        let items = match self.items(&steps.pages, &scope, call).await {
            Err(error) if error.class == Class::NotFound => vec![],
            other => other?,
        };
        let mut found: Vec<Value> = Vec::new();
        for (scope, item) in items {
            let members = steps.members.render(&scope.with("item", item));
            let members = members.map_err(|why| self.defect(&steps.pages.step, &why))?;
            let name = members.get_attr("name").ok().and_then(|name| name.as_str().map(normal));
            if name.as_deref() == Some(wanted.as_str()) && !found.contains(&members) {
                found.push(members);
            }
        }
        if found.len() > 1 {
            let message = format!("{} has {} zones called {wanted}", self.label, found.len());
            return Err(
                Error::new(Class::Rejected, message).hint("leave one, or use credentials that see one")
            );
        }
        let Some(members) = found.pop() else {
            let message =
                format!("{} knows no zone {wanted}, or does not show it to these credentials", self.label);
            return Err(Error::new(Class::NotFound, message)
                .hint("check `zone`, the account and what its credentials are allowed to see"));
        };
        let scope = Scope::default().with("zone", members.clone());
        let min_ttl = match &self.spec.ttl.min_of_zone {
            Some(expression) => {
                number(&self.value(&steps.pages.step, expression, &scope)?).unwrap_or(self.spec.ttl.min)
            }
            None => self.spec.ttl.min,
        };
        Ok(Zone { members, name: wanted, min_ttl })
    }

    /// The variables of a request about one name and type.
    pub(super) fn named(&self, zone: &Zone, name: &Name, rtype: RecordType) -> Scope {
        let fqdn = plain(name);
        let rel = match fqdn.strip_suffix(zone.name.as_str()) {
            Some(rel) => rel.trim_end_matches('.').to_owned(),
            None => fqdn.clone(),
        };
        let mut scope = self.scope();
        scope.set("zone", zone.members.clone());
        scope.set("fqdn", fqdn);
        scope.set("rel", rel);
        scope.set("type", rtype.to_string());
        scope
    }

    /// What stands there. An alias, or a set that the host routes by rules of its own, is [`Class::Conflict`].
    pub(super) async fn standing(
        &self,
        zone: &Zone,
        name: &Name,
        rtype: RecordType,
        call: &Call<'_>,
    ) -> Result<Standing, Error> {
        let (list, fqdn) = (&self.spec.list, plain(name));
        let mut standing = Standing::default();
        for (scope, item) in self.items(&list.pages, &self.named(zone, name, rtype), call).await? {
            let mut scope = scope.with("item", item);
            if let Some(fetch) = &list.fetch {
                let answer = self.step(fetch, &scope, None, call).await?;
                if answer.verdict == Verdict::Failed(Class::NotFound) {
                    continue;
                }
                let body = answer.scope.value().get_attr("body").unwrap_or_default();
                scope = answer.scope.with("item", body);
            }
            if self.is_about(zone, &fqdn, rtype, &scope)? {
                self.collect(rtype, &scope, &mut standing)?;
            }
        }
        Ok(standing)
    }

    /// Whether an item is about this name and type.
    fn is_about(&self, zone: &Zone, fqdn: &str, rtype: RecordType, scope: &Scope) -> Result<bool, Error> {
        let list = &self.spec.list;
        let step = &list.pages.step;
        let holds = |expression: &Option<Expression>| match expression {
            Some(expression) => expression.holds(scope).map_err(|why| self.defect(step, &why)),
            None => Ok(false),
        };
        if let Some(expression) = &list.name {
            let given = self.value(step, expression, scope)?;
            let given = if given.is_none() { String::new() } else { given.to_string() };
            let given = match (list.relative, given.as_str()) {
                (true, "" | "@") => zone.name.clone(),
                (true, relative) => format!("{}.{}", normal(relative), zone.name),
                (false, absolute) => normal(absolute),
            };
            if given != fqdn {
                return Ok(false);
            }
        }
        if let Some(target) = list.alias.as_ref().and_then(|alias| alias.lookup(scope)) {
            let target = normal(&target.to_string());
            let message = format!("{fqdn} is an alias of {target} at {}", self.label);
            return Err(Error::new(Class::Conflict, message)
                .hint(format!("records of {fqdn} belong at {target}, in the zone that holds it")));
        }
        if let Some(expression) = &list.rtype
            && !self.value(step, expression, scope)?.to_string().eq_ignore_ascii_case(&rtype.to_string())
        {
            return Ok(false);
        }
        if list.matches.is_some() && !holds(&list.matches)? {
            return Ok(false);
        }
        if holds(&list.refuse)? {
            let message =
                format!("the {rtype} records of {fqdn} at {} follow rules that we leave alone", self.label);
            return Err(Error::new(Class::Conflict, message)
                .hint("aliased, routed or generated sets are managed where they were made"));
        }
        Ok(true)
    }

    fn collect(&self, rtype: RecordType, scope: &Scope, standing: &mut Standing) -> Result<(), Error> {
        let list = &self.spec.list;
        let step = &list.pages.step;
        let item = scope.value().get_attr("item").unwrap_or_default();
        let records: Vec<Value> = match &list.records {
            Some(expression) => self.list(step, expression, scope)?,
            None => vec![item.clone()],
        };
        for record in records {
            let scope = scope.with("record", record.clone());
            let holds = |expression: &Option<Expression>| {
                expression.as_ref().is_some_and(|expression| expression.holds(&scope).unwrap_or(false))
            };
            if holds(&list.skip) {
                continue;
            }
            let template = list.value.get(&rtype.to_string());
            let text = template.map(|template| template.text(&scope)).transpose();
            let text = text.map_err(|why| self.defect(step, &why))?.flatten().unwrap_or_default();
            let ttl = self.value(step, &list.ttl, &scope)?;
            let ttl =
                number(&ttl).ok_or_else(|| self.defect(step, &format!("`{}` is no TTL", list.ttl.source)))?;
            let id = match &list.id {
                Some(expression) => self.value(step, expression, &scope)?,
                None => Value::from(()),
            };
            let value = value::parse(rtype, &text, list.txt);
            if value.is_none() {
                tracing::warn!("{}: a {rtype} record is left alone: it is not understood", self.label);
            }
            standing.entries.push(Entry {
                value,
                text,
                raw: record,
                id,
                ttl,
                disabled: holds(&list.disabled),
            });
        }
        standing.etag =
            standing.etag.take().or_else(|| list.etag.as_ref().and_then(|etag| etag.lookup(scope)));
        standing.item.get_or_insert(item);
        Ok(())
    }
}

enum Next {
    Page,
    Cursor(Value),
    Url(Url),
}

/// A whole number, or text of one.
fn number(value: &Value) -> Option<u32> {
    match value.as_i64() {
        Some(number) => u32::try_from(number).ok(),
        None => value.as_str().and_then(|text| text.trim().parse().ok()),
    }
}
