//! What danesmith does in the world of the checker. The decisions and the changes of the document are those of the shipped
//! [`plan`] and [`ledger`]; what `flow` does around them is done here in the same order: document, effect, next look.

use super::state::*;
use super::{ANY, Broken, OWNER, World};
use crate::model::desired::{Renew, Rotate};
use crate::model::document::Document;
use crate::model::endpoint::{Algorithm, EndpointView, FailedProbe, Shown};
use crate::model::plan::{Observed, OtherTlsa, OwnerView, Proof, Step, Wanted, Wish, plan};
use crate::model::policy::Policy;
use crate::model::rotation::Phase;
use crate::model::{dane_others, ledger};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Who does not answer when asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Silent {
    Secondary(usize),
    Instance(usize),
}

impl World {
    /// One move of the run: the next decision, up to and including what is written to disk, or the effect after it. `None`
    /// when nobody asks the one who would be silent.
    pub(super) fn step(&self, state: &mut State, silent: Option<Silent>) -> Option<()> {
        let mut run = (**state.run.as_ref()?).clone();
        state.run = None;
        run.ended = None;
        if let Some(document) = run.unwritten.take() {
            state.disk = Shared::new(document);
        } else if let Some(step) = run.effect.take() {
            let installed = state.disk.installed.as_ref().map(|i| number(i.spki));
            self.effect(state, &step, installed);
            run.observed.after(&step);
        } else {
            let wanted = self.wanted(state, run.wish);
            let live = state.live.map(u64::from);
            let step = plan(&wanted, &state.disk, live, &run.observed, now());
            match (&step, silent) {
                (_, None) => {}
                (Step::ObservePins, Some(Silent::Secondary(_))) => {}
                (Step::ObserveEndpoints, Some(Silent::Instance(_))) => {}
                _ => return None,
            }
            match &step {
                Step::Wait(..) | Step::Hold(..) | Step::Refuse(_) | Step::Nothing(_) => return Some(()),
                Step::ObservePins => self.look_at_pins(state, &mut run, &wanted, silent),
                Step::ObserveEndpoints => run.observed.endpoints = Some(self.endpoints(state, silent)),
                Step::JudgeOthers => run.observed.unmatched = Some(unmatched(state, &run.observed)),
                _ => self.act(state, &mut run, &wanted, step),
            }
        }
        state.run = Some(Shared::new(run));
        Some(())
    }

    fn look_at_pins(&self, state: &mut State, run: &mut Run, wanted: &Wanted, silent: Option<Silent>) {
        let mut views = self.views(state, silent);
        if let (Some((n, seen)), Some(view)) = (&mut state.hand.deleted, views.get(OWNER)) {
            *seen |= !view.everywhere.contains(&key(*n));
        }
        if state.hand.foreign == Foreign::There && views.values().any(|view| !view.others.is_empty()) {
            state.hand.foreign = Foreign::Noticed;
        }
        let mut document = (*state.disk).clone();
        ledger::learn(&mut document, &mut views, wanted, now());
        tidy(&mut document);
        state.disk = Shared::new(document);
        run.observed.pins = Some(views);
    }

