//! Dynamic update, checked.

use super::spec;
use crate::config::keys::readable;
use crate::config::problem::{Sink, quote};
use crate::config::read::At;
use crate::config::resolve::{checked, duration, optional, secret};
use crate::config::{defaults, names, servers};
use crate::model::desired::{Rfc2136, Transport, TsigAlgorithm};
use std::path::Path;

/// Checks the fields and what they say together.
pub(super) fn rfc2136(spec: &spec::Rfc2136, folder: &Path, sink: &mut Sink) -> Option<Rfc2136> {
    let server = checked(&spec.server, servers::server, sink);
    let transport = optional(spec.transport.as_ref(), |at| transport(at, sink));
    let tls_root = optional(tls(spec, |tls| tls.root.as_ref()), |at| readable(at, folder, sink));
    let tls_name = optional(tls(spec, |tls| tls.name.as_ref()), |at| checked(at, names::host, sink));
    let key_name = checked(&spec.tsig.name, names::key_name, sink);
    let algorithm = algorithm(&spec.tsig.algorithm, sink);
    let secret = secret(&spec.tsig.secret, folder, sink);
    let timeout = duration(spec.timeout.as_ref(), defaults::TIMEOUT, &defaults::TIMEOUT_RANGE, sink);
    let transport = transport?.unwrap_or(Transport::Tcp);
    if let (Some(tls), Transport::Tcp | Transport::Udp) = (&spec.tls, transport) {
        sink.say_with(
            &tls.place,
            "has no effect without `transport: tls`",
            "add `transport: tls` or drop `tls`",
        );
    }
    Some(Rfc2136 {
        server: server?,
        transport,
        tls_root: tls_root?,
        tls_name: tls_name?,
        key_name: key_name?,
        algorithm: algorithm?,
        secret: secret?,
        timeout: timeout?,
    })
}

fn tls(spec: &spec::Rfc2136, field: impl FnOnce(&spec::Tls) -> Option<&At<String>>) -> Option<&At<String>> {
    spec.tls.as_ref().and_then(|tls| field(&tls.value))
}

fn transport(at: &At<String>, sink: &mut Sink) -> Option<Transport> {
    let word = |text: &str| match text {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "tls" => Ok(Transport::Tls),
        _ => Err("must be tcp, udp or tls".to_owned()),
    };
    checked(at, word, sink)
}

fn algorithm(at: &At<String>, sink: &mut Sink) -> Option<TsigAlgorithm> {
    match at.value.to_ascii_lowercase().trim_end_matches('.') {
        "hmac-sha256" => return Some(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => return Some(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => return Some(TsigAlgorithm::HmacSha512),
        "hmac-md5" | "hmac-md5.sig-alg.reg.int" | "hmac-sha1" | "hmac-sha224" => {
            let hint = "make a new key: `tsig-keygen -a hmac-sha256 NAME`";
            sink.say_with(&at.place, format!("{}: weaker than SHA-256 is refused", quote(&at.value)), hint);
        }
        _ => sink
            .say(&at.place, format!("{}: must be hmac-sha256, hmac-sha384 or hmac-sha512", quote(&at.value))),
    }
    None
}
