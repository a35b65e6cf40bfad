//! The provider for dynamic update: addresses, key and trust roots read when it is first needed.

use super::opener::Opener;
use crate::error::{Error, Kind, Result};
use crate::model::desired::{Rfc2136 as Wanted, Transport, TsigAlgorithm};
use danesmith_providers::rfc2136::{self, Rfc2136};
use hickory_proto::rr::Name;
use std::net::SocketAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

impl Opener {
    /// Opens it; nothing is sent yet but questions for the server's address.
    pub(super) async fn rfc2136(&self, name: &str, wanted: &Wanted) -> Result<Rfc2136> {
        let action = || format!("open provider `{name}`");
        let port = if wanted.transport == Transport::Tls { 853 } else { 53 };
        let servers = self.reads.addresses(&wanted.server).await?;
        let explicit = explicit_port(&wanted.server);
        let servers = servers
            .into_iter()
            .map(|s| SocketAddr::new(s.address.ip(), if explicit { s.address.port() } else { port }))
            .collect();
        let secret = wanted.secret.read()?;
        let secret = tsig_secret(secret.bytes()).ok_or_else(|| {
            Error::new(Kind::Credentials, action(), "its TSIG secret is not base64")
                .remains("Nothing was ordered and nothing was changed.")
                .hint("give the secret alone, as it stands between the quotes of what tsig-keygen prints")
        })?;
        let clock = self.clock.clone();
        let transport = match wanted.transport {
            Transport::Tcp => rfc2136::Transport::Tcp,
            Transport::Udp => rfc2136::Transport::Udp,
            Transport::Tls => self.tls(wanted)?,
        };
        Rfc2136::new(rfc2136::Config {
            servers,
            label: wanted.server.clone(),
            transport,
            key_name: Name::from_ascii(&wanted.key_name)
                .map_err(|e| Error::new(Kind::Config, action(), e))?,
            algorithm: match wanted.algorithm {
                TsigAlgorithm::HmacSha256 => rfc2136::Algorithm::HmacSha256,
                TsigAlgorithm::HmacSha384 => rfc2136::Algorithm::HmacSha384,
                TsigAlgorithm::HmacSha512 => rfc2136::Algorithm::HmacSha512,
            },
            secret,
            timeout: wanted.timeout,
            clock: Arc::new(move || clock.now().as_second().try_into().unwrap_or_default()),
        })
        .map_err(|e| Error::new(Kind::Config, action(), e.message))
    }

    fn tls(&self, wanted: &Wanted) -> Result<rfc2136::Transport> {
        let root_pem = match &wanted.tls_root {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|e| {
                Error::new(Kind::Config, format!("read the trust root `{}`", path.display()), e)
            })?),
        };
        let server_name = wanted.tls_name.clone().unwrap_or_else(|| host_part(&wanted.server).to_owned());
        Ok(rfc2136::Transport::Tls { server_name, root_pem })
    }
}

/// Base64, white space around and within it ignored.
fn tsig_secret(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bare = Zeroizing::new(text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<u8>>());
    data_encoding::BASE64.decode(&bare).ok().filter(|s| !s.is_empty()).map(Zeroizing::new)
}

fn explicit_port(server: &str) -> bool {
    server.parse::<SocketAddr>().is_ok()
        || (server.parse::<std::net::IpAddr>().is_err()
            && server.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()))
}

fn host_part(server: &str) -> &str {
    let bare =
        if explicit_port(server) { server.rsplit_once(':').map_or(server, |(h, _)| h) } else { server };
    bare.trim_start_matches('[').trim_end_matches(']')
}
