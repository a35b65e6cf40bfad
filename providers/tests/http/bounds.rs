//! Hosts whose answers never come to an end: every loop has a bound of its own, and all of them that of the call.

use super::features::{HEAD, ZONE, the_zone};
use super::*;
use crate::support::{Told, Web, zone};
use danesmith_providers::{Class, Error, Provider};
use hickory_proto::rr::RecordType::TXT;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Turns pages by number.
const PAGES: &str = r#"
http: {base: "{{ config.url }}"}
list: {get: /r, query: {page: "{{ page }}"}, items: body.items, more: body.more, ttl: "60", value: "{{ item }}"}
add: {post: /r}
remove: {post: /r}
"#;

fn with(body: &str, web: &Web, options: Options) -> HttpProvider {
    let spec = Spec::parse(&format!("{HEAD}{ZONE}{body}"), "bounds.yaml").unwrap();
    provider(Arc::new(spec), &[("url", &web.url())], options)
}

async fn list(provider: &HttpProvider) -> Error {
    provider.list(&zone(), &support::name(CHALLENGE), TXT).await.unwrap_err()
}

/// After the zone each answer is `tell` of its number.
fn host(tell: impl Fn(u32) -> Told + Send + Sync + 'static) -> Web {
    let asked_before = AtomicU32::new(0);
    Web::start(move |asked, _| {
        the_zone(&asked.target).unwrap_or_else(|| tell(asked_before.fetch_add(1, Ordering::SeqCst)))
    })
}

fn impatient(seconds: u64) -> Options {
    let mut options = options();
    options.deadline = Duration::from_secs(seconds);
    options.timeout = Duration::from_secs(60);
    options
}

#[tokio::test]
async fn pages_without_end_end_after_a_thousand() {
    let web = host(|n| Told::json(200, json!({"items": [n], "more": true})));
    let mut options = options();
    options.deadline = Duration::from_secs(120);
    let error = list(&with(PAGES, &web, options)).await;
    assert_eq!(error.class, Class::Internal, "{error}");
    assert!(error.message.contains("it has more than 1000 pages"), "{error}");
    assert_eq!(web.asked().len(), 1001, "the zone and a thousand pages");
}

#[tokio::test]
async fn a_list_of_too_many_items_is_refused() {
    let page = format!("{{\"more\": true, \"items\": [{}0]}}", "0,".repeat(99_999));
    let web = host(move |_| Told::text(200, &page));
    let mut options = options();
    options.deadline = Duration::from_secs(120);
    let error = list(&with(PAGES, &web, options)).await;
    assert_eq!(error.class, Class::Internal, "{error}");
    assert!(error.message.contains("it lists more than 200000 items"), "{error}");
    assert_eq!(web.asked().len(), 4, "the zone and three pages");
}

#[tokio::test]
async fn pages_that_are_too_long_together_are_refused() {
    let page = format!("{{\"more\": true, \"items\": []{}}}", " ".repeat(30 << 20));
    let web = host(move |_| Told::text(200, &page));
    let mut options = options();
    options.deadline = Duration::from_secs(120);
    let error = list(&with(PAGES, &web, options)).await;
    assert_eq!(error.class, Class::Internal, "{error}");
    assert!(error.message.contains("its pages have more than 64 MiB"), "{error}");
    assert_eq!(web.asked().len(), 4, "the zone and three pages");
}

#[tokio::test]
async fn slow_pages_end_when_the_time_of_the_call_is_used_up() {
    let web = host(|n| {
        std::thread::sleep(Duration::from_millis(300));
        Told::json(200, json!({"items": [n], "more": true}))
    });
    let error = list(&with(PAGES, &web, impatient(2))).await;
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(web.asked().len() <= 8, "{} requests of 0.3 s in 2 s", web.asked().len());
}

#[tokio::test]
async fn slow_details_end_when_the_time_of_the_call_is_used_up() {
    let body = r#"
http: {base: "{{ config.url }}"}
list: {get: /ids, items: body, fetch: {get: "/record/{{ item }}"}, ttl: "60", value: "{{ item.v }}"}
add: {post: /r}
remove: {post: /r}
"#;
    let web = Web::start(|asked, _| match asked.target.as_str() {
        "/ids" => Told::json(200, json!((0..100_000).collect::<Vec<u32>>())),
        target => the_zone(target).unwrap_or_else(|| {
            std::thread::sleep(Duration::from_millis(300));
            Told::json(200, json!({"v": target}))
        }),
    });
    let error = list(&with(body, &web, impatient(2))).await;
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(web.asked().len() <= 9, "{} requests of 0.3 s in 2 s", web.asked().len());
}

#[tokio::test]
async fn a_request_gets_no_more_time_than_its_call_has_left() {
    let web = host(|_| Told::Silence(Duration::from_secs(40)));
    let start = Instant::now();
    let error = list(&with(PAGES, &web, impatient(1))).await;
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.message.contains("no answer in time"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "its own timeout is 60 s: {:?}", start.elapsed());
}
