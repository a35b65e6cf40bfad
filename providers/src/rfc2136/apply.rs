//! One `apply`: see, compute, write with what was seen as prerequisite, read back; again when somebody else wrote or
//! when nobody knows what became of the message.

use super::outcome::Failure;
use super::transport::IfLost;
use super::update::{self, Step};
use super::{Rfc2136, random};
use crate::{Applied, Change, Class, Error, Provider, RrSet};
use futures_util::{StreamExt, TryStreamExt, stream};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often others may win the race for the same RRset. With n writers one wins each round, so this is enough for 30.
const MAX_CONFLICTS: u32 = 30;
/// How many messages with an unknown outcome we allow; our choice: one restart of the server, and one more.
const MAX_UNKNOWN: u32 = 3;
/// How long a server may stay away after an unknown outcome, in timeouts of one exchange; our choice.
const PATIENCE: u32 = 3;
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(400);
/// How long an accepted change may take to show at the server that accepted it. Our choice: BIND with inline signing
/// needed 2–300 ms here.
const SIGNING: Duration = Duration::from_secs(5);
/// First pause between two looks for an accepted change.
const SHORTEST_LOOK: Duration = Duration::from_millis(5);
/// Questions on their way at once; BIND reads no more than about this many per connection.
const QUESTIONS_AT_ONCE: usize = 32;

/// The state of one `apply`.
pub(super) struct Run<'a> {
    provider: &'a Rfc2136,
    zone: &'a Name,
    changes: Vec<Change>,
    /// What stood when we last looked, in the order of `changes`.
    seen: Vec<RrSet>,
    /// Whether that came from a wildcard and nothing stands at the name itself.
    synthesized: Vec<bool>,
    writes: u32,
    conflicts: u32,
    unknown: u32,
}

enum Written {
    All,
    Conflict,
    Unknown(Failure),
}

impl<'a> Run<'a> {
    pub(super) fn new(provider: &'a Rfc2136, zone: &'a Name, changes: &[Change]) -> Result<Self, Error> {
        let changes = update::merged(zone, changes)?;
        let synthesized = vec![false; changes.len()];
        Ok(Run { provider, zone, changes, seen: vec![], synthesized, writes: 0, conflicts: 0, unknown: 0 })
    }

    /// Runs until everything stands.
    pub(super) async fn finish(mut self) -> Result<Applied, Error> {
        self.seen = match self.recent_views() {
            Some(seen) => seen,
            None => self.read().await?,
        };
        loop {
            let steps = self.due();
            if steps.is_empty() {
                return Ok(Applied { writes: self.writes });
            }
            let only_asks = !steps.iter().any(Step::changes_something);
            let written = match self.write(steps).await {
                Err(refusal) if only_asks && refusal.class == Class::Auth => {
                    return self.settle_by_looks(refusal).await;
                }
                outcome => outcome?,
            };
            match written {
                Written::All => return self.read_back().await,
                Written::Conflict => self.after_conflict().await?,
                Written::Unknown(failure) => self.after_unknown(&failure).await?,
            }
        }
    }

    /// What was seen a moment ago, where it is known for every change and every change has something to do. "Nothing to
    /// do" is never concluded from an old view.
    fn recent_views(&self) -> Option<Vec<RrSet>> {
        let taken: Vec<_> = self.changes.iter().map(|c| self.provider.take_view(&c.name, c.rtype)).collect();
        let seen = taken.into_iter().collect::<Option<Vec<_>>>()?;
        let writes = |(change, seen): (&Change, &RrSet)| step(change, seen, false).is_some();
        self.changes.iter().zip(&seen).all(writes).then_some(seen)
    }

    /// What is left to do, by what was seen.
    fn steps(&self) -> Vec<Step> {
        self.of_each(step)
    }

    /// The same, and for a value that shall go and was not seen a question to the server's own data: a signed copy that
    /// lags may not show yet what an UPDATE of a moment ago has brought.
    fn due(&self) -> Vec<Step> {
        self.of_each(|change, seen, synthesized| {
            step(change, seen, synthesized).or_else(|| {
                let none = RrSet::default();
                Step::absence(change, if synthesized { &none } else { seen })
            })
        })
    }

