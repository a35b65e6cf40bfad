//! Every interleaving of danesmith with the world: a lagging secondary, caches that fetch at any time, instances that
//! deploy when they like, crashes, an administrator who edits records. The decisions are those of the shipped
//! [`plan`](super::plan::plan) and [`ledger`]; only the world is modelled here. Time counts in seconds, TTLs are 1 to 3.

use super::document::{Document, Installed};
use super::endpoint::{Algorithm, EndpointView, Shown};
use super::key::SpkiDigest;
use super::ledger;
use super::plan::{Guard, Observed, OwnerView, Proof, Step, Wanted, Wish, plan};
use super::policy::Policy;
use crate::model::desired::{Renew, Rotate};
use jiff::{SignedDuration, Timestamp};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::{BTreeMap, BTreeSet};

const OWNER: &str = "_25._tcp.mx.test.";
/// What an instance presents before danesmith's first certificate; pinned nowhere.
const STRANGE: u8 = 0;
/// TTL of a new RRset, and what the administrator lowers it to.
const TTL: u8 = 3;
const LOW_TTL: u8 = 1;

/// How large the world is, and which rule is broken.
#[derive(Clone)]
struct World {
    instances: usize,
    caches: usize,
    horizon: u8,
    crashes: u8,
    rotations: u8,
    aborts: u8,
    /// Begins with the first deployment instead of the steady state.
    fresh: bool,
    administrator: bool,
    broken: Option<Broken>,
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    /// One that `plan` or `ledger` hold.
    Guard(Guard),
    /// Waits one second less than the TTL.
    WaitOneLess,
    /// Looks at the primary only.
    PrimaryOnly,
    /// Replaces the whole RRset.
    Replace,
    /// Writes the document after the change of DNS.
    WriteLate,
}

/// TLSA at one server: a set of keys, a record of somebody else, the TTL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Rrset {
    keys: u8,
    foreign: bool,
    ttl: u8,
}

/// A run of danesmith; all of it is lost in a crash.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Run {
    wish: Option<Wish>,
    observed: Observed,
    /// The document is written; the effect comes next.
    effect: Option<Step>,
    /// With [`Broken::WriteLate`]: the effect is done, this is yet to be written.
    unwritten: Option<Document>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    now: u8,
    disk: Document,
    live: Option<u64>,
    backup: u8,
    next_key: u8,
    run: Option<Run>,
    primary: Rrset,
    secondary: Rrset,
    /// What each cache holds and when it expires.
    caches: Vec<Option<(u8, u8)>>,
    serves: Vec<u8>,
    crashes: u8,
    rotations: u8,
    aborts: u8,
    /// What the administrator did: added a record, deleted a pin (its key), put it back, lowered the TTL, lost the backup,
    /// found it again.
    added: bool,
    deleted: Option<u8>,
    restored: Option<u8>,
    lowered: bool,
    lost: Option<u8>,
    found: bool,
    done: u8,
    aborted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Action {
    Start(Option<Wish>),
    Step,
    Crash,
    Tick,
    Transfer,
    Fetch { cache: usize, secondary: bool },
    Pull(usize),
    AddForeign,
    DeletePin(u8),
    RestorePin,
    LowerTtl,
    LoseBackup,
    FindBackup,
}

fn key(n: u8) -> SpkiDigest {
    SpkiDigest([n; 32])
}

fn number(key: SpkiDigest) -> u8 {
    key.0[0]
}

fn bit(n: u8) -> u8 {
    1 << n
}

fn time(seconds: u8) -> Timestamp {
    Timestamp::from_second(i64::from(seconds)).unwrap()
}

fn set(keys: u8) -> BTreeSet<SpkiDigest> {
    (1..8).filter(|n| keys & bit(*n) != 0).map(key).collect()
}

impl World {
    fn wanted(&self, state: &State, wish: Option<Wish>) -> Wanted {
        let active = state.disk.keys.as_ref().map_or(key(1), |k| k.active);
        let slack = if self.broken == Some(Broken::WaitOneLess) { -1 } else { 0 };
        let floor = i64::from(TTL) + slack;
        Wanted {
            names: vec!["mx.test".into()],
            active,
            backup: Some(key(state.backup)),
            owners: vec![OWNER.into()],
            proof: Proof::Probe,
            unsigned_ok: BTreeSet::new(),
            renew: Renew::Third,
            backup_usable: true,
            siblings: BTreeSet::new(),
            // One TTL is the exact bound: the default of two would hide a rule that is off by one.
            policy: Policy {
                ttls: 1,
                slack: SignedDuration::from_secs(slack),
                floor: SignedDuration::from_secs(floor),
            },
            schedule: Rotate::Manual,
            wish,
            without: match self.broken {
                Some(Broken::Guard(guard)) => Some(guard),
                _ => None,
            },
        }
    }

