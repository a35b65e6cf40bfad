//! Where TLSA is looked for, as senders do.
#![allow(clippy::unwrap_used)]

use crate::clock::SystemClock;
use crate::dns::{Answer, Link, Lookup, Observation, Reads, Security, Server};
use crate::error::{Error, Kind, Result};
use crate::flow::verify::{Eyes, look};
use crate::model::desired::Protocol;
use crate::model::endpoint::{Endpoint, Target};
use crate::model::key::SpkiDigest;
use crate::model::pin;
use crate::verify::{Endpoints, Failure, Presented};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const ALIAS: &str = "mx.example.org.";
const TARGET: &str = "host.example.net.";

/// A mail host that is an alias; TLSA stands at these names.
struct Zone {
    alias: Security,
    tlsa: &'static [&'static str],
    /// TLSA names that were asked for, in order.
    asked: Mutex<Vec<String>>,
}

fn secure() -> Security {
    Security::Secure { until: Timestamp::MAX, last: Timestamp::MAX }
}

fn nobody<T>() -> Result<T> {
    Err(Error::new(Kind::Remote, "ask", "there are no servers here"))
}

#[async_trait]
impl Reads for Zone {
    async fn name_servers(&self, _: &Name) -> Result<Vec<Server>> {
        nobody()
    }

    async fn addresses(&self, _: &str) -> Result<Vec<Server>> {
        nobody()
    }

    async fn ask(&self, _: &Server, _: &Name, _: RecordType) -> Result<Answer> {
        nobody()
    }

    async fn alias(&self, _: &Name) -> Result<Option<Name>> {
        nobody()
    }

    async fn observe(&self, _: &Server, _: &Name, _: &Name, _: RecordType) -> Result<Observation> {
        nobody()
    }

    async fn lookup(&self, name: &Name, rtype: RecordType) -> Result<Lookup> {
        let text = name.to_ascii();
        let mut found = Lookup {
            asked: name.clone(),
            name: name.clone(),
            links: Vec::new(),
            records: Vec::new(),
            ttl: 60,
            nxdomain: false,
            security: secure(),
        };
        match rtype {
            RecordType::A if text == ALIAS => {
                found.name = Name::from_ascii(TARGET).unwrap();
                let target = found.name.clone();
                found.links.push(Link { owner: name.clone(), target, ttl: 60, security: self.alias.clone() });
                found.records.push(RData::A(std::net::Ipv4Addr::new(192, 0, 2, 1).into()));
            }
            RecordType::TLSA if text.starts_with("_25.") => {
                self.asked.lock().unwrap().push(text.clone());
                let stands = self.tlsa.iter().any(|owner| text == format!("_25._tcp.{owner}"));
                found.records.extend(stands.then(|| pin::tlsa(SpkiDigest([1; 32]))));
            }
            _ => {}
        }
        Ok(found)
    }
}

struct Silent;

#[async_trait]
impl Endpoints for Silent {
    async fn probe(&self, _: &Endpoint) -> Result<Vec<Presented>, Failure> {
        Ok(Vec::new())
    }

    async fn probe_at(&self, _: &Endpoint, _: &BTreeSet<SocketAddr>) -> Vec<Presented> {
        Vec::new()
    }
}

/// Where TLSA was looked for, and where records were found.
async fn looked(alias: Security, tlsa: &'static [&'static str]) -> (Vec<String>, String) {
    let zone = Arc::new(Zone { alias, tlsa, asked: Mutex::default() });
    let eyes = Eyes {
        clock: Arc::new(SystemClock::new()),
        reads: Arc::clone(&zone) as Arc<dyn Reads>,
        endpoints: Arc::new(Silent),
    };
    let host = ALIAS.trim_end_matches('.').to_owned();
    let target = Target::Endpoint(Endpoint { protocol: Protocol::Smtp, host, port: 25 });
    let verified = look(&eyes, &target).await.unwrap();
    let asked = zone.asked.lock().unwrap().clone();
    (asked, verified.survey.hosts[0].tlsa.name.clone())
}

/// RFC 7672 §2.2.3.
#[tokio::test]
async fn rule_12_tlsa_is_looked_for_where_an_alias_leads_first_and_then_at_its_own_name() {
    let (expanded, original) = ("_25._tcp.host.example.net.", "_25._tcp.mx.example.org.");
    let at = |owner: &str| owner.trim_end_matches('.').to_owned();
    assert_eq!(looked(secure(), &[TARGET, ALIAS]).await, (vec![expanded.into()], at(expanded)));
    let both = vec![expanded.to_owned(), original.to_owned()];
    assert_eq!(looked(secure(), &[ALIAS]).await, (both.clone(), at(original)));
    assert_eq!(looked(secure(), &[]).await, (both, at(original)));
    let weak = Security::Insecure("no DS".into());
    assert_eq!(
        looked(weak, &[TARGET, ALIAS]).await,
        (vec![original.into()], at(original)),
        "RFC 7672 §2.2.2"
    );
}
