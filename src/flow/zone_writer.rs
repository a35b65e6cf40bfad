//! One writer per configured zone. It collects what the certificates of a run want to change into one UPDATE: with
//! BIND's notify-delay of 5 s a second UPDATE would reach the secondaries that much later.

use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::flow::world::Open;
use danesmith_providers::{Applied, Change, Class, Provider};
use futures_util::future::{Either, join_all, select};
use hickory_proto::rr::{Name, RecordType};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, oneshot};

/// How long the first change waits for those of other certificates in the same run. Our choice: well below notify-delay,
/// and only spent while others are on their way.
const GATHER: Duration = Duration::from_millis(500);
/// How often the waiting leader looks whether everybody has come.
const GATHER_LOOK: Duration = Duration::from_millis(2);

type Outcome = Result<Applied, danesmith_providers::Error>;

/// Changes that were handed in and are not answered yet.
struct Pending {
    number: usize,
    zone: Name,
    changes: Vec<Change>,
    /// When they came, by [`Clock::elapsed`].
    since: Duration,
    reply: oneshot::Sender<Outcome>,
}

/// Collects and writes the changes of one configured zone.
pub(super) struct ZoneWriter {
    provider_name: String,
    open: Arc<dyn Open>,
    clock: Arc<dyn Clock>,
    provider: OnceCell<Arc<dyn Provider>>,
    expected: AtomicUsize,
    numbers: AtomicUsize,
    pending: Mutex<Vec<Pending>>,
    /// Held by whoever writes for all. When that one is cancelled, what is not answered still stands in `pending`, and the
    /// next of those who wait takes its place.
    turn: tokio::sync::Mutex<()>,
}

