//! observe → plan → act, certificate by certificate, all at once. One failing certificate never stops the others.

use crate::clock::full_minute;
use crate::error::{Error, Kind, Result};
use crate::flow::issue::Use;
use crate::flow::keys::{self, WantedKeys};
use crate::flow::locate::Located;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::flow::{deploy, issue, look, publish, renewal_info, rotate, txt};
use crate::model::desired::{Certificate, Dnssec, Endpoints, Keys};
use crate::model::document::KeyPair;
use crate::model::ledger;
use crate::model::outcome::{Outcome, Report};
use crate::model::plan::{Observed, Proof, Refusal, Step, Wanted, Wish, plan};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Options of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Try at once although an earlier failure asks for patience (`--now`).
    pub now: bool,
    /// Block through waiting periods (`--wait`).
    pub wait: bool,
    /// What `rotate` asks for.
    pub wish: Option<Wish>,
}

/// A server that was told to reload does so within a moment: so long a run waits for it without `--wait`, in all.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

/// Works on all these certificates side by side, then remembers what saves requests next time.
pub async fn apply(world: &World, certificates: &[&Certificate], options: Options) -> Vec<Report> {
    let before = world.memory();
    let reports = join_all(certificates.iter().map(|wanted| one(world, wanted, options))).await;
    for report in &reports {
        // That something asked for was refused does not mean that the hourly run fails.
        if options.wish.is_some() && matches!(&report.outcome, Outcome::Failed(e) if e.kind == Kind::Refused)
        {
            continue;
        }
        let now = world.clock.now();
        world.remember(|memory| memory.note_run(&report.certificate, &report.outcome, now));
    }
    let mut after = world.memory();
    after.tidy(world.clock.now());
    if after != before
        && let Err(e) = world.store.put_memory(&after).await
    {
        tracing::warn!("{e}");
    }
    reports
}

async fn one(world: &World, wanted: &Certificate, options: Options) -> Report {
    let mut working = Working::new(wanted, options.wish);
    let outcome = match work(world, &mut working, options).await {
        Ok(outcome) => outcome,
        Err(e) => {
            // Failures are noted for the next run; when even that fails, the first error is the one to tell.
            if let Err(also) = note_failure(world, &mut working).await {
                tracing::warn!("{also}");
            }
            Outcome::Failed(e)
        }
    };
    let Working { changes, warnings, .. } = working;
    Report { certificate: wanted.name.clone(), outcome, changes, warnings }
}

/// A refusal by the CA has set `failures`; everything else leaves the document as it was last saved.
async fn note_failure(world: &World, working: &mut Working<'_>) -> Result<()> {
    if working.document.failures.is_some() { working.save(world).await } else { Ok(()) }
}

async fn work(world: &World, working: &mut Working<'_>, options: Options) -> Result<Outcome> {
    working.document = world.store.document(&working.wanted.name).await?;
    working.live = world.store.live(&working.wanted.name).await?;
    deploy::note_owed(world, working.wanted, &mut working.document).await;
    if options.now
        && let Some(failures) = &mut working.document.failures
    {
        failures.not_before = world.clock.now();
    }
    let mut seen = Seen { patience: PATIENCE, ..Seen::default() };
    let outcome = steps(world, working, options, &mut seen).await;
    rotate::warn_of_others(world, working, seen.observed.pins.as_ref()).await;
    outcome
}

/// Step by step, until nothing is left to do, or it has to wait.
async fn steps(
    world: &World,
    working: &mut Working<'_>,
    options: Options,
    seen: &mut Seen,
) -> Result<Outcome> {
    let mut keys = keys_of(world, working).await?;
    seen.observed.lost = keys::files_lost(world, working.wanted, &working.document).await?;
    if keys::spare_lost(world, working).await? {
        // another one is asked for before it is needed; `live` must never lead nowhere
        working.document.spare = None;
    }
    for lost in keys::lost_keys(world, working.wanted, &working.document).await? {
        working.warn(lost);
    }
    if working.document.rotation.is_some() && !matches!(working.wish, Some(Wish::Abort)) {
        working.wish = None; // it is under way already
    }
    let mut wanted = wanted(world, working.wanted, &keys, working.wish);
    // Every step changes the document or what was seen, so the loop ends; the bound is for defects of ours. Waiting is
    // the administrator's wish and has no bound.
    let mut left = 64;
    let mut unissued = None;
    while left > 0 {
        let step = plan(&wanted, &working.document, working.live, &seen.observed, world.clock.now());
        tracing::debug!(certificate = working.wanted.name, ?step, "plan");
        let shifted = step == Step::Shift;
        let looked = matches!(step, Step::ObservePins | Step::ObserveEndpoints);
        left = if matches!(step, Step::Wait(..) | Step::Hold(..)) { 64 } else { left - 1 };
        let issuing = matches!(step, Step::Issue(..)) && !seen.observed.unissued;
        match (act(world, working, &keys, seen, step, options).await, unissued.take()) {
            (Ok(Some(_)) | Err(_), Some(first)) => return Err(first),
            (Ok(Some(outcome)), None) => return Ok(outcome),
            (Err(e), None) if issuing && !seen.observed.lost && working.document.installed.is_some() => {
                seen.observed.unissued = true;
                unissued = Some(e);
            }
            (Err(e), None) => return Err(e),
            (Ok(None), first) => unissued = first,
        }
        if shifted {
            keys = keys_of(world, working).await?;
        } else if looked {
            // those beside us may have made their keys, or gone on, since we last looked
            keys.siblings = keys::siblings(world, working.wanted).await;
        }
        wanted = self::wanted(world, working.wanted, &keys, working.wish);
    }
    Err(Error::new(
        Kind::Internal,
        format!("finish certificate {}", working.wanted.name),
        "the plan goes round in circles",
    ))
}

