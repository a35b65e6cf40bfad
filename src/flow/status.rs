//! What the state directory knows of a certificate, and what `apply` would begin with.

use crate::error::Result;
use crate::flow::world::World;
use crate::flow::{apply, deploy, keys};
use crate::model::desired::Certificate;
use crate::model::document::{Document, PinRecord};
use crate::model::outcome::{Facts, PinFacts};
use crate::model::plan::{Observed, OwnerView, Wanted, plan, ripe_time, rotation_due};
use crate::model::ripeness::ripe_at;
use crate::model::{ledger, renewal};

/// Reads the document; asks nobody.
pub async fn facts(world: &World, certificate: &Certificate) -> Result<Facts> {
    let mut document = world.store.document(&certificate.name).await?;
    deploy::note_owed(world, certificate, &mut document).await;
    let live = world.store.live(&certificate.name).await?;
    let (keys, trouble) = match keys::known(world, certificate, &document).await {
        Ok(keys) => (keys, None),
        Err(e) => (None, Some(e)),
    };
    let lost = keys::files_lost(world, certificate, &document).await?;
    let wanted = keys.as_ref().map(|keys| apply::wanted(world, certificate, keys, None));
    let next = wanted.as_ref().map(|wanted| {
        let mut asked = document.clone();
        ledger::asked(&mut asked); // what comes after the question is what people want to know
        plan(wanted, &asked, live, &as_recorded(wanted, &document, lost), world.clock.now())
    });
    let backup = wanted.as_ref().and_then(|wanted| Some((wanted, wanted.backup?)));
    Ok(Facts {
        certificate: certificate.name.clone(),
        names: certificate.names.clone(),
        pins: pins(certificate, keys.as_ref(), &document),
        backup_ripe: backup
            .filter(|(wanted, _)| !wanted.owners.is_empty())
            .and_then(|(wanted, backup)| ripe_time(wanted, &document, backup)),
        renewal_due: (document.installed.as_ref())
            .map(|installed| renewal::due(installed, certificate.renew, document.renewal_info.as_ref())),
        rotation_due: wanted.as_ref().and_then(|wanted| rotation_due(wanted, &document)),
        last_run: world.memory().runs.get(&certificate.name).cloned(),
        keys: keys.map(|k| (k.active, k.backup)),
        next,
        live: world.store.live_path(&certificate.name),
        document,
        trouble,
    })
}

fn pins(certificate: &Certificate, keys: Option<&keys::WantedKeys>, document: &Document) -> Vec<PinFacts> {
    let role = |spki| match keys {
        Some(keys) if keys.active == spki => "active",
        Some(keys) if keys.backup == Some(spki) => "backup",
        _ => "former",
    };
    let facts = |record: &PinRecord| PinFacts {
        record: record.clone(),
        role: role(record.spki),
        ripe: ripe_at(document, &record.owner, record.spki, &certificate.policy),
    };
    document.pins.iter().map(facts).collect()
}

/// Nobody is asked: the pins are taken to be where they were last seen.
fn as_recorded(wanted: &Wanted, document: &Document, lost: bool) -> Observed {
    let view = |owner: &String| {
        let seen = document.pins.iter().filter(|p| p.owner == *owner && p.seen_everywhere.is_some());
        let everywhere: std::collections::BTreeSet<_> = seen.map(|p| p.spki).collect();
        OwnerView { somewhere: everywhere.clone(), everywhere, ..OwnerView::default() }
    };
    Observed {
        pins: Some(wanted.owners.iter().map(|o| (o.clone(), view(o))).collect()),
        endpoints: None,
        lost,
        unissued: false,
        unmatched: None,
    }
}