    fn views(&self, state: &State) -> BTreeMap<String, OwnerView> {
        let mut servers = vec![state.primary];
        if self.broken != Some(Broken::PrimaryOnly) {
            servers.push(state.secondary);
        }
        let everywhere = servers.iter().fold(u8::MAX, |all, s| all & s.keys);
        let somewhere = servers.iter().fold(0, |any, s| any | s.keys);
        let there = servers.iter().filter(|s| s.keys != 0 || s.foreign);
        let view = OwnerView {
            everywhere: set(everywhere),
            somewhere: set(somewhere),
            asked_at: Some(time(state.now)),
            ttl: there.map(|s| u32::from(s.ttl)).max(),
            ..OwnerView::default()
        };
        [(OWNER.to_owned(), view)].into()
    }

    fn endpoints(state: &State) -> EndpointView {
        let shown = state.serves.iter().enumerate().map(|(i, n)| Shown {
            host: "mx.test".into(),
            at: i.to_string(),
            algorithm: Algorithm::Ecdsa,
            key: key(*n),
            chain: Vec::new(),
        });
        EndpointView { shown: shown.collect(), ..EndpointView::default() }
    }

    /// One move of the run: the next decision, up to and including what is written to disk, or the effect after it.
    fn step(&self, state: &mut State) {
        let Some(mut run) = state.run.take() else { return };
        if let Some(document) = run.unwritten.take() {
            state.disk = document;
            state.run = Some(run);
            return;
        }
        if let Some(step) = run.effect.take() {
            self.effect(state, &step);
            run.observed.after(&step);
            state.run = Some(run);
            return;
        }
        let wanted = self.wanted(state, run.wish);
        let step = plan(&wanted, &state.disk, state.live, &run.observed, time(state.now));
        let now = time(state.now);
        let before = state.disk.clone();
        let document = &mut state.disk;
        match &step {
            Step::Wait(..) | Step::Hold(..) | Step::Refuse(_) | Step::Nothing(_) => return,
            Step::ObservePins => {
                let mut views = self.views(state);
                ledger::learn(&mut state.disk, &mut views, &wanted, now);
                run.observed.pins = Some(views);
            }
            Step::ObserveEndpoints => run.observed.endpoints = Some(World::endpoints(state)),
            Step::JudgeOthers => run.observed.unmatched = Some(Vec::new()),
            Step::Publish(pins) => ledger::note_pins(document, pins, now),
            Step::RecordSeen(pins) => ledger::record_seen(document, pins, now),
            Step::Unpublish(owners, evidence) => {
                let pins: Vec<_> = owners.iter().map(|o| (o.clone(), vec![evidence.key()])).collect();
                ledger::clear_clocks(document, &pins);
            }
            Step::Forget(owners, key) => {
                let pins: Vec<_> = owners.iter().map(|o| (o.clone(), vec![*key])).collect();
                ledger::forget_pins(document, &pins);
            }
            Step::Issue(_, key) => {
                let certificate = certificate(document, *key);
                ledger::install(document, certificate, false, now);
            }
            Step::Stage(key) => {
                let certificate = certificate(document, *key);
                ledger::stage(document, certificate);
            }
            Step::Begin(evidence) => {
                ledger::begin(document, wanted.active, evidence.key(), false, now);
                run.wish = None;
            }
            Step::ServeSpare(_) => ledger::serve_spare(document, false),
            Step::Withdraw(_) => ledger::settle(document),
            Step::Settle => {
                ledger::settle(document);
                state.aborted = true;
            }
            Step::Abort => {
                ledger::abort(document);
                run.wish = None;
            }
            Step::Retire(_) => ledger::retire(document),
            Step::Shift => {
                ledger::shift(document, Some(key(state.next_key)), now);
                (state.backup, state.next_key) = (state.next_key, state.next_key + 1);
                state.done += 1;
            }
            Step::Relink(_) | Step::Reload(_) | Step::CleanUp => {}
        }
        let has_effect = matches!(
            step,
            Step::Publish(_) | Step::Unpublish(..) | Step::Issue(..) | Step::ServeSpare(_) | Step::Relink(_)
        );
        if has_effect && self.broken == Some(Broken::WriteLate) && !matches!(step, Step::Relink(_)) {
            run.unwritten = Some(std::mem::replace(&mut state.disk, before));
            let written = run.unwritten.clone();
            let generation = written.as_ref().and_then(|d| d.installed.as_ref()).map(|i| i.generation);
            self.effect(state, &step);
            if matches!(step, Step::Issue(..) | Step::ServeSpare(_)) {
                state.live = generation;
            }
            run.observed.after(&step);
        } else if has_effect {
            run.effect = Some(step);
        } else {
            run.observed.after(&step);
        }
        forget_dates(&mut state.disk);
        state.run = Some(run);
    }

