//! Interfaces of every kind that files can describe, each by a small file of its own and a host that keeps count.

use super::*;
use crate::support::{Told, Web, change, standing, texts, tlsa, txt, zone};
use danesmith_providers::Provider;
use danesmith_providers::{Applied, Class};
use hickory_proto::rr::RecordType::TXT;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What every file here begins with.
pub(super) const HEAD: &str = r#"
name: feature
title: Feature
evidence: {level: docs}
types: [TXT, TLSA]
config: {url: {}, key: {secret: true, optional: true}, user: {optional: true}}
"#;

/// A zone that is always found, without a request of its own to speak of.
pub(super) const ZONE: &str = r#"
zone: {find: {get: "/zone/{{ candidate }}", items: "[body]"}, zone: {name: "{{ item.name }}", id: z1}}
"#;

pub(super) fn feature(body: &str, web: &Web, settings: &[(&str, &str)]) -> HttpProvider {
    let text = format!("{HEAD}{body}");
    let spec = Spec::parse(&text, "feature.yaml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    let url = web.url();
    let all: Vec<(&str, &str)> =
        [("url", url.as_str())].into_iter().chain(settings.iter().copied()).collect();
    provider(Arc::new(spec), &all, options())
}

pub(super) fn the_zone(target: &str) -> Option<Told> {
    (target == "/zone/example.test").then(|| Told::json(200, json!({"name": "Example.TEST."})))
}

/// The list of five values, however it is divided into pages.
fn five() -> Vec<Value> {
    (0..5).map(|n| json!({"value": format!("v{n}")})).collect()
}

async fn listed(body: &str, web: &Web) -> Result<Vec<String>, danesmith_providers::Error> {
    let provider = feature(&format!("{ZONE}{body}"), web, &[]);
    let set = provider.list(&zone(), &support::name(CHALLENGE), TXT).await?;
    Ok(set.values.iter().map(ToString::to_string).collect())
}

const REST: &str = r#"
  ttl: "60"
  value: "{{ item.value }}"
add: {post: /}
remove: {post: /}
http: {base: "{{ config.url }}"}
"#;

#[tokio::test]
async fn pages_are_turned_by_number_cursor_and_address() {
    let web = Web::start(|asked, _| {
        let all = five();
        let page = |at: usize| all[at.min(5)..(at + 2).min(5)].to_vec();
        if let Some(zone) = the_zone(&asked.target) {
            return zone;
        }
        match asked.target.as_str() {
            "/n?page=1" => Told::json(200, json!({"items": page(0), "more": true})),
            "/n?page=2" => Told::json(200, json!({"items": page(2), "more": true})),
            "/n?page=3" => Told::json(200, json!({"items": page(4), "more": false})),
            "/c" => Told::json(200, json!({"items": page(0), "next": "b c"})),
            "/c?cursor=b%20c" => Told::json(200, json!({"items": page(2), "next": 4})),
            "/c?cursor=4" => Told::json(200, json!({"items": page(4), "next": null})),
            "/u?q=1" => Told::json(200, json!({"items": page(0), "next": "/second?x=y"})),
            "/second?x=y" => Told::json(200, json!({"items": page(2), "next": "last"})),
            "/last" => Told::json(200, json!({"items": page(4), "next": ""})),
            other => Told::text(404, other),
        }
    });
    for list in [
        "list:\n  get: /n\n  query: {page: \"{{ page }}\"}\n  items: body.items\n  more: body.more",
        "list:\n  get: /c\n  query: {cursor: \"{{ cursor }}\"}\n  items: body.items\n  next: body.next",
        "list:\n  get: /u\n  query: {q: 1}\n  items: body.items\n  next: body.next\n  next_is: url",
    ] {
        let values = listed(&format!("{list}{REST}"), &web).await.unwrap();
        assert_eq!(values, ["v0", "v1", "v2", "v3", "v4"], "{list}");
    }
}

#[tokio::test]
async fn a_next_page_at_another_host_or_in_a_circle_is_refused() {
    let other = Web::start(|_, _| Told::json(200, json!({"items": []})));
    let next = format!("{}/steal", other.url());
    let web = Web::start(move |asked, _| {
        the_zone(&asked.target).unwrap_or_else(|| match asked.target.as_str() {
            "/away" => Told::json(200, json!({"items": [], "next": next})),
            _ => Told::json(200, json!({"items": [], "next": "same"})),
        })
    });
    let list = |path: &str, is: &str| {
        format!("list:\n  get: {path}\n  items: body.items\n  next: body.next\n  next_is: {is}{REST}")
    };
    let error = listed(&list("/away", "url"), &web).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected, "{error}");
    assert!(error.message.contains(&other.url()), "{error}");
    assert_eq!(other.asked().len(), 0);
    let before = web.asked().len();
    let error = listed(&list("/circle", "cursor"), &web).await.unwrap_err();
    assert!(error.message.contains("go round in a circle"), "{error}");
    assert_eq!(web.asked().len() - before, 3, "the zone and two pages");
}

