//! HTTPS to one CA: one origin, no redirects, bounded time and size, every request counted and logged without its body.

use super::nonce::Nonces;
use super::problem::{Problem, shortened};
use super::{client::ClientConfig, link};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{self, HeaderMap};
use reqwest::{Certificate, Method, StatusCode, Url, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest body we read. A chain of ten RSA-4096 certificates has 25 KiB; our choice, as for every other peer.
const LONGEST_BODY: usize = 1024 * 1024;

/// What RFC 8555 calls the media type of a chain (§7.4.2).
pub(super) const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// What we can read.
const ACCEPTED: &str = "application/json, application/problem+json, application/pem-certificate-chain";

/// The connection pool to one CA.
pub(super) struct Transport {
    http: reqwest::Client,
    directory: Url,
    requests: AtomicU64,
    clock: Arc<dyn Clock>,
    /// Refilled by every answer.
    pub(super) nonces: Arc<Nonces>,
}

/// An answer, whatever its status.
pub(super) struct Reply {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) content_type: String,
    pub(super) links: Vec<String>,
    pub(super) body: Vec<u8>,
    /// Its nonce, also when it went into the pool.
    pub(super) nonce: Option<String>,
}

/// No complete answer.
pub(super) enum Failure {
    /// Nothing of the request left this machine: it may be repeated whatever it asks for.
    NotSent(String),
    /// It may or may not have been carried out.
    Unknown(String),
    /// An answer came that we will not read.
    Unreadable(String),
}

impl Transport {
    /// Fails with [`Kind::Config`] on a directory URL that is not https or a root that is no certificate.
    pub(super) fn new(config: &ClientConfig) -> Result<Transport> {
        let action = || format!("prepare for the CA at {}", shortened(&config.directory_url, 200));
        let directory = https(&config.directory_url).map_err(|why| {
            Error::new(Kind::Config, action(), why).hint("correct the account's `directory` URL")
        })?;
        // Refused when the process has a provider already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(config.timeouts.connect)
            .timeout(config.timeouts.request);
        if is_loopback(&directory) {
            // A proxy's loopback is not ours.
            builder = builder.no_proxy();
        }
        if let Some(pem) = &config.root_pem {
            builder =
                builder.tls_certs_only(roots(pem).map_err(|why| Error::new(Kind::Config, action(), why))?);
        }
        let http = builder.build().map_err(|error| Error::new(Kind::Local, action(), story(&error)))?;
        let (requests, nonces) = (AtomicU64::new(0), Arc::new(Nonces::default()));
        Ok(Transport { http, directory, requests, clock: config.clock.clone(), nonces })
    }

    /// Requests begun so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A URL that the CA gave, or why we do not follow it: the account key signs for this CA's origin only, so that a
    /// hostile answer cannot make us talk to, or sign for, anyone else.
    pub(super) fn checked(&self, url: &str) -> Result<Url, String> {
        let parsed = https(url)?;
        if parsed.origin() != self.directory.origin() {
            let ours = self.directory.origin().ascii_serialization();
            return Err(format!(
                "the CA pointed to {}, which is not on {ours}, the origin of its directory; such URLs are not followed",
                shortened(url, 200)
            ));
        }
        Ok(parsed)
    }

