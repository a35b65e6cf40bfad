//! A CA for tests: TLS on loopback with a root of its own, HTTP/1.1, real checks of nonces, URLs and signatures, and
//! a script that may answer instead of it.

use data_encoding::BASE64URL_NOPAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

/// What goes out.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Send the body over and over until the client hangs up.
    pub endless: bool,
    /// Hang up without a word.
    pub reset: bool,
    /// Keep the connection, and keep silent.
    pub silent: bool,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: body.into(),
            endless: false,
            reset: false,
            silent: false,
        }
    }

    pub fn json(status: u16, body: Value) -> Response {
        Response::new(status, body.to_string()).header("Content-Type", "application/json")
    }

    pub fn problem(status: u16, kind: &str, detail: &str) -> Response {
        Response::json(
            status,
            json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail}),
        )
    }

    pub fn silent() -> Response {
        Response { silent: true, ..Response::new(200, "") }
    }

    pub fn reset() -> Response {
        Response { reset: true, ..Response::new(200, "") }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }
}

type Script = Box<dyn FnMut(&Request, &str) -> Option<Response> + Send>;

struct State {
    base: String,
    nonces: BTreeSet<String>,
    made: u64,
    /// JWK by account number.
    accounts: BTreeMap<String, Value>,
    meta: Value,
    eab: Option<(String, Vec<u8>)>,
    log: Vec<String>,
    script: Script,
}

/// The running CA; stops with the test's runtime.
#[derive(Clone)]
pub struct FakeCa {
    pub base: String,
    pub root_pem: Vec<u8>,
    state: Arc<Mutex<State>>,
}

impl FakeCa {
    /// A CA that behaves.
    pub async fn start() -> FakeCa {
        let (root_pem, tls) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(Mutex::new(State {
            base: base.clone(),
            nonces: BTreeSet::new(),
            made: 0,
            accounts: BTreeMap::new(),
            meta: json!({"termsOfService": format!("{base}/terms"), "profiles": {"classic": "x"}}),
            eab: None,
            log: Vec::new(),
            script: Box::new(|_, _| None),
        }));
        tokio::spawn(serve(listener, TlsAcceptor::from(tls), state.clone()));
        FakeCa { base, root_pem, state }
    }

    /// From now on `script` is asked first; `None` leaves the answer to the CA. It gets the request and the base URL.
    pub fn script(&self, script: impl FnMut(&Request, &str) -> Option<Response> + Send + 'static) {
        self.state.lock().unwrap().script = Box::new(script);
    }

    /// Demands an external account binding with this key identifier and MAC key.
    pub fn demand_eab(&self, kid: &str, mac_key: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.eab = Some((kid.into(), mac_key.into()));
        state.meta["externalAccountRequired"] = json!(true);
    }

    /// `METHOD path`, in the order of arrival.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    /// How many requests begin with `prefix`.
    pub fn count(&self, prefix: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(prefix)).count()
    }
}

/// A chain of `length` certificates whose last one was issued by `top`.
pub fn chain(top: &str, length: usize) -> String {
    let key = KeyPair::generate().unwrap();
    (0..length)
        .map(|position| {
            let issuer =
                if position + 1 == length { top.to_string() } else { format!("Intermediate {position}") };
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::CommonName, issuer);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = Issuer::new(parameters, &key);
            CertificateParams::new(vec!["a.example".into()]).unwrap().signed_by(&key, &issuer).unwrap().pem()
        })
        .collect()
}

fn tls() -> (Vec<u8>, Arc<rustls::ServerConfig>) {
    let root_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "Test root");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(parameters, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (root.pem().into_bytes(), Arc::new(config))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), state.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = connection(BufReader::new(stream), &state).await;
            }
        });
    }
}

async fn connection<S>(mut stream: BufReader<S>, state: &Mutex<State>) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
        let response = state.lock().unwrap().answer(&request);
        if response.silent {
            std::future::pending::<()>().await;
        }
        if response.reset {
            return Ok(());
        }
        let length = if response.endless { u64::MAX >> 1 } else { response.body.len() as u64 };
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\n", response.status);
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        if response.endless {
            loop {
                stream.write_all(&response.body).await?;
            }
        }
        if request.method != "HEAD" {
            stream.write_all(&response.body).await?;
        }
        stream.flush().await?;
    }
}

