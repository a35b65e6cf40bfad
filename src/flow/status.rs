//! What the state directory knows of a certificate, and what `apply` would begin with.

use crate::error::Result;
use crate::flow::world::World;
use crate::flow::{apply, deploy, keys};
use crate::model::desired::Certificate;
use crate::model::document::Document;
use crate::model::outcome::Facts;
use crate::model::plan::{Observed, OwnerView, Wanted, plan};

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
    let next = keys.as_ref().map(|keys| {
        let wanted = apply::wanted(world, certificate, keys, None);
        plan(&wanted, &document, live, &as_recorded(&wanted, &document, lost), world.clock.now())
    });
    Ok(Facts {
        certificate: certificate.name.clone(),
        names: certificate.names.clone(),
        keys: keys.map(|k| (k.active, k.backup)),
        next,
        live: world.store.live_path(&certificate.name),
        document,
        trouble,
    })
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
        unmatched: None,
    }
}
