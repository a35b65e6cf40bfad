//! [`Endpoints`] with real connections: every address of an endpoint, once per key algorithm, all at once.

use super::certificate_capture::{client, handshake};
use super::{Algorithm, Endpoints, Outcome, Presented, starttls};
use crate::error::{Error, Kind, Result};
use crate::model::desired::{Endpoint, Protocol};
use async_trait::async_trait;
use futures_util::future::join_all;
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Longest wait for a TCP connection. Our choice: two lost SYNs (1 s, 2 s) and a round trip still fit.
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
    clients: [(Algorithm, Arc<ClientConfig>); 2],
}

impl Prober {
    /// Fails (as a defect of ours) only when the TLS library refuses its own algorithms.
    pub fn new(config: ProberConfig) -> Result<Self> {
        let with = |algorithm| match client(algorithm) {
            Ok(client) => Ok((algorithm, client)),
            Err(error) => Err(Error::new(Kind::Internal, "set up TLS for probes", error)),
        };
        Ok(Prober { config, clients: [with(Algorithm::Ecdsa)?, with(Algorithm::Rsa)?] })
    }
}

#[async_trait]
impl Endpoints for Prober {
    async fn probe(&self, endpoint: &Endpoint) -> Result<Vec<Presented>> {
        let addresses = addresses(endpoint).await.map_err(|cause| failed(endpoint, Kind::Remote, cause))?;
        self.probe_at(endpoint, &addresses).await
    }
}

impl Prober {
    /// Probes the endpoint at exactly these addresses, whatever its name resolves to. `Err` when its host can be no
    /// host name.
    pub async fn probe_at(
        &self,
        endpoint: &Endpoint,
        addresses: &BTreeSet<SocketAddr>,
    ) -> Result<Vec<Presented>> {
        let name = server_name(&endpoint.host)
            .ok_or_else(|| failed(endpoint, Kind::Config, "not a host name or address".into()))?;
        let probes = addresses.iter().flat_map(|address| {
            self.clients.iter().map(|(algorithm, client)| Probe {
                address: *address,
                algorithm: *algorithm,
                protocol: endpoint.protocol,
                client: Arc::clone(client),
                name: name.clone(),
                config: &self.config,
            })
        });
        Ok(join_all(probes.map(Probe::run)).await)
    }
}

fn failed(endpoint: &Endpoint, kind: Kind, cause: String) -> Error {
    Error::new(kind, format!("probe {}:{}", endpoint.host, endpoint.port), cause)
}

/// One connection to one address for one algorithm.
struct Probe<'a> {
    address: SocketAddr,
    algorithm: Algorithm,
    protocol: Protocol,
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    config: &'a ProberConfig,
}

impl Probe<'_> {
    async fn run(self) -> Presented {
        let (address, algorithm, protocol, limit) =
            (self.address, self.algorithm, self.protocol, self.config.total);
        let (outcome, connection) = match timeout(limit, self.connect_and_shake_hands()).await {
            Ok(Ok(done)) => done,
            Ok(Err(reason)) => (Outcome::Failed(reason), None),
            Err(_) => (Outcome::Failed(format!("no certificate within {} s", limit.as_secs_f32())), None),
        };
        if let Some(connection) = connection {
            say_goodbye(connection, protocol).await;
        }
        Presented { address, algorithm, outcome }
    }

    async fn connect_and_shake_hands(self) -> Result<(Outcome, Option<TlsStream<TcpStream>>), String> {
        let mut stream = connect(self.address, self.config.connect).await?;
        if self.protocol == Protocol::Smtp {
            let helo = stream.local_addr().map(|local| address_literal(local.ip()));
            starttls::negotiate(&mut stream, &helo.map_err(|error| error.to_string())?).await?;
        }
        Ok(handshake(self.client, self.name, stream).await)
    }
}

/// An address of a family that this host has no route for is not skipped: its key is unknown, and unknown is not good.
async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, String> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if no_route(&error) => Err(format!(
            "this host has no route to {}: probe from one that has, or list the addresses it can reach as endpoints",
            address.ip()
        )),
        Ok(Err(error)) => Err(format!("no connection: {error}")),
        Err(_) => Err(format!("no connection within {} s", limit.as_secs_f32())),
    }
}

fn no_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    [AddrNotAvailable, HostUnreachable, NetworkUnreachable].contains(&error.kind())
}

/// The result is known already: whatever goes wrong here changes nothing.
async fn say_goodbye(mut connection: TlsStream<TcpStream>, protocol: Protocol) {
    let goodbye = async {
        if protocol == Protocol::Smtp {
            connection.write_all(b"QUIT\r\n").await?;
        }
        connection.shutdown().await
    };
    if let Ok(Err(error)) = timeout(GOODBYE, goodbye).await {
        tracing::debug!(%error, "the connection was not closed cleanly");
    }
}

/// For SNI: a name without its final dot (RFC 6066 §3); an address sends none.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = bare(host);
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}

async fn addresses(endpoint: &Endpoint) -> Result<BTreeSet<SocketAddr>, String> {
    let found = tokio::net::lookup_host((bare(&endpoint.host), endpoint.port)).await;
    let addresses: BTreeSet<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    if addresses.is_empty() { Err("the host has no address".into()) } else { Ok(addresses) }
}

/// `[::1]` as in a URL, without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// How a client without a host name introduces itself (RFC 5321 §4.1.3).
fn address_literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(four) => format!("[{four}]"),
        IpAddr::V6(six) => format!("[IPv6:{six}]"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn sni_is_the_bare_name_and_addresses_send_none() {
        assert_eq!(server_name("mx.example.org.").unwrap().to_str(), "mx.example.org");
        assert!(matches!(server_name("192.0.2.1").unwrap(), ServerName::IpAddress(_)));
        assert!(matches!(server_name("[2001:db8::1]").unwrap(), ServerName::IpAddress(_)));
        assert!(server_name("not a host").is_none());
    }

    #[test]
    fn we_introduce_ourselves_with_an_address_literal() {
        assert_eq!(address_literal("192.0.2.1".parse().unwrap()), "[192.0.2.1]");
        assert_eq!(address_literal("2001:db8::1".parse().unwrap()), "[IPv6:2001:db8::1]");
    }
}
