//! What a person writes after `verify`: a domain, a host with a port, a URL, a TLSA owner name.

use super::{names, servers};
use crate::model::desired::Protocol;
use crate::model::endpoint::{Endpoint, Target};
use std::net::IpAddr;

/// `example.org`, `mx1.example.org:25`, `smtp://mx1.example.org`, `_25._tcp.mx1.example.org`.
pub fn target(text: &str) -> Result<Target, String> {
    if text.contains("://") {
        return servers::endpoint(text).map(Target::Endpoint);
    }
    if text.starts_with('_') || text.starts_with("*._") {
        let owner = names::tlsa_owner(text)?;
        return servers::endpoint_of(&owner).map(Target::Endpoint);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        let shown = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        return Err(format!("an address alone does not say what to speak: write smtp://{shown}"));
    }
    let (host, port) = servers::split_port(text)?;
    let Some(port) = port else { return names::host(host).map(Target::Domain) };
    let protocol = Protocol::at_port(port)
        .ok_or(format!("port {port} begins without TLS, in a protocol that danesmith does not speak"))?;
    let host = match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => names::host(host)?,
    };
    Ok(Target::Endpoint(Endpoint { protocol, host, port }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_an_endpoint_is_understood() {
        for (written, meant) in [
            ("mx1.Example.org:25", "smtp://mx1.example.org:25"),
            ("mx1.example.org:465", "tls://mx1.example.org:465"),
            ("mx1.example.org:587", "submission://mx1.example.org:587"),
            ("smtp://mx1.example.org", "smtp://mx1.example.org:25"),
            ("imaps://mx1.example.org/", "tls://mx1.example.org:993"),
            ("_25._tcp.mx1.example.org", "smtp://mx1.example.org:25"),
            ("_4190._tcp.mx1.example.org.", "sieve://mx1.example.org:4190"),
            ("[2001:db8::1]:25", "smtp://[2001:db8::1]:25"),
            ("192.0.2.1:143", "imap://192.0.2.1:143"),
        ] {
            let Target::Endpoint(endpoint) = target(written).unwrap() else { panic!("{written}") };
            assert_eq!(endpoint.to_string(), meant, "{written}");
        }
    }

    #[test]
    fn a_bare_name_is_a_mail_domain() {
        for (written, meant) in [("Example.org.", "example.org"), ("bücher.example", "xn--bcher-kva.example")]
        {
            assert_eq!(target(written), Ok(Target::Domain(meant.into())));
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_the_reason() {
        for (written, why) in [
            ("192.0.2.1", "does not say what to speak"),
            ("2001:db8::1", "does not say what to speak"),
            ("mx1.example.org:5222", "does not speak"),
            ("mx1.example.org:0", "from 1 to 65535"),
            ("*._tcp.mx1.example.org", "which port"),
            ("_443._udp.mx1.example.org", "by udp"),
            ("ftp://mx1.example.org", "is not one of"),
            ("mx 1", "not a host name"),
            ("", "empty"),
        ] {
            let refused = target(written).unwrap_err();
            assert!(refused.contains(why), "{written}: {refused}");
        }
    }
}
