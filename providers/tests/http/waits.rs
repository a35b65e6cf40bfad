//! Hosts that take a change and carry it out later: done, given up, or never heard of again.

use super::features::{HEAD, ZONE, the_zone};
use super::*;
use crate::support::{Told, Web, change, txt, zone};
use danesmith_providers::{Applied, Class, Error, Provider};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

const BODY: &str = r#"
http: {base: "{{ config.url }}"}
list: {get: /r, items: body, ttl: "60", value: "{{ item }}"}
add:
  post: /r
  wait: {if: "body.state != 'done'", get: "/jobs/{{ body.id }}", until: "body.state == 'done'", failed: "body.state == 'error'"}
remove: {post: /r}
"#;

/// What an addition comes to where its job goes through `states`; the last one stays.
async fn add(states: &'static [&'static str], deadline: u64) -> (Result<Applied, Error>, Vec<String>) {
    let polls = AtomicU32::new(0);
    let state = |n: usize| states[n.min(states.len() - 1)];
    let web = Web::start(move |asked, _| match asked.line().as_str() {
        "POST /r" => Told::json(200, json!({"id": 7, "state": state(0)})),
        "GET /jobs/7" => {
            let n = polls.fetch_add(1, Ordering::SeqCst) as usize + 1;
            Told::json(200, json!({"state": state(n), "why": "the zone is locked by s3cret-k3y"}))
        }
        "GET /r" => {
            let done =
                polls.load(Ordering::SeqCst) as usize >= states.len() - 1 && states.ends_with(&["done"]);
            Told::json(200, if done { json!(["ours"]) } else { json!([]) })
        }
        _ => the_zone(&asked.target).unwrap_or_else(|| Told::text(404, "")),
    });
    let spec = Spec::parse(&format!("{HEAD}{ZONE}{BODY}"), "waits.yaml").unwrap();
    let mut options = options();
    options.deadline = Duration::from_secs(deadline);
    let provider = provider(Arc::new(spec), &[("url", &web.url()), ("key", "s3cret-k3y")], options);
    (provider.apply(&zone(), &[change(CHALLENGE, &[txt("ours")], &[])]).await, web.lines())
}

fn count(lines: &[String], wanted: &str) -> usize {
    lines.iter().filter(|line| line.as_str() == wanted).count()
}

#[tokio::test]
async fn a_job_is_asked_about_until_it_is_done() {
    let (outcome, lines) = add(&["queued", "running", "done"], 20).await;
    assert_eq!(outcome.unwrap(), Applied { writes: 1 });
    assert_eq!(count(&lines, "GET /jobs/7"), 2, "{lines:?}");
}

#[tokio::test]
async fn a_job_that_failed_is_no_change_and_is_told_in_the_hosts_words() {
    for states in [&["running", "error"][..], &["error", "error"][..]] {
        let (outcome, lines) = add(states, 20).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.class, Class::Rejected, "{error}");
        assert!(error.message.contains("took the change and gave it up"), "{error}");
        assert!(error.message.contains("the zone is locked by [secret]"), "{error}");
        assert_eq!((count(&lines, "POST /r"), count(&lines, "GET /jobs/7")), (1, 1), "{lines:?}");
    }
}

#[tokio::test]
async fn a_job_that_never_ends_is_transient_and_not_sent_again() {
    let (outcome, lines) = add(&["running"], 4).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.message.contains("still not done with it"), "{error}");
    assert_eq!(count(&lines, "POST /r"), 1, "{lines:?}");
    assert!(count(&lines, "GET /jobs/7") >= 2, "{lines:?}");
}

/// The vendor's reference: an action is `running`, `success` or `error`.
#[tokio::test]
async fn an_action_of_hetzner_that_ended_in_error_is_no_change() {
    let told = |status: &str| json!({"action": {"id": 5, "status": status, "error": {"code": "action_failed", "message": "Action failed"}}});
    for (first, then) in [("running", "error"), ("error", "error")] {
        let (first, then): (Value, Value) = (told(first), told(then));
        let web = Web::start(move |asked, _| {
            let path = asked.target.split('?').next().unwrap();
            match (asked.method.as_str(), path) {
                ("GET", "/zones") => Told::json(200, json!({"zones": [{"id": 7, "name": "example.test"}]})),
                ("GET", "/zones/actions/5") => Told::json(200, then.clone()),
                ("GET", _) => {
                    Told::json(200, json!({"rrsets": [], "meta": {"pagination": {"next_page": null}}}))
                }
                _ => Told::json(201, first.clone()),
            }
        });
        let provider =
            builtin("hetznercloud", &[("url", &web.url()), ("api_token", "s3cret-k3y")], options());
        let error = provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap_err();
        assert_eq!(error.class, Class::Rejected, "{error}");
        assert!(error.message.contains("gave it up") && error.message.contains("Action failed"), "{error}");
        assert_eq!(web.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
    }
}
