//! Signatures over whole requests: AWS Signature Version 4, OVH, and those that a file spells out itself.

use super::client::Request;
use super::crypto::{self, hex, sha256};
use super::expression::{self, Scope};
use super::spec::Sign;
use super::template::Template;
use jiff::Timestamp;
use ring::hmac;

/// What a signature adds to a request.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
}

/// Signs at a Unix time.
pub(super) fn sign(sign: &Sign, request: &Request, scope: &Scope, now: u64) -> Result<Added, String> {
    let need = |template: &Template| {
        template.text(scope)?.ok_or_else(|| "a part of the signature's key is not given".to_owned())
    };
    match sign {
        Sign::AwsSigV4 { access_key, secret_key, session_token, region, service } => {
            let token = session_token.as_ref().map(|template| template.text(scope)).transpose()?.flatten();
            let key = AwsKey {
                access_key: need(access_key)?,
                secret_key: need(secret_key)?,
                token,
                region: need(region)?,
                service: need(service)?,
            };
            Ok(Added { headers: key.sign(request, now)?, query: vec![] })
        }
        Sign::Ovh { application_key, application_secret, consumer_key } => {
            let (application, secret, consumer) =
                (need(application_key)?, need(application_secret)?, need(consumer_key)?);
            let payload = String::from_utf8_lossy(&request.payload);
            let signed =
                format!("{secret}+{consumer}+{}+{}+{payload}+{now}", request.method, request.url.as_str());
            let headers = [
                ("X-Ovh-Application", application),
                ("X-Ovh-Consumer", consumer),
                ("X-Ovh-Timestamp", now.to_string()),
                ("X-Ovh-Signature", format!("$1${}", hex(&crypto::sha1(signed.as_bytes())))),
            ];
            let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Ok(Added { headers, query: vec![] })
        }
        Sign::Own { headers, query } => {
            let date = stamp(now, "%a, %d %b %Y %H:%M:%S GMT")?;
            let mut scope = scope.clone();
            scope.set("method", request.method);
            scope.set("url", request.url.as_str());
            scope.set("host", host(request));
            scope.set("path", request.url.path());
            scope.set("query", request.url.query().unwrap_or_default());
            scope.set("payload", String::from_utf8_lossy(&request.payload).into_owned());
            scope.set("date", date);
            scope.set("nonce", crypto::nonce()?);
            let pairs = |template: &Option<Template>| {
                template
                    .as_ref()
                    .map(|template| template.pairs(&scope))
                    .transpose()
                    .map(Option::unwrap_or_default)
            };
            Ok(Added { headers: pairs(headers)?, query: pairs(query)? })
        }
    }
}

fn host(request: &Request) -> String {
    let host = request.url.host_str().unwrap_or_default();
    request.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn stamp(now: u64, format: &str) -> Result<String, String> {
    let time = i64::try_from(now).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| time.strftime(format).to_string()).ok_or_else(|| "the clock is out of range".to_owned())
}

/// Signature Version 4:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
struct AwsKey {
    access_key: String,
    secret_key: String,
    token: Option<String>,
    region: String,
    service: String,
}

impl AwsKey {
    fn sign(&self, request: &Request, now: u64) -> Result<Vec<(String, String)>, String> {
        let time = stamp(now, "%Y%m%dT%H%M%SZ")?;
        let day = time.split('T').next().unwrap_or_default().to_owned();
        let mut added = vec![("x-amz-date".to_owned(), time.clone())];
        added.extend(self.token.iter().map(|token| ("x-amz-security-token".to_owned(), token.clone())));
        let (canonical, names) = canonical_request(request, &added);
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&sha256(canonical.as_bytes())));
        let mac = |key: &[u8], text: &str| crypto::hmac(hmac::HMAC_SHA256, key, text.as_bytes());
        let secret = format!("AWS4{}", self.secret_key);
        let key = [self.region.as_str(), self.service.as_str(), "aws4_request"]
            .iter()
            .fold(mac(secret.as_bytes(), &day), |key, part| mac(&key, part));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.access_key,
            hex(&mac(&key, &text))
        );
        added.push(("authorization".to_owned(), authorization));
        Ok(added)
    }
}

