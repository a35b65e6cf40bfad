//! ACME requests signed with a known account (RFC 8555 §6).

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use futures_util::future::try_join_all;
use http::Method;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::Result;
use super::http::{Http, Reply};

/// At most so many refused nonces in a row (RFC 8555 §6.5); our choice.
const NONCE_TRIES: usize = 10;
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// A client for one account.
pub struct Acme {
    http: Http,
    key: EcdsaKeyPair,
    directory: Value,
    account: Option<String>,
    random: SystemRandom,
    nonces: RefCell<Vec<String>>,
}

impl Acme {
    /// Registers a new account and writes `account` (key, URL and the directory, mode 0600) for later runs.
    ///
    /// # Errors
    /// The CA refuses, or the file exists.
    pub async fn register(directory: &str, root: &Path, account: &Path) -> Result<()> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        let http = Http::connect(directory, root).await?;
        let body = http.request(Method::GET, directory, None).await?.body;
        let mut acme = Acme::new(http, pkcs8.as_ref(), serde_json::from_slice(&body)?)?;
        let reply =
            acme.post(&acme.resource("newAccount")?, Some(&json!({"termsOfServiceAgreed": true}))).await?;
        acme.account = reply.header("location");
        let saved =
            json!({"key": BASE64.encode(pkcs8.as_ref()), "url": acme.account, "directory": acme.directory});
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(account)?;
        Ok(writeln!(file, "{saved}")?)
    }

    /// Connects for an account that [`Acme::register`] wrote.
    ///
    /// # Errors
    /// The file is unusable or the CA not reachable.
    pub async fn open(account: &Path, root: &Path) -> Result<Self> {
        let saved: Value = serde_json::from_slice(&fs::read(account)?)?;
        let directory = saved["directory"].clone();
        let http = Http::connect(text(&directory, "newNonce")?, root).await?;
        let mut acme = Acme::new(http, &BASE64.decode(text(&saved, "key")?.as_bytes())?, directory)?;
        acme.account = Some(text(&saved, "url")?.to_owned());
        Ok(acme)
    }

    fn new(http: Http, pkcs8: &[u8], directory: Value) -> Result<Self> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)?;
        Ok(Acme { http, key, directory, account: None, random, nonces: RefCell::default() })
    }

    /// Fetches `count` nonces at once.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn fetch_nonces(&self, count: usize) -> Result<()> {
        let nonces = try_join_all((0..count).map(|_| self.fetch_nonce())).await?;
        self.nonces.borrow_mut().extend(nonces);
        Ok(())
    }

    /// A signed request; without a payload POST-as-GET (RFC 8555 §6.3). A refused nonce is retried at once.
    ///
    /// # Errors
    /// The CA answers with a problem.
    pub async fn post(&self, url: &str, payload: Option<&Value>) -> Result<Reply> {
        for _ in 0..NONCE_TRIES {
            let stocked = self.nonces.borrow_mut().pop();
            let nonce = match stocked {
                Some(nonce) => nonce,
                None => self.fetch_nonce().await?,
            };
            let reply = self.http.request(Method::POST, url, Some(self.sign(url, &nonce, payload)?)).await?;
            self.nonces.borrow_mut().extend(reply.header("replay-nonce"));
            if reply.status.is_success() {
                return Ok(reply);
            }
            let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            if problem["type"] != BAD_NONCE {
                return Err(format!("{url}: {} {problem}", reply.status).into());
            }
        }
        Err(format!("{url}: {NONCE_TRIES} nonces in a row were refused").into())
    }

    /// [`Acme::post`], and the JSON of the answer.
    ///
    /// # Errors
    /// As there, or the answer is no JSON.
    pub async fn post_json(&self, url: &str, payload: Option<&Value>) -> Result<Value> {
        Ok(serde_json::from_slice(&self.post(url, payload).await?.body)?)
    }

    /// The URL of a resource of the directory.
    ///
    /// # Errors
    /// The directory lacks it.
    pub fn resource(&self, name: &str) -> Result<String> {
        text(&self.directory, name).map(str::to_owned)
    }

    /// What the TXT record of a challenge with this token says (RFC 8555 §8.4).
    pub fn txt_value(&self, token: &str) -> String {
        let thumbprint = base64url(digest(&SHA256, self.jwk().to_string().as_bytes()));
        base64url(digest(&SHA256, format!("{token}.{thumbprint}").as_bytes()))
    }

    /// How many requests were sent.
    pub fn requests(&self) -> usize {
        self.http.requests.get()
    }

    async fn fetch_nonce(&self) -> Result<String> {
        let reply = self.http.request(Method::HEAD, &self.resource("newNonce")?, None).await?;
        reply.header("replay-nonce").ok_or_else(|| "newNonce gave no nonce".into())
    }

    fn sign(&self, url: &str, nonce: &str, payload: Option<&Value>) -> Result<Vec<u8>> {
        let mut header = json!({"alg": "ES256", "nonce": nonce, "url": url});
        match &self.account {
            Some(account) => header["kid"] = json!(account),
            None => header["jwk"] = self.jwk(),
        }
        let protected = base64url(header.to_string());
        let payload = payload.map(|payload| base64url(payload.to_string())).unwrap_or_default();
        let signature = self.key.sign(&self.random, format!("{protected}.{payload}").as_bytes())?;
        let jws = json!({"protected": protected, "payload": payload, "signature": base64url(signature)});
        Ok(jws.to_string().into_bytes())
    }

    /// The public key; serde_json keeps the members in the order RFC 7638 wants for the thumbprint.
    fn jwk(&self) -> Value {
        let point = &self.key.public_key().as_ref()[1..];
        json!({"crv": "P-256", "kty": "EC", "x": base64url(&point[..32]), "y": base64url(&point[32..])})
    }
}

/// A member of a JSON object that is text.
///
/// # Errors
/// It is missing.
pub fn text<'a>(object: &'a Value, member: &str) -> Result<&'a str> {
    object[member].as_str().ok_or_else(|| format!("`{member}` is missing in {object}").into())
}

/// base64url without padding, as JOSE wants it.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}
