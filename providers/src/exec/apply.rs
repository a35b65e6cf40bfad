//! One `apply`: list, compute what is left, hand it over, list again; a few times, when others write at the same time or
//! nobody knows what became of a request.

use super::protocol::{Operation, WireChange};
use super::value::{holds, plain, same, to_text};
use super::{ExecProvider, Listed, passes, pause};
use crate::{Applied, Capabilities, Change, Class, Error};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often changes are handed over; our choice.
const MAX_ROUNDS: u32 = 5;
/// How long an accepted change may take to show in `list` before it is handed over again. Our choice: some hosts answer
/// from a copy that follows a moment later.
const SETTLING: Duration = Duration::from_secs(5);
/// With less time left nothing is handed over again; our choice.
const ENOUGH: Duration = Duration::from_secs(1);
/// First pause between two looks.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// The state of one `apply`.
pub(super) struct Run<'a> {
    provider: &'a ExecProvider,
    zone: &'a Name,
    changes: Vec<Change>,
    deadline: Instant,
    writes: u32,
}

/// What stands at the owner names and types of the changes, in their order.
type View = Vec<(u32, Vec<Listed>)>;

impl<'a> Run<'a> {
    /// Errors: [`Class::Unsupported`] for a type the plugin does not handle, [`Class::Internal`] for a name outside `zone`
    /// or a value of another type.
    pub(super) fn new(provider: &'a ExecProvider, zone: &'a Name, changes: &[Change]) -> Result<Self, Error> {
        for change in changes {
            provider.supports(change.rtype)?;
        }
        let changes = merged(zone, changes)?;
        Ok(Run { provider, zone, changes, deadline: Instant::now() + provider.total, writes: 0 })
    }

    /// Runs until everything stands.
    pub(super) async fn finish(mut self) -> Result<Applied, Error> {
        let _turn = self.provider.turns.wait(self.zone, self.deadline).await?;
        let before = self.look().await?;
        let mut seen = None;
        for round in 1..=MAX_ROUNDS {
            let steps = self.steps(seen.as_ref().unwrap_or(&before));
            if steps.is_empty() {
                return self.done(&before, seen.as_ref().unwrap_or(&before));
            }
            if round > 1 && Instant::now() + ENOUGH > self.deadline {
                break;
            }
            match self.write(&steps).await {
                Ok(()) => seen = Some(self.settled().await.map_err(unread)?),
                Err(error) if may_go_on(&error) && round < MAX_ROUNDS && self.in_time(&error, round) => {
                    tracing::debug!("{}; looking again", error.message);
                    sleep(pause(&error, round)).await;
                    seen = Some(self.look().await.map_err(|late| unsettled(&error, &late))?);
                }
                Err(error) => return Err(error),
            }
        }
        let last = seen.as_ref().unwrap_or(&before);
        let missing = self.steps(last);
        if missing.is_empty() {
            return self.done(&before, last);
        }
        let names: Vec<String> =
            missing.iter().map(|step| format!("{} at {}", step.rtype, step.name)).collect();
        Err(Error::new(
            Class::Conflict,
            format!(
                "{} got the changes {} times, but they do not show: {}",
                self.provider.session.label(),
                self.writes,
                names.join(", ")
            ),
        )
        .hint("look for another program that writes there, or for an alias at the name"))
    }

    async fn look(&self) -> Result<View, Error> {
        let mut view = Vec::with_capacity(self.changes.len());
        for change in &self.changes {
            view.push(self.provider.listed(self.zone, &change.name, change.rtype, self.deadline).await?);
        }
        Ok(view)
    }

