//! `provider check`: a real write, seen at every authoritative server, and removed again. The value is noted before it
//! is written, so that a killed check is cleaned up by the next one.

use crate::error::{Error, Kind, Result};
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::{Expected, name, wait};
use crate::flow::txt;
use crate::flow::world::World;
use crate::flow::zone_writer::text;
use crate::model::document::OwedTxt;
use danesmith_providers::Change;
use hickory_proto::rr::{Name, RecordType};

/// The store's name for what a check owes; no certificate can have it.
const OWED: &str = "_check";

/// What was seen, one line each.
pub async fn provider(world: &World, zone: &Name, marker: &str) -> Result<Vec<String>> {
    let configured = world.desired().zones.get(zone).ok_or_else(|| unknown(world, zone))?;
    if configured.provider.is_none() {
        return Err(Error::new(
            Kind::Config,
            format!("check zone `{}`", text(zone)),
            "it has `provider: none`: nothing is ever written there",
        ));
    }
    let mut seen = left_by_a_killed_check(world).await?;
    let owner = name(&format!("_danesmith-check.{}", zone.to_ascii()))?;
    let at = locate(world, &owner, RecordType::TXT).await?;
    seen.push(format!("the zone is `{}`; {}", text(&at.zone), servers(&at)));

    let writer = world.writer(&at.via)?;
    let pins = name(&format!("_25._tcp._danesmith-check.{}", zone.to_ascii()))?;
    writer.preflight(&at.zone, &[(at.owner.clone(), RecordType::TXT), (pins, RecordType::TLSA)]).await?;
    seen.push(format!(
        "{} takes TXT and TLSA changes with these credentials",
        writer.provider().await?.describe()
    ));

    let mut document = world.store.document(OWED).await?;
    let owed = OwedTxt {
        zone: at.zone.to_ascii(),
        owner: at.owner.to_ascii(),
        value: format!("danesmith-check {marker}"),
        via: at.via.to_ascii(),
    };
    document.owed.push(owed.clone());
    world.store.put(OWED, &document).await?;
    let written = write(world, &at, &owed, configured.propagation, configured.txt_ttl).await;
    let (left, failed) = txt::remove(world, &document.owed).await;
    document.owed = left;
    world.store.put(OWED, &document).await?;
    seen.push(written?);
    failed.map_or(Ok(()), Err)?;
    seen.push("removed again; nothing of the check is left".into());
    Ok(seen)
}

async fn write(
    world: &World,
    at: &Located,
    owed: &OwedTxt,
    patience: std::time::Duration,
    ttl: u32,
) -> Result<String> {
    let value = txt::value(&owed.value);
    let change = Change {
        name: at.owner.clone(),
        rtype: RecordType::TXT,
        ttl,
        add: vec![value.clone()],
        remove: Vec::new(),
    };
    world.writer(&at.via)?.apply(&at.zone, vec![change]).await?;
    let began = world.clock.elapsed();
    wait(world, &[Expected { at, rtype: RecordType::TXT, values: vec![value] }], patience).await?;
    let took = world.clock.elapsed().saturating_sub(began);
    Ok(format!(
        "a TXT record was written at `{}` and seen on every server after {:.2} s",
        text(&at.owner),
        took.as_secs_f64()
    ))
}

async fn left_by_a_killed_check(world: &World) -> Result<Vec<String>> {
    let mut document = world.store.document(OWED).await?;
    if document.owed.is_empty() {
        return Ok(Vec::new());
    }
    let (left, failed) = txt::remove(world, &document.owed).await;
    document.owed = left;
    world.store.put(OWED, &document).await?;
    failed.map_or(Ok(vec!["what an interrupted check left was removed".into()]), Err)
}

fn servers(at: &Located) -> String {
    let list: Vec<_> = at.servers.iter().map(|s| format!("{} ({})", s.name, s.address)).collect();
    format!("looking at {}", list.join(", "))
}

fn unknown(world: &World, zone: &Name) -> Error {
    let known: Vec<_> = world.desired().zones.keys().map(text).collect();
    Error::new(Kind::Usage, format!("check zone `{}`", text(zone)), "zones.yaml does not list it")
        .hint(format!("the zones are: {}", known.join(", ")))
}
