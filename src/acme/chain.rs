//! The issued chain (RFC 8555 §7.4.2) and its alternates, checked and written anew from what was read.

use super::client::Client;
use super::link;
use super::problem::shortened;
use super::transport::{PEM_CHAIN, Reply};
use crate::error::{Error, Kind, Result};
use data_encoding::BASE64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longer chains are refused; real ones have two to four certificates (our choice).
const LONGEST_CHAIN: usize = 10;

/// Alternates that we are willing to look at (our choice; public CAs offer one or two).
const MOST_ALTERNATES: usize = 10;

impl Client {
    pub(super) async fn download_chain(&self, url: &str, preferred: Option<&str>) -> Result<String> {
        let action = format!("download the certificate {url}");
        let reply = self.get(&action, url).await?;
        let default = Chain::read(&action, &reply)?;
        let Some(preferred) = preferred.filter(|wanted| !default.ends_at(wanted)) else {
            return Ok(default.pem);
        };
        for alternate in self.alternates(&action, &reply)? {
            let chain = Chain::read(&action, &self.get(&action, &alternate).await?)?;
            if chain.ends_at(preferred) {
                return Ok(chain.pem);
            }
        }
        let given = default.issuers.join(", ");
        tracing::warn!(
            preferred,
            given,
            url,
            "the CA offers no chain up to the preferred issuer: its default is used"
        );
        Ok(default.pem)
    }

    /// Targets of `rel="alternate"`; relative ones are resolved (RFC 8288 §3.1).
    fn alternates(&self, action: &str, reply: &Reply) -> Result<Vec<String>> {
        let wrong = |why: String| Error::new(Kind::Remote, action, why);
        let base = self.transport.checked(&reply.url).map_err(wrong)?;
        let resolved =
            link::targets(&reply.links, "alternate").into_iter().take(MOST_ALTERNATES).map(|target| {
                let url = base
                    .join(&target)
                    .map_err(|error| wrong(format!("an alternate's URL is none: {error}")))?;
                self.transport.checked(url.as_str()).map(String::from).map_err(wrong)
            });
        resolved.collect()
    }
}

/// A chain that holds certificates and nothing else.
struct Chain {
    pem: String,
    /// Common names of the topmost certificate's issuer; normally one.
    issuers: Vec<String>,
}

impl Chain {
    fn read(action: &str, reply: &Reply) -> Result<Chain> {
        reply.success(action)?;
        let wrong =
            |why: String| Error::new(Kind::Remote, action, format!("{} answered with {why}", reply.url));
        let media = reply.content_type.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case(PEM_CHAIN) {
            return Err(wrong(format!("{} instead of {PEM_CHAIN}", shortened(media, 80))));
        }
        let certificates = CertificateDer::pem_slice_iter(&reply.body)
            .take(LONGEST_CHAIN + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(format!("unreadable PEM: {error}")))?;
        if certificates.len() > LONGEST_CHAIN {
            return Err(wrong(format!("a chain of more than {LONGEST_CHAIN} certificates")));
        }
        let mut issuers = Vec::new();
        for (position, certificate) in certificates.iter().enumerate() {
            issuers = issuer_names(certificate)
                .ok_or_else(|| wrong(format!("a chain whose certificate {} is unreadable", position + 1)))?;
        }
        if certificates.is_empty() {
            return Err(wrong("no certificate".into()));
        }
        Ok(Chain { pem: certificates.iter().map(|certificate| pem(certificate)).collect(), issuers })
    }

    fn ends_at(&self, common_name: &str) -> bool {
        self.issuers.iter().any(|issuer| issuer == common_name)
    }
}

/// `None`: no certificate, or bytes follow it.
fn issuer_names(certificate: &[u8]) -> Option<Vec<String>> {
    let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.issuer().iter_common_name().filter_map(|name| name.as_str().ok());
    rest.is_empty().then(|| names.map(String::from).collect())
}

/// RFC 7468 §2, lines of 64 characters. Written from the parsed DER, so that nothing else the CA sent reaches a file.
fn pem(certificate: &[u8]) -> String {
    let base64 = BASE64.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for start in (0..base64.len()).step_by(64) {
        pem.push_str(&base64[start..base64.len().min(start + 64)]);
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}
