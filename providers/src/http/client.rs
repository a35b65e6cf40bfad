//! HTTP to the hosts of one file and to no other: no redirects, bounded time and size.

use super::options::{Options, Secrets};
use super::spec::Answers;
use super::value;
use crate::{Class, Error};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use minijinja::value::Value;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Url};
use std::time::Duration;

/// The longest body that is read: a zone of 100,000 records in PowerDNS' JSON has 20 MiB. Our choice.
pub(super) const LONGEST_BODY: usize = 32 * 1024 * 1024;
/// Characters of an answer that an error quotes.
const QUOTED: usize = 300;

/// Where requests may go.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    /// As "https://host:port".
    origins: Vec<String>,
    allow_http: bool,
}

impl Hosts {
    /// The origins of these URLs.
    pub(super) fn new(urls: &[Url], allow_http: bool) -> Hosts {
        Hosts { origins: urls.iter().map(|url| url.origin().ascii_serialization()).collect(), allow_http }
    }

    /// Why a URL must not be asked.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let shown = may_carry_secrets(url, self.allow_http)?;
        if !self.origins.contains(&shown) {
            return Err(format!("{shown} is none of the hosts that this provider is configured for"));
        }
        Ok(())
    }
}

/// Whether secrets may be sent to this address.
///
/// # Errors
/// Why not, without what may be a password in it: no URL, not encrypted on the way to another host (unless
/// `allow_http`), or with a user name, a password or a query.
pub fn check_address(text: &str, allow_http: bool) -> Result<(), String> {
    let shown = origin(text, allow_http)?;
    if Url::parse(text).is_ok_and(|url| url.query().is_some()) {
        return Err(format!("the URL of {shown} carries a query"));
    }
    Ok(())
}

/// The same of an address that a file describes, which may have a query of its own.
pub(super) fn origin(text: &str, allow_http: bool) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "is no URL".to_owned())?;
    may_carry_secrets(&url, allow_http)
}

/// The origin of a URL, or why it must not be asked.
fn may_carry_secrets(url: &Url, allow_http: bool) -> Result<String, String> {
    let shown = url.origin().ascii_serialization();
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) || allow_http => {}
        "http" => return Err(format!("{shown} is not encrypted; only this host may be asked by http")),
        scheme => return Err(format!("{scheme} is not http(s)")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the URL of {shown} carries a user name or password"));
    }
    Ok(shown)
}

/// One request, ready to go.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    pub(super) payload: Vec<u8>,
}

impl Request {
    /// A text without what this request's headers carried: a peer may send it back.
    pub(super) fn redact(&self, text: &str) -> String {
        let public =
            |name: &str| name.eq_ignore_ascii_case("accept") || name.eq_ignore_ascii_case("content-type");
        let values = self.headers.iter().filter(|(name, _)| !public(name)).map(|(_, value)| value.as_str());
        let parts = values.flat_map(|value| [value].into_iter().chain(value.split(' ')));
        parts
            .filter(|part| part.len() >= 8)
            .fold(text.to_owned(), |text, part| text.replace(part, "[secret]"))
    }

    /// "GET /zones": never the query, which may hold a secret.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Value,
    pub(super) cookies: Vec<String>,
    pub(super) body: Value,
    /// Whether the body is what the file says answers are; an empty one always is.
    pub(super) readable: bool,
    /// How it begins.
    pub(super) text: String,
    /// Length of the body.
    pub(super) octets: usize,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// No answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    NotSent(String),
    /// It may have been carried out.
    Unknown(String),
    /// The answer was too long.
    TooLong,
}

pub(super) struct Client {
    http: reqwest::Client,
    answers: Answers,
    options: Options,
}

impl Client {
    pub(super) fn new(options: &Options, answers: Answers, hosts: &[Url]) -> Result<Client, String> {
        // Refused when the process has a provider already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("danesmith/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(options.timeout.min(Duration::from_secs(10)));
        if hosts.iter().all(is_loopback) {
            // A proxy's loopback is not ours.
            builder = builder.no_proxy();
        }
        if let Some(pem) = &options.root_pem {
            let roots =
                Certificate::from_pem_bundle(pem).map_err(|e| format!("its root is unusable: {e}"))?;
            if roots.is_empty() {
                return Err("its root file holds no PEM certificate".to_owned());
            }
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|e| story(&e))?;
        Ok(Client { http, answers, options: options.clone() })
    }

    /// Sends, with no more time than is left.
    pub(super) async fn send(&self, request: &Request, left: Duration) -> Result<Reply, Failure> {
        let prepared = self.prepare(request).map_err(Failure::NotSent)?;
        let sent = prepared.timeout(self.options.timeout.min(left)).send().await;
        let mut response = sent.map_err(|error| match error {
            error if error.is_connect() || error.is_builder() => Failure::NotSent(story(&error)),
            error => Failure::Unknown(story(&error)),
        })?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| Failure::Unknown(story(&e)))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(Failure::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(self.reply(&response, &body))
    }