#[tokio::test]
async fn values_without_identity_are_fetched_one_by_one_waited_for_and_committed() {
    let body = format!(
        "{ZONE}{}",
        r#"
http: {base: "{{ config.url }}", json: {apikey: "{{ config.key }}"}, rate: [100/s]}
list:
  get: /ids
  query: {sub: "{{ rel }}", type: "{{ type }}"}
  items: body
  fetch: {get: "/record/{{ item }}"}
  name: item.sub
  name_form: relative
  ttl: item.ttl
  value: "{{ item.target }}"
  txt: raw
add:
  post: "/add/{{ rel }}"
  json: {target: "{{ txt }}", ttl: "{{ none if exists else ttl }}"}
  wait: {if: "body.state == 'running'", get: "/action/{{ body.id }}", until: "body.state == 'done'", failed: "body.state == 'error'"}
remove: {post: "/remove/{{ rel }}", json: {target: "{{ txt }}"}}
commit: {post: "/refresh/{{ zone.id }}"}
"#
    );
    let values: Mutex<Vec<String>> = Mutex::new(vec!["\"raw quotes\"".into()]);
    let polls = AtomicUsize::new(0);
    let web = Web::start(move |asked, _| {
        let mut values = values.lock().unwrap();
        let path = asked.target.split('?').next().unwrap();
        if let Some(zone) = the_zone(path) {
            return zone;
        }
        match path {
            "/ids" => Told::json(200, json!((0..values.len()).collect::<Vec<_>>())),
            "/add/_acme-challenge.mx" => {
                values.push(asked.json()["target"].as_str().unwrap().to_owned());
                Told::json(200, json!({"state": "running", "id": "a/1"}))
            }
            "/action/a%2F1" => {
                let state = if polls.fetch_add(1, Ordering::SeqCst) == 0 { "running" } else { "done" };
                Told::json(200, json!({"state": state}))
            }
            "/remove/_acme-challenge.mx" => {
                values.retain(|value| asked.json()["target"] != *value);
                Told::text(204, "")
            }
            "/refresh/z1" => Told::text(200, ""),
            path => match path.strip_prefix("/record/").and_then(|n| values.get(n.parse::<usize>().unwrap()))
            {
                Some(value) => {
                    Told::json(200, json!({"sub": "_acme-challenge.MX", "ttl": "120", "target": value}))
                }
                None => Told::text(404, ""),
            },
        }
    });
    let provider = feature(&body, &web, &[("key", "s3cret-k3y")]);
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (120, texts(&[txt("\"raw quotes\"")])));
    let swap = [change(CHALLENGE, &[txt("ours")], &[txt("\"raw quotes\"")])];
    assert_eq!(provider.apply(&zone(), &swap).await.unwrap(), Applied { writes: 2 });
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (120, texts(&[txt("ours")])));
    let asked = web.asked();
    let posts: Vec<&support::Asked> = asked.iter().filter(|asked| asked.method == "POST").collect();
    let lines: Vec<String> = posts.iter().map(|asked| asked.line()).collect();
    assert_eq!(
        lines,
        ["POST /add/_acme-challenge.mx", "POST /remove/_acme-challenge.mx", "POST /refresh/z1"]
    );
    assert_eq!(posts[0].json(), json!({"apikey": "s3cret-k3y", "target": "ours"}), "no TTL: the set exists");
    assert_eq!(web.lines().iter().filter(|line| line.as_str() == "GET /action/a%2F1").count(), 2);
}

