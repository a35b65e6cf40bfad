//! TXT and TLSA values as DNS changes.

use crate::error::{Error, Kind, Result};
use crate::flow::propagation::name;
use crate::flow::world::World;
use crate::model::document::OwedTxt;
use danesmith_providers::Change;
use futures_util::future::join_all;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeMap;

/// A dns-01 TXT value (43 characters: one character-string).
pub(super) fn value(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

/// The owner name of a dns-01 challenge (RFC 8555 §8.4).
pub(super) fn challenge_owner(identifier: &str) -> Result<Name> {
    name(&format!("_acme-challenge.{}", identifier.trim_start_matches("*.")))
}

/// Removes TXT values that are ours. Returns those that could not be removed, with the first failure.
pub(super) async fn remove(world: &World, owed: &[OwedTxt]) -> (Vec<OwedTxt>, Option<Error>) {
    let mut groups: BTreeMap<(String, String), Vec<OwedTxt>> = BTreeMap::new();
    for o in owed {
        groups.entry((o.via.clone(), o.zone.clone())).or_default().push(o.clone());
    }
    let done = join_all(groups.into_iter().map(|((via, zone), group)| async move {
        match remove_group(world, &via, &zone, &group).await {
            Ok(()) => (Vec::new(), None),
            Err(e) => (group, Some(e)),
        }
    }))
    .await;
    let mut left = Vec::new();
    let mut first = None;
    for (group, error) in done {
        left.extend(group);
        first = first.or(error);
    }
    (left, first)
}

async fn remove_group(world: &World, via: &str, zone: &str, group: &[OwedTxt]) -> Result<()> {
    let mut changes: Vec<Change> = Vec::new();
    for o in group {
        let owner = name(&o.owner)?;
        let rdata = value(&o.value);
        match changes.iter_mut().find(|c| c.name == owner) {
            Some(change) => change.remove.push(rdata),
            None => changes.push(Change {
                name: owner,
                rtype: RecordType::TXT,
                ttl: 0,
                add: Vec::new(),
                remove: vec![rdata],
            }),
        }
    }
    let writer = world.writer(&name(via)?).map_err(|_| left_without_provider(via, group))?;
    writer.apply(&name(zone)?, changes).await.map(|_| ())
}

fn left_without_provider(via: &str, group: &[OwedTxt]) -> Error {
    let owners: Vec<_> = group.iter().map(|o| format!("`{}`", o.owner)).collect();
    Error::new(
        Kind::Config,
        format!("remove our TXT at {}", owners.join(", ")),
        format!("zones.yaml no longer gives zone `{via}` a provider"),
    )
    .remains("The records are harmless; they stay noted and are removed when the zone has a provider again.")
}
