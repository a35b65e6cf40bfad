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

/// The servers of zones, and how they are asked.
pub struct Authorities {
    which: Which,
    reads: Arc<dyn Reads>,
}

enum Which {
    /// Of the zones of a configuration; `check:` counts.
    Configured(Arc<Desired>),
    /// These, for any zone; none: its NS sets.
    Named(Vec<String>),
}

impl Authorities {
    /// Of the zones of `desired`; `check:` counts.
    pub fn new(desired: Arc<Desired>, reads: Arc<dyn Reads>) -> Authorities {
        Authorities { which: Which::Configured(desired), reads }
    }

    /// These servers, whatever the zone; none: those of its NS sets.
    pub fn at(servers: Vec<String>, reads: Arc<dyn Reads>) -> Authorities {
        Authorities { which: Which::Named(servers), reads }
    }
}

#[async_trait]
impl Authoritative for Authorities {
    async fn look(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<Vec<RrSet>, Error> {
        let silent = |e: crate::error::Error| {
            Error::new(Class::Transient, format!("what stands at {} is not known: {e}", text(name)))
        };
        let check = match &self.which {
            Which::Configured(desired) => desired.zone_of(zone).map_or(&[][..], |via| &via.check),
            Which::Named(servers) => servers,
        };
        let servers = servers_of(self.reads.as_ref(), check, zone).await.map_err(silent)?;
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