async fn keys_of(world: &World, working: &mut Working<'_>) -> Result<WantedKeys> {
    let siblings = keys::siblings(world, working.wanted).await;
    Ok(WantedKeys { siblings, ..own_keys(world, working).await? })
}

async fn own_keys(world: &World, working: &mut Working<'_>) -> Result<WantedKeys> {
    match (keys::known(world, working.wanted, &working.document).await?, &working.wanted.keys) {
        // The keys were the administrator's until now, and the last rotation used the backup key up; or `backup: managed`
        // is new.
        (Some(WantedKeys { active, backup: None, .. }), keys)
            if keys.managed_backup().is_some() && working.document.rotation.is_none() =>
        {
            let backup = keys::make_backup(world, working.wanted).await?;
            working.document.keys = Some(KeyPair { active, backup });
            working.save(world).await?;
            working.changed("made a backup key: there was none".into());
            keys::known(world, working.wanted, &working.document)
                .await?
                .ok_or_else(|| Error::new(Kind::Internal, "read the keys", "no active key"))
        }
        (Some(keys), _) => Ok(keys),
        (None, Keys::Managed(algorithm)) => {
            working.step(world, "making active and backup key");
            let keys = keys::make(world, &working.wanted.name, *algorithm, &mut working.document).await?;
            working.changed(format!("made the active key {} and the backup key", keys.active));
            Ok(keys)
        }
        (None, Keys::Own { .. }) => Err(Error::new(Kind::Internal, "read the keys", "no active key")),
    }
}

/// What this run has looked at.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) observed: Observed,
    pub(super) located: Vec<Located>,
    /// How long this run may still wait without being asked to.
    patience: SignedDuration,
    /// A server was told to reload in this run.
    reloaded: bool,
}

async fn act(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    seen: &mut Seen,
    step: Step,
    options: Options,
) -> Result<Option<Outcome>> {
    match &step {
        Step::Relink(generation) => {
            working.switch(world, *generation).await?;
            working.changed(format!("live points at generation {generation} again"));
        }
        Step::CleanUp => clean_up(world, working).await?,
        Step::Issue(_, key) => issue::issue(world, working, *key, Use::Serve).await?,
        Step::Stage(key) => issue::issue(world, working, *key, Use::Keep).await?,
        Step::AskRenewal => renewal_info::ask(world, working).await?,
        Step::Reload(generation) => deploy::deploy(world, working, *generation).await?,
        Step::ObservePins => {
            working.step(world, "asking every name server for TLSA");
            look::at_pins(world, working, keys, seen).await?;
        }
        Step::ObserveEndpoints => {
            working.step(world, "probing the endpoints");
            look::at_endpoints(world, working, keys, seen).await?;
        }
        Step::JudgeOthers => {
            let views = seen.observed.pins.clone().unwrap_or_default();
            seen.observed.unmatched = Some(rotate::judge_others(world, working, &views).await?);
        }
        Step::Publish(missing) => publish::publish(world, working, keys, &seen.located, missing).await?,
        Step::RecordSeen(pins) => {
            let views = seen.observed.pins.iter().flat_map(|v| v.values());
            let at = views.filter_map(|o| o.asked_at).min().unwrap_or_else(|| world.clock.now());
            ledger::record_seen(&mut working.document, pins, at);
            working.save(world).await?;
        }
        Step::Begin(evidence) => rotate::begin(world, working, evidence, keys.active).await?,
        Step::ServeSpare(key) => rotate::serve_spare(world, working, *key).await?,
        Step::Withdraw(why) => rotate::withdraw(world, working, why).await?,
        Step::Abort => rotate::abort(world, working).await?,
        Step::Settle => rotate::settle(world, working).await?,
        Step::Retire(evidence) => {
            rotate::retire(world, working, evidence.key(), seen.observed.pins.as_ref()).await?;
        }
        Step::Unpublish(owners, evidence) => {
            if let Some(views) = &seen.observed.pins {
                ledger::note_replay(&mut working.document, evidence.key(), views);
            }
            publish::unpublish(world, working, &seen.located, owners, evidence).await?;
            look::gone_everywhere(world, working, keys, seen, owners, evidence.key()).await?;
            return Ok(None);
        }
        Step::Forget(owners, key) => {
            let pins: Vec<_> = owners.iter().map(|o| (o.clone(), vec![*key])).collect();
            ledger::forget_pins(&mut working.document, &pins);
            working.save(world).await?;
        }
        Step::Shift => rotate::shift(world, working).await?,
        Step::Wait(until, why) if options.wait || seen.grants(*until, world) => {
            working.sleep_until(world, *until, why).await;
        }
        Step::Hold(until, refusal) if options.wait || (seen.reloaded && seen.grants(*until, world)) => {
            working.sleep_until(world, *until, &refusal.cause).await
        }
        Step::Wait(until, why) => return Ok(Some(Outcome::Waits(*until, why.clone()))),
        Step::Hold(until, refusal) => {
            return Err(held(*until, refusal.clone(), world.clock.now()));
        }
        Step::Refuse(refusal) => return Err(refused(refusal.clone())),
        Step::Nothing(until) => {
            if seen.reloaded {
                deploy::confirm(world, working, seen.observed.endpoints.take(), seen.patience).await?;
            }
            return Ok(Some(Outcome::Done(*until)));
        }
    }
    seen.reloaded |= matches!(step, Step::Reload(_));
    seen.observed.after(&step);
    Ok(None)
}

