//! Orders (RFC 8555 §7.1.3, §7.4): placed, read, finalized.

use super::client::Client;
use super::directory::Directory;
use super::jws::{Signer, base64url};
use super::problem::{Identifier, Problem, shortened};
use super::request::{Call, Repeat};
use super::transport::{Reply, Transport};
use super::{NewOrder, Order, OrderStatus, Polled};
use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Deserialize)]
struct Resource {
    status: String,
    expires: Option<String>,
    identifiers: Vec<Identifier>,
    authorizations: Vec<String>,
    finalize: String,
    certificate: Option<String>,
    /// A problem document; one that we cannot read does not hide the order.
    error: Option<Value>,
}

impl Client {
    pub(super) async fn place_order(&self, wanted: NewOrder<'_>) -> Result<Polled<Order>> {
        let identifiers = wanted.identifiers;
        let action = format!("order a certificate for {} at {}", few(identifiers), self.directory_url);
        let mut directory = self.offering(wanted.profile, &action).await?;
        let mut wanted =
            NewOrder { replaces: wanted.replaces.filter(|_| directory.renewal_info.is_some()), ..wanted };
        let account = self.account_url_found().await?;
        let reply = loop {
            let (signer, url, payload) =
                (Signer::Account(&account), directory.new_order.as_str(), payload(&wanted));
            let call = Call { action: &action, signer, url, payload: &payload, repeat: Repeat::Never };
            let reply = self.post(&call).await?;
            if wanted.replaces.is_some() && refuses_replacement(&reply) {
                tracing::info!("{}", reply.success(&action).err().map(|e| e.to_string()).unwrap_or_default());
                wanted.replaces = None;
                continue;
            }
            match if reply.is_not_acme() { self.newer_directory(&directory).await? } else { None } {
                Some(newer) => directory = newer,
                None => break reply,
            }
        };
        reply.success(&action)?;
        let missing =
            || Error::new(Kind::Remote, &action, format!("{} named no order URL (Location)", reply.url));
        let order = order(&self.transport, &action, &reply, reply.location.clone().ok_or_else(missing)?)?;
        ordered(&action, &order.value, identifiers)?;
        Ok(order)
    }

    /// The directory of a CA that offers this profile; a copy from yesterday may lack a new one.
    async fn offering(&self, profile: Option<&str>, action: &str) -> Result<Arc<Directory>> {
        let directory = self.directory_held().await?;
        let Some(profile) = profile else { return Ok(directory) };
        if directory.meta.profiles.contains_key(profile) {
            return Ok(directory);
        }
        let directory = self.newer_directory(&directory).await?.unwrap_or(directory);
        if directory.meta.profiles.contains_key(profile) {
            return Ok(directory);
        }
        let offered: Vec<_> = directory.meta.profiles.keys().map(|name| shortened(name, 50)).collect();
        let (cause, hint) = match offered.as_slice() {
            [] => {
                ("this CA offers no profiles".to_owned(), "take `profile` out of the certificate".to_owned())
            }
            some => (
                format!("this CA does not offer the profile `{}`", shortened(profile, 50)),
                format!("it offers {}", some.join(", ")),
            ),
        };
        Err(Error::new(Kind::Config, action, cause).remains("Nothing was ordered.").hint(hint))
    }

    pub(super) async fn read_order(&self, url: &str) -> Result<Option<Polled<Order>>> {
        let action = format!("read the order {url}");
        let reply = self.get(&action, url).await?;
        // RFC 8555 has no error type for a resource that is gone: Boulder says 404, others `malformed`.
        if reply.status.as_u16() == 404 || reply.refused_as("malformed") {
            return Ok(None);
        }
        order(&self.transport, &action, &reply, url.to_string()).map(Some)
    }

