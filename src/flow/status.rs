//! What the state directory knows of a certificate, and what `apply` would begin with.

use crate::error::{Error, Result};
use crate::flow::world::World;
use crate::flow::{apply, keys};
use crate::model::desired::Certificate;
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::plan::{Observed, Step, plan};
use std::path::PathBuf;

/// One certificate's durable facts.
pub struct Facts {
    /// Its name in zones.yaml.
    pub certificate: String,
    /// Its identifiers.
    pub names: Vec<String>,
    /// The state document.
    pub document: Document,
    /// Active and backup key, when known.
    pub keys: Option<(SpkiDigest, Option<SpkiDigest>)>,
    /// What `apply` would begin with.
    pub next: Option<Step>,
    /// Where the installed files are.
    pub live: PathBuf,
    /// Why the keys could not be read.
    pub trouble: Option<Error>,
}

/// Reads the document; asks nobody.
pub async fn facts(world: &World, certificate: &Certificate) -> Result<Facts> {
    let document = world.store.document(&certificate.name).await?;
    let live = world.store.live(&certificate.name).await?;
    let (keys, trouble) = match keys::known(world, certificate, &document).await {
        Ok(keys) => (keys, None),
        Err(e) => (None, Some(e)),
    };
    let next = keys.map(|keys| {
        let wanted = apply::wanted(world, certificate, &keys);
        plan(&wanted, &document, live, &Observed::default(), world.clock.now())
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
