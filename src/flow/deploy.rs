//! After an installation: the files go where the server reads them, then the server is told.

use crate::deploy::{Copied, Deployment, Facts};
use crate::error::Result;
use crate::flow::observe;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::document::{Document, Installed};
use crate::model::endpoint::{EndpointView, Shown};
use crate::model::key::SpkiDigest;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two looks at a server that reloads.
const PAUSE: Duration = Duration::from_secs(1);

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

/// Looks whether the servers present what was deployed; a moment to reload is theirs. No more than warnings: the key was
/// pinned before they were told.
pub(super) async fn confirm(
    world: &World,
    working: &mut Working<'_>,
    seen: Option<EndpointView>,
    patience: SignedDuration,
) -> Result<()> {
    let Some(Installed { generation, spki, .. }) = working.document.installed.clone() else { return Ok(()) };
    let chain = world.store.chain(&working.wanted.name, generation).await?;
    let Some(leaf) = chain.first() else { return Ok(()) };
    let end = world.clock.elapsed() + patience.unsigned_abs();
    let mut seen = seen;
    loop {
        let view = match seen.take() {
            Some(view) => view,
            None => observe::endpoints(world, working.wanted).await,
        };
        let late = late(&view, leaf, spki);
        if late.is_empty() {
            return Ok(());
        }
        if world.clock.elapsed() >= end {
            late.into_iter().for_each(|late| working.warn(late));
            return Ok(());
        }
        working.step(world, "waiting for the servers to present the new certificate");
        world.clock.sleep(PAUSE).await;
    }
}

/// Who does not present this certificate, for people.
fn late(view: &EndpointView, leaf: &[u8], spki: SpkiDigest) -> Vec<String> {
    let another = |shown: &&Shown| {
        shown.key == spki && shown.chain.first().is_some_and(|first| first.as_slice() != leaf)
    };
    let former = view.shown.iter().filter(another).map(|shown| {
        format!("after the reload, {} presents another certificate for the same key, not the one that was deployed", shown.at)
    });
    let hosts: BTreeSet<_> = view.shown.iter().map(|shown| &shown.host).collect();
    let without =
        hosts.into_iter().filter(|host| !view.shown.iter().any(|s| s.host == **host && s.key == spki));
    let without = without.map(|host| format!("after the reload, {host} does not present the key {spki}"));
    let failed = view.failed.iter().map(|failed| {
        format!("what {} presents after the reload could not be seen: {}", failed.at, failed.reason)
    });
    former.chain(without).chain(failed).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::endpoint::{Algorithm, FailedProbe};

    const OURS: SpkiDigest = SpkiDigest([1; 32]);
    const RSA: SpkiDigest = SpkiDigest([2; 32]);

    fn shown(host: &str, key: SpkiDigest, leaf: &[u8]) -> Shown {
        let at = format!("smtp://{host}:25");
        Shown { host: host.into(), at, algorithm: Algorithm::Ecdsa, key, chain: vec![leaf.to_vec()] }
    }

    fn told(shown: Vec<Shown>) -> Vec<String> {
        late(&EndpointView { shown, ..EndpointView::default() }, b"new", OURS)
    }

    #[test]
    fn a_server_that_presents_the_deployed_certificate_beside_another_algorithm_is_on_time() {
        assert!(told(vec![shown("mx1", OURS, b"new"), shown("mx1", RSA, b"rsa")]).is_empty());
        assert!(told(Vec::new()).is_empty(), "nobody to ask");
    }

    #[test]
    fn a_server_that_presents_the_former_certificate_or_another_key_or_nothing_is_told() {
        let former = told(vec![shown("mx1", OURS, b"new"), shown("mx2", OURS, b"old")]);
        assert!(
            former.len() == 1 && former[0].contains("smtp://mx2:25 presents another certificate"),
            "{former:?}"
        );
        let other = told(vec![shown("mx1", OURS, b"new"), shown("mx2", RSA, b"rsa")]);
        assert!(other.len() == 1 && other[0].contains("mx2 does not present the key"), "{other:?}");
        let (host, at) = ("mx2".to_owned(), "smtp://mx2:25".to_owned());
        let (endpoint, reason) = (at.clone(), "no answer".into());
        let failed = vec![FailedProbe { endpoint, host, at, reason, nowhere: false }];
        let down = late(&EndpointView { failed, ..EndpointView::default() }, b"new", OURS);
        assert!(down.len() == 1 && down[0].contains("could not be seen: no answer"), "{down:?}");
    }
}