    fn of_each(&self, step: impl Fn(&Change, &RrSet, bool) -> Option<Step>) -> Vec<Step> {
        let sets = self.seen.iter().zip(&self.synthesized);
        self.changes.iter().zip(sets).filter_map(|(change, (seen, wild))| step(change, seen, *wild)).collect()
    }

    /// Message after message; the first that does not succeed ends it.
    async fn write(&mut self, steps: Vec<Step>) -> Result<Written, Error> {
        for batch in update::batches(steps)? {
            let targets: Vec<_> = batch.iter().map(Step::target).collect();
            let outcome = self.provider.update(&update::message(self.zone, &batch), IfLost::Report).await;
            self.writes += u32::from(batch.iter().any(Step::changes_something));
            match outcome {
                Ok(ResponseCode::NoError) => {}
                Ok(ResponseCode::NXRRSet | ResponseCode::YXRRSet) => return Ok(Written::Conflict),
                Err(failure @ Failure::Unknown(_)) => return Ok(Written::Unknown(failure)),
                Ok(rcode) => return Err(self.provider.story(self.zone, &targets).refused(rcode)),
                // Our look was signed with the same key.
                Err(failure) if failure.is_bad_key() => {
                    return Err(self.provider.story(self.zone, &targets).denied());
                }
                Err(failure) => return Err(self.provider.story(self.zone, &targets).failure(&failure)),
            }
        }
        Ok(Written::All)
    }

    /// Somebody else wrote between our look and our message: look again, after a pause that parts the writers.
    async fn after_conflict(&mut self) -> Result<(), Error> {
        self.conflicts += 1;
        if self.conflicts > MAX_CONFLICTS {
            let names = self.provider.story(self.zone, &self.targets()).names;
            return Err(Error::new(
                Class::Conflict,
                format!(
                    "{names} kept changing at {}: {MAX_CONFLICTS} more tries lost, each refused by NXRRSET or YXRRSET",
                    self.provider.label
                ),
            )
            .hint("find out who else writes there"));
        }
        sleep(jitter(self.conflicts)).await;
        let before = std::mem::take(&mut self.seen);
        self.seen = self.read_patiently().await?;
        for (index, before) in before.iter().enumerate() {
            let unchanged = update::same_set(&before.values, &self.seen[index].values);
            self.synthesized[index] = unchanged && self.is_synthesized(index).await?;
        }
        Ok(())
    }

    /// The message may still arrive after our look; its prerequisites then refuse whichever copy comes second. Known
    /// gap: within the 300 s of its TSIG it could also arrive after everything was taken back again, and apply.
    async fn after_unknown(&mut self, failure: &Failure) -> Result<(), Error> {
        self.unknown += 1;
        let story = self.provider.story(self.zone, &self.targets());
        let failed = story.failure(failure);
        if self.unknown >= MAX_UNKNOWN {
            return Err(unsettled(failed, "tried often enough"));
        }
        tracing::debug!("{failed}; reading again");
        self.seen = self.read_patiently().await.map_err(|e| match e.class {
            Class::Transient => unsettled(failed, &e.message),
            _ => e,
        })?;
        Ok(())
    }