    /// Looks until the changes show, at most 5 s.
    async fn settled(&self) -> Result<View, Error> {
        let until = (Instant::now() + SETTLING).min(self.deadline - ENOUGH / 2);
        let mut pause = FIRST_LOOK;
        loop {
            let view = self.look().await?;
            if self.steps(&view).is_empty() || Instant::now() + pause > until {
                return Ok(view);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    fn steps(&self, view: &View) -> Vec<WireChange> {
        let caps = &self.provider.capabilities;
        let pairs = self.changes.iter().zip(view);
        pairs.filter_map(|(change, (ttl, listed))| step(change, *ttl, listed, caps)).collect()
    }

    async fn write(&mut self, steps: &[WireChange]) -> Result<(), Error> {
        let zone = self.provider.known(self.zone, self.deadline).await?;
        self.writes += 1;
        let left = self.deadline.saturating_duration_since(Instant::now()).min(self.provider.request);
        // Never repeated blindly: after a failure we look first.
        let operation = Operation::Apply { zone: &zone, changes: steps };
        let answer = self.provider.session.ask(operation, left).await?;
        self.provider.understood(operation, answer).map(|_: IgnoredAny| ())
    }

    fn in_time(&self, error: &Error, round: u32) -> bool {
        Instant::now() + pause(error, round) < self.deadline
    }

    /// A plugin that replaces whole sets may have dropped what others wrote. For challenges that other program may have
    /// finished; a pin that is gone is a danger to mail.
    fn done(&self, before: &View, after: &View) -> Result<Applied, Error> {
        for (change, ((_, before), (_, after))) in self.changes.iter().zip(before.iter().zip(after)) {
            let lost = |listed: &&Listed| {
                !holds(&change.remove, &listed.value) && !after.iter().any(|l| same(&l.value, &listed.value))
            };
            let lost: Vec<&str> = before.iter().filter(lost).map(|listed| listed.text.as_str()).collect();
            if lost.is_empty() {
                continue;
            }
            let text = format!(
                "while {} changed {} at {}, values disappeared that it was not asked to remove: {}",
                self.provider.session.label(),
                change.rtype,
                plain(&change.name),
                self.provider.session.clean(&lost.join(", "))
            );
            if change.rtype == RecordType::TLSA {
                return Err(Error::new(Class::Conflict, text).hint(
                    "put them back if nobody else removed them on purpose, and run `danesmith provider check`",
                ));
            }
            tracing::warn!("{text}");
        }
        Ok(Applied { writes: self.writes })
    }
}

/// One change per owner name and type, in the order of first mention.
fn merged(zone: &Name, changes: &[Change]) -> Result<Vec<Change>, Error> {
    let mut merged: Vec<Change> = Vec::new();
    for change in changes {
        let defect = |what: &str| Error::new(Class::Internal, format!("{} {what}", plain(&change.name)));
        if !zone.zone_of(&change.name) {
            return Err(defect(&format!("is not in zone {}", plain(zone))));
        }
        let values = change.add.iter().chain(&change.remove);
        if values.clone().any(|value| value.record_type() != change.rtype || to_text(value).is_none()) {
            return Err(defect(&format!("gets a value that is not {}", change.rtype)));
        }
        match merged.iter_mut().find(|known| known.name == change.name && known.rtype == change.rtype) {
            Some(known) => {
                known.add.extend(change.add.iter().cloned());
                known.remove.extend(change.remove.iter().cloned());
            }
            None => merged.push(change.clone()),
        }
    }
    Ok(merged)
}

/// What is left to do; values to remove are spelled as they were listed. `None` when nothing is.
fn step(change: &Change, ttl: u32, listed: &[Listed], caps: &Capabilities) -> Option<WireChange> {
    let standing: Vec<RData> = listed.iter().map(|listed| listed.value.clone()).collect();
    let mut add: Vec<String> =
        change.add.iter().filter(|value| !holds(&standing, value)).filter_map(to_text).collect();
    add.dedup();
    let goes = |listed: &&Listed| holds(&change.remove, &listed.value) && !holds(&change.add, &listed.value);
    let remove: Vec<String> = listed.iter().filter(goes).map(|listed| listed.text.clone()).collect();
    if add.is_empty() && remove.is_empty() {
        return None;
    }
    // RFC 2181 §5.2: one TTL per RRset; that of the others stays.
    let ttl = if listed.is_empty() { change.ttl.clamp(caps.min_ttl, caps.max_ttl) } else { ttl };
    Some(WireChange { name: plain(&change.name), rtype: change.rtype.to_string(), ttl, add, remove })
}

/// After these a look decides: somebody else wrote, it passes, or nobody knows what became of the request.
fn may_go_on(error: &Error) -> bool {
    passes(error) || matches!(error.class, Class::Conflict | Class::Internal)
}

fn unread(late: Error) -> Error {
    let message = format!("changes were handed over, but could not be read back: {}", late.message);
    Error { message, ..late }.hint("run again: what stands is read first, and only the rest is written")
}

fn unsettled(first: &Error, then: &Error) -> Error {
    let message = format!(
        "changes were handed over and their outcome is unknown: {}; then {}",
        first.message, then.message
    );
    Error { message, ..then.clone() }
        .hint("run again: what stands is read first, and only the rest is written")
}
