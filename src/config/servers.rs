//! Small texts with a grammar: servers, endpoints, durations, URLs, contacts.

use super::names::{self, Owner};
use crate::model::desired::{Endpoint, Protocol};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A server: address, `address:port`, name or `name:port`, in canonical form.
pub(super) fn server(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let (host, port) = split_port(text)?;
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        Ok(address) => address.to_string(),
        Err(_) => names::host(host)?,
    };
    Ok(match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// A recursive resolver: an address or `address:port`; a name would need a resolver first.
pub(super) fn resolver(text: &str) -> Result<String, String> {
    let canonical = server(text)?;
    let (host, _) = split_port(&canonical).unwrap_or((&canonical, None));
    match names::is_address(&canonical) || names::is_address(host) {
        true => Ok(canonical),
        false => Err("must be an address or address:port; a name would need a resolver first".to_owned()),
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("a `[` is not closed")?;
            if !matches!(host.parse(), Ok(IpAddr::V6(_))) {
                return Err("only an IPv6 address stands in brackets".to_owned());
            }
            match after {
                "" => return Ok((host, None)),
                _ => (host, after.strip_prefix(':').ok_or("only `:port` may follow `]`")?),
            }
        }
        None => match text.split_once(':') {
            Some(parts) => parts,
            None => return Ok((text, None)),
        },
    };
    let port = names::parse_port(port).ok_or("the port must be a number from 1 to 65535")?;
    Ok((host, Some(port)))
}

/// An endpoint URL: `smtp://host:25`, `tls://host:465`, or the customary schemes with their ports (RFC 8314 and others).
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    let schemes = "smtp, submission, smtps, submissions, imap, imaps, pop3, pop3s, sieve, https, tls";
    let (scheme, rest) =
        text.split_once("://").ok_or(format!("must be a URL such as smtp://host:25 ({schemes})"))?;
    let (protocol, customary) = match scheme.to_ascii_lowercase().as_str() {
        "smtp" => (Protocol::Smtp, Some(25)),
        "submission" => (Protocol::Submission, Some(587)),
        "imap" => (Protocol::Imap, Some(143)),
        "pop3" => (Protocol::Pop3, Some(110)),
        "sieve" => (Protocol::Sieve, Some(4190)),
        "tls" => (Protocol::Tls, None),
        "smtps" | "submissions" => (Protocol::Tls, Some(465)),
        "imaps" => (Protocol::Tls, Some(993)),
        "pop3s" => (Protocol::Tls, Some(995)),
        "https" => (Protocol::Tls, Some(443)),
        _ => return Err(format!("the scheme is not one of {schemes}")),
    };
    let (host, port) = split_port(rest.strip_suffix('/').unwrap_or(rest))?;
    let host = match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => names::host(host)?,
    };
    let port = port.or(customary).ok_or("a port is missing: tls://host:PORT")?;
    Ok(Endpoint { protocol, host, port })
}

/// The endpoint behind a TLSA owner name; why not, when it cannot be told.
pub(super) fn endpoint_of(owner: &Owner) -> Result<Endpoint, String> {
    let Some(port) = owner.port else {
        return Err("a wildcard owner does not say which port to look at".to_owned());
    };
    if owner.protocol != "tcp" {
        return Err(format!("danesmith cannot connect by {}", owner.protocol));
    }
    let protocol = Protocol::at_port(port)
        .ok_or(format!("port {port} begins without TLS, in a protocol that danesmith does not speak"))?;
    Ok(Endpoint { protocol, host: owner.host.clone(), port })
}

/// A duration: a whole number and `s`, `m`, `h`, `d` or `w`, within a range.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    timed(
        text,
        range,
        &[('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)],
        "30s, 5m, 12h, 30d or 2w",
    )
}

/// A longer time; a year has 365 days.
pub(super) fn period(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    timed(text, range, &[('d', 86_400), ('w', 604_800), ('y', 31_536_000)], "90d, 26w or 1y")
}

fn timed(
    text: &str,
    range: &RangeInclusive<Duration>,
    units: &[(char, u64)],
    examples: &str,
) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = units.iter().find(|(unit, _)| text[digits.len()..] == *unit.encode_utf8(&mut [0; 4]));
    let (_, unit) = unit.ok_or_else(|| format!("must be a number and a unit: {examples}"))?;
    let number: u64 = match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse().map_err(|_| format!("must be a number and a unit: {examples}"))?,
        false => return Err(format!("must be a whole number and a unit: {examples}")),
    };
    let duration = Duration::from_secs(number.saturating_mul(*unit));
    if !range.contains(&duration) {
        return Err(format!("must be from {} to {}", words(*range.start()), words(*range.end())));
    }
    Ok(duration)
}

fn words(duration: Duration) -> String {
    match duration.as_secs() {
        n if n % 86_400 == 0 => format!("{}d", n / 86_400),
        n if n % 3600 == 0 => format!("{}h", n / 3600),
        n if n % 60 == 0 => format!("{}m", n / 60),
        n => format!("{n}s"),
    }
}

/// A directory URL. It is not echoed on error: someone may have put a password into it.
pub(super) fn directory(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.scheme() != "https" {
        return Err("must begin with https:// (RFC 8555 §6.1)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must hold neither a user name, a password nor a fragment".to_owned());
    }
    Ok(url.to_string())
}

/// A contact as a `mailto:` URL with one address and no header fields (RFC 8555 §7.3).
pub(super) fn contact(text: &str) -> Result<String, String> {
    let address = match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => rest,
        Some(_) => return Err("must be a mail address".to_owned()),
        None => text,
    };
    let (local, domain) = address.rsplit_once('@').ok_or("must be a mail address")?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || ",?#<>\"@".contains(c);
    if local.is_empty() || local.contains(odd) {
        return Err("must be one mail address, without display name or header fields".to_owned());
    }
    let domain = names::host(domain).map_err(|why| format!("after the @: {why}"))?;
    Ok(format!("mailto:{local}@{domain}"))
}
