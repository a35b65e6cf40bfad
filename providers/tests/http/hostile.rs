//! Hosts that lie, stall, send elsewhere or lose answers. The catalog's PowerDNS file is asked to cope.

use super::*;
use crate::support::{Asked, Told, Web, change, name, txt, zone};
use danesmith_providers::Provider;
use danesmith_providers::{Applied, Class, Error};
use hickory_proto::rr::RecordType::TXT;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

const API: &str = "/api/v1/servers/localhost";

/// The answer to "which zone?".
fn found(asked: &Asked) -> Option<Told> {
    asked
        .target
        .contains("?zone=")
        .then(|| Told::json(200, json!([{"id": "example.test.", "name": "example.test."}])))
}

fn set(values: &[&str]) -> Told {
    let records: Vec<_> =
        values.iter().map(|v| json!({"content": format!("\"{v}\""), "disabled": false})).collect();
    Told::json(200, json!({"rrsets": [{"name": CHALLENGE, "type": "TXT", "ttl": 60, "records": records}]}))
}

/// A host that always answers so, after the zone was found.
fn saying(told: Told) -> Web {
    Web::start(move |asked, _| found(asked).unwrap_or_else(|| told.clone()))
}

async fn add(provider: &HttpProvider) -> Result<Applied, Error> {
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("ours")], &[])]).await
}