    pub(super) async fn finalize_order(&self, placed: &Order, csr: &[u8]) -> Result<Option<Polled<Order>>> {
        let action = format!("finalize the order {} for {}", placed.url, few(&placed.identifiers));
        let account = self.account_url_found().await?;
        let payload = json!({"csr": base64url(csr)}).to_string();
        let (signer, url) = (Signer::Account(&account), placed.finalize.as_str());
        let call = Call { action: &action, signer, url, payload: &payload, repeat: Repeat::Never };
        let reply = self.post(&call).await?;
        if reply.refused_as("orderNotReady") {
            return Ok(None);
        }
        order(&self.transport, &action, &reply, placed.url.clone()).map(Some)
    }
}

fn order(transport: &Transport, action: &str, reply: &Reply, url: String) -> Result<Polled<Order>> {
    let resource: Resource = reply.json(action)?;
    let wrong = |why: String| Error::new(Kind::Remote, action, why);
    let status = match resource.status.as_str() {
        "pending" => OrderStatus::Pending,
        "ready" => OrderStatus::Ready,
        "processing" => OrderStatus::Processing,
        "valid" => OrderStatus::Valid,
        "invalid" => OrderStatus::Invalid,
        other => return Err(wrong(format!("{url} has the unknown order status “{}”", shortened(other, 50)))),
    };
    let urls =
        [&url, &resource.finalize].into_iter().chain(&resource.authorizations).chain(&resource.certificate);
    for url in urls {
        transport.checked(url).map_err(wrong)?;
    }
    let dns = resource.identifiers.into_iter().filter(|identifier| identifier.kind == "dns");
    let value = Order {
        url,
        status,
        expires: resource.expires.and_then(|text| text.parse::<Timestamp>().ok()),
        identifiers: dns.map(|identifier| shortened(&identifier.value, 255).to_ascii_lowercase()).collect(),
        authorizations: resource.authorizations,
        finalize: resource.finalize,
        certificate: resource.certificate,
        error: resource.error.as_ref().map(readable),
    };
    Ok(Polled { value, retry_after: reply.retry_after })
}

/// An `error` member as one sentence; what is no problem document is quoted.
pub(super) fn readable(error: &Value) -> String {
    let text = error.to_string();
    Problem::parse(text.as_bytes()).map_or_else(|| shortened(&text, 200), |problem| problem.sentence())
}

/// The order must be for what we asked for: a certificate for other names would not serve.
fn ordered(action: &str, order: &Order, identifiers: &[String]) -> Result<()> {
    let got: BTreeSet<&String> = order.identifiers.iter().collect();
    if got == identifiers.iter().collect() {
        return Ok(());
    }
    let cause = format!("the CA made the order {} for other names: {}", order.url, few(&order.identifiers));
    Err(Error::new(Kind::Remote, action, cause)
        .hint("the order will expire by itself; report this to the CA"))
}

fn payload(wanted: &NewOrder<'_>) -> String {
    let mut payload = json!({"identifiers": wanted.identifiers.iter().map(dns).collect::<Vec<_>>()});
    if let Some(profile) = wanted.profile {
        payload["profile"] = profile.into();
    }
    if let Some(certificate_id) = wanted.replaces {
        payload["replaces"] = certificate_id.into();
    }
    payload.to_string()
}

/// RFC 9773 §5: `alreadyReplaced`, or what else a CA says that does not know the certificate, or not as this account's: the order
/// is worth more than the hint. What would be refused without the hint, too, is not asked twice.
fn refuses_replacement(reply: &Reply) -> bool {
    const OTHERWISE: [&str; 7] = [
        "rateLimited",
        "userActionRequired",
        "accountDoesNotExist",
        "rejectedIdentifier",
        "unsupportedIdentifier",
        "invalidProfile",
        "badNonce",
    ];
    reply.status.is_client_error()
        && reply.problem().is_some_and(|problem| !OTHERWISE.iter().any(|word| problem.is(word)))
}

fn dns(name: &String) -> Value {
    json!({"type": "dns", "value": name})
}

/// The names, the first five of them in full.
fn few(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(5) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
