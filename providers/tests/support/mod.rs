//! Real name servers for the tests, each on a free loopback port in a directory of its own, gone when dropped.
#![allow(dead_code, unused_imports)] // no test program needs all of it

mod liar;
mod powerdns;
mod proxy;
mod server;
mod web;

pub use liar::{Liar, Lie};
pub use powerdns::{API_KEY, PowerDns};
pub use proxy::{Fate, Proxy};
pub use server::{Kind, Server};
pub use web::{Asked, Told, Web};

use danesmith_providers::rfc2136::{Algorithm, Config, Rfc2136, Transport};
use danesmith_providers::{Change, Provider, RrSet};
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{TLSA, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The secret of every key at the servers; text, so that a test can look for it in output.
pub const SECRET: &[u8] = b"thirty-two octets of test secret";

/// The zone that allows updates.
pub fn zone() -> Name {
    name("example.test.")
}

pub fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub fn txt(text: &str) -> RData {
    RData::TXT(TXT::new(vec![text.to_owned()]))
}

/// A `3 1 1` record whose digest is one octet repeated.
pub fn tlsa(octet: u8) -> RData {
    RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![octet; 32]))
}

/// A change of one name; the type is that of its first value.
pub fn change(at: &str, add: &[RData], remove: &[RData]) -> Change {
    let rtype = add.iter().chain(remove).next().unwrap().record_type();
    Change { name: name(at), rtype, ttl: 60, add: add.to_vec(), remove: remove.to_vec() }
}

/// A configuration with the key that may change everything.
pub fn config(servers: Vec<SocketAddr>) -> Config {
    Config {
        label: format!("test server {}", servers[0]),
        servers,
        transport: Transport::Tcp,
        key_name: name("k256."),
        algorithm: Algorithm::HmacSha256,
        secret: Zeroizing::new(SECRET.to_vec()),
        timeout: Duration::from_secs(3),
        clock: Arc::new(now),
    }
}

/// The provider of `config` at one server, after `adjust`.
pub fn provider(address: SocketAddr, adjust: impl FnOnce(&mut Config)) -> Rfc2136 {
    let mut config = config(vec![address]);
    adjust(&mut config);
    Rfc2136::new(config).unwrap()
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What stands, its values as sorted text.
pub async fn standing(provider: &dyn Provider, at: &str, rtype: RecordType) -> (u32, Vec<String>) {
    let RrSet { ttl, values } = provider.list(&zone(), &name(at), rtype).await.unwrap();
    let mut values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.sort();
    (ttl, values)
}

/// Text of values as [`standing`] gives it.
pub fn texts(values: &[RData]) -> Vec<String> {
    let mut values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.sort();
    values
}
