//! One change of a zone: list, write the difference, list again, at most five times, with nobody else on this machine
//! writing to the zone.

use super::engine::{Call, Engine, Kind, Memory};
use super::expression::Scope;
use super::pace::Place;
use super::read::{Entry, Standing, Zone, plain};
use super::spec::{Step, Verdict, Write};
use super::{crypto, value};
use crate::{Applied, Change, Class, Error};
use futures_util::{StreamExt, TryStreamExt, stream};
use hickory_proto::rr::RData;
use minijinja::value::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the difference is written before we give up. Our choice: others may win four times.
const ROUNDS: u32 = 5;
/// Reads on their way at once. Our choice: polite.
const READS_AT_ONCE: usize = 8;
/// First pause before another look at what was written: some hosts show it a moment later (`list.settle`).
const SECOND_LOOK: Duration = Duration::from_millis(400);

/// What is left to do at one name and type.
struct Todo<'c> {
    change: &'c Change,
    standing: &'c Standing,
    add: Vec<RData>,
    /// Records to remove: ours, and disabled twins of what is added.
    gone: Vec<Entry>,
    /// Records that stay, as they are.
    kept: Vec<Entry>,
    ttl: u32,
}

impl Engine {
    /// Makes all changes of a zone.
    pub(super) async fn apply(
        &self,
        zone: &Zone,
        changes: &[Change],
        until: Instant,
    ) -> Result<Applied, Error> {
        let place_name = format!("{} {} {}", self.spec.name, self.base, zone.name);
        let place = Place::of(&place_name);
        let _writer = place.write(self.options.locks.as_deref(), &zone.name, until).await?;
        let (mut writes, mut last, mut kind) = (0, None, Kind::Read);
        for round in 0..=ROUNDS {
            let mut seen = self.look(zone, changes, kind, until).await.map_err(|e| unsettled(e, writes))?;
            let settled = Instant::now() + self.spec.list.settle;
            let mut pause = SECOND_LOOK;
            // Accepted and not there: written over by somebody, or not shown yet.
            while round > 0 && last.is_none() && Instant::now() + pause < settled {
                if self.todos(zone, changes, &seen).is_empty() {
                    break;
                }
                sleep(pause).await;
                pause = pause * 3 / 2;
                seen = self.look(zone, changes, kind, until).await.map_err(|e| unsettled(e, writes))?;
            }
            let todos = self.todos(zone, changes, &seen);
            if todos.is_empty() {
                return Ok(Applied { writes });
            }
            if round == ROUNDS {
                break;
            }
            self.in_time(until).map_err(|e| unsettled(e, writes))?;
            kind = Kind::PatientRead;
            match self.write(zone, &todos, &place, &mut writes, until).await {
                Ok(()) => last = None,
                Err(error) if matches!(error.class, Class::Conflict | Class::Transient) => {
                    if Instant::now() >= until {
                        return Err(unsettled(error, writes));
                    }
                    tracing::debug!("{error}; looking again");
                    sleep(SECOND_LOOK.mul_f64(f64::from(round + 1) / 4.0)).await;
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let names: Vec<String> =
                changes.iter().take(3).map(|c| format!("{} at {}", c.rtype, plain(&c.name))).collect();
            let message = format!(
                "{} took {writes} writes, and what stands is still something else: {}",
                self.label,
                names.join(", ")
            );
            Error::new(Class::Conflict, message).hint("find out who else writes there")
        }))
    }

