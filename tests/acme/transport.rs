//! Nonces, Retry-After, redirects, silence, endless bodies: what a request may meet.

use crate::ca::{FakeCa, Response};
use crate::{Scene, at_first, config, for_names, names, whole, within};
use danesmith::acme::{AccountKey, Ca, Client, ClientConfig, Timeouts};
use danesmith::error::Kind;
use serde_json::json;
use std::time::Duration;

#[test]
fn warming_up_for_two_names_costs_the_directory_two_nonces_and_the_account() {
    within(async {
        let scene = Scene::registered().await;
        let directory = scene.client.directory().await.unwrap();
        let fresh = |url| ClientConfig {
            directory: Some(directory.clone()),
            account_url: url,
            ..config(&scene.ca, AccountKey::generate().unwrap().0, scene.clock.clone())
        };
        let before = scene.ca.log().len();
        let client = Client::new(fresh(scene.client.account_url())).unwrap();
        client.warm_up(2).await.unwrap();
        while scene.ca.log().len() < before + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(scene.ca.log()[before..], ["HEAD /nonce", "HEAD /nonce"]);
        assert_eq!(client.requests(), 2);
        client.warm_up(2).await.unwrap();
        assert_eq!(client.requests(), 2, "a full pool needs nothing");
        let many = Client::new(fresh(scene.client.account_url())).unwrap();
        many.warm_up(1000).await.unwrap();
        while many.requests() < 250 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(many.requests(), 250);
    });
}

#[test]
fn refused_nonces_are_answered_at_once_with_the_nonce_of_the_refusal() {
    within(async {
        let scene = Scene::registered().await;
        for storm in [1, 5, 9] {
            let (heads, posts) = (scene.ca.count("HEAD"), scene.ca.count("POST /order"));
            scene.ca.script(at_first("/order", storm, Response::problem(400, "badNonce", "no")));
            scene.client.new_order(for_names(&names())).await.unwrap();
            assert_eq!(scene.ca.count("POST /order"), posts + storm + 1);
            assert_eq!(scene.ca.count("HEAD"), heads);
        }
        assert_eq!(scene.slept(), [0; 0]);
    });
}

#[test]
fn a_ca_that_refuses_every_nonce_is_given_up_after_ten_tries() {
    within(async {
        let scene = Scene::registered().await;
        scene.ca.script(at_first("/order", usize::MAX, Response::problem(400, "badNonce", "no")));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(scene.ca.count("POST /order"), 10);
        assert_eq!(error.kind, Kind::Remote);
        assert!(whole(&error).contains("refused 10 nonces"), "{}", whole(&error));
    });
}

#[test]
fn reading_is_repeated_as_the_ca_asks_in_seconds_or_by_date() {
    within(async {
        let scene = Scene::registered().await;
        let url = scene.url("/order/1");
        let busy = || Response::new(503, "<html><h1>Busy</h1></html>");
        for (after, wait) in [("7", 7000), ("Fri, 06 Nov 2026 08:49:37 GMT", 30_000), ("nonsense", 500)] {
            scene.ca.script(at_first("/order/1", 1, busy().header("Retry-After", after)));
            scene.client.order(&url).await.unwrap().unwrap();
            assert_eq!(scene.slept().last(), Some(&wait), "{after}");
        }
        let waits = scene.slept().len();
        scene.ca.script(at_first("/order/1", usize::MAX, busy()));
        let error = scene.client.order(&url).await.unwrap_err();
        assert_eq!(scene.slept()[waits..], [500, 1000, 2000]);
        assert!(error.cause.contains("/order/1 answered 503 Service Unavailable"), "{}", error.cause);
        assert!(error.cause.contains("<h1>Busy</h1>"), "{}", error.cause);
    });
}

#[test]
fn a_ca_that_asks_for_more_than_a_minute_is_left_to_the_next_run() {
    within(async {
        let scene = Scene::registered().await;
        let limited = Response::problem(429, "rateLimited", "too many today").header("Retry-After", "3600");
        scene.ca.script(at_first("/order/1", usize::MAX, limited));
        let error = scene.client.order(&scene.url("/order/1")).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (Kind::Remote, Some(Duration::from_secs(3600))));
        assert!(error.cause.contains("too many today"), "{}", error.cause);
        assert_eq!((scene.slept(), scene.ca.count("POST /order/1")), (vec![], 1));
    });
}

#[test]
fn an_order_is_never_placed_twice_when_its_outcome_is_unknown() {
    within(async {
        let scene = Scene::registered().await;
        scene.ca.script(at_first("/order", usize::MAX, Response::reset()));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert!(whole(&error).contains("unknown"), "{}", whole(&error));
        assert_eq!(scene.ca.count("POST /order"), 1);
        scene.ca.script(at_first("/order", usize::MAX, Response::new(503, "").header("Retry-After", "9")));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(9)));
        assert_eq!(scene.ca.count("POST /order"), 2);
    });
}

#[test]
fn reading_survives_resets() {
    within(async {
        let scene = Scene::registered().await;
        scene.ca.script(at_first("/order/1", 3, Response::reset()));
        scene.client.order(&scene.url("/order/1")).await.unwrap().unwrap();
        assert_eq!(scene.slept(), [500, 1000, 2000]);
    });
}