    fn effect(&self, state: &mut State, step: &Step) {
        let replace = self.broken == Some(Broken::Replace);
        match step {
            Step::Publish(pins) => {
                let keys = pins.iter().flat_map(|(_, keys)| keys).fold(0, |all, k| all | bit(number(*k)));
                if state.primary.keys == 0 && !state.primary.foreign {
                    state.primary.ttl = TTL;
                }
                state.primary.keys |= keys;
                state.primary.foreign &= !replace;
            }
            Step::Unpublish(_, evidence) => {
                state.primary.keys &= !bit(number(evidence.key()));
                state.primary.foreign &= !replace;
            }
            Step::Issue(..) | Step::ServeSpare(_) | Step::Relink(_) => {
                state.live = state.disk.installed.as_ref().map(|i| i.generation);
            }
            _ => {}
        }
    }

    /// What `live` holds, for instances to pull.
    fn live_key(state: &State) -> Option<u8> {
        let all = [&state.disk.installed, &state.disk.spare].into_iter().flatten();
        all.filter(|c| Some(c.generation) == state.live).map(|c| number(c.spki)).next()
    }

    fn start(&self) -> State {
        let mut state = State {
            now: 0,
            disk: Document::default(),
            live: None,
            backup: 2,
            next_key: 4,
            run: None,
            primary: Rrset::default(),
            secondary: Rrset::default(),
            caches: vec![None; self.caches],
            serves: vec![STRANGE; self.instances],
            crashes: self.crashes,
            rotations: self.rotations,
            aborts: self.aborts,
            added: false,
            deleted: None,
            restored: None,
            lowered: false,
            lost: None,
            found: false,
            done: 0,
            aborted: false,
        };
        if !self.fresh {
            let first = certificate(&state.disk, key(1));
            ledger::install(&mut state.disk, first, false, time(0));
            forget_dates(&mut state.disk);
            state.live = Some(1);
            state.serves = vec![1; self.instances];
            // A site with a single key: the backup is added now, beside a pin that caches know.
            ledger::record_seen(&mut state.disk, &[(OWNER.to_owned(), key(1))], time(0));
            state.primary = Rrset { keys: bit(1), foreign: false, ttl: TTL };
            state.secondary = state.primary;
        }
        state
    }
}

fn certificate(document: &Document, spki: SpkiDigest) -> Installed {
    Installed {
        generation: document.next_generation(),
        names: vec!["mx.test".into()],
        spki,
        not_before: time(0),
        not_after: Timestamp::from_second(1_000_000).unwrap(),
        serial: String::new(),
        issuer: String::new(),
    }
}

