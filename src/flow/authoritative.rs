//! What the world sees of a zone, for providers that can write but not read: every authoritative server, asked directly.

use crate::dns::Reads;
use crate::flow::world::servers_of;
use crate::flow::zone_writer::text;
use crate::model::desired::Desired;
use async_trait::async_trait;
use danesmith_providers::authoritative::Authoritative;
use danesmith_providers::{Class, Error, RrSet};
use futures_util::future::try_join_all;
use hickory_proto::rr::{Name, RecordType};
use std::sync::Arc;

/// The servers of the zones of one configuration.
pub struct Authorities {
    desired: Arc<Desired>,
    reads: Arc<dyn Reads>,
}

impl Authorities {
    /// Of the zones of `desired`; `check:` counts.
    pub fn new(desired: Arc<Desired>, reads: Arc<dyn Reads>) -> Authorities {
        Authorities { desired, reads }
    }
}

#[async_trait]
impl Authoritative for Authorities {
    async fn look(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<Vec<RrSet>, Error> {
        let silent = |e: crate::error::Error| {
            Error::new(Class::Transient, format!("what stands at {} is not known: {e}", text(name)))
        };
        let via = self.desired.zone_of(zone);
        let servers = servers_of(self.reads.as_ref(), via, zone).await.map_err(silent)?;
        if servers.is_empty() {
            return Err(Error::new(Class::NotFound, format!("no server serves zone {}", text(zone))));
        }
        let looks = servers.iter().map(|server| async move {
            let answer = self.reads.ask(server, name, rtype).await.map_err(silent)?;
            if let Some(alias) = answer.alias {
                let message = format!("{} is an alias of {} at {}", text(name), text(&alias), server.name);
                return Err(Error::new(Class::Conflict, message));
            }
            Ok(RrSet { ttl: answer.ttl, values: answer.values })
        });
        try_join_all(looks).await
    }
}
