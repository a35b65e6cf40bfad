//! Questions to the recursive resolvers of this machine, or to those that zones.yaml names: tried in order.

use super::answer::rcode;
use super::transport::{self, Asked, Reply, Trouble};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whom to ask, how long, and how often it was done.
#[derive(Debug, Clone)]
pub(super) struct Recursive {
    pub(super) resolvers: Vec<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) questions: Arc<AtomicU64>,
}

impl Recursive {
    /// Asks the resolvers in order until one answers usably; NXDOMAIN is an answer. `unfit` says why an answer does not
    /// do although it is one. The error names every resolver and its failure.
    pub(super) async fn ask(
        &self,
        name: &Name,
        rtype: RecordType,
        asked: Asked,
        unfit: impl Fn(&Message) -> Option<String>,
    ) -> Result<Reply, String> {
        let mut causes = Vec::new();
        for resolver in &self.resolvers {
            let question = transport::question(name, rtype, asked);
            let cause = match self.exchange(*resolver, &question).await {
                Ok(reply) => match unusable(&reply.message).or_else(|| unfit(&reply.message)) {
                    None => return Ok(reply),
                    Some(cause) => cause,
                },
                Err(cause) => cause,
            };
            causes.push(format!("resolver {resolver}: {cause}"));
        }
        Err(format!("{rtype} of `{}`: {}", name.to_ascii(), causes.join("; ")))
    }

    /// One question to any server.
    pub(super) async fn exchange(&self, server: SocketAddr, question: &Message) -> Result<Reply, String> {
        self.exchange_within(server, question, self.timeout).await.map_err(|trouble| trouble.to_string())
    }

    /// The same with a time of its own.
    pub(super) async fn exchange_within(
        &self,
        server: SocketAddr,
        question: &Message,
        limit: Duration,
    ) -> Result<Reply, Trouble> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        transport::exchange(server, question, limit).await
    }
}

/// Why a resolver's message is no answer. A server that does not recurse sends a referral, which has no values either:
/// taken for NODATA it would hide name servers and DS records.
fn unusable(message: &Message) -> Option<String> {
    let bits = &message.metadata;
    match bits.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain if bits.recursion_available || bits.authoritative => {
            None
        }
        ResponseCode::NoError | ResponseCode::NXDomain => Some("it does not recurse for us".into()),
        other => Some(rcode(other)),
    }
}
