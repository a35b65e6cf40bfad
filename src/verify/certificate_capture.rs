//! One TLS handshake that takes whatever certificate comes, but only with proof that the server holds its key.
//!
//! RFC 7671 §5.1: with DANE-EE(3) the name and the dates of a certificate are ignored; what counts is the key. So
//! nothing is checked here except the handshake signature, and the offer is narrowed to one key algorithm.

use super::{Algorithm, Ask, Failure, FailureKind, Outcome, Sni, Versions};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, DigitallySignedStruct, Error as TlsError, PeerMisbehaved, SignatureScheme,
    SupportedCipherSuite, SupportedProtocolVersion, version,
};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that offers exactly what is asked.
pub(super) fn client(ask: Ask) -> Result<Arc<ClientConfig>, TlsError> {
    let algorithm = ask.algorithm;
    let versions: &[&SupportedProtocolVersion] = match ask.versions {
        Versions::Both => &[&version::TLS13, &version::TLS12],
        Versions::Tls12 => &[&version::TLS12],
    };
    let provider = Arc::new(narrowed(algorithm));
    let verifier = Arc::new(AnyCertificate {
        schemes: schemes(algorithm),
        algorithms: provider.signature_verification_algorithms,
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A resumed session would show an old certificate and prove nothing.
    config.resumption = Resumption::disabled();
    config.enable_sni = ask.sni == Sni::Sent;
    Ok(Arc::new(config))
}

/// Shakes hands over `stream`; on success the connection is returned too, to be closed politely.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> (Outcome, Option<TlsStream<TcpStream>>) {
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(tls) => (presented(&tls), Some(tls)),
        Err(error) => (refused(&error), None),
    }
}

fn presented(tls: &TlsStream<TcpStream>) -> Outcome {
    match tls.get_ref().1.peer_certificates() {
        Some(chain) if !chain.is_empty() => Outcome::Chain(chain.iter().map(|der| der.to_vec()).collect()),
        _ => failed("the server presented no certificate".into()),
    }
}

/// handshake_failure, insufficient_security and protocol_version are how servers say that they have nothing for the
/// offer (RFC 8446 §4.1.1, §6.2; RFC 5246 §7.2.2). One that signs with an algorithm we did not offer has none that we
/// did.
fn refused(error: &io::Error) -> Outcome {
    use AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion, UnrecognisedName};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(
            TlsError::AlertReceived(HandshakeFailure | InsufficientSecurity | ProtocolVersion)
            | TlsError::PeerIncompatible(_)
            | TlsError::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme),
        ) => Outcome::NothingFor,
        Some(TlsError::AlertReceived(UnrecognisedName)) => {
            failed("TLS handshake: the server knows no such name (unrecognized_name)".into())
        }
        Some(TlsError::InvalidMessage(_)) => failed("TLS handshake: what came is not TLS".into()),
        Some(tls) => failed(format!("TLS handshake: {tls}")),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            failed("TLS handshake: the server closed the connection".into())
        }
        None => failed(format!("TLS handshake: {error}")),
    }
}

fn failed(words: String) -> Outcome {
    Outcome::Failed(Failure { kind: FailureKind::Handshake, words })
}

fn schemes(algorithm: Algorithm) -> Vec<SignatureScheme> {
    use SignatureScheme as S;
    match algorithm {
        Algorithm::Ecdsa => vec![S::ECDSA_NISTP256_SHA256, S::ECDSA_NISTP384_SHA384, S::ED25519],
        Algorithm::Rsa => vec![
            S::RSA_PSS_SHA256,
            S::RSA_PSS_SHA384,
            S::RSA_PSS_SHA512,
            S::RSA_PKCS1_SHA256,
            S::RSA_PKCS1_SHA384,
            S::RSA_PKCS1_SHA512,
        ],
    }
}

/// TLS 1.2 binds the algorithm in the cipher suite as well; servers exist that look only there.
fn narrowed(algorithm: Algorithm) -> CryptoProvider {
    let wanted = schemes(algorithm);
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => suite.sign.iter().any(|scheme| wanted.contains(scheme)),
        SupportedCipherSuite::Tls13(_) => true,
    });
    provider
}

/// Accepts every certificate, and only signatures that its key made.
#[derive(Debug)]
struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyCertificate {
    fn offered(&self, dss: &DigitallySignedStruct) -> Result<(), TlsError> {
        if self.schemes.contains(&dss.scheme) {
            return Ok(());
        }
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.offered(dss)?;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.offered(dss)?;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn each_client_offers_its_own_algorithm_only() {
        for (algorithm, other) in [(Algorithm::Ecdsa, "RSA"), (Algorithm::Rsa, "ECDSA")] {
            let offered = schemes(algorithm).into_iter().map(|scheme| format!("{scheme:?}"));
            let suites = narrowed(algorithm).cipher_suites;
            let suites = suites.iter().map(|suite| format!("{:?}", suite.suite()));
            let all: Vec<String> = offered.chain(suites).collect();
            assert!(all.iter().all(|word| !word.contains(other)), "{all:?}");
        }
    }
}
