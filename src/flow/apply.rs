//! observe → plan → act, certificate by certificate, all at once. One failing certificate never stops the others.

use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::flow::keys::{self, WantedKeys};
use crate::flow::locate::Located;
use crate::flow::world::World;
use crate::flow::{deploy, issue, observe, publish, txt};
use crate::model::desired::{Certificate, Dnssec, Endpoints, Keys};
use crate::model::document::Document;
use crate::model::outcome::{Outcome, Report};
use crate::model::plan::{Observed, Proof, Refusal, Step, Wanted, plan};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Options of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Try at once although an earlier failure asks for patience (`--now`).
    pub now: bool,
    /// Block through waiting periods (`--wait`).
    pub wait: bool,
}

/// A certificate being worked on: what is wanted, what is durable, what happened.
pub(super) struct Working<'a> {
    pub(super) wanted: &'a Certificate,
    pub(super) document: Document,
    pub(super) live: Option<u64>,
    changes: Vec<String>,
    warnings: Vec<String>,
}

impl Working<'_> {
    /// Replaces the document on disk.
    pub(super) async fn save(&self, world: &World) -> Result<()> {
        world.store.put(&self.wanted.name, &self.document).await
    }

    pub(super) fn step(&self, world: &World, step: &str) {
        tracing::debug!(certificate = self.wanted.name, "{step}");
        world.progress.step(&self.wanted.name, step);
    }

    pub(super) fn changed(&mut self, what: String) {
        self.changes.push(what);
    }

    pub(super) fn warn(&mut self, what: String) {
        if !self.warnings.contains(&what) {
            self.warnings.push(what);
        }
    }
}

/// Works on all these certificates side by side, then remembers what saves requests next time.
pub async fn apply(world: &World, certificates: &[&Certificate], options: Options) -> Vec<Report> {
    let before = world.memory();
    let reports = join_all(certificates.iter().map(|wanted| one(world, wanted, options))).await;
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
    let mut working = Working {
        wanted,
        document: Document::default(),
        live: None,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    let outcome = match work(world, &mut working, options).await {
        Ok(outcome) => outcome,
        Err(e) => {
            // Failures are noted for the next run; when even that fails, the first error is the one to tell.
            if let Err(also) = note_failure(world, &working).await {
                tracing::warn!("{also}");
            }
            Outcome::Failed(e)
        }
    };
    let Working { changes, warnings, .. } = working;
    Report { certificate: wanted.name.clone(), outcome, changes, warnings }
}

/// A refusal by the CA has set `failures`; everything else leaves the document as it was last saved.
async fn note_failure(world: &World, working: &Working<'_>) -> Result<()> {
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
    let keys = match (keys::known(world, working.wanted, &working.document).await?, &working.wanted.keys) {
        (Some(keys), _) => keys,
        (None, Keys::Managed(algorithm)) => {
            working.step(world, "making active and backup key");
            let keys = keys::make(world, &working.wanted.name, *algorithm, &mut working.document).await?;
            working.changed(format!("made the active key {} and the backup key", keys.active));
            keys
        }
        (None, Keys::Own { .. }) => return Err(Error::new(Kind::Internal, "read the keys", "no active key")),
    };
    let wanted = wanted(world, working.wanted, &keys);
    let mut seen = Seen::default();
    seen.observed.lost = keys::files_lost(world, working.wanted, &working.document).await?;
    for lost in keys::lost_keys(world, working.wanted, &working.document).await? {
        working.warn(lost);
    }
    // Every step changes the document or what was seen, so the loop ends; the bound is for defects of ours.
    for _ in 0..32 {
        let step = plan(&wanted, &working.document, working.live, &seen.observed, world.clock.now());
        tracing::debug!(certificate = working.wanted.name, ?step, "plan");
        if let Some(outcome) = act(world, working, &keys, &mut seen, step, options).await? {
            return Ok(outcome);
        }
    }
    Err(Error::new(
        Kind::Internal,
        format!("finish certificate {}", working.wanted.name),
        "the plan goes round in circles",
    ))
}

/// What this run has looked at.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) observed: Observed,
    pub(super) located: Vec<Located>,
}

