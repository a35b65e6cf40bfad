//! Every interleaving of danesmith with the world: a lagging secondary, caches that fetch at any time, instances that
//! deploy when they like, servers that do not answer, crashes, an administrator who edits records. The decisions are those
//! of the shipped [`plan`](super::plan::plan) and [`ledger`](super::ledger); only the world is modelled here. ARCHITECTURE.md,
//! "The model", lists the worlds and what the checker found.

mod administrator;
mod run;
mod state;

use administrator::{Ability, Edit};
use run::{Silent, spend};
use state::{Cached, Foreign, Run, Shared, State, bit, number};

use super::plan::{Guard, Wish};
use super::rotation::Phase;
use stateright::{Model, Property};

const OWNER: &str = "_25._tcp.mx.test.";
/// As often as one likes.
const ANY: u8 = u8::MAX;

/// How large the world is, what may happen in it, and which rule is broken.
#[derive(Clone)]
struct World {
    /// Beside the primary; at most two.
    secondaries: usize,
    /// At most three.
    instances: usize,
    /// At most two.
    caches: usize,
    /// How often runs are killed, rotations asked for, and rotations aborted; [`ANY`] has no limit.
    crashes: u8,
    rotations: u8,
    aborts: u8,
    /// Rotations are asked for with `--emergency --switch-now`.
    emergency: bool,
    /// A secondary, or an instance, does not answer now and then.
    silence: bool,
    /// Begins with the first deployment instead of the steady state.
    fresh: bool,
    administrator: &'static [Ability],
    broken: Option<Broken>,
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    /// One that `plan` or `ledger` hold.
    Guard(Guard),
    /// Waits one second less than the TTL.
    WaitOneLess,
    /// What stood there before the first look counts with no TTL at all.
    NoFloor,
    /// Looks at the primary only.
    PrimaryOnly,
    /// Whoever does not answer is left out.
    SilenceIsConsent,
    /// Replaces the whole RRset.
    Replace,
    /// Writes the document after the change of DNS.
    WriteLate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Action {
    Start(Option<Wish>),
    Step,
    /// A step that asks, and somebody does not answer.
    Unanswered(Silent),
    Crash,
    Tick,
    Transfer(usize),
    Fetch {
        cache: usize,
        secondary: Option<usize>,
    },
    Pull(usize),
    Edit(Edit),
}

impl World {
    fn run_actions(&self, s: &State, actions: &mut Vec<Action>) {
        let Some(run) = &s.run else {
            let rotate = if self.emergency { Wish::Emergency { switch_now: true } } else { Wish::Rotate };
            actions.push(Action::Start(None));
            match &s.disk.rotation {
                None if s.rotations > 0 => actions.push(Action::Start(Some(rotate))),
                Some(_) if s.aborts > 0 => actions.push(Action::Start(Some(Wish::Abort))),
                _ => {}
            }
            return;
        };
        actions.push(Action::Step);
        if s.crashes > 0 {
            actions.push(Action::Crash);
        }
        if self.silence && run.effect.is_none() && run.unwritten.is_none() {
            if run.observed.pins.is_none() {
                let secondaries = distinct(&s.secondaries, |_| true);
                actions.extend(secondaries.map(|i| Action::Unanswered(Silent::Secondary(i))));
            }
            if run.observed.endpoints.is_none() {
                let instances = distinct(&s.serves, |_| true);
                actions.extend(instances.map(|i| Action::Unanswered(Silent::Instance(i))));
            }
        }
    }
}

/// The places of the first of several equals: the others would lead to the same states.
fn distinct<T: PartialEq + Copy>(
    sorted: &[Option<T>],
    which: impl Fn(T) -> bool,
) -> impl Iterator<Item = usize> {
    (0..sorted.len())
        .filter(move |i| sorted[*i].is_some_and(&which) && (*i == 0 || sorted[*i - 1] != sorted[*i]))
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        self.run_actions(s, actions);
        actions.push(Action::Tick);
        let lagging = || distinct(&s.secondaries, |secondary| secondary != s.primary);
        actions.extend(lagging().map(Action::Transfer));
        // Sorted, so that empty caches stand first; those that the world does not have stay empty.
        let filled = s.caches.iter().flatten().count();
        if filled < self.caches {
            let cache = s.caches.len() - filled - 1;
            actions.push(Action::Fetch { cache, secondary: None });
            actions.extend(lagging().map(|i| Action::Fetch { cache, secondary: Some(i) }));
        }
        actions.extend(distinct(&s.serves, |n| s.live.is_some_and(|live| live != n)).map(Action::Pull));
        if s.run.is_none() {
            actions.extend(self.edits(s).into_iter().map(Action::Edit));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Start(wish) => {
                match wish {
                    Some(Wish::Abort) => spend(&mut s.aborts),
                    Some(_) => spend(&mut s.rotations),
                    None => {}
                }
                s.run = Some(Shared::new(Run { wish, ..Run::default() }));
            }
            Action::Step => self.step(&mut s, None)?,
            Action::Unanswered(silent) => self.step(&mut s, Some(silent))?,
            Action::Crash => {
                s.run = None;
                spend(&mut s.crashes);
            }
            Action::Tick => s.grow_older(),
            Action::Transfer(i) => s.secondaries[i] = Some(s.primary),
            Action::Fetch { cache, secondary } => {
                let from = secondary.map_or(Some(s.primary), |i| s.secondaries[i])?;
                if from.keys == 0 {
                    return None; // an absent set lets mail pass
                }
                s.caches[cache] = Some(Cached { keys: from.keys, foreign: from.foreign, left: from.ttl });
            }
            Action::Pull(i) => s.serves[i] = s.live,
            Action::Edit(edit) => self.edit(&mut s, edit)?,
        }
        s.sort();
        (s != *last).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("mail never breaks", |_, s: &State| s.forced > 0 || mail_works(s)),
            Property::always("records of others survive", |_, s: &State| {
                !matches!(s.hand.foreign, Foreign::There | Foreign::Noticed) || s.primary.foreign.is_some()
            }),
            Property::always("every pin is a known key", |_, s: &State| {
                let known = s.disk.pins.iter().fold(s.hand.restored, |all, p| all | bit(number(p.spki)));
                s.primary.keys & !known == 0
            }),
            Property::sometimes("rotations complete", |w: &World, s: &State| {
                w.rotations == 0 || ends(s, Phase::Retiring)
            }),
            Property::sometimes("aborted rotations end", |w: &World, s: &State| {
                w.aborts == 0 || ends(s, Phase::Aborting)
            }),
        ]
    }
}

fn ends(s: &State, phase: Phase) -> bool {
    s.run.as_ref().is_some_and(|run| run.ended == Some(phase))
}

/// Every set that some cache holds matches every instance, in each of its usages, selectors and matching types: senders may
/// look at one of them alone (RFC 7671 §8, §9).
fn mail_works(s: &State) -> bool {
    let matches = |cached: &Cached, n: u8| {
        cached.keys & bit(n) != 0 && cached.foreign.is_none_or(|foreign| foreign == n)
    };
    s.caches.iter().flatten().all(|cached| s.serves.iter().flatten().all(|n| matches(cached, *n)))
}

mod broken_tests;
mod tests;
