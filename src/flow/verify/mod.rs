//! The outside view: what a sender of mail would find at a domain, a host or an endpoint. Needs no zones.yaml, changes
//! nothing.

mod books;
mod host;
mod rrset;

pub use books::certificate;

use crate::clock::Clock;
use crate::dns::{Reads, Security};
use crate::error::{Error, Kind, Result};
use crate::model::dane::{Found, Mail, Survey, Verified, judge};
use crate::model::desired::Protocol;
use crate::model::endpoint::{Endpoint, Target};
use crate::verify::Endpoints;
use futures_util::future::{join, join_all};
use hickory_proto::rr::{Name, RData, RecordType};
use host::host;
use rrset::Zones;
use std::sync::Arc;

/// Most hosts of one domain that are looked at. Our choice: large providers have about ten.
const MAX_HOSTS: usize = 32;

/// The effects that looking needs.
pub struct Eyes {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Questions to name servers.
    pub reads: Arc<dyn Reads>,
    /// Probes.
    pub endpoints: Arc<dyn Endpoints>,
}

/// Looks at one target and judges what is seen. `Err` only when the target can be no name.
pub async fn look(eyes: &Eyes, target: &Target) -> Result<Verified> {
    let zones = Zones::default();
    let survey = match target {
        Target::Domain(domain) => domain_survey(eyes, &zones, domain).await?,
        Target::Endpoint(endpoint) => Survey {
            target: endpoint.to_string(),
            mail: None,
            hosts: vec![host(eyes, &zones, endpoint, None, None).await?],
        },
    };
    let findings = judge(&survey, eyes.clock.now());
    Ok(Verified { certificate: None, survey, findings })
}

/// The hosts that MX names; where there is no MX, the domain itself (RFC 5321 §5.1).
async fn domain_survey(eyes: &Eyes, zones: &Zones, domain: &str) -> Result<Survey> {
    let (apex, policy) = (name(domain)?, name(&format!("_smtp._tls.{domain}"))?);
    let (mx, reports) = join(
        rrset::look(eyes, zones, &apex, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, text(&mx.exchange))),
            _ => None,
        }),
        asks_for_reports(eyes, &policy),
    )
    .await;
    let smtp = |host: &str| Endpoint { protocol: Protocol::Smtp, host: host.to_owned(), port: 25 };
    let endpoints = match &mx {
        unbelievable if !unbelievable.is_believed() => Vec::new(),
        Found { records, .. } if records.is_empty() => vec![smtp(domain)],
        Found { records, .. } => {
            let mut hosts = records.clone();
            hosts.sort();
            hosts.iter().filter(|(_, host)| !host.is_empty()).map(|(_, host)| smtp(host)).collect()
        }
    };
    let views = endpoints.iter().take(MAX_HOSTS).map(|at| host(eyes, zones, at, Some(domain), None));
    let hosts = join_all(views).await.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Survey {
        target: domain.to_owned(),
        mail: Some(Mail { domain: domain.to_owned(), mx, reports }),
        hosts,
    })
}

/// RFC 8460 §3.
async fn asks_for_reports(eyes: &Eyes, at: &Name) -> Option<bool> {
    let found = eyes.reads.lookup(at, RecordType::TXT).await.ok()?;
    if matches!(found.security, Security::Bogus(_)) {
        return None;
    }
    let asks = |data: &RData| match data {
        RData::TXT(txt) => txt.txt_data.first().is_some_and(|first| first.starts_with(b"v=TLSRPTv1")),
        _ => false,
    };
    Some(found.records.iter().any(asks))
}

/// An absolute name from one without its final dot.
fn name(text: &str) -> Result<Name> {
    Name::from_ascii(format!("{}.", text.trim_end_matches('.')))
        .map_err(|e| Error::new(Kind::Usage, format!("look at `{text}`"), e))
}

/// A name without its final dot, lower case.
fn text(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}
