//! Addresses of a host, and connections to them.

use crate::model::endpoint::{Endpoint, Failure, FailureKind};
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Every address of the host as this machine sees it.
pub(super) async fn addresses(endpoint: &Endpoint, limit: Duration) -> Result<BTreeSet<SocketAddr>, Failure> {
    let failed = |words| Failure { kind: FailureKind::NoAddress, words };
    let looked = timeout(limit, tokio::net::lookup_host((bare(&endpoint.host), endpoint.port))).await;
    let found = looked.map_err(|_| failed(format!("no address within {} s", limit.as_secs_f32())))?;
    let addresses: BTreeSet<SocketAddr> =
        found.map_err(|error| failed(format!("no address: {error}")))?.collect();
    if addresses.is_empty() { Err(failed("the host has no address".into())) } else { Ok(addresses) }
}

/// An address of a family that this host has no route for is not skipped: its key is unknown, and unknown is not good.
pub(super) async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, Failure> {
    let (kind, words) = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) if no_route(&error) => (
            FailureKind::NoRoute,
            format!(
                "this host has no route to {}: probe from one that has, or list the addresses it can reach as endpoints",
                address.ip()
            ),
        ),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            (FailureKind::Refused, "connection refused: nobody listens there, or a firewall says so".into())
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            (FailureKind::Timeout, format!("no connection: {error}"))
        }
        Ok(Err(error)) => (FailureKind::Dialogue, format!("no connection: {error}")),
        Err(_) => (FailureKind::Timeout, format!("no connection within {} s", limit.as_secs_f32())),
    };
    Err(Failure { kind, words })
}

fn no_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    [AddrNotAvailable, HostUnreachable, NetworkUnreachable].contains(&error.kind())
}

/// For SNI: a name without its final dot (RFC 6066 §3); an address sends none.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = bare(host);
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}

/// `[::1]` as in a URL, without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
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
}
