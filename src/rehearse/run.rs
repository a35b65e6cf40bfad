//! A rehearsal from its first moment to its last: the timer fires, the administrator acts, danesmith runs, mail goes on.

use super::administrator::{self, Act};
use super::authority::Authority;
use super::dice::Dice;
use super::disk::Disk;
use super::faults::Faults;
use super::keys::KeyRing;
use super::mail::MailServers;
use super::notes;
use super::senders::{Refused, Senders};
use super::signing::Signer;
use super::stand_ins::{Files, ReadFile};
use super::standing::State;
use super::story::Story;
use super::time::{DAY, Ended, HOUR, MINUTE, Moment, VirtualTime, timestamp};
use super::universe::{Universe, lock};
use super::zones::Zones;
use crate::error::{Error, Kind, Result};
use crate::flow::World;
use crate::flow::apply::{self, Options as ApplyOptions};
use crate::model::csr::Csr;
use crate::model::desired::{Certificate, Desired, KeyAlgorithm};
use crate::model::key::SpkiDigest;
use crate::model::outcome::{Outcome, Report};
use crate::model::plan::Wish;
use crate::model::private_key::PrivateKey;
use crate::model::rehearsal::{Counts, Event, Refusal, Rehearsal, What};
use crate::model::renewal;
use crate::model::ripeness::ripe_everywhere;
use crate::store::Store;
use hickory_proto::rr::Name;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What to rehearse.
#[derive(Debug, Clone)]
pub struct Options {
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub until: Timestamp,
    /// Things go wrong as this seed says; `None`: nothing does.
    pub seed: Option<u64>,
    /// Seconds between two runs of `danesmith apply`: README recommends an hourly timer.
    pub every: i64,
    /// `danesmith rotate` is asked for this certificate half an hour after the beginning, with `--wait`.
    pub rotate: Option<String>,
    /// Keep every step for comparison.
    pub keep_trace: bool,
}

/// With faults, somebody who has seen a run with `--wait` look again so often presses Ctrl-C.
const GIVES_UP: u64 = 150;
/// The second server of every host takes new files so often.
const LATE: Moment = 4 * HOUR;

/// Rehearses `desired`. `read` gives the files that it names, where they are there; secrets are never asked for. `state`: it
/// begins with these documents instead of nothing.
///
/// # Errors
/// A defect of the rehearsal itself; what goes wrong inside it is its result.
pub fn rehearse(
    desired: &Desired,
    options: &Options,
    read: &ReadFile<'_>,
    state: Option<&State>,
) -> Result<Rehearsal> {
    let mut run = Run::new(desired.clone(), options, read, state)?;
    run.all()?;
    Ok(run.finish())
}

/// A rehearsal under way.
pub(super) struct Run {
    pub(super) universe: Arc<Universe>,
    senders: Senders,
    options: Options,
    span: (Moment, Moment),
    notes: Vec<String>,
    events: Vec<Event>,
    counts: Counts,
    refused: Option<Refused>,
    /// Ripe keys that were told, by when.
    ripe: BTreeSet<(String, SpkiDigest, Timestamp)>,
    /// The last run over all certificates, when it had nothing to do: when it was, and until when nothing is due.
    quiet: Option<(Moment, Moment)>,
    /// When the timer fires, with faults: machines are not always on.
    naps: Dice,
    /// Failures that were told: the same one is told once until a run succeeds.
    failing: BTreeMap<String, String>,
}

