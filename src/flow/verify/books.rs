//! The endpoints of a certificate of zones.yaml, against our own books as well.

use super::Eyes;
use super::host::host;
use super::rrset::Zones;
use crate::error::Result;
use crate::flow::keys;
use crate::flow::world::World;
use crate::model::dane::{Ledger, Survey, Verified, judge, judge_ledger, with_books};
use crate::model::desired::{Certificate, Endpoints, Protocol};
use crate::model::endpoint::Endpoint;
use crate::model::pin::TlsaOwner;
use futures_util::future::join_all;
use hickory_proto::rr::Name;

/// What to look at: an endpoint, and the owner name whose records cover it.
struct Subject {
    endpoint: Endpoint,
    owner: Name,
}

/// Looks at every endpoint of a certificate, and compares with its state document.
pub async fn certificate(eyes: &Eyes, world: &World, wanted: &Certificate) -> Result<Vec<Verified>> {
    let document = world.store.document(&wanted.name).await?;
    let keys = keys::known(world, wanted, &document).await?;
    let memory = world.memory();
    let ledger = Ledger {
        certificate: &wanted.name,
        document: &document,
        active: keys.as_ref().map(|keys| keys.active),
        backup: keys.as_ref().and_then(|keys| keys.backup),
        policy: &wanted.policy,
        differing: &memory.differing,
    };
    let zones = Zones::default();
    let looks = subjects(wanted).into_iter().map(|subject| {
        let (zones, ledger) = (&zones, &ledger);
        async move {
            // The owner's own name is looked up as a sender would; another endpoint is held against the owner's records.
            let own =
                TlsaOwner::of(&subject.owner).is_some_and(|o| (o.host, o.port) == place(&subject.endpoint));
            let owner = (!own).then_some(&subject.owner);
            let view = host(eyes, zones, &subject.endpoint, None, owner).await?;
            let now = eyes.clock.now();
            let absolute = subject.owner.to_ascii();
            let of_books = judge_ledger(ledger, &absolute, &view, now);
            let survey = Survey { target: subject.endpoint.to_string(), mail: None, hosts: vec![view] };
            let findings = with_books(judge(&survey, now), of_books);
            Ok(Verified { certificate: Some(wanted.name.clone()), survey, findings })
        }
    });
    join_all(looks).await.into_iter().collect()
}

fn place(endpoint: &Endpoint) -> (String, u16) {
    (endpoint.host.clone(), endpoint.port)
}

/// The owner names' own endpoints, and those that zones.yaml lists besides.
fn subjects(wanted: &Certificate) -> Vec<Subject> {
    let owners: Vec<(Name, TlsaOwner)> =
        wanted.tlsa.iter().filter_map(|name| Some((name.clone(), TlsaOwner::of(name)?))).collect();
    let mut subjects: Vec<Subject> = Vec::new();
    for (name, owner) in &owners {
        if let Some(protocol) = Protocol::at_port(owner.port) {
            let endpoint = Endpoint { protocol, host: owner.host.clone(), port: owner.port };
            subjects.push(Subject { endpoint, owner: name.clone() });
        }
    }
    let Endpoints::Listed(listed) = &wanted.endpoints else { return subjects };
    for endpoint in listed {
        match subjects.iter_mut().find(|subject| place(&subject.endpoint) == place(endpoint)) {
            Some(known) => known.endpoint = endpoint.clone(), // the administrator knows the protocol
            None => {
                let covering = owners.iter().filter(|(_, owner)| owner.port == endpoint.port);
                subjects.extend(
                    covering.map(|(name, _)| Subject { endpoint: endpoint.clone(), owner: name.clone() }),
                );
            }
        }
    }
    subjects
}
