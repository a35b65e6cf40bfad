//! The one writer of a zone, and callers that go away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::acme::Ca;
use crate::clock::SystemClock;
use async_trait::async_trait;
use danesmith_providers::{Atomicity, Capabilities, Error as Refusal, RrSet};
use futures_util::future::{join, try_join};
use hickory_proto::rr::{RData, rdata::TXT};
use tokio::time::timeout;

/// A hung writer is seen by this.
const LONG: Duration = Duration::from_secs(20);

/// A DNS host that takes its time, or refuses at once.
#[derive(Default)]
struct Host {
    takes: Duration,
    refuses: bool,
    /// The changes of each call, in order.
    calls: Mutex<Vec<Vec<Change>>>,
}

#[async_trait]
impl Provider for Host {
    fn describe(&self) -> String {
        "a host".into()
    }

    fn capabilities(&self) -> Capabilities {
        let (types, atomicity) = (vec![RecordType::TXT], Atomicity::Batch);
        Capabilities { types, semantics: None, atomicity, min_ttl: 0, max_ttl: 1 }
    }

    async fn preflight(&self, _: &Name, _: &[(Name, RecordType)]) -> Result<(), Refusal> {
        Ok(())
    }

    async fn list(&self, _: &Name, _: &Name, _: RecordType) -> Result<RrSet, Refusal> {
        Ok(RrSet::default())
    }

    async fn apply(&self, _: &Name, changes: &[Change]) -> Result<Applied, Refusal> {
        self.calls.lock().unwrap().push(changes.to_vec());
        tokio::time::sleep(self.takes).await;
        if self.refuses { Err(Refusal::new(Class::Auth, "REFUSED")) } else { Ok(Applied { writes: 1 }) }
    }
}

struct Opener(Arc<Host>);

#[async_trait]
impl Open for Opener {
    async fn ca(&self, _: &str) -> Result<Arc<dyn Ca>> {
        Err(Error::new(Kind::Internal, "open a CA", "there is none"))
    }

    async fn provider(&self, _: &str) -> Result<Arc<dyn Provider>> {
        Ok(self.0.clone())
    }

    async fn file(&self, _: &std::path::Path) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

fn host(takes: u64, refuses: bool) -> (Arc<Host>, ZoneWriter) {
    let host = Arc::new(Host { takes: Duration::from_millis(takes), refuses, calls: Mutex::default() });
    (host.clone(), ZoneWriter::new("home".into(), Arc::new(Opener(host)), Arc::new(SystemClock::new())))
}

fn zone() -> Name {
    Name::from_ascii("example.test.").unwrap()
}

fn txt(value: &str) -> RData {
    RData::TXT(TXT::new(vec![value.into()]))
}

fn adds(value: &str) -> Vec<Change> {
    let name = Name::from_ascii("_acme-challenge.example.test.").unwrap();
    vec![Change { name, rtype: RecordType::TXT, ttl: 60, add: vec![txt(value)], remove: vec![] }]
}

fn removes(value: &str) -> Vec<Change> {
    adds(value).into_iter().map(|c| Change { remove: c.add, add: vec![], ..c }).collect()
}

fn added(host: &Host) -> Vec<RData> {
    host.calls.lock().unwrap().iter().flatten().flat_map(|c| c.add.clone()).collect()
}

/// One certificate has names in two zones, of which one refuses; another one waits in the other zone.
async fn beside_a_refusal(slow: u64, announced: usize) {
    let (host_a, a) = host(slow, false);
    let (_, b) = host(20, true);
    let tickets: Vec<_> = (0..announced).map(|_| a.announce()).collect();
    let both = async { try_join(a.apply(&zone(), adds("one")), b.apply(&zone(), adds("one"))).await };
    let other = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        a.apply(&zone(), adds("two")).await
    };
    let (both, other) = timeout(LONG, join(both, other)).await.expect("nobody hangs");
    drop(tickets);
    assert!(both.unwrap_err().cause.contains("REFUSED"));
    other.unwrap();
    assert!(added(&host_a).contains(&txt("two")));
    timeout(LONG, a.apply(&zone(), adds("three"))).await.expect("later ones do not hang").unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_gathers_leaves_the_others_no_worse() {
    beside_a_refusal(0, 3).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_writes_leaves_the_others_no_worse() {
    beside_a_refusal(200, 2).await;
}

#[tokio::test]
async fn changes_that_were_not_begun_when_their_caller_went_away_are_never_made() {
    let (host, writer) = host(100, false);
    let zone = zone();
    let busy = writer.apply(&zone, adds("first"));
    let left = timeout(Duration::from_millis(20), writer.apply(&zone, adds("left")));
    let (busy, left) = join(busy, left).await;
    assert!(busy.is_ok() && left.is_err());
    writer.apply(&zone, removes("left")).await.unwrap();
    assert_eq!(added(&host), [txt("first")]);
}

#[tokio::test]
async fn changes_that_come_together_are_one_call() {
    let (host, writer) = host(0, false);
    let tickets = (writer.announce(), writer.announce());
    let later = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        writer.apply(&zone(), adds("two")).await
    };
    let (one, two) = join(writer.apply(&zone(), adds("one")), later).await;
    drop(tickets);
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(host.calls.lock().unwrap().len(), 1);
}
