//! How often a CA is asked, by its own word and without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::acme::{Authorization, AuthorizationStatus, Challenge, SuggestedWindow};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Mutex;

/// A clock that jumps to where somebody sleeps to, and keeps how long.
#[derive(Default)]
struct Jumps(Mutex<Vec<Duration>>);

impl Jumps {
    fn naps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for Jumps {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn elapsed(&self) -> Duration {
        self.naps().iter().sum()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

/// A CA that is done after so many looks, and says the same Retry-After each time.
struct Slow {
    looks: Mutex<usize>,
    finalized: Mutex<bool>,
    retry_after: Option<Duration>,
}

impl Slow {
    fn new(looks: usize, retry_after: Option<u64>) -> Self {
        let retry_after = retry_after.map(Duration::from_secs);
        Slow { looks: Mutex::new(looks), finalized: Mutex::default(), retry_after }
    }

    fn order(&self, status: OrderStatus) -> Polled<Order> {
        let value = Order {
            url: "https://ca.test/order/1".into(),
            status,
            expires: None,
            identifiers: vec![],
            authorizations: vec![],
            finalize: "https://ca.test/finalize/1".into(),
            certificate: None,
            error: None,
        };
        Polled { value, retry_after: self.retry_after }
    }
}

fn unasked() -> Error {
    Error::new(Kind::Internal, "play the CA", "nobody should ask for that")
}

#[async_trait]
impl Ca for Slow {
    fn describe(&self) -> String {
        "https://ca.test/dir".into()
    }

    async fn warm_up(&self, _: usize) -> Result<()> {
        Ok(())
    }

    async fn new_order(&self, _: NewOrder<'_>) -> Result<Polled<Order>> {
        Err(unasked())
    }

    async fn order(&self, _: &str) -> Result<Option<Polled<Order>>> {
        let mut looks = self.looks.lock().unwrap();
        *looks = looks.saturating_sub(1);
        let finalized = *self.finalized.lock().unwrap();
        let status = match (*looks, finalized) {
            (0, true) => OrderStatus::Invalid,
            (0, false) => OrderStatus::Ready,
            (_, true) => OrderStatus::Processing,
            (_, false) => OrderStatus::Pending,
        };
        Ok(Some(self.order(status)))
    }

    async fn authorization(&self, _: &str) -> Result<Polled<Authorization>> {
        Err(unasked())
    }

    fn dns01_value(&self, token: &str) -> String {
        token.into()
    }

    async fn answer(&self, _: &Challenge) -> Result<Polled<AuthorizationStatus>> {
        Err(unasked())
    }

    async fn finalize(&self, _: &Order, _: &[u8]) -> Result<Option<Polled<Order>>> {
        *self.finalized.lock().unwrap() = true;
        Ok(Some(self.order(OrderStatus::Processing)))
    }

    async fn certificate(&self, _: &str, _: Option<&str>) -> Result<String> {
        Err(unasked())
    }

    async fn renewal_info(&self, _: &str) -> Result<Option<Polled<SuggestedWindow>>> {
        Err(unasked())
    }
}

async fn watched(ca: &Slow, asked: Option<u64>) -> (Result<OrderStatus>, Vec<Duration>) {
    let clock = Jumps::default();
    let first = (SHORTEST_POLL, asked.map(Duration::from_secs));
    let polled = poll(&clock, ca, "https://ca.test/order/1", first, |o| o.status == OrderStatus::Ready).await;
    (polled.map(|(order, _)| order.value.status), clock.naps())
}

#[tokio::test]
async fn a_ca_that_says_when_to_look_is_looked_at_then() {
    let (status, naps) = watched(&Slow::new(3, Some(3)), Some(3)).await;
    assert_eq!(status.unwrap(), OrderStatus::Ready);
    assert_eq!(naps, [Duration::from_secs(3); 3]);
}

#[tokio::test]
async fn a_retry_after_of_zero_is_no_leave_to_ask_without_a_pause() {
    let (status, naps) = watched(&Slow::new(40, Some(0)), Some(0)).await;
    assert_eq!(status.unwrap(), OrderStatus::Ready);
    assert_eq!(naps, [SHORTEST_POLL; 40]);
}

#[tokio::test]
async fn a_ca_that_asks_for_a_day_is_left_to_the_next_run_at_once() {
    let (status, naps) = watched(&Slow::new(9, Some(86_400)), None).await;
    let error = status.unwrap_err();
    assert_eq!(naps, [SHORTEST_POLL], "one look, and no sleep that it asked for");
    assert!(error.cause.contains("still pending after 0 s") && error.cause.contains("86400 s"), "{error}");
    assert!(error.remains.unwrap().contains("the next run goes on with it"));
    assert_eq!(error.retry_after, Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn nobody_waits_longer_than_five_minutes_whatever_the_ca_says() {
    for retry_after in [None, Some(0), Some(7), Some(299)] {
        let (status, naps) = watched(&Slow::new(usize::MAX, retry_after), None).await;
        assert!(status.unwrap_err().remains.unwrap().contains("the next run goes on with it"));
        let slept: Duration = naps.iter().sum();
        assert!(slept <= CA_PATIENCE, "{retry_after:?}: {slept:?}");
        assert!(naps.len() < 7000, "{retry_after:?}: {} looks", naps.len());
    }
}

#[tokio::test]
async fn what_the_answer_to_finalize_asks_for_is_the_first_pause() {
    let ca = Slow::new(2, Some(3));
    let clock = Jumps::default();
    let material = Material { csr: vec![], private: None };
    let ended = download(&clock, None, &ca, ca.order(OrderStatus::Ready), &material).await;
    assert!(ended.unwrap_err().cause.contains("invalid"));
    assert_eq!(clock.naps(), [Duration::from_secs(3); 2]);
}