/// Dates that no rule looks at would only multiply the states.
fn forget_dates(document: &mut Document) {
    document.serving_since = None;
    document.renewals = 0;
    document.pins.iter_mut().for_each(|p| p.first_published = time(0));
    document.pins.sort_by_key(|p| p.spki);
    if let Some(rotation) = &mut document.rotation {
        rotation.since = time(0);
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        match &s.run {
            Some(_) => {
                actions.push(Action::Step);
                if s.crashes > 0 {
                    actions.push(Action::Crash);
                }
            }
            None => {
                actions.push(Action::Start(None));
                if s.rotations > 0 && s.disk.rotation.is_none() {
                    actions.push(Action::Start(Some(Wish::Rotate)));
                }
                if s.aborts > 0 && s.disk.rotation.is_some() {
                    actions.push(Action::Start(Some(Wish::Abort)));
                }
            }
        }
        if s.now < self.horizon {
            actions.push(Action::Tick);
        }
        if s.primary != s.secondary {
            actions.push(Action::Transfer);
        }
        for cache in 0..self.caches {
            if s.caches[cache].is_none() {
                actions.extend([false, true].map(|secondary| Action::Fetch { cache, secondary }));
            }
        }
        actions.extend(
            (0..self.instances).filter(|i| World::live_key(s) != Some(s.serves[*i])).map(Action::Pull),
        );
        if self.administrator && s.run.is_none() {
            self.edits(s, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Start(wish) => {
                match wish {
                    Some(Wish::Abort) => s.aborts -= 1,
                    Some(_) => s.rotations -= 1,
                    None => {}
                }
                s.run = Some(Run { wish, ..Run::default() });
            }
            Action::Step => self.step(&mut s),
            Action::Crash => (s.run, s.crashes) = (None, s.crashes - 1),
            Action::Tick => {
                s.now += 1;
                for cache in &mut s.caches {
                    *cache = cache.filter(|(_, expires)| *expires > s.now);
                }
            }
            Action::Transfer => s.secondary = s.primary,
            Action::Fetch { cache, secondary } => {
                let from = if secondary { s.secondary } else { s.primary };
                if from.keys == 0 {
                    return None; // an absent set lets mail pass
                }
                s.caches[cache] = Some((from.keys, s.now + from.ttl));
            }
            Action::Pull(i) => s.serves[i] = World::live_key(&s)?,
            Action::AddForeign => (s.added, s.primary.foreign) = (true, true),
            Action::DeletePin(n) => {
                s.deleted = Some(n);
                s.primary.keys &= !bit(n);
            }
            Action::RestorePin => {
                let key = s.deleted.or(s.lost)?;
                s.restored = Some(key);
                s.primary.keys |= bit(key);
            }
            Action::LowerTtl => (s.lowered, s.primary.ttl) = (true, LOW_TTL),
            Action::LoseBackup => (s.lost, s.backup) = (Some(s.backup), 3),
            Action::FindBackup => (s.found, s.backup) = (true, s.lost?),
        }
        (s != *last).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("mail never breaks", |_, s: &State| {
                s.caches.iter().flatten().all(|(keys, _)| s.serves.iter().all(|n| keys & bit(*n) != 0))
            }),
            Property::always("records of others survive", |_, s: &State| !s.added || s.primary.foreign),
            Property::always("every pin is a known key", |_, s: &State| {
                let known = s.disk.pins.iter().fold(0, |all, p| all | bit(number(p.spki)));
                let by_hand = s.restored.map_or(0, bit);
                s.primary.keys & !known & !by_hand == 0
            }),
            Property::sometimes("rotations complete", |w: &World, s: &State| s.done >= w.rotations.min(1)),
            Property::sometimes("aborted rotations end", |w: &World, s: &State| s.aborted || w.aborts == 0),
        ]
    }
}

impl World {
    /// What an administrator may do between runs. Deleting a pin that is served breaks mail whatever anybody does, so only
    /// others are deleted.
    fn edits(&self, s: &State, actions: &mut Vec<Action>) {
        if !s.added && s.primary.keys != 0 {
            actions.push(Action::AddForeign);
        }
        let served = s.serves.iter().chain(World::live_key(s).as_ref()).fold(0, |all, n| all | bit(*n));
        let backup = bit(s.backup) & s.primary.keys & !served;
        let active_stays = s.primary.keys & served != 0;
        if s.deleted.is_none() && backup != 0 && active_stays {
            actions.push(Action::DeletePin(s.backup));
        }
        let gone = s.deleted.or(s.lost).filter(|n| s.primary.keys & bit(*n) == 0 && s.primary.keys != 0);
        if s.restored.is_none() && gone.is_some() {
            actions.push(Action::RestorePin);
        }
        if !s.lowered && s.primary.ttl == TTL {
            actions.push(Action::LowerTtl);
        }
        if s.lost.is_none() && s.disk.rotation.is_none() && s.done == 0 {
            actions.push(Action::LoseBackup);
        }
        if s.lost.is_some() && !s.found && s.disk.rotation.is_none() && s.done == 0 {
            actions.push(Action::FindBackup);
        }
    }
}

#[cfg(test)]
mod tests;