impl Run {
    pub(super) fn new(
        mut desired: Desired,
        options: &Options,
        read: &ReadFile<'_>,
        state: Option<&State>,
    ) -> Result<Run> {
        let (start, end) = (options.from.as_millisecond(), options.until.as_millisecond());
        let mut keys = KeyRing::default();
        let mut files = Files::of(&mut desired, &mut keys, read)?;
        let zones = Zones::new(&desired, start);
        let faults = match options.seed {
            Some(seed) => Faults::new(seed, start, end, zones.count()),
            None => Faults::none(),
        };
        let late = options.seed.map_or((LATE, 37 * MINUTE), late_of);
        let own = PrivateKey::generate(KeyAlgorithm::P256)?;
        let signer = Signer::new(start)?;
        let own_csr = Csr::parse(&own.csr(&["localhost".into()])?)?;
        let dates = (start - DAY, start + 3650 * DAY);
        let own_chain = signer.sign(&own_csr, &["localhost".into()], 1, dates)?.certs;
        let mail = MailServers::new(&desired, late.0, late.1);
        let desired = Arc::new(desired);
        let universe = Arc::new_cyclic(|me| Universe {
            time: Arc::new(VirtualTime::new(start)),
            start,
            desired: Mutex::new(desired.clone()),
            zones: Mutex::new(zones),
            authority: Mutex::new(Authority::default()),
            disk: Mutex::new(Disk::default()),
            mail: Mutex::new(mail),
            faults: Mutex::new(faults),
            story: Mutex::new(Story::new(options.keep_trace)),
            keys: Mutex::new(keys),
            files: Mutex::new(files.contents.clone()),
            asks: AtomicU64::new(0),
            signer,
            own_chain,
            me: me.clone(),
        });
        let senders = Senders::new(&desired, &universe, start);
        let mut run = Run {
            universe,
            senders,
            options: options.clone(),
            span: (start, end),
            notes: notes::notes(&desired, &files, late, options),
            events: Vec::new(),
            counts: Counts::default(),
            refused: None,
            ripe: BTreeSet::new(),
            quiet: None,
            naps: Dice::new(options.seed.unwrap_or(0), "naps"),
            failing: BTreeMap::new(),
        };
        if let Some(state) = state {
            run.begin_with(state, &mut files)?;
            run.senders = Senders::new(&desired, &run.universe, start);
        }
        Ok(run)
    }

    /// The first and the last moment.
    pub(super) fn span(&self) -> (Moment, Moment) {
        self.span
    }

    /// From the first moment to the last, or to the first delivery that is refused.
    pub(super) fn all(&mut self) -> Result<()> {
        let (start, end) = self.span;
        let desired = lock(&self.universe.desired).clone();
        let mut acts = match self.options.seed {
            Some(seed) => administrator::erratic(&desired, seed, self.span),
            None => administrator::yearly(&desired, self.span),
        };
        acts.extend(lock(&self.universe.faults).told());
        if let Some(certificate) = self.options.rotate.clone() {
            let ask = Act::Ask { certificate, wish: Wish::Rotate, wait: true };
            acts.push((start + 30 * MINUTE, ask));
        }
        acts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let every = (self.options.every * 1000).max(MINUTE);
        let mut timer = start;
        while self.refused.is_none() {
            let act = acts.last().map_or(Moment::MAX, |(at, _)| *at);
            let next = timer.min(act).max(self.universe.time.moment());
            if next >= end {
                break;
            }
            self.universe.time.advance_to(next);
            if self.deliver() {
                break;
            }
            if act <= timer {
                if let Some((_, act)) = acts.pop() {
                    self.act(act, &mut acts)?;
                }
                continue;
            }
            if self.is_idle(next) {
                self.counts.runs += 1;
            } else {
                self.run(None, ApplyOptions::default())?;
            }
            let pause = match (self.options.seed, self.quiet) {
                (None, _) => every,
                (Some(_), Some(_)) => self.naps.from(2, 30) * HOUR,
                (Some(_), None) => self.naps.one_of(1, &[2, 5]) * HOUR,
            };
            timer += every * ((self.universe.time.moment() - timer).max(pause - 1) / every + 1);
        }
        if self.refused.is_none() {
            self.universe.time.advance_to(end);
            self.deliver();
        }
        Ok(())
    }

    /// Whether a run would find everything as the last one left it, with nothing due: such a run is counted, not repeated.
    /// One a day is made in any case, and with faults every one.
    fn is_idle(&self, now: Moment) -> bool {
        let Some((since, due)) = self.quiet.filter(|_| self.options.seed.is_none()) else { return false };
        let still = lock(&self.universe.zones).all_still((since, now));
        still && now < due && now - since < DAY
    }

    /// Mail until now; whether some of it was refused.
    fn deliver(&mut self) -> bool {
        let now = self.universe.time.moment();
        self.refused = self.refused.take().or_else(|| self.senders.advance(&self.universe, now));
        self.refused.is_some()
    }

