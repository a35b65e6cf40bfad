//! Looking, before anything is decided: TLSA at every authoritative server, keys at every endpoint.

use crate::dns::Security;
use crate::error::Result;
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::{name, snapshot};
use crate::flow::world::World;
use crate::model::desired::{Certificate, Endpoint, Endpoints, Protocol};
use crate::model::key::{SpkiDigest, read_any};
use crate::model::pin;
use crate::model::plan::{EndpointView, OwnerView};
use crate::verify::{Outcome, Presented};
use futures_util::future::{join, join_all, try_join_all};
use hickory_proto::rr::RecordType;
use std::collections::{BTreeMap, BTreeSet};

/// TLSA at every owner name of a certificate, and where each lives.
pub(super) async fn pins(
    world: &World,
    wanted: &Certificate,
) -> Result<(BTreeMap<String, OwnerView>, Vec<Located>)> {
    let owners = try_join_all(wanted.tlsa.iter().map(|owner| async move {
        let located = locate(world, owner, RecordType::TLSA).await?;
        let view = owner_view(world, &located).await?;
        Ok::<_, crate::error::Error>((owner.to_ascii(), view, located))
    }))
    .await?;
    let located = owners.iter().map(|(_, _, l)| l.clone()).collect();
    Ok((owners.into_iter().map(|(o, v, _)| (o, v)).collect(), located))
}

async fn owner_view(world: &World, at: &Located) -> Result<OwnerView> {
    let asked_at = Some(world.clock.now());
    let (answers, security) = join(snapshot(world, at, RecordType::TLSA), zone_security(world, at)).await;
    let mut view = OwnerView { asked_at, unsigned: security?, ..OwnerView::default() };
    let mut first = true;
    for (server, answer) in answers {
        match answer {
            Err(e) => view.silent.push(format!("{} ({}): {}", server.name, server.address, e.cause)),
            Ok(values) => {
                let here: BTreeSet<SpkiDigest> = values.iter().filter_map(pin::digest_of).collect();
                view.somewhere.extend(&here);
                view.everywhere =
                    if first { here } else { view.everywhere.intersection(&here).copied().collect() };
                first = false;
            }
        }
    }
    if first {
        let action = format!("read TLSA at `{}`", at.owner);
        return Err(crate::error::Error::new(crate::error::Kind::Remote, action, view.silent.join("; "))
            .remains("No TLSA record was changed."));
    }
    Ok(view)
}

/// `None`: signed. Asked at the first server that answers.
async fn zone_security(world: &World, at: &Located) -> Result<Option<String>> {
    let asked = at.servers.iter().map(|s| Box::pin(world.reads.security(&at.zone, s)));
    Ok(match futures_util::future::select_ok(asked).await?.0 {
        Security::Signed => None,
        Security::Unsigned(reason) => Some(reason),
    })
}

/// What every address of every endpoint presents, against the active key.
pub(super) async fn endpoints(
    world: &World,
    wanted: &Certificate,
    active: SpkiDigest,
) -> Result<EndpointView> {
    let Endpoints::Listed(list) = &wanted.endpoints else { return Ok(EndpointView::default()) };
    let mut view = EndpointView::default();
    let probed = join_all(list.iter().map(|e| async move { (e, world.endpoints.probe(e).await) })).await;
    for (endpoint, presented) in probed {
        match presented {
            Err(e) => view.without_active.push(format!("{}: {}", show(endpoint), e.cause)),
            Ok(answers) => add(&mut view, endpoint, &answers, active),
        }
    }
    Ok(view)
}

/// Every certificate that an address presents must be for the active key: senders choose the algorithm.
fn add(view: &mut EndpointView, endpoint: &Endpoint, answers: &[Presented], active: SpkiDigest) {
    let addresses: BTreeSet<_> = answers.iter().map(|p| p.address).collect();
    for address in addresses {
        let here: Vec<_> = answers.iter().filter(|p| p.address == address).collect();
        if here.iter().all(|p| p.outcome == Outcome::NoSuchAlgorithm) {
            view.without_active.push(format!("{} at {address}: no TLS handshake possible", show(endpoint)));
        }
        for probe in here {
            match &probe.outcome {
                Outcome::NoSuchAlgorithm => {}
                Outcome::Failed(reason) => {
                    view.without_active.push(format!("{} at {address}: {reason}", show(endpoint)))
                }
                Outcome::Chain(chain) => {
                    match chain.first().and_then(|leaf| read_any(leaf).ok()).map(|(key, _)| key) {
                        Some(key) if key == active => view.with_active += 1,
                        Some(key) => view
                            .without_active
                            .push(format!("{} at {address} presents the key {key}", show(endpoint))),
                        None => view.without_active.push(format!(
                            "{} at {address} presents no readable certificate",
                            show(endpoint)
                        )),
                    }
                }
            }
        }
    }
    view.without_active.dedup();
}

/// An endpoint as it is written in zones.yaml.
pub(super) fn show(endpoint: &Endpoint) -> String {
    let scheme = match endpoint.protocol {
        Protocol::Smtp => "smtp",
        Protocol::Tls => "tls",
    };
    format!("{scheme}://{}:{}", endpoint.host, endpoint.port)
}

/// The configured owner name of a located one.
pub(super) fn owner_of<'a>(located: &'a [Located], owner: &str) -> Result<Option<&'a Located>> {
    let wanted = name(owner)?;
    Ok(located.iter().find(|l| l.asked == wanted))
}