    /// One request; `body` makes it a POST of `application/jose+json`.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> Result<Reply, Failure> {
        let target = self.checked(url).map_err(Failure::Unreadable)?;
        let path = target.path().to_string();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = self.http.request(method.clone(), target).header(header::ACCEPT, ACCEPTED);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/jose+json").body(body);
        }
        let started = self.clock.elapsed();
        let outcome = self.receive(request, url).await;
        let ms = self.clock.elapsed().saturating_sub(started).as_millis() as u64;
        match &outcome {
            Ok(reply) => {
                let (status, version) = (reply.status.as_u16(), reply.version);
                tracing::debug!(%method, path, status, ?version, ms, "acme request")
            }
            Err(failure) => {
                tracing::debug!(%method, path, failure = failure.text(), ms, "acme request failed")
            }
        }
        outcome
    }

    async fn receive(&self, request: reqwest::RequestBuilder, url: &str) -> Result<Reply, Failure> {
        let mut response = request.send().await.map_err(|error| {
            let text = format!("{url}: {}", story(&error));
            if error.is_connect() { Failure::NotSent(text) } else { Failure::Unknown(text) }
        })?;
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|e| Failure::Unknown(format!("{url}: {}", story(&e))))?
        {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(Failure::Unreadable(format!(
                    "{url} answered with more than 1 MiB; the rest was not read"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(self.reply(url, &response, body))
    }

    fn reply(&self, url: &str, response: &reqwest::Response, body: Vec<u8>) -> Reply {
        let headers = response.headers();
        let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        Reply {
            url: url.to_string(),
            status: response.status(),
            version: response.version(),
            location: text(headers, "location"),
            retry_after: text(headers, "retry-after").and_then(|value| retry_after(&value, self.clock.now())),
            content_type: text(headers, "content-type").unwrap_or_default(),
            links: links.map(String::from).collect(),
            body,
            nonce: text(headers, "replay-nonce"),
        }
    }
}

impl Reply {
    /// The problem document, when this is a refusal that carries one.
    pub(super) fn problem(&self) -> Option<Problem> {
        if self.status.is_success() { None } else { Problem::parse(&self.body) }
    }

    /// Whether the refusal is of RFC 8555 §6.7's type `word`.
    pub(super) fn refused_as(&self, word: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(word))
    }

    /// Whether asking again may help.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502 | 503 | 504)
            || self.status.is_server_error()
                && (self.problem().is_none() || self.refused_as("serverInternal"))
    }

    /// Whether this is no ACME resource at all, as when the CA has moved and the directory is an old copy.
    pub(super) fn is_not_acme(&self) -> bool {
        self.status.is_redirection() || matches!(self.status.as_u16(), 404 | 405 | 410)
    }

    /// The body as JSON; any other status than success is an error.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, action: &str) -> Result<T> {
        self.success(action)?;
        serde_json::from_slice(&self.body).map_err(|error| {
            let quoted = shortened(&String::from_utf8_lossy(&self.body), 200);
            let cause = format!(
                "{} answered {} with what RFC 8555 does not know ({error}): “{quoted}”",
                self.url, self.status
            );
            Error::new(Kind::Remote, action, cause)
        })
    }

    /// Any other status than success as an error that tells what the CA said.
    pub(super) fn success(&self, action: &str) -> Result<&Reply> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal(action)) }
    }

    fn refusal(&self, action: &str) -> Error {
        let answered = format!("{} answered {}", self.url, self.status);
        let mut error = match self.problem() {
            Some(problem) => {
                let cause = format!("{answered}: {}", problem.sentence());
                let error = Error::new(problem.error_kind(), action, cause);
                let page = problem.is("userActionRequired").then(|| self.page(&problem)).flatten();
                let error = page.into_iter().fold(error, |error, page| error.hint(format!("visit {page}")));
                problem.hint().into_iter().fold(error, Error::hint)
            }
            None if self.status.is_redirection() => {
                let place = self
                    .location
                    .as_deref()
                    .map(|url| shortened(url, 200))
                    .unwrap_or_else(|| "nowhere".into());
                Error::new(
                    Kind::Remote,
                    action,
                    format!("{answered}, a redirect to {place}, which is not followed"),
                )
                .hint("if the CA has moved, put its new directory URL into the account")
            }
            None => Error::new(Kind::Remote, action, format!("{answered}{}", self.quoted())),
        };
        error.retry_after = self.retry_after;
        error
    }

    /// The page that a person must visit: the new terms, or what the problem names (RFC 8555 §7.3.3).
    fn page(&self, problem: &Problem) -> Option<String> {
        let terms = link::targets(&self.links, "terms-of-service").into_iter().next();
        terms.or_else(|| problem.instance.clone()).map(|url| shortened(&url, 300))
    }

    fn quoted(&self) -> String {
        match shortened(&String::from_utf8_lossy(&self.body), 200) {
            empty if empty.is_empty() => " without a word".into(),
            words => format!(": “{words}”"),
        }
    }
}

impl Failure {
    pub(super) fn text(&self) -> &str {
        let (Failure::NotSent(text) | Failure::Unknown(text) | Failure::Unreadable(text)) = self;
        text
    }

    /// As the error of the request that failed.
    pub(super) fn error(&self, action: &str) -> Error {
        let error = Error::new(Kind::Remote, action, self.text());
        match self {
            Failure::NotSent(text) if text.contains("UnknownIssuer") => error.remains("Nothing was sent to the CA.").hint(
                "this host trusts no root above the server's certificate: for a private CA name its root as the account's `root`",
            ),
            Failure::NotSent(_) => error.remains("Nothing was sent to the CA.").hint(
                "check the directory URL, name resolution, the network and, for a private CA, the account's `root`",
            ),
            Failure::Unknown(_) | Failure::Unreadable(_) => error,
        }
    }
}

/// RFC 9110 §10.2.3: seconds, or a date counted from `now`; a date that has passed is zero.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

fn https(url: &str) -> Result<Url, String> {
    let shown = || shortened(url, 200);
    // The WHATWG parser silently drops line breaks and the like; what we sign must be what we send.
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("“{}” is no URL", shown()));
    }
    let parsed = Url::parse(url).map_err(|error| format!("“{}” is no URL: {error}", shown()))?;
    match parsed.scheme() {
        "https" if !parsed.username().is_empty() || parsed.password().is_some() => {
            Err("the URL carries a user name or password, which ACME does not use".into())
        }
        "https" => Ok(parsed),
        scheme => Err(format!("“{}” is {scheme}, but ACME is https only (RFC 8555 §6.1)", shown())),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn roots(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let roots = Certificate::from_pem_bundle(pem)
        .map_err(|error| format!("its root is unusable: {}", story(&error)))?;
    if roots.is_empty() { Err("its root file holds no PEM certificate".into()) } else { Ok(roots) }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(String::from)
}

/// An error with its causes, without the URL (which we name ourselves).
fn story(error: &reqwest::Error) -> String {
    let mut parts = vec![match error {
        error if error.is_timeout() => "no answer in time".to_string(),
        error if error.is_connect() => "no connection".to_string(),
        _ => "the connection broke".to_string(),
    }];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = shortened(&cause.to_string(), 300);
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{https, retry_after};
    use std::time::Duration;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = "1994-11-06T08:49:07Z".parse().unwrap();
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:48:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn only_plain_https_urls_are_accepted() {
        assert!(https("https://ca.example/dir").is_ok());
        for url in
            ["http://ca.example/", "https://u:p@ca.example/", "https://ca.example/\n", "ca", "https://"]
        {
            assert!(https(url).is_err(), "{url}");
        }
    }
}