    fn act(&mut self, act: Act, acts: &mut Vec<(Moment, Act)>) -> Result<()> {
        let Act::Ask { certificate, wish, wait } = &act else {
            self.quiet = None;
            self.universe.act(&act);
            return Ok(());
        };
        let options = ApplyOptions { now: false, wait: *wait, wish: Some(*wish) };
        let begun = self.run(Some(certificate), options)?;
        // Without faults a person who was refused tries again next day.
        if self.options.seed.is_none() && !begun {
            acts.push((self.universe.time.moment() + DAY, act));
            acts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        }
        Ok(())
    }

    /// One run of danesmith, for one certificate or all. Whether it succeeded.
    fn run(&mut self, only: Option<&str>, options: ApplyOptions) -> Result<bool> {
        let universe = self.universe.clone();
        let desired = lock(&universe.desired).clone();
        let chosen: Vec<&Certificate> =
            desired.certificates.values().filter(|c| only.is_none_or(|name| c.name == name)).collect();
        lock(&universe.faults).run_begins();
        universe.asks.store(0, Ordering::Relaxed);
        let work = async {
            let memory = universe.memory().await;
            let world = World::new(desired.clone(), universe.effects(), memory);
            apply::apply(&world, &chosen, options).await
        };
        self.quiet = None;
        let begun = universe.time.moment();
        let gives_up = options.wait && self.options.seed.is_some();
        let most = if gives_up { universe.time.jumps() + GIVES_UP } else { u64::MAX };
        let ended =
            universe.time.run(work, || lock(&universe.faults).killed() || universe.time.jumps() > most);
        self.counts.runs += 1;
        let succeeded = match ended {
            Ended::Done(reports) => {
                let due = reports
                    .iter()
                    .map(due)
                    .min()
                    .flatten()
                    .map(|due| due.min(self.asked_first()).as_millisecond());
                // A question to the CA, and writing its answer down, is no news.
                let asked = 2 * universe.asks.load(Ordering::Relaxed);
                let nothing = only.is_none() && lock(&universe.faults).effects() == asked;
                self.quiet = due.filter(|_| nothing).map(|due| (begun, due));
                self.reported(&reports)
            }
            Ended::Killed => {
                self.counts.killed += 1;
                let words = "danesmith is killed".into();
                lock(&universe.story).tell(
                    universe.time.moment(),
                    only.unwrap_or_default(),
                    What::Failed,
                    words,
                );
                false
            }
            Ended::Stuck => {
                return Err(Error::new(Kind::Internal, "rehearse", "a run waits for what never comes"));
            }
        };
        universe.renew_own_keys()?;
        self.ripened();
        self.deliver();
        self.collect();
        Ok(succeeded)
    }

    /// When the CA is first asked about some certificate. It says the same each time, unless something happens, so later questions
    /// do not make a run worth while.
    fn asked_first(&self) -> Timestamp {
        let desired = lock(&self.universe.desired).clone();
        let disk = lock(&self.universe.disk);
        let documents = desired.certificates.keys().map(|name| disk.document(name));
        let unasked = documents.filter(|document| document.renewal_info.is_none());
        unasked.filter_map(|document| renewal::asked_from(&document)).min().unwrap_or(Timestamp::MAX)
    }

    fn reported(&mut self, reports: &[Report]) -> bool {
        let now = self.universe.time.moment();
        let (mut put_off, mut failed) = (false, false);
        for report in reports {
            for words in report.changes.iter().chain(&report.warnings) {
                self.universe.trace(&format!("{} = {words}", report.certificate));
            }
            let Outcome::Failed(e) = &report.outcome else {
                self.failing.remove(&report.certificate);
                continue;
            };
            let refused = e.kind == Kind::Refused;
            (put_off, failed) = (put_off || refused, failed || !refused);
            let words = lock(&self.universe.keys).told(&e.to_string());
            self.universe.trace(&format!("{}: {words}", report.certificate));
            if self.failing.insert(report.certificate.clone(), e.action.clone()).as_ref() != Some(&e.action) {
                let what = if refused { What::PutOff } else { What::Failed };
                lock(&self.universe.story).tell(now, &report.certificate, what, words);
            }
        }
        self.counts.failed += u64::from(failed);
        self.counts.put_off += u64::from(put_off && !failed);
        !put_off && !failed
    }