    /// Document first, then the effect.
    fn act(&self, state: &mut State, run: &mut Run, wanted: &Wanted, step: Step) {
        let mut document = (*state.disk).clone();
        match &step {
            Step::Publish(pins) => ledger::note_pins(&mut document, pins, now()),
            Step::RecordSeen(pins) => ledger::record_seen(&mut document, pins, asked_at(&run.observed)),
            Step::Unpublish(_, evidence) => {
                ledger::clear_clocks(&mut document, &[(OWNER.to_owned(), vec![evidence.key()])]);
            }
            Step::Forget(_, key) => {
                ledger::forget_pins(&mut document, &[(OWNER.to_owned(), vec![*key])]);
            }
            Step::Issue(_, key) => ledger::install(&mut document, certificate(*key), false, now()),
            Step::Stage(key) => ledger::stage(&mut document, certificate(*key)),
            Step::Begin(evidence) => {
                let forced = matches!(run.wish, Some(Wish::Emergency { switch_now: true }));
                ledger::begin(&mut document, wanted.active, evidence.key(), forced, now());
                state.forced = if forced { TTL } else { state.forced };
                run.wish = None;
            }
            Step::ServeSpare(_) => ledger::serve_spare(&mut document, false),
            Step::Withdraw(_) => ledger::settle(&mut document),
            Step::Settle => {
                ledger::settle(&mut document);
                run.ended = Some(Phase::Aborting);
            }
            Step::Abort => {
                ledger::abort(&mut document);
                run.wish = None;
            }
            Step::Retire(_) => ledger::retire(&mut document),
            Step::Shift => {
                self.shift(state, &mut document);
                run.ended = Some(Phase::Retiring);
            }
            _ => {}
        }
        tidy(&mut document);
        let has_effect = matches!(
            step,
            Step::Publish(_) | Step::Unpublish(..) | Step::Issue(..) | Step::ServeSpare(_) | Step::Relink(_)
        );
        if has_effect && self.broken == Some(Broken::WriteLate) {
            self.effect(state, &step, document.installed.as_ref().map(|i| number(i.spki)));
            run.observed.after(&step);
            run.unwritten = Some(document);
            return;
        }
        state.disk = Shared::new(document);
        if has_effect {
            run.effect = Some(step);
        } else {
            run.observed.after(&step);
        }
    }

    /// The next backup key is a new one. Its number may have been another key's, of which no trace is left but in the list
    /// of retired keys: it is taken off that list, because the new key never was on it.
    fn shift(&self, state: &mut State, document: &mut Document) {
        let next = state.unused();
        assert!(next.is_some(), "the world has too few keys: {state:?}");
        state.backup = next;
        ledger::shift(document, &[OWNER.to_owned()], next.map(key), now());
        next.iter().for_each(|next| _ = document.retired.remove(&key(*next)));
    }

    fn effect(&self, state: &mut State, step: &Step, installed: Option<u8>) {
        let replace = self.broken == Some(Broken::Replace);
        match step {
            Step::Publish(pins) => {
                let keys = pins.iter().flat_map(|(_, keys)| keys).fold(0, |all, k| all | bit(number(*k)));
                if state.primary.keys == 0 && state.primary.foreign.is_none() {
                    state.primary.ttl = TTL;
                }
                state.primary.keys |= keys;
                state.primary.foreign = state.primary.foreign.filter(|_| !replace);
                state.hand.deleted = state.hand.deleted.filter(|(n, _)| keys & bit(*n) == 0);
                state.hand.restored &= !keys;
            }
            Step::Unpublish(_, evidence) => {
                state.primary.keys &= !bit(number(evidence.key()));
                state.primary.foreign = state.primary.foreign.filter(|_| !replace);
            }
            Step::Issue(..) | Step::ServeSpare(_) | Step::Relink(_) => state.live = installed,
            _ => {}
        }
    }

