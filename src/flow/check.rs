//! `provider check`: a real write, seen at every authoritative server, and removed again. The value is noted before it
//! is written, so that a killed check is cleaned up by the next one.

use crate::error::{Error, Kind, Result};
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::{Expected, name, wait};
use crate::flow::txt;
use crate::flow::world::World;
use crate::flow::zone_writer::text;
use crate::model::desired::Zone;
use crate::model::document::OwedTxt;
use crate::model::key::SpkiDigest;
use crate::model::pin;
use danesmith_providers::{Change, Class, Provider};
use hickory_proto::rr::{Name, RData, RecordType};
use std::time::Duration;

/// Pause between two looks for what was removed.
const LOOK: Duration = Duration::from_millis(200);
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

    let places = places(world, &at).await?;
    let writer = world.writer(&at.via)?;
    let targets: Vec<_> = places.iter().map(|(at, rtype)| (at.owner.clone(), *rtype)).collect();
    writer.preflight(&at.zone, &targets).await?;
    holds(writer.provider().await?.as_ref(), &at).await?;
    let types: Vec<String> = places.iter().map(|(_, rtype)| rtype.to_string()).collect();
    let what = types.join(" and ");
    seen.push(format!("{} takes {what} changes with these credentials", writer.provider().await?.describe()));
    if places.len() == 1 {
        seen.push("it cannot write TLSA: no DANE in this zone".into());
    }
    nothing_foreign(world, &places).await?;

    let mut document = world.store.document(OWED).await?;
    let owed = OwedTxt {
        zone: at.zone.to_ascii(),
        owner: at.owner.to_ascii(),
        value: format!("danesmith-check-{marker}"),
        via: at.via.to_ascii(),
    };
    document.owed.push(owed.clone());
    world.store.put(OWED, &document).await?;
    let written = write(world, &places, &owed, configured).await;
    let (left, failed) = remove(world, &document.owed).await;
    document.owed = left;
    world.store.put(OWED, &document).await?;
    seen.push(written?);
    failed.map_or(Ok(()), Err)?;
    gone(world, &places, &owed.value, configured.propagation).await?;
    seen.push("removed again, and gone from every server; nothing of the check is left".into());
    Ok(seen)
}

/// Where the host itself would put the name: another account, or a zone of the same name that nobody is delegated to, shows
/// here and not by a record that never comes.
async fn holds(provider: &dyn Provider, at: &Located) -> Result<()> {
    let refuse = |kind, why: String| {
        let action = format!("check zone `{}` at {}", text(&at.zone), provider.describe());
        Error::new(kind, action, why).remains("Nothing was changed.")
    };
    match provider.zone(&at.owner).await {
        Ok(zone) if zone == at.zone => Ok(()),
        Ok(zone) => {
            let why = format!("it puts `{}` into zone `{}`", text(&at.owner), text(&zone));
            Err(refuse(Kind::Config, why)
                .hint("the name servers say otherwise: is this the host that the zone is delegated to?"))
        }
        Err(e) if e.class == Class::NotFound => {
            let mut error = refuse(Kind::Config, e.message);
            error.hints.extend(e.hint);
            Err(error)
        }
        // Those who cannot tell are tried out; whatever else is wrong shows there, too.
        Err(_) => Ok(()),
    }
}

/// The owner names and types that the provider can write.
async fn places(world: &World, at: &Located) -> Result<Vec<(Located, RecordType)>> {
    let types = world.writer(&at.via)?.provider().await?.capabilities().types;
    let mut places = vec![(at.clone(), RecordType::TXT)];
    if types.contains(&RecordType::TLSA) {
        let owner = name(&pins(&at.owner.to_ascii()))?;
        places.push((
            Located { asked: owner.clone(), owner, aliases: Vec::new(), ..at.clone() },
            RecordType::TLSA,
        ));
    }
    Ok(places)
}

fn pins(owner: &str) -> String {
    format!("_25._tcp.{owner}")
}

/// What this check writes. The pin comes from the text, so that the noted text is enough to find both again.
fn values(written: &str) -> [(RecordType, RData); 2] {
    let no_key = SpkiDigest::of(written.as_bytes());
    [(RecordType::TXT, txt::value(written)), (RecordType::TLSA, pin::tlsa(no_key))]
}

fn value_of(written: &str, rtype: RecordType) -> Vec<RData> {
    values(written).into_iter().filter(|(of, _)| *of == rtype).map(|(_, value)| value).collect()
}

