//! Host names, zone apexes and TLSA owner names as administrators write them, made canonical: IDNA (UTS 46) to A-labels,
//! lower case, no final dot.

use hickory_proto::rr::Name;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use std::net::IpAddr;

/// A host name: labels of letters, digits and hyphens (RFC 1123 §2.1), at most 63 octets each and 253 in all.
pub(super) fn host(text: &str) -> Result<String, String> {
    if is_address(text) {
        return Err("an IP address is not a name: DNS-01 proves names only (RFC 8555 §8.4)".to_owned());
    }
    let relative = text.strip_suffix('.').unwrap_or(text);
    if relative.is_empty() || relative.split('.').any(str::is_empty) {
        return Err("a label is empty".to_owned());
    }
    let ascii = Uts46::new()
        .to_ascii(relative.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| why_not_a_host(relative))?;
    check_lengths(&ascii)?;
    if ascii.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit())) {
        return Err("the last label consists of digits only: that is an address, not a name".to_owned());
    }
    Ok(ascii.into_owned())
}

/// A dns identifier (RFC 8555 §7.1.3): a host name, or one after `*.`.
pub(super) fn identifier(text: &str) -> Result<String, String> {
    let (star, rest) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    if rest.contains('*') {
        return Err("a wildcard can only be the whole leftmost label: `*.example.org`".to_owned());
    }
    let name = format!("{star}{}", host(rest)?);
    check_lengths(&name).map(|()| name)
}

/// A TLSA owner name (RFC 6698 §3): `_25._tcp.mx1.example.org`, or `*._tcp.…` for every port.
pub(super) fn tlsa_owner(text: &str) -> Result<Owner, String> {
    let shape = "must look like `_25._tcp.mx1.example.org`: _port._protocol.host";
    let mut parts = text.splitn(3, '.');
    let (Some(port), Some(protocol), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(shape.to_owned());
    };
    let port = match port {
        "*" => None,
        _ => {
            let digits = port.strip_prefix('_').ok_or(shape)?;
            Some(parse_port(digits).ok_or("the port must be `_1` to `_65535`, or `*` for all")?)
        }
    };
    let protocol = protocol.to_ascii_lowercase();
    if !["_tcp", "_udp", "_sctp"].contains(&protocol.as_str()) {
        return Err("the protocol must be `_tcp`, `_udp` or `_sctp` (RFC 6698 §3)".to_owned());
    }
    let host = host(rest)?;
    let first = port.map_or("*".to_owned(), |port| format!("_{port}"));
    let name = absolute(&format!("{first}.{protocol}.{host}"))?;
    Ok(Owner { name, port, protocol: protocol[1..].to_owned(), host })
}

/// A TLSA owner name and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The whole name, absolute.
    pub(super) name: Name,
    /// The port; none for `*`.
    pub(super) port: Option<u16>,
    /// `tcp`, `udp` or `sctp`.
    pub(super) protocol: String,
    /// The host.
    pub(super) host: String,
}

/// A decimal port from 1 on, without sign or leading zero.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// An absolute name from one without its final dot, whose characters were checked before.
pub(super) fn absolute(text: &str) -> Result<Name, String> {
    check_lengths(text)?;
    Name::from_ascii(format!("{text}.")).map_err(|_| "is not a DNS name".to_owned())
}

/// A DNS name that need not be a host name, such as a TSIG key's: LDH and `_`, lower case, without final dot.
pub(super) fn key_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || name.split('.').any(str::is_empty) || !name.bytes().all(known) {
        return Err("must be a DNS name: letters, digits, `-`, `_`, and dots between labels".to_owned());
    }
    check_lengths(&name).map(|()| name)
}

/// Whether this is an address rather than a name, also in URL brackets.
pub(super) fn is_address(text: &str) -> bool {
    text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

fn check_lengths(name: &str) -> Result<(), String> {
    if let Some(label) = name.split('.').find(|label| label.len() > 63) {
        return Err(format!("a label has {} octets; DNS allows 63 (RFC 1035 §2.3.4)", label.len()));
    }
    match name.len() {
        0..=253 => Ok(()),
        long => Err(format!("has {long} octets; DNS allows 253 (RFC 1035 §2.3.4)")),
    }
}

fn why_not_a_host(name: &str) -> String {
    if name.contains('_') {
        return "`_` cannot stand in a host name (RFC 1123 §2.1)".to_owned();
    }
    if name.contains("://") || name.contains('/') {
        return "is a URL or path; a name is wanted".to_owned();
    }
    if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        return "a label begins or ends with a hyphen (RFC 1123 §2.1)".to_owned();
    }
    "is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)".to_owned()
}