async fn read_request<S>(stream: &mut BufReader<S>) -> std::io::Result<Option<Request>>
where
    S: tokio::io::AsyncRead + Unpin,
{
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut words = first.split_ascii_whitespace().map(String::from);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap()
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { method, path, body }))
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        self.log.push(format!("{} {}", request.method, request.path));
        let base = self.base.clone();
        let response = (self.script)(request, &base).unwrap_or_else(|| self.behave(request));
        if response.headers.iter().any(|(name, _)| name == "Replay-Nonce") || request.method == "GET" {
            return response;
        }
        self.made += 1;
        let nonce = format!("nonce-{}", self.made);
        self.nonces.insert(nonce.clone());
        response.header("Replay-Nonce", nonce)
    }

    fn behave(&mut self, request: &Request) -> Response {
        let base = self.base.clone();
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/dir") => Response::json(
                200,
                json!({"newNonce": format!("{base}/nonce"), "newAccount": format!("{base}/account"),
                    "newOrder": format!("{base}/order"), "unknown": {"a": 1}, "meta": self.meta}),
            ),
            ("HEAD", "/nonce") => Response::new(200, ""),
            ("POST", path) => match self.verified(request, &format!("{base}{path}")) {
                Ok((account, jwk, payload)) => self.post(path, account, jwk, &payload),
                Err(problem) => Response::problem(400, problem, "refused by the fake"),
            },
            _ => Response::new(404, "nothing here"),
        }
    }

    fn post(&mut self, path: &str, account: Option<String>, jwk: Value, payload: &str) -> Response {
        let base = self.base.clone();
        let authorization = format!("{base}/authorization/1");
        let order = json!({"status": "pending", "expires": "2030-01-01T00:00:00Z", "finalize": format!("{base}/finalize/1"),
            "identifiers": [{"type": "dns", "value": "a.example"}], "authorizations": [authorization], "extra": []});
        match path {
            "/account" => self.new_account(&jwk, payload),
            _ if account.is_none() => Response::problem(403, "unauthorized", "no account"),
            "/account/1" => {
                Response::json(200, json!({"status": "valid", "contact": ["mailto:a@a.example"]}))
            }
            "/order" => {
                let asked: Value = serde_json::from_str(payload).unwrap();
                let mut order = order;
                order["identifiers"] = asked["identifiers"].clone();
                Response::json(201, order).header("Location", format!("{base}/order/1"))
            }
            "/order/1" | "/finalize/1" => Response::json(200, order),
            "/authorization/1" => Response::json(
                200,
                json!({"status": "pending", "identifier": {"type": "dns", "value": "A.example"}, "wildcard": true,
                    "challenges": [{"type": "new-01", "novel": 7}, {"type": "dns-01", "status": "pending",
                    "url": format!("{base}/challenge/1"), "token": "dG9rZW4tdG9rZW4tdG9rZW4", "more": null}]}),
            ),
            "/challenge/1" => Response::json(
                200,
                json!({"type": "dns-01", "status": "processing", "url": format!("{base}/challenge/1")}),
            )
            .header("Retry-After", "3"),
            _ => Response::new(404, "nothing here"),
        }
    }

    fn new_account(&mut self, jwk: &Value, payload: &str) -> Response {
        let payload: Value = serde_json::from_str(payload).unwrap();
        let known = self.accounts.values().any(|account| account == jwk);
        if !known && payload["onlyReturnExisting"] == true {
            return Response::problem(400, "accountDoesNotExist", "no account with this key");
        }
        if !known && !self.bound(&payload["externalAccountBinding"], jwk) {
            return Response::problem(403, "unauthorized", "the external account binding is wrong");
        }
        self.accounts.insert("1".into(), jwk.clone());
        let account =
            json!({"status": "valid", "contact": payload["contact"].as_array().cloned().unwrap_or_default()});
        Response::json(if known { 200 } else { 201 }, account)
            .header("Location", format!("{}/account/1", self.base))
    }

    fn bound(&self, binding: &Value, jwk: &Value) -> bool {
        let Some((kid, mac_key)) = &self.eab else { return binding.is_null() };
        let text = |name: &str| binding[name].as_str().unwrap_or_default().to_string();
        let protected: Value = serde_json::from_slice(&decoded(&text("protected"))).unwrap_or_default();
        let payload: Value = serde_json::from_slice(&decoded(&text("payload"))).unwrap_or_default();
        let input = format!("{}.{}", text("protected"), text("payload"));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, mac_key);
        protected == json!({"alg": "HS256", "kid": kid, "url": format!("{}/account", self.base)})
            && payload == *jwk
            && ring::hmac::verify(&key, input.as_bytes(), &decoded(&text("signature"))).is_ok()
    }

    /// RFC 8555 §6.2–6.5: nonce, URL, key and signature.
    fn verified(
        &mut self,
        request: &Request,
        url: &str,
    ) -> Result<(Option<String>, Value, String), &'static str> {
        let jws: Value = serde_json::from_slice(&request.body).map_err(|_| "malformed")?;
        let text = |name: &str| jws[name].as_str().unwrap_or_default().to_string();
        let protected: Value =
            serde_json::from_slice(&decoded(&text("protected"))).map_err(|_| "malformed")?;
        if !self.nonces.remove(protected["nonce"].as_str().unwrap_or_default()) {
            return Err("badNonce");
        }
        if protected["url"] != url || protected["jwk"].is_null() == protected["kid"].is_null() {
            return Err("malformed");
        }
        let account = protected["kid"].as_str().and_then(|kid| kid.rsplit('/').next()).map(String::from);
        let jwk = match &account {
            Some(number) => self.accounts.get(number).cloned().ok_or("accountDoesNotExist")?,
            None => protected["jwk"].clone(),
        };
        let input = format!("{}.{}", text("protected"), text("payload"));
        let algorithm = protected["alg"].as_str().unwrap_or_default();
        if !signed_by(&jwk, algorithm, input.as_bytes(), &decoded(&text("signature"))) {
            return Err("unauthorized");
        }
        let payload = String::from_utf8(decoded(&text("payload"))).map_err(|_| "malformed")?;
        Ok((account, jwk, payload))
    }
}

fn signed_by(jwk: &Value, algorithm: &str, input: &[u8], signature: &[u8]) -> bool {
    let part = |name: &str| decoded(jwk[name].as_str().unwrap_or_default());
    let point = || [vec![4], part("x"), part("y")].concat();
    match (algorithm, jwk["crv"].as_str()) {
        ("ES256", Some("P-256")) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(input, signature).is_ok()
        }
        ("ES384", Some("P-384")) => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(input, signature).is_ok()
        }
        ("RS256", None) => RsaPublicKeyComponents { n: part("n"), e: part("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, input, signature)
            .is_ok(),
        _ => false,
    }
}

fn decoded(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default()
}