    fn prepare(&self, request: &Request) -> Result<reqwest::RequestBuilder, String> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|e| e.to_string())?;
        let mut headers = HeaderMap::new();
        let content_type = request.content_type.iter().map(|value| ("content-type", value.as_str()));
        let others = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in content_type.chain(others) {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| "a header's name is not valid".to_owned())?;
            let value = HeaderValue::from_str(value);
            let mut value = value.map_err(|_| format!("the value of the header {name} is not valid"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if !headers.contains_key("accept") {
            let kind = match self.answers {
                Answers::Json => "application/json",
                Answers::Xml => "application/xml, text/xml",
                Answers::Text => "*/*",
            };
            headers.insert("accept", HeaderValue::from_static(kind));
        }
        let builder = self.http.request(method, request.url.clone()).headers(headers);
        let has_body = request.content_type.is_some();
        Ok(if has_body { builder.body(request.payload.clone()) } else { builder })
    }

    fn reply(&self, response: &reqwest::Response, octets: &[u8]) -> Reply {
        let headers = response.headers();
        let text = String::from_utf8_lossy(octets);
        let empty = text.trim().is_empty();
        let json = || serde_json::from_slice(octets).ok().map(|json| value::from_json(&json));
        let parsed = match self.answers {
            _ if empty => Some(Value::from(())),
            Answers::Json => json(),
            Answers::Xml => value::from_xml(&text),
            Answers::Text => Some(Value::from(text.as_ref())),
        };
        let cookies = headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let single = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Reply {
            status: response.status().as_u16(),
            headers: Value::from_pairs(
                headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
            ),
            cookies: cookies.map(str::to_owned).collect(),
            readable: parsed.is_some(),
            // Errors are often in another form.
            body: parsed.or_else(json).unwrap_or_else(|| Value::from(text.as_ref())),
            // Cut later, when secrets are blacked out: the cut must not leave half of one.
            text: text.chars().take(20 * QUOTED).collect(),
            octets: octets.len(),
            location: single("location").map(str::to_owned),
            retry_after: single("retry-after").and_then(|value| retry_after(value, (self.options.clock)())),
        }
    }
}

/// RFC 9110 §10.2.3: seconds, or a date counted from `now` (Unix seconds); a date that has passed is zero.
pub(crate) fn retry_after(value: &str, now: u64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    let now = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// The beginning of what a peer said, on one line, without secrets.
pub(super) fn quoted(text: &str, secrets: &Secrets) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    let clean = secrets.redact(&line);
    match clean.char_indices().nth(QUOTED) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean,
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An error with its causes, without the URL.
fn story(error: &reqwest::Error) -> String {
    let mut parts = vec![match error {
        error if error.is_timeout() => "no answer in time".to_owned(),
        error if error.is_connect() => "no connection".to_owned(),
        _ => "the connection broke".to_owned(),
    }];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

/// A failure as an error of a write or of a read.
pub(super) fn failed(label: &str, request: &Request, failure: &Failure) -> Error {
    let shown = request.shown();
    match failure {
        Failure::NotSent(why) => {
            Error::new(Class::Transient, format!("{label} cannot be reached: {why}; nothing was sent"))
                .hint("check the address, name resolution and the network")
        }
        Failure::Unknown(why) => Error::new(Class::Transient, format!("{label}: {shown}: {why}")),
        Failure::TooLong => Error::new(
            Class::Rejected,
            format!(
                "{label}: {shown} answered with more than {} MiB; the rest was not read",
                LONGEST_BODY >> 20
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = 784_111_747; // Sun, 06 Nov 1994 08:49:07 GMT
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:48:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn only_the_hosts_of_the_configuration_are_asked() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let hosts = Hosts::new(&[url("https://api.example.org/v1"), url("http://127.0.0.1:8081")], false);
        for good in ["https://api.example.org/else", "http://127.0.0.1:8081/x"] {
            assert_eq!(hosts.check(&url(good)), Ok(()), "{good}");
        }
        for bad in [
            "https://evil.example.org/",
            "https://api.example.org:444/",
            "https://api.example.org.evil.test/",
            "http://api.example.org/",
            "https://u:p@api.example.org/",
            "http://127.0.0.1:8082/",
            "file:///etc/passwd",
        ] {
            assert!(hosts.check(&url(bad)).is_err(), "{bad}");
        }
        let plain = Hosts::new(&[url("http://dns.example.org/")], true);
        assert_eq!(plain.check(&url("http://dns.example.org/")), Ok(()));
    }
}
