//! What `apply` would do, without doing it: the same plan, driven by reads only. Steps that would change something are
//! told and taken for done.

use crate::clock::minute;
use crate::error::Result;
use crate::flow::keys::{self, WantedKeys};
use crate::flow::world::World;
use crate::flow::{apply, deploy, observe};
use crate::model::desired::{Certificate, Endpoints};
use crate::model::document::{Document, Installed, PinRecord};
use crate::model::endpoint::{Algorithm, EndpointView, Shown};
use crate::model::key::SpkiDigest;
use crate::model::ledger;
use crate::model::outcome::Preview;
use crate::model::plan::{
    Observed, Reason, Sibling, Step, Wanted, pinned_otherwise, plan, unheard, unsigned_zone,
};
use jiff::Timestamp;

/// Looks at one certificate.
pub async fn preview(world: &World, wanted: &Certificate) -> Preview {
    let mut preview = Preview {
        certificate: wanted.name.clone(),
        changes: Vec::new(),
        next: None,
        stopped: None,
        warnings: Vec::new(),
    };
    if let Err(e) = look(world, wanted, &mut preview).await {
        preview.stopped = Some(e);
    }
    preview
}

async fn look(world: &World, certificate: &Certificate, preview: &mut Preview) -> Result<()> {
    let mut document = world.store.document(&certificate.name).await?;
    let mut live = world.store.live(&certificate.name).await?;
    deploy::note_owed(world, certificate, &mut document).await;
    let siblings = keys::siblings(world, certificate).await;
    let Some(keys) = keys::known(world, certificate, &document).await? else {
        return unmade(world, certificate, &siblings, preview).await;
    };
    let keys = WantedKeys { siblings, ..keys };
    if keys.backup.is_none() && certificate.keys.managed_backup().is_some() && document.rotation.is_none() {
        preview.changes.push("+ backup key".into());
    }
    let mut wanted = apply::wanted(world, certificate, &keys, None);
    let mut observed =
        Observed { lost: keys::files_lost(world, certificate, &document).await?, ..Observed::default() };
    preview.warnings.extend(keys::lost_keys(world, certificate, &document).await?);
    let mut issued = false;
    for _ in 0..32 {
        match plan(&wanted, &document, live, &observed, world.clock.now()) {
            Step::Relink(generation) => {
                preview
                    .changes
                    .push(format!("~ point `live` at generation {generation} (a run was interrupted)"));
                live = Some(generation);
            }
            Step::CleanUp => {
                preview
                    .changes
                    .push(format!("- {} TXT record(s) that an interrupted run left", document.owed.len()));
                document.owed.clear();
            }
            Step::Issue(reason, key) => {
                preview.changes.push(format!(
                    "+ certificate for {} ({})",
                    certificate.names.join(", "),
                    reason.words()
                ));
                preview.changes.push(format!("    key {key}"));
                preview.changes.extend(deploy::describe(certificate).into_iter().map(|l| format!("~ {l}")));
                if document.rotation.is_some() {
                    return Ok(()); // it goes on with what the endpoints present then
                }
                document.installed = Some(taken_for_done(certificate, &keys, world.clock.now()));
                document.order = None;
                document.owed.clear();
                live = Some(0);
                observed.lost = false;
                issued = true;
                wanted.siblings.clear(); // nor do they say anything of those beside this one
            }
            Step::AskRenewal => ledger::asked(&mut document),
            Step::Reload(_) => {
                let lines = deploy::describe(certificate);
                preview.changes.extend(lines.into_iter().map(|line| format!("~ {line}")));
                document.reload_owed = None;
            }
            Step::ObservePins => {
                let (mut views, _) = observe::pins(world, certificate).await?;
                ledger::learn(&mut document, &mut views, &wanted, world.clock.now());
                preview
                    .warnings
                    .extend(views.values().flat_map(|v| v.silent.iter().chain(&v.doubtful).cloned()));
                observed.pins = Some(views);
            }
            Step::ObserveEndpoints if issued => {
                // What the endpoints present now says nothing about the time after the installation.
                observed.endpoints = Some(installed_everywhere(keys.active));
            }
            Step::ObserveEndpoints => {
                observed.endpoints = Some(observe::endpoints(world, certificate).await);
            }
            Step::Publish(missing) => {
                for (owner, keys_there) in &missing {
                    for key in keys_there {
                        let beside = keys.siblings.iter().find(|sibling| sibling.keys.contains(key));
                        let role = match beside {
                            Some(sibling) => format!("of {}", sibling.certificate),
                            None if *key == keys.active => "active".into(),
                            None => "backup".into(),
                        };
                        let after = if issued && certificate.endpoints != Endpoints::Unchecked {
                            ", once every endpoint presents the active key"
                        } else {
                            ""
                        };
                        preview.changes.push(format!("+ {owner} TLSA 3 1 1 {key} ({role}{after})"));
                    }
                }
                return Ok(());
            }
            Step::RecordSeen(seen) => ledger::record_seen(&mut document, &seen, world.clock.now()),
            Step::JudgeOthers => observed.unmatched = Some(Vec::new()),
            Step::Stage(key) => {
                preview
                    .changes
                    .push(format!("+ certificate for {} (rotation)", certificate.names.join(", ")));
                preview.changes.push(format!("    key {key} (backup, to be served)"));
                return Ok(());
            }
            Step::Begin(evidence) => {
                preview.changes.push(format!("~ rotation to the key {}: its pin is ripe", evidence.key()));
                return Ok(());
            }
            Step::ServeSpare(key) => {
                preview
                    .changes
                    .push(format!("~ install the certificate for the key {key} (rotation under way)"));
                return Ok(());
            }
            Step::Withdraw(why) => {
                preview.changes.push(format!("~ withdraw the rotation: {why}"));
                return Ok(());
            }
            Step::Settle => {
                preview.changes.push("~ end the aborted rotation".into());
                return Ok(());
            }
            Step::Retire(evidence) | Step::Unpublish(_, evidence) => {
                for owner in &wanted.owners {
                    preview
                        .changes
                        .push(format!("- {owner} TLSA 3 1 1 {} (nobody presents it)", evidence.key()));
                }
                return Ok(());
            }
            Step::Shift => {
                preview.changes.push("~ the rotation is done: the roles shift".into());
                return Ok(());
            }
            Step::Abort | Step::Forget(..) => return Ok(()),
            Step::Hold(until, refusal) => {
                return Err(apply::held(until, refusal, world.clock.now()));
            }
            Step::Wait(until, why) => {
                preview.changes.push(format!("… nothing before {}: {why}", minute(until)));
                return Ok(());
            }
            Step::Refuse(refusal) => return Err(apply::refused(refusal)),
            Step::Nothing(until) => {
                preview.warnings.extend(left_over(&wanted, &document));
                preview.next = preview.changes.is_empty().then_some(until);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// danesmith would make the keys; their digests are not known yet.
async fn unmade(
    world: &World,
    certificate: &Certificate,
    siblings: &[Sibling],
    preview: &mut Preview,
) -> Result<()> {
    let (mut views, _) = observe::pins(world, certificate).await?;
    for view in views.values_mut() {
        view.somewhere.retain(|key| !siblings.iter().any(|sibling| sibling.keys.contains(key)));
    }
    if let Some(refusal) = pinned_otherwise(None, &views) {
        return Err(apply::refused(refusal));
    }
    if let Some((owner, view)) = views.iter().find(|(_, view)| view.unheard) {
        return Err(apply::refused(unheard(owner, view)));
    }
    let unsigned_ok = apply::unsigned_ok(world, certificate);
    let unsigned = unsigned_zone(&unsigned_ok, &views);
    preview.changes.push("+ active and backup key".into());
    preview.changes.push(format!(
        "+ certificate for {} ({})",
        certificate.names.join(", "),
        Reason::First.words()
    ));
    preview.changes.extend(deploy::describe(certificate).into_iter().map(|line| format!("~ {line}")));
    if let Some(refusal) = unsigned {
        return Err(apply::refused(refusal));
    }
    let when = match certificate.endpoints {
        Endpoints::Unchecked => "",
        _ => ", once every endpoint presents the active key",
    };
    for owner in &certificate.tlsa {
        preview.changes.push(format!("+ {owner} TLSA 3 1 1 of the active and of the backup key{when}"));
    }
    Ok(())
}

/// Pins of ours that zones.yaml wants no more: they stay, and their keys should be kept as long as they do.
fn left_over(wanted: &Wanted, document: &Document) -> Vec<String> {
    let unwanted = |p: &&PinRecord| {
        !wanted.owners.contains(&p.owner) || (p.spki != wanted.active && Some(p.spki) != wanted.backup)
    };
    let tell = |p: &PinRecord| {
        let owner = p.owner.trim_end_matches('.');
        format!(
            "TLSA 3 1 1 {} at {owner} was published by danesmith and is not in zones.yaml now; it stays",
            p.spki
        )
    };
    document.pins.iter().filter(unwanted).map(tell).collect()
}

fn installed_everywhere(active: SpkiDigest) -> EndpointView {
    let shown = Shown {
        host: String::new(),
        at: "every endpoint, once the certificate is installed".into(),
        algorithm: Algorithm::Ecdsa,
        key: active,
        chain: Vec::new(),
    };
    EndpointView { shown: vec![shown], ..EndpointView::default() }
}

fn taken_for_done(certificate: &Certificate, keys: &WantedKeys, now: Timestamp) -> Installed {
    Installed {
        generation: 0,
        names: certificate.names.clone(),
        spki: keys.active,
        not_before: now,
        not_after: Timestamp::MAX,
        serial: String::new(),
        issuer: String::new(),
        certificate_id: None,
        revoked: None,
    }
}
