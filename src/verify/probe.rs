//! [`Endpoints`] with real connections: every address of an endpoint, once per ask, all at once.

use super::certificate_capture::{client, handshake};
use super::connection::{addresses, connect, server_name};
use super::{Algorithm, Ask, Endpoints, Failure, FailureKind, Outcome, Presented, Sni, Versions, starttls};
use crate::error::{Error, Kind, Result};
use crate::model::endpoint::{Endpoint, Protocol};
use async_trait::async_trait;
use futures_util::future::join_all;
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Longest wait for a TCP connection, and for a host's addresses. Our choice: two lost SYNs (1 s, 2 s) and a round trip
/// still fit.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest probe, from the first packet to the certificate. Our choice: Postfix's postscreen holds its greeting back
/// for 6 s (`postscreen_greet_wait`), everything after it takes a few round trips.
const TOTAL: Duration = Duration::from_secs(10);

/// Longest goodbye, after the result is known.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long [`Prober`] waits.
#[derive(Debug, Clone)]
pub struct ProberConfig {
    /// For a TCP connection.
    pub connect: Duration,
    /// For one probe, connection included.
    pub total: Duration,
}

impl Default for ProberConfig {
    /// 5 s for a connection, 10 s in total.
    fn default() -> Self {
        ProberConfig { connect: CONNECT, total: TOTAL }
    }
}

/// Looks at endpoints from outside, as a mail server would.
#[derive(Debug)]
pub struct Prober {
    config: ProberConfig,
    clients: Vec<(Ask, Arc<ClientConfig>)>,
}

impl Prober {
    /// Fails (as a defect of ours) only when the TLS library refuses its own algorithms.
    pub fn new(config: ProberConfig) -> Result<Self> {
        let with = |ask| match client(ask) {
            Ok(client) => Ok((ask, client)),
            Err(error) => Err(Error::new(Kind::Internal, "set up TLS for probes", error)),
        };
        Ok(Prober { config, clients: asks().into_iter().map(with).collect::<Result<_>>()? })
    }
}

fn asks() -> Vec<Ask> {
    let mut asks = Vec::new();
    for sni in [Sni::Sent, Sni::Absent] {
        for algorithm in [Algorithm::Ecdsa, Algorithm::Rsa] {
            asks.extend([Versions::Both, Versions::Tls12].map(|versions| Ask { sni, algorithm, versions }));
        }
    }
    asks
}

#[async_trait]
impl Endpoints for Prober {
    async fn probe(&self, endpoint: &Endpoint) -> Result<Vec<Presented>, Failure> {
        let addresses = addresses(endpoint, self.config.connect).await?;
        Ok(self.probe_at(endpoint, &addresses).await)
    }

    async fn probe_at(&self, endpoint: &Endpoint, addresses: &BTreeSet<SocketAddr>) -> Vec<Presented> {
        let name = server_name(&endpoint.host);
        let mut probes = Vec::new();
        for address in addresses {
            // A name that cannot be sent is known by nobody: its address stands in.
            let name = name.clone().unwrap_or(ServerName::IpAddress(address.ip().into()));
            let named = matches!(name, ServerName::DnsName(_));
            for (ask, client) in self.clients.iter().filter(|(ask, _)| named || ask.sni == Sni::Absent) {
                let (client, name) = (Arc::clone(client), name.clone());
                let (address, ask, protocol) = (*address, *ask, endpoint.protocol);
                probes.push(Probe { address, ask, protocol, client, name, config: &self.config });
            }
        }
        join_all(probes.into_iter().map(Probe::run)).await
    }
}

/// One connection to one address for one ask.
struct Probe<'a> {
    address: SocketAddr,
    ask: Ask,
    protocol: Protocol,
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    config: &'a ProberConfig,
}

impl Probe<'_> {
    async fn run(self) -> Presented {
        let (address, ask, protocol, limit) = (self.address, self.ask, self.protocol, self.config.total);
        let (outcome, connection) = match timeout(limit, self.connect_and_shake_hands()).await {
            Ok(Ok(done)) => done,
            Ok(Err(failure)) => (Outcome::Failed(failure), None),
            Err(_) => {
                let words = format!("no certificate within {} s", limit.as_secs_f32());
                (Outcome::Failed(Failure { kind: FailureKind::Timeout, words }), None)
            }
        };
        if let Some(connection) = connection {
            say_goodbye(connection, protocol).await;
        }
        Presented { address, ask, outcome }
    }

    async fn connect_and_shake_hands(self) -> Result<(Outcome, Option<TlsStream<TcpStream>>), Failure> {
        let mut stream = connect(self.address, self.config.connect).await?;
        let local = stream.local_addr().map_or(self.address, |local| local).ip();
        starttls::negotiate(self.protocol, &mut stream, local).await?;
        Ok(handshake(self.client, self.name, stream).await)
    }
}

/// The result is known already: whatever goes wrong here changes nothing.
async fn say_goodbye(mut connection: TlsStream<TcpStream>, protocol: Protocol) {
    let goodbye = async {
        connection.write_all(starttls::goodbye(protocol)).await?;
        connection.shutdown().await
    };
    if let Ok(Err(error)) = timeout(GOODBYE, goodbye).await {
        tracing::debug!(%error, "the connection was not closed cleanly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7672 §8.1: DANE clients send the name, and who does not must be served, too; §9.2: each by STARTTLS.
    #[test]
    fn rule_17_each_algorithm_and_version_is_asked_for_with_the_name_and_without() {
        let asks = asks();
        let distinct: BTreeSet<Ask> = asks.iter().copied().collect();
        assert_eq!((asks.len(), distinct.len()), (8, 8));
        for ask in &asks {
            let sni = if ask.sni == Sni::Sent { Sni::Absent } else { Sni::Sent };
            assert!(distinct.contains(&Ask { sni, ..*ask }), "{ask}");
            let algorithm = if ask.algorithm == Algorithm::Rsa { Algorithm::Ecdsa } else { Algorithm::Rsa };
            assert!(distinct.contains(&Ask { algorithm, ..*ask }), "{ask}");
        }
    }
}
