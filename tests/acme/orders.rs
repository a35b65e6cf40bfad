//! Orders, authorizations, challenges and chains.

use crate::ca::{self, Response};
use crate::{Scene, at_first, for_names, names, whole, within};
use danesmith::acme::{AuthorizationStatus, Ca, OrderStatus};
use danesmith::error::Kind;
use serde_json::json;
use std::time::Duration;

#[test]
fn an_order_walks_through_the_protocol_and_unknown_members_are_tolerated() {
    within(async {
        let scene = Scene::registered().await;
        let order = scene.client.new_order(for_names(&names())).await.unwrap().value;
        assert_eq!((order.status, order.identifiers), (OrderStatus::Pending, names()));
        assert_eq!(order.url, scene.url("/order/1"));
        assert_eq!(order.expires, Some("2030-01-01T00:00:00Z".parse().unwrap()));
        let authorization = scene.client.authorization(&order.authorizations[0]).await.unwrap().value;
        assert_eq!(authorization.identifier, "a.example");
        assert!(authorization.wildcard);
        let challenge = authorization.dns01.unwrap();
        assert_eq!(scene.client.dns01_value(&challenge.token).len(), 43);
        let answered = scene.client.answer(&challenge).await.unwrap();
        assert_eq!(
            (answered.value, answered.retry_after),
            (AuthorizationStatus::Pending, Some(Duration::from_secs(3)))
        );
    });
}

#[test]
fn an_order_for_other_names_is_refused() {
    within(async {
        let scene = Scene::registered().await;
        let order = json!({"status": "pending", "identifiers": [{"type": "dns", "value": "evil.example"}],
            "authorizations": [], "finalize": scene.url("/finalize/1")});
        let response = Response::json(201, order).header("Location", scene.url("/order/1"));
        scene.ca.script(at_first("/order", 1, response));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert!(error.cause.contains("other names: evil.example"), "{}", error.cause);
    });
}

#[test]
fn every_subproblem_names_its_identifier() {
    within(async {
        let scene = Scene::registered().await;
        let sub = |kind: &str, name: &str| {
            json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "because\u{1b}[2J",
            "identifier": {"type": "dns", "value": name}})
        };
        let refused = json!({"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "two were refused",
            "subproblems": [sub("rejectedIdentifier", "one.example"), sub("caa", "two.example")]});
        scene.ca.script(at_first("/order", 1, Response::json(403, refused)));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.kind, Kind::Remote);
        assert!(error.cause.contains("one.example: “because[2J” (rejectedIdentifier)"), "{}", error.cause);
        assert!(error.cause.contains("two.example: “because[2J” (caa)"), "{}", error.cause);
        assert!(error.action.contains("a.example, *.a.example"), "{}", error.action);
        assert!(!error.hints.is_empty());
    });
}

#[test]
fn a_bad_token_is_refused() {
    within(async {
        let scene = Scene::registered().await;
        let long = "a".repeat(513);
        for token in ["", "a/../b", "abc=", "a b", "\u{e9}", &long] {
            let authorization = json!({"status": "pending", "identifier": {"type": "dns", "value": "a.example"},
                "challenges": [{"type": "dns-01", "status": "pending", "url": scene.url("/challenge/1"), "token": token}]});
            scene.ca.script(at_first("/authorization/1", 1, Response::json(200, authorization)));
            let error = scene.client.authorization(&scene.url("/authorization/1")).await.unwrap_err();
            assert!(error.cause.contains("not base64url"), "{token}: {}", error.cause);
        }
    });
}

#[test]
fn a_failed_authorization_tells_why_and_for_whom() {
    within(async {
        let scene = Scene::registered().await;
        let problem = json!({"type": "urn:ietf:params:acme:error:dns", "detail": "SERVFAIL looking up TXT"});
        let authorization = json!({"status": "invalid", "identifier": {"type": "dns", "value": "a.example"},
            "wildcard": true, "challenges": [{"type": "dns-01", "status": "invalid", "error": problem}]});
        scene.ca.script(at_first("/authorization/1", 1, Response::json(200, authorization)));
        let seen = scene.client.authorization(&scene.url("/authorization/1")).await.unwrap().value;
        assert_eq!((seen.status, seen.dns01.is_none()), (AuthorizationStatus::Invalid, true));
        assert_eq!(seen.error.as_deref(), Some("*.a.example: “SERVFAIL looking up TXT” (dns)"));
    });
}

