//! One HTTP/2 connection over TLS 1.3, any number of requests at once.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Result;

/// Receive windows, bytes: larger than anything a CA sends, so that no window update is ever waited for.
const WINDOW: u32 = 1 << 20;

/// The connection.
pub struct Http {
    send: SendRequest<Bytes>,
    /// How many requests were sent.
    pub requests: Cell<usize>,
}

/// A whole answer.
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The content.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header field that is there and is text.
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }
}

impl Http {
    /// Connects to the server of `url`, trusting only the certificates in the file `root`.
    ///
    /// # Errors
    /// No connection, no trust, or no HTTP/2.
    pub async fn connect(url: &str, root: &Path) -> Result<Self> {
        let uri: Uri = url.parse()?;
        let host = uri.host().ok_or("the directory URL has no host")?.to_owned();
        let tcp = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
        tcp.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::new(tls_config(root)?));
        let stream = tls.connect(ServerName::try_from(host)?, tcp).await?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 16)
            .handshake(stream)
            .await?;
        tokio::spawn(connection); // its failure shows in every request
        Ok(Http { send, requests: Cell::new(0) })
    }

    /// Sends one request and reads the whole answer. A content is sent as a JWS.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn request(&self, method: Method, url: &str, content: Option<Vec<u8>>) -> Result<Reply> {
        self.requests.set(self.requests.get() + 1);
        let mut request = Request::builder().method(method).uri(url).header("user-agent", "danesmith-floor");
        if let Some(content) = &content {
            // pebble wants a length on HTTP/2 too
            request = request
                .header("content-type", "application/jose+json")
                .header("content-length", content.len());
        }
        let mut send = self.send.clone().ready().await?;
        let (answer, mut stream) = send.send_request(request.body(())?, content.is_none())?;
        if let Some(content) = content {
            stream.send_data(content.into(), true)?;
        }
        let (head, mut data) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = data.data().await {
            let piece = piece?;
            data.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

fn tls_config(root: &Path) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(root)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
