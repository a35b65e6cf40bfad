//! The ACME client against a scripted CA: everything a real CA rarely does, and must not hurt us when it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod account;
mod ca;
mod orders;
mod renewal;
mod transport;

use async_trait::async_trait;
use ca::{FakeCa, Request, Response};
use danesmith::acme::{AccountKey, Client, ClientConfig, NewOrder, Timeouts};
use danesmith::clock::Clock;
use danesmith::error::Error;
use jiff::Timestamp;
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
