//! Keys at every endpoint.

use crate::flow::world::World;
use crate::model::desired::{Certificate, Endpoint, Endpoints, Protocol};
use crate::model::endpoint::{EndpointView, FailedProbe, Shown};
use crate::model::key::read_any;
use crate::verify::{Outcome, Presented};
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// What every address of every endpoint presents. Every certificate of an address counts: senders choose the algorithm.
pub(in crate::flow) async fn endpoints(world: &World, wanted: &Certificate) -> EndpointView {
    let mut view = EndpointView::default();
    let Endpoints::Listed(list) = &wanted.endpoints else { return view };
    let probed = join_all(list.iter().map(|e| async move { (e, world.endpoints.probe(e).await) })).await;
    for (endpoint, presented) in probed {
        match presented {
            Err(e) => fail(&mut view, endpoint, show(endpoint), e.cause),
            Ok(answers) => add(&mut view, endpoint, &answers),
        }
    }
    view
}

fn add(view: &mut EndpointView, endpoint: &Endpoint, answers: &[Presented]) {
    let addresses: BTreeSet<_> = answers.iter().map(|p| p.address).collect();
    for address in addresses {
        let at = format!("{} at {address}", show(endpoint));
        let here: Vec<_> = answers.iter().filter(|p| p.address == address).collect();
        if here.iter().all(|p| p.outcome == Outcome::NoSuchAlgorithm) {
            fail(view, endpoint, at.clone(), "no TLS handshake possible".into());
        }
        for probe in here {
            match &probe.outcome {
                Outcome::NoSuchAlgorithm => {}
                Outcome::Failed(reason) => fail(view, endpoint, at.clone(), reason.clone()),
                Outcome::Chain(chain) => match chain.first().and_then(|leaf| read_any(leaf).ok()) {
                    None => fail(view, endpoint, at.clone(), "it presents no readable certificate".into()),
                    Some((key, _)) => view.shown.push(Shown {
                        host: endpoint.host.clone(),
                        at: format!("{at}, {}", probe.algorithm),
                        algorithm: probe.algorithm,
                        key,
                        chain: chain.clone(),
                    }),
                },
            }
        }
    }
}

fn fail(view: &mut EndpointView, endpoint: &Endpoint, at: String, reason: String) {
    let failed = FailedProbe { host: endpoint.host.clone(), at, reason };
    if !view.failed.contains(&failed) {
        view.failed.push(failed);
    }
}

/// An endpoint as it is written in zones.yaml.
pub(in crate::flow) fn show(endpoint: &Endpoint) -> String {
    let scheme = match endpoint.protocol {
        Protocol::Smtp => "smtp",
        Protocol::Tls => "tls",
    };
    format!("{scheme}://{}:{}", endpoint.host, endpoint.port)
}