    fn wanted(&self, state: &State, wish: Option<Wish>) -> Wanted {
        let active = state.disk.keys.as_ref().map_or(key(1), |k| k.active);
        let slack = if self.broken == Some(Broken::WaitOneLess) { -1 } else { 0 };
        let floor = if self.broken == Some(Broken::NoFloor) { 0 } else { i64::from(TTL) + slack };
        Wanted {
            name: "mx".into(),
            names: vec!["mx.test".into()],
            active,
            backup: state.backup.map(key),
            owners: vec![OWNER.into()],
            proof: Proof::Probe,
            unsigned_ok: BTreeSet::new(),
            renew: Renew::Third,
            backup_usable: true,
            deploys_without_key: false,
            siblings: Vec::new(),
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

    fn views(&self, state: &State, silent: Option<Silent>) -> BTreeMap<String, OwnerView> {
        let mut servers: Vec<Rrset> = state.servers().collect();
        match silent {
            _ if self.broken == Some(Broken::PrimaryOnly) => servers.truncate(1),
            Some(Silent::Secondary(which)) => {
                let at = 1 + state.secondaries[..which].iter().flatten().count();
                servers.remove(at);
            }
            _ => {}
        }
        let told = silent.is_some() && self.broken != Some(Broken::SilenceIsConsent);
        let there = servers.iter().filter(|s| s.keys != 0 || s.foreign.is_some());
        let foreign: BTreeSet<Option<u8>> = servers.iter().map(|s| s.foreign).collect();
        let view = OwnerView {
            everywhere: set(servers.iter().fold(u8::MAX, |all, s| all & s.keys)),
            somewhere: set(servers.iter().fold(0, |any, s| any | s.keys)),
            others_differ: foreign.len() > 1,
            others: foreign
                .into_iter()
                .flatten()
                .map(|n| OtherTlsa { kind: (3, 0, 0), data: vec![n] })
                .collect(),
            silent: if told { vec!["ns2".into()] } else { Vec::new() },
            asked_at: Some(now()),
            ttl: there.map(|s| u32::from(s.ttl)).max(),
            ..OwnerView::default()
        };
        [(OWNER.to_owned(), view)].into()
    }

    fn endpoints(&self, state: &State, silent: Option<Silent>) -> EndpointView {
        let answers = |i: &usize| silent != Some(Silent::Instance(*i));
        let keys: BTreeSet<u8> = (0..3).filter(answers).filter_map(|i| state.serves[i]).collect();
        let shown = keys.into_iter().map(|n| Shown {
            host: String::new(),
            at: String::new(),
            algorithm: Algorithm::Ecdsa,
            key: key(n),
            chain: Vec::new(),
        });
        let failed = FailedProbe {
            endpoint: String::new(),
            host: String::new(),
            at: String::new(),
            reason: String::new(),
            nowhere: false,
        };
        let told = silent.is_some() && self.broken != Some(Broken::SilenceIsConsent);
        EndpointView {
            shown: shown.collect(),
            failed: if told { vec![failed] } else { Vec::new() },
            ..EndpointView::default()
        }
    }

    pub(super) fn start(&self) -> State {
        let mut state = State {
            disk: Shared::new(Document::default()),
            live: None,
            backup: Some(2),
            run: None,
            primary: Rrset::default(),
            secondaries: std::array::from_fn(|i| (i < self.secondaries).then(Rrset::default)),
            caches: [None; 2],
            serves: std::array::from_fn(|i| (i < self.instances).then_some(STRANGE)),
            crashes: self.crashes,
            rotations: self.rotations,
            aborts: self.aborts,
            hand: Hand::default(),
            forced: 0,
        };
        if !self.fresh {
            let mut document = Document::default();
            ledger::install(&mut document, certificate(key(1)), false, now());
            // A site with a single key: the backup is added now, beside a pin that caches know.
            ledger::record_seen(&mut document, &[(OWNER.to_owned(), key(1))], long_ago());
            tidy(&mut document);
            state.disk = Shared::new(document);
            state.live = Some(1);
            state.serves = std::array::from_fn(|i| (i < self.instances).then_some(1));
            state.primary = Rrset { keys: bit(1), foreign: None, ttl: TTL };
            state.secondaries = state.secondaries.map(|secondary| secondary.map(|_| state.primary));
        }
        state.sort();
        state
    }
}

/// What the records of others make of the certificate to come, by the shipped rule.
fn unmatched(state: &State, observed: &Observed) -> Vec<String> {
    let Some(spare) = &state.disk.spare else { return Vec::new() };
    let views = observed.pins.iter().flatten();
    views.flat_map(|(owner, view)| dane_others::unmatched(owner, &view.others, &chain(spare.spki))).collect()
}

fn asked_at(observed: &Observed) -> Timestamp {
    observed.pins.iter().flat_map(|views| views.values()).filter_map(|v| v.asked_at).min().unwrap_or(now())
}

/// One less of what is limited.
pub(super) fn spend(budget: &mut u8) {
    if *budget != ANY {
        *budget = budget.saturating_sub(1);
    }
}