/// Some tools remove all that stands at a name: where somebody else's values stand, nothing is tried.
async fn nothing_foreign(world: &World, places: &[(Located, RecordType)]) -> Result<()> {
    for (at, rtype) in places {
        let provider = world.writer(&at.via)?.provider().await?;
        let action = || format!("check zone `{}` at `{}`", text(&at.zone), text(&at.owner));
        let there = provider.list(&at.zone, &at.owner, *rtype).await.map_err(|e| {
            let mut error = Error::new(Kind::Remote, action(), e.message);
            error.hints.extend(e.hint);
            error
        })?;
        if !there.values.is_empty() {
            let why =
                format!("{} {rtype} value(s) stand there that this check did not write", there.values.len());
            return Err(Error::new(Kind::Refused, action(), why)
                .remains("Nothing was changed.")
                .hint("look at them, and remove them by hand if they are of no use"));
        }
    }
    Ok(())
}

async fn write(
    world: &World,
    places: &[(Located, RecordType)],
    owed: &OwedTxt,
    configured: &Zone,
) -> Result<String> {
    let change = |(at, rtype): &(Located, RecordType)| Change {
        name: at.owner.clone(),
        rtype: *rtype,
        ttl: if *rtype == RecordType::TLSA { configured.tlsa_ttl } else { configured.txt_ttl },
        add: value_of(&owed.value, *rtype),
        remove: Vec::new(),
    };
    world.writer(&name(&owed.via)?)?.apply(&name(&owed.zone)?, places.iter().map(change).collect()).await?;
    let began = world.clock.elapsed();
    let expected: Vec<_> = places
        .iter()
        .map(|(at, rtype)| Expected { at, rtype: *rtype, values: value_of(&owed.value, *rtype) })
        .collect();
    wait(world, &expected, configured.propagation).await?;
    let took = world.clock.elapsed().saturating_sub(began);
    let records: Vec<_> =
        places.iter().map(|(at, rtype)| format!("{rtype} at `{}`", text(&at.owner))).collect();
    Ok(format!(
        "{} written, and seen on every server after {:.2} s",
        records.join(" and "),
        took.as_secs_f64()
    ))
}

/// Takes back what checks wrote. Returns what could not be removed, with the first failure.
async fn remove(world: &World, owed: &[OwedTxt]) -> (Vec<OwedTxt>, Option<Error>) {
    for one in owed {
        if let Err(e) = remove_pin(world, one).await {
            return (owed.to_vec(), Some(e));
        }
    }
    txt::remove(world, owed).await
}

async fn remove_pin(world: &World, owed: &OwedTxt) -> Result<()> {
    // A zone that has no provider any more: the TXT value's removal says so.
    let Ok(writer) = world.writer(&name(&owed.via)?) else { return Ok(()) };
    if !writer.provider().await?.capabilities().types.contains(&RecordType::TLSA) {
        return Ok(());
    }
    let change = Change {
        name: name(&pins(&owed.owner))?,
        rtype: RecordType::TLSA,
        ttl: 0,
        add: Vec::new(),
        remove: value_of(&owed.value, RecordType::TLSA),
    };
    writer.apply(&name(&owed.zone)?, vec![change]).await.map(|_| ())
}

/// Waits until no server answers what was written.
async fn gone(
    world: &World,
    places: &[(Located, RecordType)],
    written: &str,
    patience: Duration,
) -> Result<()> {
    let until = world.clock.elapsed() + patience;
    for (at, rtype) in places {
        let ours = value_of(written, *rtype);
        for server in &at.servers {
            while world.reads.ask(server, &at.owner, *rtype).await?.values.iter().any(|v| ours.contains(v)) {
                if world.clock.elapsed() >= until {
                    let action = format!("see {rtype} at `{}` go from {}", text(&at.owner), server.name);
                    let why = format!("it still answers it, {} s after the removal", patience.as_secs());
                    return Err(Error::new(Kind::Remote, action, why)
                        .remains(
                            "The record is harmless: no server has the key, and nobody asks for that name.",
                        )
                        .hint("if it stays, remove it by hand"));
                }
                world.clock.sleep(LOOK).await;
            }
        }
    }
    Ok(())
}

async fn left_by_a_killed_check(world: &World) -> Result<Vec<String>> {
    let mut document = world.store.document(OWED).await?;
    if document.owed.is_empty() {
        return Ok(Vec::new());
    }
    let (left, failed) = remove(world, &document.owed).await;
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
