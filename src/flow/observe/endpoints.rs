//! Keys at every endpoint.

use crate::error::Result;
use crate::flow::world::World;
use crate::model::desired::{Certificate, Endpoint, Endpoints, Protocol};
use crate::model::key::{SpkiDigest, read_any};
use crate::model::plan::EndpointView;
use crate::verify::{Outcome, Presented};
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// What every address of every endpoint presents, against the active key.
pub(in crate::flow) async fn endpoints(
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
pub(in crate::flow) fn show(endpoint: &Endpoint) -> String {
    let scheme = match endpoint.protocol {
        Protocol::Smtp => "smtp",
        Protocol::Tls => "tls",
    };
    format!("{scheme}://{}:{}", endpoint.host, endpoint.port)
}