/// What an addition says; nothing may have been written.
async fn complaint(web: &Web) -> Error {
    let error = add(&pdns(&web.url(), options())).await.unwrap_err();
    assert!(!web.lines().iter().any(|line| line.starts_with("PATCH")), "{:?}", web.lines());
    error
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = Web::start(|_, _| set(&[]));
    let web = saying(Told::text(302, "").with("Location", &format!("{}/s3cret-k3y", other.url())));
    let error = complaint(&web).await;
    assert_eq!(error.class, Class::Rejected, "{error}");
    assert!(
        error.message.contains(&format!("a redirect to {}/[secret], which is not followed", other.url())),
        "{error}"
    );
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn an_endless_body_ends() {
    let error = complaint(&saying(Told::Endless)).await;
    assert_eq!(error.class, Class::Rejected, "{error}");
    assert!(error.message.contains("more than 32 MiB"), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_never_reads_as_an_empty_zone() {
    for (told, words) in [
        (Told::text(200, "<html>Welcome to the hotel's network</html>"), "“<html>Welcome"),
        (Told::text(200, "{\"rrsets\": [{\"name\""), "what is no answer"),
        (Told::json(200, json!({})), "`body.rrsets` (line 24) has no value here"),
        (Told::json(200, json!({"rrsets": null})), "`body.rrsets` is none, not a list"),
        (Told::json(200, json!({"rrsets": "none"})), "`body.rrsets` is string, not a list"),
        (
            Told::json(200, json!({"rrsets": [{"name": CHALLENGE, "type": "TXT", "ttl": 60}]})),
            "`item.records`",
        ),
        (
            Told::json(
                200,
                json!({"rrsets": [{"name": CHALLENGE, "type": "TXT", "ttl": "soon", "records": [{"content": "x"}]}]}),
            ),
            "is no TTL",
        ),
        (Told::text(200, ""), "`body.rrsets`"),
    ] {
        let error = complaint(&saying(told)).await;
        assert_eq!(error.class, Class::Internal, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn too_many_requests_are_waited_for_in_both_forms() {
    let date = |seconds| {
        let time = jiff::Timestamp::now() + Duration::from_secs(seconds);
        time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    for (in_words, at_least) in [(false, 1000), (true, 1900)] {
        let value = if in_words { date(3) } else { "1".to_owned() };
        let refused = AtomicBool::new(false);
        let web = Web::start(move |asked, _| {
            if asked.target.contains("?zone=") && !refused.swap(true, Ordering::SeqCst) {
                return Told::text(429, "slower").with("Retry-After", &value);
            }
            found(asked).unwrap_or_else(|| set(&["ours"]))
        });
        let start = Instant::now();
        assert_eq!(add(&pdns(&web.url(), options())).await.unwrap(), Applied { writes: 0 });
        assert!(start.elapsed() >= Duration::from_millis(at_least), "{:?}", start.elapsed());
        assert_eq!(web.asked().len(), 3);
    }
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_instead() {
    let web = saying(Told::text(429, "tomorrow").with("Retry-After", "3600"));
    let start = Instant::now();
    let error = complaint(&web).await;
    assert_eq!((error.class, error.retry_after), (Class::RateLimited, Some(Duration::from_secs(3600))));
    assert!(start.elapsed() < Duration::from_secs(5), "not waited for");
}

#[tokio::test]
async fn a_refused_write_is_sent_again_only_when_nothing_was_done() {
    let writes = Arc::new(AtomicUsize::new(0));
    let count = writes.clone();
    let web = Web::start(move |asked, _| match asked.method.as_str() {
        "PATCH" if count.fetch_add(1, Ordering::SeqCst) == 0 => Told::text(429, "").with("Retry-After", "0"),
        "PATCH" => Told::text(204, ""),
        _ => found(asked)
            .unwrap_or_else(|| if count.load(Ordering::SeqCst) > 1 { set(&["ours"]) } else { set(&[]) }),
    });
    assert_eq!(add(&pdns(&web.url(), options())).await.unwrap(), Applied { writes: 1 });
    assert_eq!(writes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_lost_answer_to_a_write_is_looked_up_not_repeated() {
    for told in [Told::Nothing, Told::text(502, "bad gateway"), Told::Silence(Duration::from_secs(2))] {
        let done = AtomicBool::new(false);
        let web = Web::start(move |asked, _| match asked.method.as_str() {
            "PATCH" => {
                done.store(true, Ordering::SeqCst);
                told.clone()
            }
            _ => found(asked)
                .unwrap_or_else(|| if done.load(Ordering::SeqCst) { set(&["ours"]) } else { set(&[]) }),
        });
        let mut options = options();
        options.timeout = Duration::from_secs(1);
        assert_eq!(add(&pdns(&web.url(), options)).await.unwrap(), Applied { writes: 1 });
        assert_eq!(web.lines().iter().filter(|line| line.starts_with("PATCH")).count(), 1);
    }
}

#[tokio::test]
async fn a_host_that_forgets_what_it_took_is_told_after_five_writes() {
    let web = Web::start(|asked, _| match asked.method.as_str() {
        "PATCH" => Told::text(204, ""),
        _ => found(asked).unwrap_or_else(|| set(&["foreign"])),
    });
    let error = add(&pdns(&web.url(), options())).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "{error}");
    assert!(error.message.contains("TXT at _acme-challenge.mx.example.test"), "{error}");
    let writes: Vec<Asked> = web.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    assert_eq!(writes.len(), 5);
    for write in writes {
        let records = write.json()["rrsets"][0]["records"].clone();
        assert_eq!(records[0], json!({"content": "\"foreign\"", "disabled": false}), "passed back unchanged");
    }
}

#[tokio::test]
async fn a_conflict_is_read_again_and_decided_again() {
    let writes = AtomicUsize::new(0);
    let web = Web::start(move |asked, _| match asked.method.as_str() {
        "PATCH" if writes.fetch_add(1, Ordering::SeqCst) == 0 => Told::text(409, "busy"),
        "PATCH" => Told::text(204, ""),
        _ => found(asked).unwrap_or_else(|| match writes.load(Ordering::SeqCst) {
            0 => set(&[]),
            1 => set(&["theirs"]),
            _ => set(&["theirs", "ours"]),
        }),
    });
    assert_eq!(add(&pdns(&web.url(), options())).await.unwrap(), Applied { writes: 2 });
    let last = web.asked().into_iter().rfind(|asked| asked.method == "PATCH").unwrap().json();
    assert_eq!(last["rrsets"][0]["records"].as_array().unwrap().len(), 2, "{last}");
}

#[tokio::test]
async fn refusals_have_their_class() {
    for (status, class) in [
        (400, Class::Rejected),
        (401, Class::Auth),
        (403, Class::Auth),
        (404, Class::NotFound),
        (422, Class::Rejected),
        (429, Class::RateLimited),
        (500, Class::Transient),
        (503, Class::Transient),
    ] {
        let told = Told::json(status, json!({"error": "the peer's words"})).with("Retry-After", "100");
        let error = complaint(&saying(told)).await;
        assert_eq!(error.class, class, "{status}: {error}");
        assert!(
            error
                .message
                .contains(&format!("{API}/zones/example.test. answered {status}: “the peer's words”")),
            "{error}"
        );
        assert_eq!(error.hint.is_some(), class == Class::Auth);
    }
}

#[tokio::test]
async fn a_silent_host_is_transient() {
    let web = Web::start(|_, _| Told::Silence(Duration::from_secs(3)));
    let mut options = options();
    options.timeout = Duration::from_millis(200);
    let error = pdns(&web.url(), options).list(&zone(), &name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.message.contains("no answer in time"), "{error}");
    assert_eq!(web.asked().len(), 4, "tried four times");
}

#[tokio::test]
async fn secrets_are_in_no_error_and_no_debug_output() {
    let key = "s3cret-k3y";
    let echo = |asked: &Asked, _| {
        let key = asked.header("x-api-key").unwrap_or_default().to_owned();
        let long = format!("{}{key}", "x".repeat(295));
        Told::json(
            422,
            json!({"error": format!("the key {key}, in base64 czNjcmV0LWszeQ==, is not liked; {long}")}),
        )
    };
    let web = Web::start(echo);
    let provider = pdns(&web.url(), options());
    let error = provider.list(&zone(), &name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(web.asked()[0].header("x-api-key"), Some(key));
    let settings = given(
        Catalog::builtin().unwrap().get("powerdns").unwrap(),
        &[("url", "http://127.0.0.1:1"), ("api_key", key)],
    );
    let text = format!("{error} {error:?} {provider:?} {} {settings:?}", provider.describe());
    assert!(text.contains("the key [secret], in base64 [secret], is not liked"), "{text}");
    for part in [key, "s3cret", "czNjcmV0"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn what_a_request_carried_in_its_headers_is_not_repeated() {
    let text = include_str!("../../catalog/powerdns.yaml").replace(
        "{X-API-Key: \"{{ config.api_key }}\"}",
        "{Authorization: \"Basic {{ ('me:' ~ config.api_key) | b64 }}\"}",
    );
    let spec = Arc::new(Spec::parse(&text, "t.yaml").unwrap());
    let web = Web::start(|asked, _| {
        Told::text(401, &format!("denied: {}", asked.header("authorization").unwrap()))
    });
    let provider = provider(spec, &[("url", &web.url()), ("api_key", "s3cret-k3y")], options());
    let error = provider.list(&zone(), &name(CHALLENGE), TXT).await.unwrap_err();
    assert_eq!(web.asked()[0].header("authorization"), Some("Basic bWU6czNjcmV0LWszeQ=="));
    assert!(error.message.contains("“denied: [secret]”"), "{error}");
}

#[tokio::test]
async fn secrets_travel_encrypted_or_stay_at_home() {
    let spec = Catalog::builtin().unwrap().get("powerdns").unwrap().clone();
    let with = |url: &str, adjust: fn(&mut Options)| {
        let mut options = options();
        adjust(&mut options);
        HttpProvider::new(spec.clone(), &given(&spec, &[("url", url), ("api_key", "s3cret-k3y")]), options)
    };
    for (url, words) in [
        ("http://192.0.2.1:8081", "not encrypted"),
        ("http://localhost.example.org/", "not encrypted"),
        ("ftp://127.0.0.1/", "ftp is not http(s)"),
        ("https://user:s3cret-k3y@dns.example.org", "carries a user name or password"),
        ("dns.example.org", "no URL"),
    ] {
        let error = with(url, |_| {}).unwrap_err();
        assert_eq!(error.class, Class::Rejected);
        assert!(error.message.contains(words) && !error.message.contains("s3cret"), "{error}");
    }
    with("http://192.0.2.1:8081", |options| options.allow_http = true).unwrap();
    with("https://dns.example.org", |_| {}).unwrap();
}

#[tokio::test]
async fn settings_that_lack_or_are_not_known_are_named() {
    let spec = Catalog::builtin().unwrap().get("powerdns").unwrap().clone();
    let new = |settings: &[(&str, &str)]| HttpProvider::new(spec.clone(), &given(&spec, settings), options());
    let error = new(&[("url", "https://dns.example.org")]).unwrap_err();
    assert!(error.message.contains("lacks its setting `api_key`"), "{error}");
    let error = new(&[("url", "https://dns.example.org"), ("apikey", "x")]).unwrap_err();
    assert!(error.message.contains("has no setting `apikey`; it has url, server, api_key"), "{error}");
}