/// The canonical request and the names of its signed headers.
fn canonical_request(request: &Request, added: &[(String, String)]) -> (String, String) {
    let mut headers: Vec<(String, String)> = vec![("host".to_owned(), host(request))];
    let content_type = request.content_type.iter().map(|value| ("content-type".to_owned(), value.clone()));
    for (name, value) in content_type.chain(request.headers.iter().cloned()).chain(added.iter().cloned()) {
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        headers.push((name.to_ascii_lowercase(), words.join(" ")));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    // The path is encoded once more than it travels (all services but S3).
    let path = match request.url.path() {
        "" => "/".to_owned(),
        path => expression::escaped(path, "/"),
    };
    let mut query: Vec<(String, String)> = request
        .url
        .query_pairs()
        .map(|(name, value)| (expression::escaped(&name, ""), expression::escaped(&value, "")))
        .collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let payload = hex(&sha256(&request.payload));
    let text = format!("{}\n{path}\n{}\n{lines}\n{names}\n{payload}", request.method, query.join("&"));
    (text, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    /// 2015-08-30 12:36:00 UTC, the time of the vendor's test suite.
    const SUITE: u64 = 1_440_938_160;

    fn request(method: &'static str, url: &str) -> Request {
        let url = Url::parse(url).expect("a URL");
        Request { method, url, headers: vec![], content_type: None, payload: vec![] }
    }

    fn suite_headers(request: &Request, token: Option<&str>) -> Vec<(String, String)> {
        let key = AwsKey {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: token.map(str::to_owned),
            region: "us-east-1".into(),
            service: "service".into(),
        };
        key.sign(request, SUITE).expect("a signature")
    }

    fn suite_signature(request: &Request) -> String {
        suite_headers(request, None).last().expect("the authorization").1.clone()
    }

    /// get-vanilla-with-session-token of the same suite.
    #[test]
    fn a_session_token_is_sent_and_signed() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let headers = suite_headers(&request("GET", "https://example.amazonaws.com/"), Some(token));
        let expected = [
            ("x-amz-date", "20150830T123600Z"),
            ("x-amz-security-token", token),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-security-token, \
                 Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    /// The published AWS Signature Version 4 test suite: get-vanilla, get-vanilla-query-order-key-case, post-vanilla,
    /// post-x-www-form-urlencoded.
    #[test]
    fn the_vectors_of_the_aws_suite_come_out() {
        let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        let cases = [
            (
                request("GET", "https://example.amazonaws.com/"),
                "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                request("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1"),
                "SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                request("POST", "https://example.amazonaws.com/"),
                "SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                Request {
                    content_type: Some("application/x-www-form-urlencoded".into()),
                    payload: b"Param1=value1".to_vec(),
                    ..request("POST", "https://example.amazonaws.com/")
                },
                "SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (request, end) in cases {
            assert_eq!(suite_signature(&request), format!("{start}{end}"));
        }
    }

    #[test]
    fn ovh_signs_secret_consumer_method_url_body_and_time() {
        let plain = |text: &str| Template::Plain(minijinja::Value::from(text));
        let ovh = Sign::Ovh {
            application_key: plain("APP"),
            application_secret: plain("SECRET"),
            consumer_key: plain("CONSUMER"),
        };
        let added =
            sign(&ovh, &request("GET", "https://eu.api.ovh.com/1.0/me"), &Scope::default(), 1_366_560_945);
        let headers = added.expect("a signature").headers;
        // sha1sum of "SECRET+CONSUMER+GET+https://eu.api.ovh.com/1.0/me++1366560945"
        let signature = &headers.iter().find(|(name, _)| name == "X-Ovh-Signature").expect("signed").1;
        assert_eq!(signature, "$1$4d01bfabe1ebe837ac357b9858defb6e1f635726");
    }
}