/// Says "a change of mine is on its way" until it is dropped.
pub(super) struct Ticket<'a>(&'a AtomicUsize);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ZoneWriter {
    pub(super) fn new(provider_name: String, open: Arc<dyn Open>, clock: Arc<dyn Clock>) -> Self {
        ZoneWriter {
            provider_name,
            open,
            clock,
            provider: OnceCell::new(),
            expected: AtomicUsize::new(0),
            numbers: AtomicUsize::new(0),
            pending: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Announces a change, so that others wait for it (at most 500 ms).
    pub(super) fn announce(&self) -> Ticket<'_> {
        self.expected.fetch_add(1, Ordering::SeqCst);
        Ticket(&self.expected)
    }

    /// The provider, opened once per run.
    pub(super) async fn provider(&self) -> Result<&Arc<dyn Provider>> {
        self.provider.get_or_try_init(|| self.open.provider(&self.provider_name)).await
    }

    /// The provider's name in zones.yaml.
    pub(super) fn provider_name(&self) -> &str {
        &self.provider_name
    }

    /// Tests the credentials for these names before anything is ordered, leaving nothing behind.
    pub(super) async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<()> {
        let provider = self.provider().await?;
        provider.preflight(zone, targets).await.map_err(|e| {
            let names: Vec<_> = targets.iter().map(|(n, t)| format!("{t} at `{}`", text(n))).collect();
            self.tell(&format!("change {}", shorten(&names)), zone, provider.as_ref(), e)
                .remains("Nothing was ordered and nothing was changed.")
        })
    }

    /// Looks at what is going to change, signed: it opens the connection while the CA is still being dialled, and the
    /// change itself can then go without another look. An error is only what will not go away by itself: refused
    /// credentials, a server with another TLS name, an answer that was tampered with. Everything else shows when we
    /// write, and an order whose names are still authorized needs no write at all.
    pub(super) async fn look_ahead(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<()> {
        let provider = self.provider().await?;
        let looks = targets.iter().map(|(owner, rtype)| provider.list(zone, owner, *rtype));
        for (look, (owner, rtype)) in join_all(looks).await.into_iter().zip(targets) {
            if let Err(e) = look
                && matches!(e.class, Class::Auth | Class::Rejected)
            {
                let error =
                    self.tell(&format!("read {rtype} at `{}`", text(owner)), zone, provider.as_ref(), e);
                return Err(error.remains("Nothing was ordered and nothing was changed."));
            }
        }
        Ok(())
    }

    /// Makes the changes, together with those that other certificates hand in meanwhile. One of those who wait writes for
    /// all. Dropped before its end, changes of its own may have been made or not.
    pub(super) async fn apply(&self, zone: &Name, changes: Vec<Change>) -> Result<Applied> {
        let what: Vec<_> = changes.iter().map(|c| format!("{} at `{}`", c.rtype, text(&c.name))).collect();
        let verb = if changes.iter().any(|c| !c.add.is_empty()) { "publish" } else { "remove" };
        let provider = self.provider().await?;
        let (reply, mut answer) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let since = self.clock.elapsed();
        self.pending().push(Pending { number, zone: zone.clone(), changes, since, reply });
        let answered = match select(&mut answer, pin!(self.turn.lock())).await {
            Either::Left((answered, _)) => answered,
            Either::Right((_turn, _)) => {
                self.gather().await;
                self.write(provider.as_ref()).await;
                answer.await
            }
        };
        let result = answered.unwrap_or_else(|_| {
            Err(danesmith_providers::Error::new(Class::Internal, "the writer of this zone went away"))
        });
        result.map_err(|e| self.tell(&format!("{verb} {}", shorten(&what)), zone, provider.as_ref(), e))
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the others. Changes that nobody waits for any more are dropped: they may have been taken back.
    async fn gather(&self) {
        loop {
            let (here, first) = {
                let mut pending = self.pending();
                pending.retain(|p| !p.reply.is_closed());
                (pending.len(), pending.iter().map(|p| p.since).min())
            };
            let Some(first) = first else { return };
            if here >= self.expected.load(Ordering::SeqCst) || self.clock.elapsed() >= first + GATHER {
                return;
            }
            self.clock.sleep(GATHER_LOOK).await;
        }
    }

    /// Writes all that has gathered, one call per zone. When a joint call is refused, each change is tried by itself:
    /// one certificate's bad name never stops the others.
    async fn write(&self, provider: &dyn Provider) {
        let mut zones: BTreeMap<Name, Vec<(usize, Vec<Change>)>> = BTreeMap::new();
        for p in self.pending().iter() {
            zones.entry(p.zone.clone()).or_default().push((p.number, p.changes.clone()));
        }
        join_all(zones.into_iter().map(|(zone, group)| self.write_zone(provider, zone, group))).await;
    }

    async fn write_zone(&self, provider: &dyn Provider, zone: Name, group: Vec<(usize, Vec<Change>)>) {
        let joint = merge(group.iter().flat_map(|(_, changes)| changes.iter().cloned()));
        let result = provider.apply(&zone, &joint).await;
        let told_apart = matches!(&result, Err(e) if group.len() > 1 && !matches!(e.class, Class::Transient));
        for (number, changes) in group {
            let own = if told_apart { provider.apply(&zone, &changes).await } else { result.clone() };
            self.answer(number, own);
        }
    }

    fn answer(&self, number: usize, outcome: Outcome) {
        let mut pending = self.pending();
        if let Some(place) = pending.iter().position(|p| p.number == number) {
            let _ = pending.remove(place).reply.send(outcome);
        }
    }

    fn tell(
        &self,
        action: &str,
        zone: &Name,
        provider: &dyn Provider,
        e: danesmith_providers::Error,
    ) -> Error {
        let place = format!(
            "{action} (zone `{}`, provider `{}`: {})",
            text(zone),
            self.provider_name,
            provider.describe()
        );
        let kind = match e.class {
            Class::Auth => Kind::Credentials,
            Class::Unsupported => Kind::Config,
            Class::Internal => Kind::Internal,
            _ => Kind::Remote,
        };
        let mut error = Error::new(kind, place, &e.message);
        error.retry_after = e.retry_after;
        error.hints.extend(e.hint);
        error
    }
}

/// Changes at one name and type become one; a value that one adds and another removes stays.
fn merge(changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut merged: Vec<Change> = Vec::new();
    for change in changes {
        match merged.iter_mut().find(|m| m.name == change.name && m.rtype == change.rtype) {
            None => merged.push(change),
            Some(m) => {
                m.add.extend(change.add.into_iter().filter(|v| !m.add.contains(v)).collect::<Vec<_>>());
                m.remove
                    .extend(change.remove.into_iter().filter(|v| !m.remove.contains(v)).collect::<Vec<_>>());
            }
        }
    }
    for change in &mut merged {
        let add = change.add.clone();
        change.remove.retain(|v| !add.contains(v));
    }
    merged
}

/// A name without its final dot, in A-labels: hickory shows U-labels otherwise, which no zone file takes.
pub(super) fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

/// The first three of a list, and how many more.
fn shorten(list: &[String]) -> String {
    match list.len() {
        0..=3 => list.join(", "),
        n => format!("{} and {} more", list[..3].join(", "), n - 3),
    }
}

#[cfg(test)]
#[path = "zone_writer_tests.rs"]
mod tests;
