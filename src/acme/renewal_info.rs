//! Renewal information (RFC 9773): when the CA would like a certificate to be replaced. Asked without a signature, once: whoever
//! gets no answer renews by the certificate's lifetime.

use super::client::Client;
use super::problem::shortened;
use super::{Polled, SuggestedWindow};
use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Client {
    pub(super) async fn read_renewal_info(
        &self,
        certificate_id: &str,
    ) -> Result<Option<Polled<SuggestedWindow>>> {
        let directory = self.directory_held().await?;
        let Some(base) = &directory.renewal_info else { return Ok(None) };
        let action = format!("ask {} when to renew", self.directory_url);
        // The identifier is base64url and a dot: nothing in it could lead elsewhere.
        let url = format!("{}/{certificate_id}", base.trim_end_matches('/'));
        let reply =
            self.transport.send(Method::GET, &url, None).await.map_err(|failure| failure.error(&action))?;
        let resource: Resource = reply.json(&action)?;
        let Window { start, end } = resource.suggested_window;
        if end <= start {
            let cause = format!("{url} suggests a window that ends before it begins: {start} to {end}");
            return Err(Error::new(Kind::Remote, action, cause));
        }
        let explanation = resource.explanation.map(|page| shortened(&page, 300));
        let value = SuggestedWindow { start, end, explanation };
        Ok(Some(Polled { value, retry_after: reply.retry_after }))
    }
}