async fn act(
    world: &World,
    working: &mut Working<'_>,
    keys: &WantedKeys,
    seen: &mut Seen,
    step: Step,
    options: Options,
) -> Result<Option<Outcome>> {
    let name = working.wanted.name.clone();
    match step {
        Step::Relink(generation) => {
            world.store.switch(&name, generation).await?;
            working.live = Some(generation);
            working.changed(format!("live points at generation {generation} again"));
        }
        Step::CleanUp => clean_up(world, working).await?,
        Step::Issue(_) => {
            issue::issue(world, working, keys).await?;
            seen.observed.lost = false;
        }
        Step::Reload(generation) => deploy::deploy(world, working, generation).await?,
        Step::ObservePins => {
            working.step(world, "asking every name server for TLSA");
            look_at_pins(world, working, seen).await?;
        }
        Step::ObserveEndpoints => {
            working.step(world, "probing the endpoints");
            seen.observed.endpoints = Some(observe::endpoints(world, working.wanted).await);
        }
        Step::Publish(missing) => {
            publish::publish(world, working, &seen.located, &missing).await?;
            look_at_pins(world, working, seen).await?;
        }
        Step::RecordSeen(pins) => {
            let at = seen.observed.pins.as_ref().and_then(|v| v.values().filter_map(|o| o.asked_at).min());
            publish::record_seen(world, working, &pins, at.unwrap_or_else(|| world.clock.now())).await?;
        }
        Step::Wait(until, why) if options.wait => wait_until(world, working, until, &why).await,
        Step::Wait(until, why) => return Ok(Some(Outcome::Waits(until, why))),
        Step::Refuse(refusal) => return Err(refused(refusal)),
        Step::Nothing(until) => return Ok(Some(Outcome::Done(until))),
    }
    Ok(None)
}

async fn look_at_pins(world: &World, working: &mut Working<'_>, seen: &mut Seen) -> Result<()> {
    let (views, located) = observe::pins(world, working.wanted).await?;
    for (owner, view) in &views {
        for silent in &view.silent {
            working.warn(format!(
                "a name server did not answer for TLSA at {}: {silent}",
                owner.trim_end_matches('.')
            ));
        }
    }
    let mut stopped = false;
    for (owner, view) in &views {
        stopped |= working.document.stop_clocks(owner, &view.everywhere);
    }
    if stopped {
        working.save(world).await?;
    }
    seen.observed.pins = Some(views);
    seen.located = located;
    Ok(())
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

async fn wait_until(world: &World, working: &Working<'_>, until: Timestamp, why: &str) {
    working.step(world, &format!("waiting until {}: {why}", minute(until)));
    let left = until.duration_since(world.clock.now());
    world.clock.sleep(left.try_into().unwrap_or_default()).await;
}

pub(super) fn refused(refusal: Refusal) -> Error {
    Error::new(Kind::Refused, refusal.action, refusal.cause).remains(refusal.remains).hint(refusal.hint)
}

/// The pure half of what the administrator wants.
pub(super) fn wanted(world: &World, certificate: &Certificate, keys: &WantedKeys) -> Wanted {
    Wanted {
        names: certificate.names.clone(),
        active: keys.active,
        backup: keys.backup,
        owners: certificate.tlsa.iter().map(|o| o.to_ascii()).collect(),
        proof: if certificate.endpoints == Endpoints::Unchecked { Proof::Word } else { Proof::Probe },
        unsigned_ok: unsigned_ok(world, certificate),
        renew: certificate.renew,
    }
}

/// Owners whose zone may hold TLSA although it is not signed.
pub(super) fn unsigned_ok(world: &World, certificate: &Certificate) -> BTreeSet<String> {
    let ok = |owner: &&hickory_proto::rr::Name| {
        world.zone_of(owner).is_some_and(|z| z.dnssec == Dnssec::UnsignedOk)
    };
    certificate.tlsa.iter().filter(ok).map(|o| o.to_ascii()).collect()
}
