//! The recursive resolvers of this machine: the `nameserver` lines of resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// Where glibc looks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Resolvers always answer on this port: resolv.conf has no way to say another.
const PORT: u16 = 53;

/// The system's recursive resolvers; a resolver on this host when the file is absent or names none, as resolv.conf(5)
/// says.
pub(super) fn resolvers() -> Vec<SocketAddr> {
    read(Path::new(RESOLV_CONF))
}

fn read(path: &Path) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        tracing::info!(path = %path.display(), %error, "no resolver configuration: asking this host");
        String::new()
    });
    let found = parse(&text);
    if found.is_empty() { vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)] } else { found }
}

fn parse(text: &str) -> Vec<SocketAddr> {
    text.lines().filter_map(name_server).collect()
}

/// A link-local address with an interface name (`fe80::1%eth0`) is left out: std cannot turn the name into a scope.
fn name_server(line: &str) -> Option<SocketAddr> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("nameserver") {
        return None;
    }
    let written = words.next()?;
    let address = written.parse::<IpAddr>();
    if address.is_err() {
        tracing::warn!(nameserver = written, "resolv.conf: not an address, left out");
    }
    Some(SocketAddr::new(address.ok()?, PORT))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn nameserver_lines_are_read_in_order_and_the_rest_is_ignored() {
        let text = "# comment\nsearch example.org\n nameserver\t192.0.2.1\nnameserver 2001:db8::1 # second\n\
                    ;nameserver 192.0.2.9\noptions edns0\nnameserver fe80::1%eth0\nnameserver\n";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }

    #[test]
    fn an_absent_file_means_this_host() {
        let found = read(Path::new("/nonexistent/resolv.conf"));
        assert_eq!(found, ["127.0.0.1:53".parse().unwrap()]);
    }
}
