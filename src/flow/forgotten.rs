//! Certificates that the state directory knows and zones.yaml names no more: renamed, or taken out.

use crate::flow::world::World;
use crate::model::document::Document;
use std::collections::BTreeSet;

/// A certificate that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// What zones.yaml called it.
    pub certificate: String,
    /// What stays as it is, and what to do about it; one sentence or several.
    pub told: String,
}

/// All that did something once. One whose document cannot be read is told with the reason; a folder that cannot be read
/// is a line in the log.
pub async fn forgotten(world: &World) -> Vec<Forgotten> {
    let known = match world.store.certificates().await {
        Ok(known) => known,
        Err(e) => {
            tracing::warn!("{e}");
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for certificate in known {
        if world.desired().certificates.contains_key(&certificate) {
            continue;
        }
        let told = match world.store.document(&certificate).await {
            Ok(document) => tell(world, &certificate, &document),
            Err(e) => Some(e.to_string()),
        };
        all.extend(told.map(|told| Forgotten { certificate, told }));
    }
    all
}

fn tell(world: &World, certificate: &str, document: &Document) -> Option<String> {
    let mut stays = Vec::new();
    if let Some(installed) = &document.installed {
        let end = installed.not_after.strftime("%Y-%m-%d");
        stays.push(format!("nobody renews it (it ends {end})"));
    }
    let owners: BTreeSet<_> = document.pins.iter().map(|p| p.owner.trim_end_matches('.')).collect();
    if !owners.is_empty() {
        let owners: Vec<_> = owners.into_iter().collect();
        stays.push(format!("{} stay at {}", count(document.pins.len(), "TLSA record"), owners.join(", ")));
    }
    let owed: BTreeSet<_> = document.owed.iter().map(|txt| txt.owner.trim_end_matches('.')).collect();
    if !owed.is_empty() {
        let owed: Vec<_> = owed.into_iter().collect();
        stays.push(format!("{} may stand at {}", count(document.owed.len(), "TXT record"), owed.join(", ")));
    }
    if stays.is_empty() {
        return None;
    }
    let live = world.store.live_path(certificate);
    let folder = live.parent().unwrap_or(&live).display();
    let advice = if document.pins.is_empty() {
        format!("if it was renamed, give it its old name back; if it is over, delete {folder}")
    } else {
        format!(
            "if it was renamed, give it its old name back; if it is over, delete its TLSA records when no server presents \
             its keys any more, then {folder}"
        )
    };
    Some(format!(
        "certificate {certificate} is not in zones.yaml now, but danesmith worked on it once: {}; {advice}",
        stays.join(", ")
    ))
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