#[test]
fn an_answer_that_the_ca_has_already_is_settled_by_looking() {
    within(async {
        let scene = Scene::registered().await;
        let url = scene.url("/authorization/1");
        let challenge = scene.client.authorization(&url).await.unwrap().value.dns01.unwrap();
        scene.ca.script(at_first("/challenge/1", 1, Response::problem(400, "malformed", "not pending")));
        assert_eq!(scene.client.answer(&challenge).await.unwrap().value, AuthorizationStatus::Pending);
        assert_eq!(scene.ca.count("POST /challenge/1"), 2);
    });
}

#[test]
fn an_order_that_is_not_ready_is_no_failure_and_one_that_is_gone_neither() {
    within(async {
        let scene = Scene::registered().await;
        let order = scene.client.new_order(for_names(&names())).await.unwrap().value;
        scene.ca.script(at_first("/finalize/1", 1, Response::problem(403, "orderNotReady", "wait")));
        assert!(scene.client.finalize(&order, b"csr").await.unwrap().is_none());
        scene.ca.script(at_first("/finalize/1", 1, Response::problem(400, "badCSR", "weak key")));
        let error = scene.client.finalize(&order, b"csr").await.unwrap_err();
        assert!(whole(&error).contains("weak key") && whole(&error).contains("CSR"), "{}", whole(&error));
        assert_eq!(scene.client.finalize(&order, b"csr").await.unwrap().unwrap().value.url, order.url);
        assert!(scene.client.order(&scene.url("/order/404")).await.unwrap().is_none());
        scene.ca.script(at_first("/order/1", 1, Response::problem(400, "malformed", "gone")));
        assert!(scene.client.order(&order.url).await.unwrap().is_none());
    });
}

fn issued(pem: String) -> Response {
    Response::new(200, pem).header("Content-Type", "application/pem-certificate-chain; charset=utf-8")
}

#[test]
fn the_preferred_chain_is_fetched_only_when_it_is_another() {
    within(async {
        let scene = Scene::registered().await;
        scene.ca.script(|request, base| match request.path.as_str() {
            "/cert" => Some(
                issued(ca::chain("Default root", 2))
                    .header("Link", format!("<{base}/dir>;rel=\"index\", </cert/1>;rel=\"alternate\""))
                    .header("Link", format!("<{base}/cert/2>;rel=\"alternate\"")),
            ),
            "/cert/1" => Some(issued(ca::chain("First root", 2))),
            "/cert/2" => Some(issued(ca::chain("Second root", 3))),
            _ => None,
        });
        let length = |pem: &str| pem.matches("BEGIN CERTIFICATE").count();
        for (preferred, wanted, alternates) in [
            (None, 2, 0),
            (Some("Default root"), 2, 0),
            (Some("Second root"), 3, 2),
            (Some("No such root"), 2, 2),
        ] {
            let before = scene.ca.count("POST /cert/");
            let pem = scene.client.certificate(&scene.url("/cert"), preferred).await.unwrap();
            assert_eq!(
                (length(&pem), scene.ca.count("POST /cert/") - before),
                (wanted, alternates),
                "{preferred:?}"
            );
        }
    });
}

#[test]
fn only_a_clean_chain_of_certificates_is_taken() {
    within(async {
        let scene = Scene::registered().await;
        let chain = ca::chain("Root", 2);
        let noisy = issued(format!("text before\n{chain}text after\n"));
        scene.ca.script(at_first("/cert", 1, noisy));
        let pem = scene.client.certificate(&scene.url("/cert"), None).await.unwrap();
        assert_eq!(pem, chain.replace("\r\n", "\n"));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let html = Response::new(200, "<html>").header("Content-Type", "text/html");
        for bad in [html, issued(String::new()), issued(garbage.into()), issued(ca::chain("Root", 11))] {
            scene.ca.script(at_first("/cert", 1, bad.clone()));
            let error = scene.client.certificate(&scene.url("/cert"), None).await.unwrap_err();
            assert_eq!(error.kind, Kind::Remote);
        }
    });
}
