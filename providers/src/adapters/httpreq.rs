//! Services made for lego's `httpreq`: POST `ENDPOINT/present` and `ENDPOINT/cleanup` with `{"fqdn": …, "value": …}` (its
//! default mode), optionally with basic authentication.

use super::txt_only::Tool;
use crate::exec::redact::Redactor;
use crate::exec::value::plain;
use crate::http::retry_after;
use crate::rfc2136::Clock;
use crate::{Class, Error};
use async_trait::async_trait;
use hickory_proto::rr::Name;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// Time for one request; our choice: a service may wait for its DNS host.
const TIME: Duration = Duration::from_secs(120);
/// Most octets of an error's body that are read.
const MAX_BODY: usize = 4096;

/// Where the service is.
pub struct Config {
    /// Base URL; `https`, or `http` on a loopback address.
    pub endpoint: String,
    /// For basic authentication.
    pub username: Option<String>,
    /// For basic authentication.
    pub password: Option<Zeroizing<String>>,
    /// PEM of the only trusted root; none: the system's roots.
    pub root_pem: Option<Vec<u8>>,
    /// For `Retry-After` as a date.
    pub clock: Clock,
}

/// One service.
pub struct HttpReq {
    http: reqwest::Client,
    endpoint: Url,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    redactor: Redactor,
    clock: Clock,
}

impl HttpReq {
    /// Prepares; nothing is sent yet.
    ///
    /// Errors: [`Class::Rejected`] for an endpoint that is no URL or would show the password on the way.
    pub fn new(config: Config) -> Result<Self, Error> {
        let Config { endpoint, username, password, root_pem, clock } = config;
        let refuse = |why: &str| Error::new(Class::Rejected, format!("the httpreq endpoint {why}"));
        let mut endpoint = Url::parse(&endpoint).map_err(|_| refuse("is no URL"))?;
        let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if endpoint.scheme() != "https" && !(endpoint.scheme() == "http" && loopback) {
            return Err(refuse("must begin with https:// (http:// only for a loopback address)"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() || endpoint.query().is_some() {
            return Err(refuse("holds credentials or a query; use `username` and `password`"));
        }
        if !endpoint.path().ends_with('/') {
            endpoint.set_path(&format!("{}/", endpoint.path()));
        }
        // Refused when the process has a provider already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(TIME)
            .connect_timeout(Duration::from_secs(10));
        if loopback {
            // A proxy's loopback is not ours.
            builder = builder.no_proxy();
        }
        if let Some(pem) = root_pem {
            let root = reqwest::Certificate::from_pem(&pem)
                .map_err(|_| refuse("has a root that is no PEM certificate"))?;
            builder = builder.tls_certs_only([root]);
        }
        let http = builder.build().map_err(|error| Error::new(Class::Internal, error.to_string()))?;
        // a server that repeats the header shows the pair
        let pair = username
            .iter()
            .zip(&password)
            .map(|(name, word)| Zeroizing::new(format!("{name}:{}", word.as_str())));
        let pair = pair.collect::<Vec<_>>();
        let redactor = Redactor::new(password.iter().chain(&pair).map(|secret| secret.as_str()));
        Ok(HttpReq { http, endpoint, username, password, redactor, clock })
    }

    async fn call(&self, action: &str, name: &Name, value: &str) -> Result<(), Error> {
        let label = self.label();
        let url =
            self.endpoint.join(action).map_err(|error| Error::new(Class::Internal, error.to_string()))?;
        let body = json!({ "fqdn": format!("{}.", plain(name)), "value": value }).to_string();
        let mut request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(username) = &self.username {
            request = request.basic_auth(username, self.password.as_ref().map(|password| password.as_str()));
        }
        let answer = request.send().await.map_err(|error| {
            let why = self.redactor.clean(&story(&error));
            Error::new(
                Class::Transient,
                format!("{label} did not answer at /{action} for {}: {why}", plain(name)),
            )
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let header = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|value| retry_after(value, (self.clock)()));
        let said = self.redactor.clean(&beginning(answer).await);
        let text = format!("{label} answered {status} at /{action} for {}: {said}", plain(name));
        let mut error = Error::new(class(status), text);
        error.retry_after = retry_after;
        Err(error)
    }
}

#[async_trait]
impl Tool for HttpReq {
    fn label(&self) -> String {
        format!("httpreq {}", self.endpoint)
    }

    /// The convention has no request that changes nothing.
    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn add(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("present", name, value).await
    }

    async fn remove(&self, name: &Name, value: &str) -> Result<(), Error> {
        self.call("cleanup", name, value).await
    }
}

fn class(status: StatusCode) -> Class {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Class::Auth,
        StatusCode::NOT_FOUND => Class::NotFound,
        StatusCode::CONFLICT => Class::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Class::RateLimited,
        status if status.is_server_error() => Class::Transient,
        _ => Class::Rejected,
    }
}

async fn beginning(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_BODY {
            break;
        }
    }
    body.truncate(MAX_BODY);
    String::from_utf8_lossy(&body).into_owned()
}

/// reqwest tells the cause only in its sources.
fn story(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
