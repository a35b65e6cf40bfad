//! DNS over TLS (RFC 7858) in strict mode: the server proves its name, or nothing is sent.

use crate::{Class, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// How to open TLS to the server.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// `root_pem` replaces the system's trust roots.
    pub(super) fn new(server_name: &str, root_pem: Option<&[u8]>) -> Result<Self, Error> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| unusable(format!("`{server_name}` is neither a host name nor an address")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(e.to_string()))?;
        let builder = match root_pem {
            Some(pem) => builder.with_root_certificates(roots(pem)?),
            None => builder.with_platform_verifier().map_err(|e| unusable(e.to_string()))?,
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"dot".to_vec()];
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| unusable("the trust roots are not PEM".into()))?; // its words quote the file
        roots.add(certificate).map_err(|e| unusable(format!("a trust root is not a certificate: {e}")))?;
    }
    if roots.is_empty() {
        return Err(unusable("the file with trust roots holds no certificate".into()));
    }
    Ok(roots)
}

fn unusable(why: String) -> Error {
    Error::new(Class::Rejected, format!("cannot prepare DNS over TLS: {why}"))
}