    /// An attempt that needs the permission to write and changes nothing, where the file knows one.
    pub(super) async fn probe(&self, zone: &Zone, until: Instant) -> Result<(), Error> {
        let Some(probe) = &self.spec.probe else { return Ok(()) };
        let nonce = crypto::nonce().map_err(|why| Error::new(Class::Internal, why))?;
        let scope = self.scope().with("zone", zone.members.clone()).with("nonce", nonce);
        let call = Call { kind: Kind::Write, ..Call::read(until) };
        match self.step(&probe.step, &scope, None, &call).await {
            Ok(_) => Ok(()),
            Err(error) if probe.expect.contains(&Verdict::Failed(error.class)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What stands at every changed name.
    async fn look<'c>(
        &self,
        zone: &Zone,
        changes: &'c [Change],
        kind: Kind,
        until: Instant,
    ) -> Result<Vec<Standing>, Error> {
        let memory = Memory::default();
        let call = Call { kind, memory: Some(&memory), ..Call::read(until) };
        let look = |change: &'c Change| self.standing(zone, &change.name, change.rtype, &call);
        let Some((first, others)) = changes.split_first() else { return Ok(vec![]) };
        // Alone, because its answer may hold all others.
        let mut seen = vec![look(first).await?];
        let others: Vec<_> = others.iter().map(look).collect();
        seen.extend(stream::iter(others).buffered(READS_AT_ONCE).try_collect::<Vec<_>>().await?);
        Ok(seen)
    }

    fn todos<'c>(&self, zone: &Zone, changes: &'c [Change], seen: &'c [Standing]) -> Vec<Todo<'c>> {
        let pairs = changes.iter().zip(seen);
        pairs.filter_map(|(change, standing)| self.todo(zone, change, standing)).collect()
    }

    fn todo<'c>(&self, zone: &Zone, change: &'c Change, standing: &'c Standing) -> Option<Todo<'c>> {
        let has =
            |values: &[RData], value: &RData| values.iter().any(|other| value::canonical(other) == *value);
        let stands = |value: &RData| {
            standing.entries.iter().any(|entry| !entry.disabled && entry.value.as_ref() == Some(value))
        };
        let mut add: Vec<RData> = Vec::new();
        for value in change.add.iter().map(value::canonical) {
            if !stands(&value) && !add.contains(&value) {
                add.push(value);
            }
        }
        // A disabled value answers nobody, so it does not stand; it is left alone unless we add the very same one.
        let goes = |entry: &&Entry| match &entry.value {
            Some(value) if entry.disabled => add.contains(value),
            Some(value) => has(&change.remove, value) && !has(&change.add, value),
            None => false,
        };
        let gone: Vec<Entry> = standing.entries.iter().filter(goes).cloned().collect();
        if add.is_empty() && gone.is_empty() {
            return None;
        }
        let kept = standing.entries.iter().filter(|entry| !goes(entry)).cloned().collect();
        // RFC 2181 §5.2: one TTL per RRset, and it is not ours to change.
        let ttl = match standing.entries.first() {
            Some(entry) => entry.ttl,
            None => self.spec.ttl.nearest(change.ttl, zone.min_ttl),
        };
        Some(Todo { change, standing, add, gone, kept, ttl })
    }

    /// Writes the difference. Additions first: an RRset must not be seen with the old value gone and the new not there.
    async fn write(
        &self,
        zone: &Zone,
        todos: &[Todo<'_>],
        place: &Arc<Place>,
        writes: &mut u32,
        until: Instant,
    ) -> Result<(), Error> {
        let call = Call { kind: Kind::Write, pace: Some(place), ..Call::read(until) };
        match &self.spec.write {
            Write::Values { add, remove } => {
                for todo in todos {
                    for value in &todo.add {
                        let scope = self.valued(zone, todo, value)?;
                        self.count(add, &scope, &call, writes).await?;
                    }
                }
                for todo in todos {
                    for entry in &todo.gone {
                        self.remove(remove, zone, todo, entry, &call, writes).await?;
                    }
                }
            }
            Write::Sets { replace, update, clear } => {
                let mut ordered: Vec<&Todo<'_>> = todos.iter().collect();
                ordered.sort_by_key(|todo| !todo.gone.is_empty());
                for chunk in ordered.chunks(replace.batch.unwrap_or(1)) {
                    let mut sets = Vec::new();
                    for todo in chunk {
                        sets.push(self.set(zone, todo)?);
                    }
                    let first = chunk.first().map(|todo| (todo.standing, todo.add.len() + todo.kept.len()));
                    let (step, scope) = match (replace.batch, first) {
                        (Some(_), _) => {
                            let values: Vec<Value> = sets.iter().map(Scope::value).collect();
                            let scope = self.scope().with("zone", zone.members.clone());
                            (replace, scope.with("changes", values))
                        }
                        (None, Some((standing, left))) => {
                            let step = match (clear, update) {
                                (Some(clear), _) if left == 0 => clear,
                                (_, Some(update)) if !standing.entries.is_empty() => update,
                                _ => replace,
                            };
                            (step, sets.pop().unwrap_or_default())
                        }
                        (None, None) => continue,
                    };
                    self.count(step, &scope, &call, writes).await?;
                }
            }
        }
        if let Some(commit) = &self.spec.commit {
            let scope = self.scope().with("zone", zone.members.clone());
            self.step(commit, &scope, None, &call).await?;
        }
        Ok(())
    }

    async fn count(
        &self,
        step: &Step,
        scope: &Scope,
        call: &Call<'_>,
        writes: &mut u32,
    ) -> Result<Verdict, Error> {
        *writes += 1;
        self.step(step, scope, None, call).await.map(|answer| answer.verdict)
    }

    async fn remove(
        &self,
        step: &Step,
        zone: &Zone,
        todo: &Todo<'_>,
        entry: &Entry,
        call: &Call<'_>,
        writes: &mut u32,
    ) -> Result<(), Error> {
        let Some(value) = &entry.value else { return Ok(()) };
        let mut scope = self.valued(zone, todo, value)?;
        scope.set("value", entry.text.clone());
        scope.set("id", entry.id.clone());
        scope.set("record", entry.raw.clone());
        match self.count(step, &scope, call, writes).await {
            // Somebody else was faster.
            Err(error) if error.class == Class::NotFound => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// The variables of a request about one value.
    fn valued(&self, zone: &Zone, todo: &Todo<'_>, value: &RData) -> Result<Scope, Error> {
        let change = todo.change;
        let mut scope = self.named(zone, &change.name, change.rtype);
        scope.set("ttl", todo.ttl);
        scope.set("exists", !todo.standing.entries.is_empty());
        let (txt, tlsa) = value::parts(value);
        scope.set("value", value::text(value));
        scope.set("txt", txt);
        scope.set("tlsa", tlsa);
        let rdata = self.rdata(&scope, change)?;
        scope.set("rdata", rdata);
        Ok(scope)
    }

    fn rdata(&self, scope: &Scope, change: &Change) -> Result<Value, Error> {
        let Some(template) = self.spec.per_type.get(&change.rtype.to_string()) else {
            return Ok(Value::from(()));
        };
        template.render(scope).map_err(|why| {
            Error::new(Class::Internal, format!("{} (`per_type` in {}): {why}", self.label, self.spec.file))
        })
    }

    /// The variables of a request about a whole RRset.
    fn set(&self, zone: &Zone, todo: &Todo<'_>) -> Result<Scope, Error> {
        let change = todo.change;
        let mut scope = self.named(zone, &change.name, change.rtype);
        scope.set("ttl", todo.ttl);
        scope.set("exists", !todo.standing.entries.is_empty());
        scope.set("set", todo.standing.item.clone().unwrap_or_else(|| Value::from(())));
        scope.set("etag", todo.standing.etag.clone().unwrap_or_else(|| Value::from(())));
        let standing = |entry: &Entry| self.entry(zone, todo, entry);
        let old: Vec<Value> = todo.standing.entries.iter().map(standing).collect::<Result<_, _>>()?;
        let mut last: Vec<Value> = todo.kept.iter().map(standing).collect::<Result<_, _>>()?;
        for value in &todo.add {
            let entry = Entry {
                value: Some(value.clone()),
                text: value::text(value),
                raw: Value::from(()),
                id: Value::from(()),
                ttl: todo.ttl,
                disabled: false,
            };
            last.push(self.entry(zone, todo, &entry)?);
        }
        scope.set("old", old);
        scope.set("final", last);
        Ok(scope)
    }

    fn entry(&self, zone: &Zone, todo: &Todo<'_>, entry: &Entry) -> Result<Value, Error> {
        let (txt, tlsa, rdata) = match &entry.value {
            Some(value) => {
                let scope = self.valued(zone, todo, value)?;
                let (txt, tlsa) = value::parts(value);
                (txt, tlsa, self.rdata(&scope, todo.change)?)
            }
            None => (Value::from(()), Value::from(()), Value::from(())),
        };
        Ok(Value::from_pairs([
            ("value", Value::from(entry.text.clone())),
            ("txt", txt),
            ("tlsa", tlsa),
            ("rdata", rdata),
            ("raw", entry.raw.clone()),
            ("id", entry.id.clone()),
            ("ttl", Value::from(entry.ttl)),
            ("disabled", Value::from(entry.disabled)),
        ]))
    }
}

/// A read that fails after a write leaves open what became of it.
fn unsettled(error: Error, writes: u32) -> Error {
    if writes == 0 {
        return error;
    }
    let message = format!(
        "{writes} request(s) to write were sent, and what became of them is not known: {}",
        error.message
    );
    Error { message, ..error }.hint("run again: what stands is read first, and only the rest is written")
}
