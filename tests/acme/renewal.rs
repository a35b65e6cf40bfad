//! Renewal information (RFC 9773), what an order replaces, and profiles.

use crate::ca::{Request, Response};
use crate::{Scene, names, within};
use danesmith::acme::{Ca, NewOrder};
use danesmith::error::Kind;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ID: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

/// A scene whose CA answers as `script` says, with a directory that names where renewal information is.
async fn informed(mut script: impl FnMut(&Request, &str) -> Option<Response> + Send + 'static) -> Scene {
    let scene = Scene::new(danesmith::acme::AccountKey::generate().unwrap().0).await;
    scene.ca.script(move |request, base| match request.path.as_str() {
        "/dir" => {
            let at = |path: &str| format!("{base}{path}");
            let directory = json!({"newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order"),
                "renewalInfo": at("/ari/"), "meta": {"profiles": {"classic": "x", "shortlived": "y"}}});
            Some(Response::json(200, directory))
        }
        _ => script(request, base),
    });
    scene.client.register(&[], true, None).await.unwrap();
    scene
}

/// The payload of a signed request.
fn payload(request: &Request) -> Value {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body["payload"].as_str().unwrap().as_bytes()).unwrap())
        .unwrap()
}

#[test]
fn renewal_information_is_one_unsigned_request_and_says_when_to_ask_again() {
    within(async {
        let scene = informed(|request, _| {
            let window = json!({"start": "2026-12-02T04:00:00Z", "end": "2026-12-03T04:00:00+00:00"});
            let body = json!({"suggestedWindow": window, "explanationURL": "https://ca.example/why"});
            (request.path == format!("/ari/{ID}"))
                .then(|| Response::json(200, body).header("Retry-After", "21600"))
        })
        .await;
        let before = scene.client.requests();
        let told = scene.client.renewal_info(ID).await.unwrap().unwrap();
        assert_eq!(scene.client.requests() - before, 1);
        assert_eq!(scene.ca.count(&format!("GET /ari/{ID}")), 1);
        assert_eq!(told.retry_after, Some(Duration::from_secs(21_600)));
        assert_eq!(told.value.start, "2026-12-02T04:00:00Z".parse().unwrap());
        assert_eq!(told.value.end, "2026-12-03T04:00:00Z".parse().unwrap());
        assert_eq!(told.value.explanation.as_deref(), Some("https://ca.example/why"));
    });
}

#[test]
fn a_ca_without_renewal_information_is_not_asked_for_it() {
    within(async {
        let scene = Scene::registered().await;
        let before = scene.client.requests();
        assert_eq!(scene.client.renewal_info(ID).await.unwrap().map(|told| told.value), None);
        assert_eq!(scene.client.requests(), before);
    });
}

#[test]
fn nonsense_instead_of_renewal_information_is_an_error_after_one_request() {
    for (answer, words) in [
        (
            json!({"suggestedWindow": {"start": "2026-12-03T04:00:00Z", "end": "2026-12-03T04:00:00Z"}}),
            "ends before it begins",
        ),
        (json!({"suggestedWindow": {"start": "soon", "end": "later"}}), "does not know"),
        (json!({}), "does not know"),
    ] {
        within(async {
            let body = answer.clone();
            let scene = informed(move |request, _| {
                request.path.starts_with("/ari/").then(|| Response::json(200, body.clone()))
            })
            .await;
            let error = scene.client.renewal_info(ID).await.unwrap_err();
            assert_eq!(error.kind, Kind::Remote);
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(scene.ca.count("GET /ari/"), 1);
        });
    }
    within(async {
        let scene =
            informed(|request, _| request.path.starts_with("/ari/").then(|| Response::new(503, "busy")))
                .await;
        assert!(scene.client.renewal_info(ID).await.is_err());
        assert_eq!(scene.ca.count("GET /ari/"), 1, "whoever gets no answer asks another time");
        assert_eq!(scene.slept(), [0; 0]);
    });
}

/// What newOrder was asked for, order by order.
type Orders = Arc<Mutex<Vec<Value>>>;

/// A CA that refuses the first order with this.
async fn refusing(status: u16, problem: &'static str) -> (Scene, Orders) {
    let orders: Orders = Arc::default();
    let seen = orders.clone();
    let scene = informed(move |request, _| {
        if request.path != "/order" {
            return None;
        }
        let mut seen = seen.lock().unwrap();
        seen.push(payload(request));
        (seen.len() == 1 && !problem.is_empty()).then(|| Response::problem(status, problem, "no"))
    })
    .await;
    (scene, orders)
}

#[test]
fn an_order_says_what_it_replaces_and_its_profile_and_a_ca_that_minds_gets_it_without() {
    within(async {
        let names = names();
        let wanted = NewOrder { identifiers: &names, profile: Some("shortlived"), replaces: Some(ID) };
        let (scene, orders) = refusing(0, "").await;
        scene.client.new_order(wanted).await.unwrap();
        let sent = orders.lock().unwrap().clone();
        assert_eq!((&sent[0]["replaces"], &sent[0]["profile"]), (&json!(ID), &json!("shortlived")));

        for (status, problem) in [(409, "alreadyReplaced"), (400, "malformed"), (403, "unauthorized")] {
            let (scene, orders) = refusing(status, problem).await;
            scene.client.new_order(wanted).await.unwrap();
            let sent = orders.lock().unwrap().clone();
            assert_eq!(sent.len(), 2, "{problem}");
            assert_eq!((&sent[0]["replaces"], &sent[1]["replaces"]), (&json!(ID), &Value::Null), "{problem}");
            assert_eq!(sent[1]["profile"], json!("shortlived"));
        }
        for (status, problem) in [(429, "rateLimited"), (400, "rejectedIdentifier"), (500, "serverInternal")]
        {
            let (scene, orders) = refusing(status, problem).await;
            let error = scene.client.new_order(wanted).await.unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
            assert_eq!(orders.lock().unwrap().len(), 1, "{problem} is no matter of what is replaced");
        }
    });
}

#[test]
fn a_profile_that_the_ca_does_not_offer_is_told_with_those_it_does_before_any_order() {
    within(async {
        let names = names();
        let (scene, orders) = refusing(0, "").await;
        let wanted = NewOrder { identifiers: &names, profile: Some("tlsclient"), replaces: None };
        let error = scene.client.new_order(wanted).await.unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        let told = crate::whole(&error);
        assert!(
            told.contains("does not offer the profile `tlsclient`") && told.contains("classic, shortlived"),
            "{told}"
        );
        assert!(orders.lock().unwrap().is_empty());
    });
}