    /// RFC 2136 §3.4.2.2 lets a server ignore an addition in silence, so NOERROR is not proof. A zone with inline
    /// signing answers from its signed copy, which follows a moment later: that long we look again.
    async fn read_back(mut self) -> Result<Applied, Error> {
        let until = Instant::now() + SIGNING;
        let mut pause = SHORTEST_LOOK;
        self.synthesized.fill(false);
        let missing = loop {
            let read = self.read_patiently().await;
            self.seen =
                read.map_err(|e| unsettled(e, "the server had accepted it, but it could not be read back"))?;
            let missing: Vec<_> = self.steps().iter().map(Step::target).collect();
            if missing.is_empty() {
                return Ok(Applied { writes: self.writes });
            }
            if Instant::now() + pause > until {
                break missing;
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(MAX_PAUSE);
        };
        let names = self.provider.story(self.zone, &missing).names;
        Err(Error::new(
            Class::Conflict,
            format!(
                "{} answered NOERROR, but after {} s the records are not there: {names} (an alias? RFC 2136 §3.4.2.2)",
                self.provider.label,
                SIGNING.as_secs()
            ),
        )
        .hint("look for a CNAME or DNAME at the name, or another program that writes there"))
    }

    /// The server does not even let us ask whether values are gone. They are when they do not show within the time that a
    /// signed copy may take.
    async fn settle_by_looks(mut self, refusal: Error) -> Result<Applied, Error> {
        sleep(SIGNING).await;
        self.seen = self.read_patiently().await?;
        if self.steps().is_empty() { Ok(Applied { writes: self.writes }) } else { Err(refusal) }
    }

    fn targets(&self) -> Vec<(Name, RecordType)> {
        self.changes.iter().map(|change| (change.name.clone(), change.rtype)).collect()
    }

    async fn read(&self) -> Result<Vec<RrSet>, Error> {
        let questions: Vec<_> = self
            .changes
            .iter()
            .map(|change| self.provider.list(self.zone, &change.name, change.rtype))
            .collect();
        stream::iter(questions).buffered(QUESTIONS_AT_ONCE).try_collect().await
    }

    /// Something is at stake: a server that restarts gets the time for it.
    async fn read_patiently(&self) -> Result<Vec<RrSet>, Error> {
        let deadline = Instant::now() + self.provider.timeout * PATIENCE;
        let mut tries = 0;
        loop {
            match self.read().await {
                Err(e) if e.class == Class::Transient && Instant::now() < deadline => tries += 1,
                outcome => return outcome,
            }
            sleep(jitter(tries)).await;
        }
    }

    /// A wildcard answers for a name that does not exist (RFC 4592 §2.1), so what we read there cannot be a
    /// prerequisite. Asked only after a prerequisite failed although nothing seems to have changed.
    async fn is_synthesized(&self, index: usize) -> Result<bool, Error> {
        let (change, seen) = (&self.changes[index], &self.seen[index]);
        if seen.values.is_empty() {
            return Ok(false);
        }
        let mut above = change.name.base_name();
        while self.zone.zone_of(&above) {
            if let Ok(wildcard) = above.prepend_label("*") {
                let set = self.provider.list(self.zone, &wildcard, change.rtype).await?;
                if !set.values.is_empty() {
                    return Ok(update::same_set(&set.values, &seen.values));
                }
            }
            if above.is_root() {
                break;
            }
            above = above.base_name();
        }
        Ok(false)
    }
}

/// A new name shadows the wildcard that answered for it. TLSA values of the wildcard are copied, or the service would
/// lose pins that verify it today; TXT values mean nothing at a name of ours.
fn step(change: &Change, seen: &RrSet, synthesized: bool) -> Option<Step> {
    if !synthesized {
        return Step::new(change, seen);
    }
    let mut change = change.clone();
    if change.add.is_empty() {
        return None;
    }
    if change.rtype == RecordType::TLSA {
        let kept =
            seen.values.iter().filter(|value| !change.remove.iter().any(|gone| update::same(gone, value)));
        change.add.extend(kept.cloned().collect::<Vec<_>>());
        change.ttl = seen.ttl;
    }
    Step::new(&change, &RrSet::default())
}

fn unsettled(error: Error, why: &str) -> Error {
    let message = format!("an UPDATE was sent and its outcome is unknown: {}; {why}", error.message);
    Error { message, ..error }.hint("run again: what stands is read first, and only the rest is written")
}

/// A random pause that grows with `tries`; without randomness the longest one.
fn jitter(tries: u32) -> Duration {
    let bound = Duration::from_millis(10).saturating_mul(1 << tries.min(6)).min(MAX_PAUSE);
    let mut octet = [u8::MAX];
    let _ = random(&mut octet);
    bound * u32::from(octet[0]) / 255
}