#[test]
fn a_ca_that_does_not_listen_is_told_apart() {
    within(async {
        let scene = Scene::registered().await;
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let directory_url = format!("https://127.0.0.1:{}/dir", closed.port());
        let key = AccountKey::generate().unwrap().0;
        let config = ClientConfig { directory_url, ..config(&scene.ca, key, scene.clock.clone()) };
        let error = Client::new(config).unwrap().directory().await.unwrap_err();
        assert_eq!(error.remains.as_deref(), Some("Nothing was sent to the CA."));
        assert_eq!(scene.slept(), [500, 1000, 2000]);
    });
}

#[test]
fn a_server_with_another_root_is_not_trusted() {
    within(async {
        let (scene, other) = (Scene::registered().await, FakeCa::start().await);
        let key = AccountKey::generate().unwrap().0;
        let config =
            ClientConfig { root_pem: Some(other.root_pem), ..config(&scene.ca, key, scene.clock.clone()) };
        let error = Client::new(config).unwrap().directory().await.unwrap_err();
        assert!(error.cause.contains("certificate"), "{}", error.cause);
    });
}

#[test]
fn redirects_are_refused() {
    within(async {
        let scene = Scene::registered().await;
        let redirect = Response::new(307, "").header("Location", "https://evil.example/order/1");
        scene.ca.script(at_first("/order/1", usize::MAX, redirect));
        let error = scene.client.order(&scene.url("/order/1")).await.unwrap_err();
        assert!(error.cause.contains("redirect to https://evil.example/order/1"), "{}", error.cause);
    });
}

#[test]
fn a_ca_that_takes_the_request_and_says_nothing_is_left_after_a_while() {
    within(async {
        let scene = Scene::registered().await;
        let request = Duration::from_millis(600);
        let timeouts = Timeouts { connect: Duration::from_secs(5), request };
        let key = AccountKey::generate().unwrap().0;
        let client =
            Client::new(ClientConfig { timeouts, ..config(&scene.ca, key, scene.clock.clone()) }).unwrap();
        client.register(&[], true, None).await.unwrap();
        scene.ca.script(|request, _| request.path.contains("rder").then(Response::silent));
        // reading may be repeated, placing an order may not: nobody knows what became of it
        let read = client.order(&scene.url("/order/1")).await.unwrap_err();
        assert!(read.kind == Kind::Remote && read.cause.contains("no answer in time"), "{read}");
        let placed = client.new_order(for_names(&names())).await.unwrap_err();
        assert!(placed.cause.contains("no answer in time"), "{placed}");
        assert!(whole(&placed).contains("unknown"), "{}", whole(&placed));
        assert_eq!(scene.ca.count("POST /order/1"), 4);
        assert_eq!(scene.ca.count("POST /order"), 4 + 1);
    });
}

#[test]
fn an_endless_body_is_cut() {
    within(async {
        let scene = Scene::registered().await;
        let endless = Response { endless: true, ..Response::new(200, vec![b' '; 65536]) };
        scene.ca.script(at_first("/order/1", usize::MAX, endless));
        let error = scene.client.order(&scene.url("/order/1")).await.unwrap_err();
        assert!(error.cause.contains("more than 1 MiB"), "{}", error.cause);
        assert_eq!(scene.ca.count("POST /order/1"), 1);
    });
}

#[test]
fn urls_of_another_origin_are_never_asked() {
    within(async {
        let scene = Scene::registered().await;
        for url in [
            "https://evil.example/a",
            "http://localhost/a",
            "https://localhost:1/a",
            "ftp://localhost",
            "x\ny",
        ] {
            let order = json!({"status": "pending", "identifiers": [{"type": "dns", "value": "a.example"}],
                "authorizations": [url], "finalize": scene.url("/finalize/1")});
            let response = Response::json(201, order).header("Location", scene.url("/order/1"));
            scene.ca.script(at_first("/order", 1, response));
            let error = scene.client.new_order(for_names(&["a.example".into()])).await.unwrap_err();
            assert_eq!(error.kind, Kind::Remote, "{url}");
        }
        let before = scene.client.requests();
        assert!(scene.client.order("https://evil.example/order/1").await.is_err());
        assert_eq!(scene.client.requests(), before);
    });
}

#[test]
fn an_old_copy_of_the_directory_is_replaced_once() {
    within(async {
        let scene = Scene::registered().await;
        let mut old = scene.client.directory().await.unwrap();
        old.new_order = scene.url("/moved");
        old.new_nonce = scene.url("/moved-nonce");
        let key = AccountKey::generate().unwrap().0;
        let client =
            Client::new(ClientConfig { directory: Some(old), ..config(&scene.ca, key, scene.clock.clone()) })
                .unwrap();
        client.register(&[], true, None).await.unwrap();
        client.new_order(for_names(&names())).await.unwrap();
        assert_eq!(client.directory().await.unwrap(), scene.client.directory().await.unwrap());
        assert_eq!(scene.ca.count("GET /dir"), 2, "one for each client");
    });
}

#[test]
fn a_page_that_is_no_directory_is_told_so() {
    within(async {
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        scene.ca.script(at_first("/dir", 1, Response::new(200, "<html>Welcome</html>")));
        let error = scene.client.directory().await.unwrap_err();
        assert!(
            whole(&error).contains("Welcome") && whole(&error).contains("`directory`"),
            "{}",
            whole(&error)
        );
    });
}
