//! Rates that a file declares: measured where the requests arrive.

use super::features::{HEAD, the_zone};
use super::*;
use crate::support::{Told, Web, change, name, txt};
use danesmith_providers::{Class, Provider};
use serde_json::json;
use std::sync::Mutex;
use std::time::Instant;

fn body(rate: &str) -> String {
    format!(
        r#"
{HEAD}
http: {{base: "{{{{ config.url }}}}", {rate}}}
zone: {{find: {{get: "/zone/{{{{ candidate }}}}", items: "[body]"}}, zone: {{name: "{{{{ item.name }}}}", id: z1}}}}
list: {{get: "/{{{{ zone.name }}}}/r", items: body, ttl: "60", value: "{{{{ item }}}}"}}
add: {{post: "/{{{{ zone.name }}}}/r", json: {{v: "{{{{ value }}}}"}}}}
remove: {{post: /}}
"#
    )
}

type Arrivals = Arc<Mutex<Vec<(Instant, String)>>>;

/// Two zones whose records are what was added; when each request came, and which it was.
fn host() -> (Web, Arrivals) {
    let arrivals = Arrivals::default();
    let notes = arrivals.clone();
    let records: Mutex<BTreeMap<String, Vec<String>>> = Mutex::default();
    let web = Web::start(move |asked, _| {
        notes.lock().unwrap().push((Instant::now(), asked.line()));
        if asked.target == "/zone/other.test" {
            return Told::json(200, json!({"name": "other.test"}));
        }
        the_zone(&asked.target).unwrap_or_else(|| {
            let mut records = records.lock().unwrap();
            let here = records.entry(asked.target.clone()).or_default();
            if asked.method == "POST" {
                here.push(asked.json()["v"].as_str().unwrap().to_owned());
            }
            Told::json(200, json!(here))
        })
    });
    (web, arrivals)
}

/// One value into each of two zones at the same time.
async fn add_to_both(rate: &str, web: &Web, deadline: u64) -> [Result<(), danesmith_providers::Error>; 2] {
    let spec = Spec::parse(&body(rate), "rates.yaml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    let mut options = options();
    options.deadline = Duration::from_secs(deadline);
    let provider = provider(Arc::new(spec), &[("url", &web.url())], options);
    let add = async |zone: &str| {
        let one = [change(&format!("_acme-challenge.{zone}"), &[txt("v")], &[])];
        provider.apply(&name(zone), &one).await.map(|_| ())
    };
    let (first, second) = tokio::join!(add("example.test."), add("other.test."));
    [first, second]
}

/// Request `n` of a kind may not be sent before `n / count` seconds have passed. Late arrivals prove nothing, and no delay
/// makes one early.
fn none_came_early(arrivals: &Arrivals, since: Instant, of: &str, count: u64) {
    let arrivals = arrivals.lock().unwrap();
    let here = arrivals.iter().filter(|(_, line)| line.starts_with(of));
    for (n, (at, line)) in (0..).zip(here) {
        let due = Duration::from_secs(n / count);
        assert!(*at - since >= due, "request {n}, {line}, came after {:?}, due after {due:?}", *at - since);
    }
}

fn sent(web: &Web, of: &str) -> usize {
    web.lines().iter().filter(|line| line.starts_with(of)).count()
}

#[tokio::test]
async fn the_rate_of_requests_holds_over_all_zones() {
    let ((web, arrivals), start) = (host(), Instant::now());
    for outcome in add_to_both("requests: [2/s]", &web, 30).await {
        outcome.unwrap();
    }
    assert_eq!(web.asked().len(), 8, "zone, list, add and list again, of each: {:?}", web.lines());
    none_came_early(&arrivals, start, "", 2);
}

#[tokio::test]
async fn the_rate_of_writes_holds_in_each_zone() {
    let ((web, arrivals), start) = (host(), Instant::now());
    let values = [txt("a"), txt("b"), txt("c")];
    let spec = Spec::parse(&body("rate: [1/s]"), "rates.yaml").unwrap_or_else(|p| panic!("{p:#?}"));
    let provider = provider(Arc::new(spec), &[("url", &web.url())], options());
    let names = ["example.test.", "other.test."].map(name);
    let changes = names.clone().map(|zone| {
        let at = zone.to_ascii();
        [change(&format!("_acme-challenge.{at}"), &values, &[])]
    });
    let (first, second) =
        tokio::join!(provider.apply(&names[0], &changes[0]), provider.apply(&names[1], &changes[1]));
    assert_eq!((first.unwrap().writes, second.unwrap().writes), (3, 3));
    for zone in ["Example.TEST.", "other.test"] {
        let writes = format!("POST /{zone}/");
        assert_eq!(sent(&web, &writes), 3, "{:?}", web.lines());
        none_came_early(&arrivals, start, &writes, 1);
    }
}

#[tokio::test]
async fn a_rate_that_leaves_no_time_is_told_with_the_wait() {
    let (web, _) = host();
    let outcomes = add_to_both("requests: [3/h]", &web, 20).await;
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.class, Class::RateLimited, "{error}");
        assert!(error.retry_after.unwrap() > Duration::from_secs(3000), "{:?}", error.retry_after);
    }
    assert_eq!(web.asked().len(), 3, "{:?}", web.lines());
}
