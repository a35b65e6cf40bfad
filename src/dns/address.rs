//! Where a server answers, as the administrator writes it: address, `address:port`, name or `name:port`.

use super::Server;
use crate::error::{Error, Kind, Result};
use std::net::{IpAddr, SocketAddr};

/// A server as written, parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// An address: no look-up needed.
    Address(SocketAddr),
    /// A name to look up.
    Name(String, u16),
}

impl Written {
    /// Reads `text`; `port` is used when it says none.
    pub(super) fn parse(text: &str, port: u16) -> Result<Written> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Written::Address(address));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Written::Address(SocketAddr::new(address, port)));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, digits)) => (name, digits.parse().map_err(|_| unreadable(text))?),
            None => (text, port),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return Err(unreadable(text));
        }
        Ok(Written::Name(name.to_owned(), port))
    }

    /// Every address, looked up the way the system does (so /etc/hosts counts).
    pub(super) async fn locate(self, text: &str) -> Result<Vec<Server>> {
        let mut addresses = match self {
            Written::Address(address) => vec![address],
            Written::Name(name, port) => look_up(&name, port).await?,
        };
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        Ok(addresses.into_iter().map(|address| Server { name: text.to_owned(), address }).collect())
    }
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let failed = |cause: String| Error::new(Kind::Remote, format!("find the name server `{name}`"), cause);
    let found: Vec<_> =
        tokio::net::lookup_host((name, port)).await.map_err(|e| failed(e.to_string()))?.collect();
    if found.is_empty() { Err(failed("it has no address".into())) } else { Ok(found) }
}

fn unreadable(text: &str) -> Error {
    Error::new(Kind::Config, format!("read the name server `{text}`"), "not an address or name").hint(
        "write `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`, `ns1.example.org` or `ns1.example.org:53`",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        match Written::parse(text, 53).unwrap() {
            Written::Address(address) => address,
            Written::Name(..) => panic!("{text} is an address"),
        }
    }

    #[test]
    fn addresses_are_read_with_and_without_port() {
        assert_eq!(address("192.0.2.1"), "192.0.2.1:53".parse().unwrap());
        assert_eq!(address("192.0.2.1:5353"), "192.0.2.1:5353".parse().unwrap());
        assert_eq!(address("[::1]:5353"), "[::1]:5353".parse().unwrap());
        assert_eq!(address("[::1]"), "[::1]:53".parse().unwrap());
        assert_eq!(address("::1"), "[::1]:53".parse().unwrap());
    }

    #[test]
    fn names_are_read_with_and_without_port() {
        let name = |text| Written::parse(text, 53).unwrap();
        assert_eq!(name("ns1.example.org"), Written::Name("ns1.example.org".into(), 53));
        assert_eq!(name("ns1.example.org:5353"), Written::Name("ns1.example.org".into(), 5353));
    }

    #[test]
    fn nonsense_is_refused_as_configuration() {
        for text in ["", ":53", "ns1:", "ns1:dns", "ns1:65536", "a b", "https://ns1", "[::1]:x", "::1:::2"] {
            assert_eq!(Written::parse(text, 53).unwrap_err().kind, Kind::Config, "{text}");
        }
    }
}
