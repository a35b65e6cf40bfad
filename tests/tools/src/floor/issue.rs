//! One order from beginning to end; many run side by side.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use hickory_proto::rr::Name;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::Result;
use super::acme::{Acme, base64url, text};
use super::dns::{Dns, Records};

/// From one look at an order to the next; our choice: pebble says nothing about it and signs in a few milliseconds.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What is ordered: names of one zone for one certificate.
#[derive(Debug, Clone)]
pub struct Wanted {
    zone: Name,
    names: Vec<String>,
}

impl FromStr for Wanted {
    type Err = String;

    /// `zone:name1,name2`
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (zone, names) = text.split_once(':').ok_or("expected ZONE:NAME,NAME")?;
        let zone = absolute(zone).map_err(|error| format!("zone `{zone}`: {error}"))?;
        Ok(Wanted { zone, names: names.split(',').map(str::to_owned).collect() })
    }
}

/// Milliseconds from the start of the order to the end of each step.
pub type Steps = Vec<(&'static str, u128)>;

/// Orders everything at once; the steps of the slowest order come back.
///
/// # Errors
/// Any order fails.
pub async fn issue_all(acme: &Acme, dns: &Dns, wanted: &[Wanted]) -> Result<Steps> {
    // as many as are wanted at once: every answer brings the next one
    let names: usize = wanted.iter().map(|wanted| wanted.names.len()).sum();
    acme.fetch_nonces(names).await?;
    let all = try_join_all(wanted.iter().map(|wanted| issue(acme, dns, wanted))).await?;
    Ok(all.into_iter().max_by_key(|steps| steps.last().map(|(_, end)| *end)).unwrap_or_default())
}

async fn issue(acme: &Acme, dns: &Dns, wanted: &Wanted) -> Result<Steps> {
    let start = Instant::now();
    let mut steps = Steps::new();
    let mut done = |step| steps.push((step, start.elapsed().as_millis()));

    let (url, order, mut open) = {
        let (ordered, open) = try_join(order(acme, wanted), dns.prepare(wanted.names.len())).await?;
        (ordered.0, ordered.1, open)
    };
    done("order");
    let challenges = authorizations(acme, &order).await?;
    done("authorizations");
    let records: Records = challenges.iter().map(|challenge| challenge.record.clone()).collect();
    if records.is_empty() {
        download(acme, &url, text(&order, "finalize")?, wanted).await?;
        done("certificate");
        return Ok(steps);
    }
    dns.publish(&wanted.zone, &records, &mut open).await?;
    done("update");
    try_join_all(dns.check.iter().map(|server| dns.wait_for(*server, &records))).await?;
    done("seen");
    let ready = json!({});
    try_join_all(challenges.iter().map(|challenge| acme.post(&challenge.url, Some(&ready)))).await?;
    done("challenges");
    let order = poll(acme, &url, "ready").await?;
    done("ready");
    let cleanup = dns.withdraw(&wanted.zone, &records, &mut open);
    try_join(download(acme, &url, text(&order, "finalize")?, wanted), cleanup).await?;
    done("certificate");
    Ok(steps)
}

async fn order(acme: &Acme, wanted: &Wanted) -> Result<(String, Value)> {
    let identifiers: Vec<_> = wanted.names.iter().map(|name| json!({"type": "dns", "value": name})).collect();
    let reply = acme.post(&acme.resource("newOrder")?, Some(&json!({"identifiers": identifiers}))).await?;
    let url = reply.header("location").ok_or("newOrder gave no location")?;
    Ok((url, serde_json::from_slice(&reply.body)?))
}

struct Challenge {
    url: String,
    record: (Name, String),
}

async fn authorizations(acme: &Acme, order: &Value) -> Result<Vec<Challenge>> {
    let urls = order["authorizations"].as_array().ok_or("the order has no authorizations")?;
    let all = try_join_all(urls.iter().filter_map(Value::as_str).map(|url| authorization(acme, url))).await?;
    Ok(all.into_iter().flatten().collect())
}

/// `None`: the CA still holds it valid. pebble does so in 1 % of the cases even with PEBBLE_AUTHZREUSE=0.
async fn authorization(acme: &Acme, url: &str) -> Result<Option<Challenge>> {
    let authorization = acme.post_json(url, None).await?;
    if authorization["status"] == "valid" {
        return Ok(None);
    }
    let all = authorization["challenges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let challenge = all.iter().find(|one| one["type"] == "dns-01").ok_or("no dns-01 challenge")?;
    let owner = format!("_acme-challenge.{}", text(&authorization["identifier"], "value")?);
    Ok(Some(Challenge {
        url: text(challenge, "url")?.to_owned(),
        record: (absolute(&owner)?, acme.txt_value(text(challenge, "token")?)),
    }))
}

async fn download(acme: &Acme, url: &str, finalize: &str, wanted: &Wanted) -> Result<()> {
    let mut order = acme.post_json(finalize, Some(&json!({"csr": base64url(csr(&wanted.names)?)}))).await?;
    if order["status"] != "valid" {
        order = poll(acme, url, "valid").await?;
    }
    let chain = acme.post(text(&order, "certificate")?, None).await?.body;
    if !chain.starts_with(b"-----BEGIN CERTIFICATE-----") {
        return Err("what was downloaded is no certificate".into());
    }
    Ok(())
}

async fn poll(acme: &Acme, url: &str, until: &str) -> Result<Value> {
    loop {
        let next = Instant::now() + POLL_EVERY;
        let order = acme.post_json(url, None).await?;
        match text(&order, "status")? {
            status if status == until => return Ok(order),
            "invalid" => return Err(format!("the order failed: {order}").into()),
            _ => sleep_until(next).await,
        }
    }
}

fn csr(names: &[String]) -> Result<Vec<u8>> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(&KeyPair::generate()?)?.der().to_vec())
}

fn absolute(name: &str) -> Result<Name> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}