    /// Keys whose pins have become ripe.
    fn ripened(&mut self) {
        let moment = self.universe.time.moment();
        let now = timestamp(moment);
        let desired = lock(&self.universe.desired).clone();
        for certificate in desired.certificates.values().filter(|c| !c.tlsa.is_empty()) {
            let document = lock(&self.universe.disk).document(&certificate.name);
            let owners: Vec<String> = certificate.tlsa.iter().map(|owner| owner.to_ascii()).collect();
            let mut fresh: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
            let pinned: BTreeSet<SpkiDigest> = document.pins.iter().map(|pin| pin.spki).collect();
            for spki in pinned {
                let ripe = ripe_everywhere(&document, &owners, spki, &certificate.policy);
                let Some(ripe) = ripe.filter(|ripe| *ripe <= now) else { continue };
                if self.ripe.insert((certificate.name.clone(), spki, ripe)) {
                    fresh.entry(ripe).or_default().push(lock(&self.universe.keys).letter(spki));
                }
            }
            for (ripe, letters) in fresh {
                let it = if letters.len() > 1 { "them" } else { "it" };
                let words = format!("{}: every cache without {it} has expired", letters.join(", "));
                let what = (What::Ripe, letters);
                // What was ripe before the rehearsal is ripe from its first moment on.
                let at = ripe.as_millisecond().max(self.span.0);
                lock(&self.universe.story).tell_late((at, moment), &certificate.name, what, words);
            }
        }
    }

    /// Adds to each event what the caches held.
    fn collect(&mut self) {
        let told = std::mem::take(&mut lock(&self.universe.story).told);
        for told in told {
            let caches = self.senders.caches(&self.universe, &told.certificate, told.at);
            self.events.push(Event {
                at: timestamp(told.at),
                certificate: told.certificate,
                until: told.until.map(timestamp),
                what: told.what,
                words: told.words,
                keys: told.keys,
                caches,
            });
        }
    }

    /// The result.
    pub(super) fn finish(mut self) -> Rehearsal {
        self.collect();
        self.events.sort_by_key(|event| event.at);
        // A run goes on for a while until it is seen that mail was refused in it: that is no part of the story.
        let end = self.refused.as_ref().map_or(Moment::MAX, |refused| refused.at);
        self.events.retain(|event| event.at.as_millisecond() <= end);
        let rotations = self.events.iter().filter(|event| event.what == What::Rotated).count();
        let story = lock(&self.universe.story);
        let authority = lock(&self.universe.authority);
        self.counts.deliveries = self.senders.attempted + u64::from(self.refused.is_some());
        self.counts.orders = authority.orders.iter().filter(|order| order.created <= end).count() as u64;
        let signed = authority.orders.iter().filter_map(|order| order.finalized.as_ref());
        self.counts.certificates = signed.filter(|(at, _)| *at <= end).count() as u64;
        let zones = lock(&self.universe.zones);
        self.counts.budgets = authority.budgets(|name| {
            let name = Name::from_ascii(format!("{}.", name.trim_start_matches("*."))).ok()?;
            zones.zone_of(&name)
        });
        for order in authority.orders.iter().filter(|order| order.created <= end) {
            let week = timestamp(order.created).strftime("%G-W%V").to_string();
            *self.counts.weeks.entry(week).or_default() += 1;
        }
        self.counts.rotations = rotations as u64;
        self.counts.changes = story.changes(end);
        let refusal = self.refused.map(|refused| Refusal {
            at: timestamp(refused.at),
            certificate: refused.certificate,
            words: refused.words,
            trace: story.last(refused.at),
        });
        Rehearsal {
            from: self.options.from,
            until: timestamp(self.universe.time.moment().min(self.span.1).min(end)),
            seed: self.options.seed,
            notes: self.notes,
            events: self.events,
            counts: self.counts,
            refusal,
            trace_digest: story.digest(),
            steps: story.all.clone().unwrap_or_default(),
        }
    }
}

/// When something is due for a certificate; `None`: now, for all we know.
fn due(report: &Report) -> Option<Timestamp> {
    match &report.outcome {
        Outcome::Done(until) | Outcome::Waits(until, _) => Some(*until),
        Outcome::Failed(_) => None,
    }
}

/// How late the second servers are, by seed.
fn late_of(seed: u64) -> (Moment, Moment) {
    let mut dice = Dice::new(seed, "late");
    let every = dice.one_of(HOUR, &[5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 6 * HOUR, 30 * HOUR]);
    (every, dice.from(0, every))
}
