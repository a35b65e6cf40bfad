//! A step and its variables become a request.

use super::client::Request;
use super::expression::{self, Scope};
use super::sign;
use super::spec::{Body, Http, Sign, Step};
use super::template::Template;
use minijinja::value::{Value, ValueKind};
use reqwest::Url;

/// Renders a step. `url` overrides its path and query (the next page); `shared` adds what all requests have.
pub(super) fn build(
    http: &Http,
    base: &str,
    step: &Step,
    scope: &Scope,
    url: Option<&Url>,
    shared: bool,
) -> Result<Request, String> {
    let common = |template: &Option<Template>| match template {
        Some(template) if shared => template.pairs(scope),
        _ => Ok(vec![]),
    };
    let own = |template: &Option<Template>| match template {
        Some(template) => template.pairs(scope),
        None => Ok(vec![]),
    };
    let target = match url {
        Some(url) => url.clone(),
        None => {
            let mut target = target(base, step, scope)?;
            let pairs = [common(&http.query)?, own(&step.query)?].concat();
            add_query(&mut target, &pairs);
            target
        }
    };
    let (content_type, payload) = payload(http, step, scope, shared)?;
    let signable = scope.with("payload", String::from_utf8_lossy(&payload).into_owned());
    let mut headers = common(&http.headers)?;
    let own_headers = step.headers.as_ref().map(|template| template.pairs(&signable)).transpose()?;
    for (name, value) in own_headers.unwrap_or_default() {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    }
    Ok(Request { method: step.method, url: target, headers, content_type, payload })
}

/// Adds a signature.
pub(super) fn signed(sign: &Sign, request: &mut Request, scope: &Scope, now: u64) -> Result<(), String> {
    let added = sign::sign(sign, request, scope, now)?;
    request.headers.extend(added.headers);
    add_query(&mut request.url, &added.query);
    Ok(())
}

fn target(base: &str, step: &Step, scope: &Scope) -> Result<Url, String> {
    let path = step.path.text(scope)?.unwrap_or_default();
    let text = match path.as_str() {
        absolute if absolute.starts_with("https://") || absolute.starts_with("http://") => path,
        "" => base.to_owned(),
        relative if relative.starts_with('/') => format!("{}{path}", base.trim_end_matches('/')),
        _ => format!("{}/{path}", base.trim_end_matches('/')),
    };
    // The parser would climb up, drop line breaks, and so ask for something else than the file says.
    let climbs =
        |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    if !text.bytes().all(|octet| octet.is_ascii_graphic()) || before_query.split('/').any(climbs) {
        return Err("its address would not be what it says".to_owned());
    }
    Url::parse(&text).map_err(|e| format!("its address is no URL: {e}"))
}

fn add_query(url: &mut Url, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", expression::escaped(name, ""), expression::escaped(value, "")))
        .collect();
    let encoded = encoded.join("&");
    let all = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{encoded}"),
        None => encoded,
    };
    url.set_query(Some(&all));
}

fn payload(
    http: &Http,
    step: &Step,
    scope: &Scope,
    shared: bool,
) -> Result<(Option<String>, Vec<u8>), String> {
    match &step.body {
        Body::None => Ok((None, vec![])),
        Body::Json(template) => {
            let own = template.render(scope)?;
            let common = match &http.json {
                Some(template) if shared && own.kind() == ValueKind::Map => Some(template.render(scope)?),
                _ => None,
            };
            let octets = json(common.as_ref(), &own)?;
            Ok((Some("application/json".to_owned()), octets))
        }
        Body::Form(template) => {
            let pairs = template.pairs(scope)?;
            let encoded: Vec<String> = pairs
                .iter()
                .map(|(name, value)| {
                    format!("{}={}", expression::escaped(name, ""), expression::escaped(value, ""))
                })
                .collect();
            Ok((Some("application/x-www-form-urlencoded".to_owned()), encoded.join("&").into_bytes()))
        }
        Body::Text { content_type, text } => {
            let text = text.text(scope)?.unwrap_or_default();
            Ok((Some(content_type.clone()), text.trim().as_bytes().to_vec()))
        }
    }
}

fn json(common: Option<&Value>, own: &Value) -> Result<Vec<u8>, String> {
    let plain = |value: &Value| serde_json::to_value(value).map_err(|e| e.to_string());
    let mut whole = plain(own)?;
    if let (Some(common), serde_json::Value::Object(members)) = (common, &mut whole)
        && let serde_json::Value::Object(more) = plain(common)?
    {
        for (name, value) in more {
            members.entry(name).or_insert(value);
        }
    }
    serde_json::to_vec(&whole).map_err(|e| e.to_string())
}