impl Seen {
    /// A moment of patience with a server that reloads.
    fn grants(&mut self, until: Timestamp, world: &World) -> bool {
        let pause = until.duration_since(world.clock.now());
        let granted = pause <= self.patience;
        if granted {
            self.patience -= pause;
        }
        granted
    }
}

async fn clean_up(world: &World, working: &mut Working<'_>) -> Result<()> {
    working.step(world, "removing TXT records of an earlier run");
    let owed = std::mem::take(&mut working.document.owed);
    let (left, failed) = txt::remove(world, &owed).await;
    let removed = owed.len() - left.len();
    working.document.owed = left;
    working.save(world).await?;
    if removed > 0 {
        working.changed(format!("{removed} TXT record(s) of an earlier run removed"));
    }
    failed.map_or(Ok(()), Err)
}

/// A refusal that time heals. Most say themselves when it may succeed; that something is looked at again in a moment goes
/// without saying.
pub(super) fn held(until: Timestamp, refusal: Refusal, now: Timestamp) -> Error {
    let told = refusal.hint.contains("it may succeed from");
    let e = refused(refusal);
    if told || until.duration_since(now) < SignedDuration::from_secs(10) {
        return e;
    }
    e.hint(format!("it may succeed from {} on", full_minute(until)))
}

pub(super) fn refused(refusal: Refusal) -> Error {
    let kind = if refusal.remote { Kind::Remote } else { Kind::Refused };
    Error::new(kind, refusal.action, refusal.cause).remains(refusal.remains).hint(refusal.hint)
}

/// The pure half of what the administrator wants.
pub(super) fn wanted(
    world: &World,
    certificate: &Certificate,
    keys: &WantedKeys,
    wish: Option<Wish>,
) -> Wanted {
    Wanted {
        name: certificate.name.clone(),
        names: certificate.names.clone(),
        active: keys.active,
        backup: keys.backup,
        owners: certificate.tlsa.iter().map(|o| o.to_ascii()).collect(),
        proof: if certificate.endpoints == Endpoints::Unchecked { Proof::Word } else { Proof::Probe },
        unsigned_ok: unsigned_ok(world, certificate),
        renew: certificate.renew,
        backup_usable: keys.backup_usable,
        deploys_without_key: certificate.deploys_without_key(),
        siblings: keys.siblings.clone(),
        policy: certificate.policy,
        schedule: certificate.rotate,
        wish,
        #[cfg(test)]
        without: None,
    }
}

/// Owners whose zone may hold TLSA although it is not signed.
pub(super) fn unsigned_ok(world: &World, certificate: &Certificate) -> BTreeSet<String> {
    let ok = |owner: &&hickory_proto::rr::Name| {
        world.zone_of(owner).is_some_and(|z| z.dnssec == Dnssec::UnsignedOk)
    };
    certificate.tlsa.iter().filter(ok).map(|o| o.to_ascii()).collect()
}
