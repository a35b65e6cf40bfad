//! The ACME client against a scripted CA: everything a real CA rarely does, and must not hurt us when it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

#[path = "acme/ca.rs"]
mod ca;
#[path = "acme/renewal.rs"]
mod renewal;

use async_trait::async_trait;
use ca::{FakeCa, Request, Response};
use danesmith::acme::{
    AccountKey, AccountStatus, AuthorizationStatus, Ca, Client, ClientConfig, NewOrder, OrderStatus, Timeouts,
};
use danesmith::clock::Clock;
use danesmith::error::{Error, Kind};
use jiff::Timestamp;
use serde_json::json;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Stands still at 2026-11-06T08:49:07Z and remembers what it was asked to sleep.
struct StillClock {
    slept: Mutex<Vec<Duration>>,
    start: Instant,
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        "2026-11-06T08:49:07Z".parse().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
    }
}

struct Scene {
    ca: FakeCa,
    client: Client,
    clock: Arc<StillClock>,
}

impl Scene {
    /// A CA and a client whose account is registered.
    async fn registered() -> Scene {
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        scene.client.register(&[], true, None).await.unwrap();
        scene
    }

    async fn new(key: AccountKey) -> Scene {
        let ca = FakeCa::start().await;
        let clock = Arc::new(StillClock { slept: Mutex::default(), start: Instant::now() });
        let client = Client::new(config(&ca, key, clock.clone())).unwrap();
        Scene { ca, client, clock }
    }

    fn slept(&self) -> Vec<u64> {
        self.clock.slept.lock().unwrap().iter().map(|wait| wait.as_millis() as u64).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ca.base)
    }
}

fn config(ca: &FakeCa, key: AccountKey, clock: Arc<dyn Clock>) -> ClientConfig {
    ClientConfig {
        directory_url: format!("{}/dir", ca.base),
        root_pem: Some(ca.root_pem.clone()),
        key,
        account_url: None,
        directory: None,
        user_agent: "danesmith-test".into(),
        timeouts: Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(5) },
        clock,
    }
}

/// Runs a test within 20 seconds.
fn within(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), test).await.expect("in time") });
}

/// Answers the first `times` requests for `path` with `response`.
fn at_first(
    path: &'static str,
    times: usize,
    response: Response,
) -> impl FnMut(&Request, &str) -> Option<Response> {
    let mut left = times;
    move |request, _| {
        let hit = request.path == path && left > 0;
        left -= usize::from(hit);
        hit.then(|| response.clone())
    }
}

fn names() -> Vec<String> {
    vec!["a.example".into(), "*.a.example".into()]
}

fn for_names(identifiers: &[String]) -> NewOrder<'_> {
    NewOrder { identifiers, profile: None, replaces: None }
}

fn whole(error: &Error) -> String {
    format!("{error}\n{:?}\n{}", error.remains, error.hints.join("\n"))
}

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
        let request = Duration::from_millis(200);
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
fn new_terms_are_shown_to_the_person_who_must_agree() {
    within(async {
        let scene = Scene::registered().await;
        let refused = Response::problem(403, "userActionRequired", "terms have changed")
            .header("Link", r#"<https://ca.example/terms/7>;rel="terms-of-service""#);
        scene.ca.script(at_first("/order", 1, refused));
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        assert!(whole(&error).contains("https://ca.example/terms/7"), "{}", whole(&error));
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

#[test]
fn an_existing_account_is_found_by_its_key_and_never_registered_by_the_way() {
    within(async {
        let (key, pem) = AccountKey::generate().unwrap();
        let scene = Scene::new(key).await;
        assert_eq!(scene.client.find().await.unwrap(), None);
        let error = scene.client.new_order(for_names(&names())).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        let contact = ["mailto:a@a.example".to_string()];
        let account = scene.client.register(&contact, true, None).await.unwrap();
        assert_eq!((account.status, account.contact.as_slice()), (AccountStatus::Valid, &contact[..]));
        let key = AccountKey::from_pem(pem.as_bytes()).unwrap();
        let later = Client::new(config(&scene.ca, key, scene.clock.clone())).unwrap();
        assert_eq!(later.account_url(), None);
        later.new_order(for_names(&names())).await.unwrap();
        assert_eq!(later.account_url(), Some(account.url.clone()));
        assert_eq!(later.account().await.unwrap().url, account.url);
    });
}

#[test]
fn terms_and_binding_are_demanded_before_anything_is_sent() {
    within(async {
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        let error = scene.client.register(&[], false, None).await.unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert!(error.cause.contains(&scene.url("/terms")), "{}", error.cause);
        let scene = Scene::new(AccountKey::generate().unwrap().0).await;
        scene.ca.demand_eab("kid-1", b"a MAC key from the CA's website");
        let error = scene.client.register(&[], true, None).await.unwrap_err();
        assert_eq!((error.kind, scene.ca.count("POST")), (Kind::Config, 0));
        let error = scene.client.register(&[], true, Some(("kid-1", b"wrong"))).await.unwrap_err();
        assert_eq!(error.kind, Kind::Credentials);
        scene.client.register(&[], true, Some(("kid-1", b"a MAC key from the CA's website"))).await.unwrap();
    });
}

#[test]
fn keys_of_every_kind_and_file_format_sign_so_that_the_ca_agrees() {
    within(async {
        let keys = [
            ("ES256", &include_bytes!("acme/keys/p256-sec1.pem")[..]),
            ("ES256", include_bytes!("acme/keys/p256-params.pem")),
            ("ES384", include_bytes!("acme/keys/p384.pem")),
            ("ES384", include_bytes!("acme/keys/p384-sec1.pem")),
            ("RS256", include_bytes!("acme/keys/rsa2048.pem")),
            ("RS256", include_bytes!("acme/keys/rsa2048-pkcs1.pem")),
        ];
        for (algorithm, pem) in keys {
            let key = AccountKey::from_pem(pem).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let scene = Scene::new(key).await;
            scene.client.register(&[], true, None).await.unwrap();
            scene.client.new_order(for_names(&names())).await.unwrap();
        }
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

#[test]
fn the_key_is_never_in_debug_output() {
    within(async {
        let (key, pem) = AccountKey::generate().unwrap();
        let scene = Scene::new(key).await;
        let shown = format!("{:?}", scene.client);
        let secret: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        for piece in secret.as_bytes().windows(12) {
            assert!(!shown.contains(std::str::from_utf8(piece).unwrap()), "{shown}");
        }
        assert!(shown.contains("ES256") && shown.contains("thumbprint"), "{shown}");
    });
}
