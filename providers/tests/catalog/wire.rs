//! As much of an HTTP server as a fake needs: one request per connection, on loopback.

use serde_json::{Map, Value as Json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer heads are nobody's.
const LONGEST_HEAD: usize = 64 * 1024;

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Percent-decoded, without the query.
    pub(crate) path: String,
    /// As it came, with the query.
    pub(crate) target: String,
    pub(crate) query: Map<String, Json>,
    /// Names in lower case, in the order of arrival.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The body as JSON, or its form fields; null when there is none.
    pub(crate) fn content(&self) -> Json {
        if self.body.is_empty() {
            return Json::Null;
        }
        if self.header("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded")) {
            return Json::Object(pairs(&self.body));
        }
        serde_json::from_str(&self.body).unwrap_or_else(|_| Json::String(self.body.clone()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Answers until it is dropped with the runtime; gives the address, "127.0.0.1:PORT".
pub(crate) async fn serve(answer: Arc<dyn Fn(Request) -> Reply + Send + Sync>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move { exchange(stream, answer).await });
        }
    });
    address
}

async fn exchange(mut stream: TcpStream, answer: Arc<dyn Fn(Request) -> Reply + Send + Sync>) {
    let Some(request) = read(&mut stream).await else { return };
    let reply = answer(request);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    let whole = format!("{head}\r\n{}", if reply.status == 204 { "" } else { &reply.body });
    let _ = stream.write_all(whole.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut octets = Vec::new();
    let end = loop {
        if let Some(at) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        octets.extend_from_slice(&piece[..count]);
        assert!(octets.len() < LONGEST_HEAD, "an endless head");
    };
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, n)| n.parse().expect("a number"));
    let mut body = octets[end + 4..].to_vec();
    while body.len() < length {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&piece[..count]);
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: decoded(path),
        query: pairs(query),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        target,
    })
}

fn pairs(text: &str) -> Map<String, Json> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(&name.replace('+', " ")), Json::String(decoded(&value.replace('+', " "))))
        })
        .collect()
}

/// RFC 3986 §2.1, undone.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'%' {
            out.push(octet);
            continue;
        }
        let two: Vec<u8> = octets.by_ref().take(2).collect();
        let code = std::str::from_utf8(&two).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(code.expect("two hex digits"));
    }
    String::from_utf8(out).expect("UTF-8")
}
