//! After an installation: the files go where the server reads them, then the server is told.

use crate::deploy::{Copied, Deployment, Facts};
use crate::error::Result;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::document::{Document, Installed};

/// Notes a deployment as owed when the server's folder is not as it should be: `deploy.dir` is new in zones.yaml, its
/// mode changed, somebody deleted a file. Looks at names and modes only. When even that fails, deploying will tell why:
/// a renewal is not held up by it.
pub(super) async fn note_owed(world: &World, certificate: &Certificate, document: &mut Document) {
    let Some(deployment) = deployment(world, certificate, document) else { return };
    if document.reload_owed.is_none() && !world.hooks.deployed(&deployment).await.unwrap_or(false) {
        document.reload_owed = Some(deployment.generation);
    }
}

/// What deploying a generation would do, one line each.
pub(super) fn describe(certificate: &Certificate) -> Vec<String> {
    let deploy = &certificate.deploy;
    let files = deploy.files.iter().map(|files| {
        let what =
            if certificate.has_private_key() { "key and chain" } else { "the chain (the key is elsewhere)" };
        format!("deploy {what} to {}", files.dir.display())
    });
    let reload = (!deploy.reload.is_empty()).then(|| format!("run {}", deploy.reload.join(" ")));
    files.chain(reload).collect()
}

/// Copies and reloads. What is owed is on disk until both are done, so that a run that was killed is made good for.
pub(super) async fn deploy(world: &World, working: &mut Working<'_>, generation: u64) -> Result<()> {
    let certificate = working.wanted;
    let live = world.store.live_path(&certificate.name);
    if let Some(deployment) = deployment(world, certificate, &working.document) {
        let dir = deployment.files.dir.display().to_string();
        working.step(world, &format!("deploying to {dir}"));
        working.changed(match world.hooks.deploy(&deployment).await? {
            Copied::KeyAndChain => format!("generation {generation} deployed to {dir}"),
            Copied::Chain => {
                format!("chain of generation {generation} deployed to {dir}; its private key is elsewhere")
            }
        });
    }
    let argv = &certificate.deploy.reload;
    if !argv.is_empty() {
        working.step(world, "running the reload command");
        let dir = certificate.deploy.files.as_ref().map(|files| files.dir.as_path());
        let facts = Facts { certificate: &certificate.name, generation, live: &live, dir };
        world.hooks.run(argv, facts).await?;
        working.changed(format!("reload command run for generation {generation}"));
    }
    working.document.reload_owed = None;
    working.save(world).await
}

fn deployment(world: &World, certificate: &Certificate, document: &Document) -> Option<Deployment> {
    let files = certificate.deploy.files.clone()?;
    let Installed { generation, serial, .. } = document.installed.as_ref()?;
    Some(Deployment {
        certificate: certificate.name.clone(),
        generation: *generation,
        serial: serial.clone(),
        source: world.store.live_path(&certificate.name),
        files,
    })
}