#[tokio::test]
async fn sets_are_made_changed_and_cleared_under_their_etag() {
    let body = format!(
        "{ZONE}{}",
        r#"
http: {base: "{{ config.url }}"}
list:
  get: "/sets/{{ rel or '@' }}/{{ type }}"
  missing: empty
  items: "[body]"
  records: item.values
  value: "{{ record.v | join('') }}"
  skip: record.v == none
  ttl: item.ttl
  etag: headers.etag
per_type: {TXT: {v: ["{{ txt }}"]}, TLSA: {v: ["{{ value }}"]}}
replace: &write
  put: "/sets/{{ rel or '@' }}/{{ type }}"
  headers: {If-None-Match: "*"}
  json: {ttl: "{{ ttl }}", values: {$each: final, as: r, item: "{{ r.raw or r.rdata }}"}}
update:
  put: "/sets/{{ rel or '@' }}/{{ type }}"
  headers: {If-Match: "{{ etag }}"}
  json: {ttl: "{{ ttl }}", values: {$each: final, as: r, item: "{{ r.raw or r.rdata }}"}, extra: "{{ set.extra | default(none) }}"}
clear: {delete: "/sets/{{ rel or '@' }}/{{ type }}", headers: {If-Match: "{{ etag }}"}}
"#
    );
    let state: Mutex<(u32, Option<Value>)> = Mutex::new((1, None));
    let web = Web::start(move |asked, number| {
        let mut state = state.lock().unwrap();
        if let Some(zone) = the_zone(&asked.target) {
            return zone;
        }
        assert_eq!(asked.target, "/sets/_acme-challenge.mx/TXT");
        let tag = format!("\"{}\"", state.0);
        let matches = asked.header("if-match").is_none_or(|given| given == tag);
        let absent = asked.header("if-none-match").is_none() || state.1.is_none();
        match asked.method.as_str() {
            "GET" => match &state.1 {
                Some(set) => Told::json(200, set.clone()).with("ETag", &tag),
                None => Told::text(404, "nothing here"),
            },
            // Somebody else is faster once.
            "PUT" if number == 2 => {
                *state = (
                    7,
                    Some(
                        json!({"ttl": 99, "values": [{"v": ["the", "irs"], "note": 1}], "extra": {"k": "v"}}),
                    ),
                );
                Told::text(412, "")
            }
            "PUT" if matches && absent => {
                *state = (state.0 + 1, Some(asked.json()));
                Told::text(200, "")
            }
            "DELETE" if matches => {
                *state = (state.0 + 1, None);
                Told::text(204, "")
            }
            _ => Told::text(412, ""),
        }
    });
    let provider = feature(&body, &web, &[]);
    let applied = provider.apply(&zone(), &[change(CHALLENGE, &[txt("ours")], &[])]).await.unwrap();
    assert_eq!(applied, Applied { writes: 2 });
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (99, texts(&[txt("theirs"), txt("ours")])));
    let asked = web.asked();
    let puts: Vec<&support::Asked> = asked.iter().filter(|asked| asked.method == "PUT").collect();
    assert_eq!((puts[0].header("if-none-match"), puts[1].header("if-match")), (Some("*"), Some("\"7\"")));
    assert_eq!(
        puts[1].json(),
        json!({"ttl": 99, "values": [{"v": ["the", "irs"], "note": 1}, {"v": ["ours"]}], "extra": {"k": "v"}}),
        "what is not ours goes back as it came"
    );
    provider.apply(&zone(), &[change(CHALLENGE, &[], &[txt("ours"), txt("theirs")])]).await.unwrap();
    assert_eq!(web.lines().iter().filter(|line| line.starts_with("DELETE")).count(), 1);
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (0, vec![]));
}

#[tokio::test]
async fn a_preflight_without_the_permission_to_write_is_refused() {
    let body = format!(
        "{ZONE}{}",
        r#"
http: {base: "{{ config.url }}"}
list: {get: /r, items: body, ttl: "60", value: "{{ item }}"}
add: {post: /r}
remove: {post: /r}
probe: {delete: "/r/{{ nonce }}", expect: not-found}
"#
    );
    let web = Web::start(|asked, _| match asked.method.as_str() {
        "DELETE" => Told::text(403, "read only"),
        _ => the_zone(&asked.target).unwrap_or_else(|| Told::json(200, json!([]))),
    });
    let error =
        feature(&body, &web, &[]).preflight(&zone(), &[(support::name(CHALLENGE), TXT)]).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error}");
    assert!(error.message.contains("read only"), "{error}");
}

#[tokio::test]
async fn two_zones_of_one_name_are_not_guessed_at() {
    let body = r#"
http: {base: "{{ config.url }}"}
zone: {list: {get: /zones, items: body}, zone: {name: "{{ item.name }}", id: "{{ item.id }}"}}
list: {get: /r, items: body, ttl: "60", value: "{{ item }}"}
add: {post: /r}
remove: {post: /r}
"#;
    let zones = json!([{"name": "example.test", "id": 1}, {"name": "EXAMPLE.test.", "id": 2}, {"name": "test", "id": 3}]);
    let web = Web::start(move |_, _| Told::json(200, zones.clone()));
    let provider = feature(body, &web, &[]);
    let error = provider.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected, "{error}");
    assert!(error.message.contains("2 zones called example.test"), "{error}");
}

#[tokio::test]
async fn an_expression_that_never_ends_is_stopped() {
    let body = format!(
        "{ZONE}{}",
        r#"
http: {base: "{{ config.url }}"}
list:
  get: /r
  items: body
  ttl: "60"
  value: "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}"
add: {post: /r}
remove: {post: /r}
"#
    );
    let web = Web::start(|asked, _| the_zone(&asked.target).unwrap_or_else(|| Told::json(200, json!([1]))));
    let error = feature(&body, &web, &[]).list(&zone(), &support::name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Internal, "{error}");
    assert!(error.message.contains("too many steps"), "{error}");
}
