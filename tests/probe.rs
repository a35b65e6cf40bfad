//! Probes against servers on loopback: rustls in process, OpenSSL as a child, small SMTP fakes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use danesmith::model::desired::{Endpoint, Protocol};
use danesmith::verify::{Algorithm, Endpoints, Outcome, Presented, Prober, ProberConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{SupportedProtocolVersion, version};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// A self-signed certificate of long ago for another name: DANE-EE does not mind.
#[derive(Clone)]
struct Identity {
    der: Vec<u8>,
    certified: Arc<CertifiedKey>,
    pem: String,
}

impl Identity {
    fn of(key: &KeyPair) -> Identity {
        let mut params = CertificateParams::new(vec!["other.example.net".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let certificate = params.self_signed(key).unwrap();
        let der = certificate.der().to_vec();
        Identity { certified: certified(&der, key), pem: certificate.pem() + &key.serialize_pem(), der }
    }

    fn ecdsa() -> Identity {
        Identity::of(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    /// ring does not make RSA keys.
    fn rsa() -> Identity {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .stderr(Stdio::null())
            .output()
            .unwrap();
        Identity::of(&KeyPair::from_pem(&String::from_utf8(made.stdout).unwrap()).unwrap())
    }

    fn chain(&self) -> Outcome {
        Outcome::Chain(vec![self.der.clone()])
    }
}

fn certified(der: &[u8], key: &KeyPair) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.to_vec())], key))
}

/// Presents the first certificate that the client's signature algorithms allow, as mail servers with two do; else the
/// last. Writes down the names that clients sent as SNI.
#[derive(Debug, Default)]
struct Choice {
    keys: Vec<Arc<CertifiedKey>>,
    sni: Mutex<Vec<Option<String>>>,
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.sni.lock().unwrap().push(hello.server_name().map(str::to_owned));
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.keys.iter().find(fits).or(self.keys.last()).cloned()
    }
}

fn choice(identities: &[&Identity]) -> Arc<Choice> {
    let keys = identities.iter().map(|identity| Arc::clone(&identity.certified)).collect();
    Arc::new(Choice { keys, sni: Mutex::default() })
}

fn acceptor(choice: Arc<Choice>, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(choice);
    TlsAcceptor::from(Arc::new(config))
}

/// What happens before TLS: each text is sent, then a line is awaited.
type Script = &'static [&'static str];

/// Accepts for ever: speaks `script`, then TLS; gives back what clients said under TLS.
async fn serve(
    ip: IpAddr,
    port: u16,
    script: Script,
    acceptor: TlsAcceptor,
) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((ip, port)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, script, acceptor.clone(), Arc::clone(&ears)));
        }
    });
    (address, heard)
}

async fn converse(mut stream: TcpStream, script: Script, acceptor: TlsAcceptor, heard: Arc<Mutex<String>>) {
    for (turn, say) in script.iter().enumerate() {
        stream.write_all(say.as_bytes()).await.unwrap();
        if turn + 1 < script.len() {
            let mut line = [0; 256];
            let length = stream.read(&mut line).await.unwrap();
            heard.lock().unwrap().push_str(&String::from_utf8_lossy(&line[..length]));
        }
    }
    let Ok(mut tls) = acceptor.accept(stream).await else { return };
    let mut rest = Vec::new();
    let ended = tls.read_to_end(&mut rest).await;
    heard.lock().unwrap().push_str(&String::from_utf8_lossy(&rest));
    heard.lock().unwrap().push_str(if ended.is_ok() { "closed" } else { "cut off" });
}

async fn probe(protocol: Protocol, host: &str, port: u16) -> Vec<Presented> {
    let config = ProberConfig { connect: Duration::from_secs(2), total: Duration::from_secs(3) };
    let endpoint = Endpoint { protocol, host: host.into(), port };
    Prober::new(config).unwrap().probe(&endpoint).await.unwrap()
}

/// The ECDSA and the RSA outcome at the only address.
async fn outcomes(protocol: Protocol, address: SocketAddr) -> [Outcome; 2] {
    let presented = probe(protocol, &address.ip().to_string(), address.port()).await;
    let [ecdsa, rsa] = <[Presented; 2]>::try_from(presented).unwrap();
    assert_eq!((ecdsa.algorithm, rsa.algorithm), (Algorithm::Ecdsa, Algorithm::Rsa));
    assert_eq!((ecdsa.address, rsa.address), (address, address));
    [ecdsa.outcome, rsa.outcome]
}

async fn tls_outcomes(
    identities: &[&Identity],
    versions: &[&'static SupportedProtocolVersion],
) -> [Outcome; 2] {
    let acceptor = acceptor(choice(identities), versions);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &[], acceptor).await;
    outcomes(Protocol::Tls, address).await
}

fn failures(outcomes: [Outcome; 2]) -> [String; 2] {
    outcomes.map(|outcome| match outcome {
        Outcome::Failed(reason) => reason,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn an_ecdsa_server_has_no_rsa_certificate() {
    let ecdsa = Identity::ecdsa();
    for versions in [BOTH, &[&version::TLS12], &[&version::TLS13]] {
        assert_eq!(tls_outcomes(&[&ecdsa], versions).await, [ecdsa.chain(), Outcome::NoSuchAlgorithm]);
    }
}

#[tokio::test]
async fn an_ed25519_key_counts_with_ecdsa() {
    let ed25519 = Identity::of(&KeyPair::generate_for(&PKCS_ED25519).unwrap());
    assert_eq!(tls_outcomes(&[&ed25519], BOTH).await, [ed25519.chain(), Outcome::NoSuchAlgorithm]);
}

#[tokio::test]
async fn an_rsa_server_has_no_ecdsa_certificate() {
    let rsa = Identity::rsa();
    for versions in [BOTH, &[&version::TLS12], &[&version::TLS13]] {
        assert_eq!(tls_outcomes(&[&rsa], versions).await, [Outcome::NoSuchAlgorithm, rsa.chain()]);
    }
}

#[tokio::test]
async fn both_certificates_of_a_server_are_seen() {
    let (ecdsa, rsa) = (Identity::ecdsa(), Identity::rsa());
    for versions in [BOTH, &[&version::TLS12], &[&version::TLS13]] {
        assert_eq!(tls_outcomes(&[&ecdsa, &rsa], versions).await, [ecdsa.chain(), rsa.chain()]);
    }
}

#[tokio::test]
async fn a_server_that_does_not_hold_the_key_is_not_believed() {
    let (shown, held) = (Identity::ecdsa(), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let liar = Identity { certified: certified(&shown.der, &held), ..shown };
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let [outcome, _] = tls_outcomes(&[&liar], versions).await;
        assert!(
            matches!(&outcome, Outcome::Failed(reason) if reason.contains("BadSignature")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn smtp_is_upgraded_and_left_politely() {
    let ecdsa = Identity::ecdsa();
    let script = &["220 mx ESMTP\r\n", "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "220 go\r\n"];
    let choice = choice(&[&ecdsa]);
    let (address, heard) =
        serve(Ipv4Addr::LOCALHOST.into(), 0, script, acceptor(Arc::clone(&choice), BOTH)).await;
    assert_eq!(outcomes(Protocol::Smtp, address).await, [ecdsa.chain(), Outcome::NoSuchAlgorithm]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.contains("EHLO [127.0.0.1]\r\n") && heard.ends_with("QUIT\r\nclosed"), "{heard}");
    assert_eq!(*choice.sni.lock().unwrap(), [None, None], "an address is no SNI");
}

#[tokio::test]
async fn the_name_is_sent_as_sni() {
    let ecdsa = Identity::ecdsa();
    let choice = choice(&[&ecdsa]);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &[], acceptor(Arc::clone(&choice), BOTH)).await;
    let presented = probe(Protocol::Tls, "localhost", address.port()).await;
    assert!(presented.iter().any(|one| one.address == address && one.outcome == ecdsa.chain()));
    let sni = choice.sni.lock().unwrap().clone();
    assert!(!sni.is_empty() && sni.iter().all(|name| name.as_deref() == Some("localhost")), "{sni:?}");
}

#[tokio::test]
async fn every_address_is_probed_by_itself() {
    let (one, two) = (Identity::ecdsa(), Identity::ecdsa());
    let ips = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    let (first, _) = serve(ips[0].into(), 0, &[], acceptor(choice(&[&one]), BOTH)).await;
    let (second, _) = serve(ips[1].into(), first.port(), &[], acceptor(choice(&[&two]), BOTH)).await;
    let endpoint = Endpoint { protocol: Protocol::Tls, host: "mx.example.org".into(), port: first.port() };
    let prober = Prober::new(ProberConfig::default()).unwrap();
    let presented = prober.probe_at(&endpoint, &BTreeSet::from([first, second])).await.unwrap();
    let expected = [(first, one.chain()), (second, two.chain())].map(|(address, chain)| {
        [(Algorithm::Ecdsa, chain), (Algorithm::Rsa, Outcome::NoSuchAlgorithm)]
            .map(|(algorithm, outcome)| Presented { address, algorithm, outcome })
    });
    assert_eq!(presented, expected.concat());
}

#[tokio::test]
async fn smtp_without_starttls_says_so() {
    let script = &["220 mx ESMTP\r\n", "250-mx\r\n250 SIZE 10240000\r\n", ""];
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, script, acceptor).await;
    for reason in failures(outcomes(Protocol::Smtp, address).await) {
        assert_eq!(reason, "SMTP: the server does not offer STARTTLS");
    }
}

#[tokio::test]
async fn plain_text_injected_before_tls_is_refused() {
    let script = &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"];
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, script, acceptor).await;
    for reason in failures(outcomes(Protocol::Smtp, address).await) {
        assert!(reason.contains("possible injection"), "{reason}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_readable_failure() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for reason in failures(outcomes(Protocol::Tls, address).await) {
        assert!(reason.starts_with("no connection: Connection refused"), "{reason}");
    }
}

#[tokio::test]
async fn what_is_not_tls_is_a_readable_failure() {
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &["220 mx ESMTP\r\n"], acceptor).await;
    for reason in failures(outcomes(Protocol::Tls, address).await) {
        assert_eq!(reason, "TLS handshake: what came is not TLS");
    }
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ProberConfig { connect: Duration::from_secs(1), total: Duration::from_millis(300) };
    let prober = Prober::new(config).unwrap();
    for protocol in [Protocol::Smtp, Protocol::Tls] {
        let port = listener.local_addr().unwrap().port();
        let started = std::time::Instant::now();
        let presented = prober.probe(&Endpoint { protocol, host: "127.0.0.1".into(), port }).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for one in presented {
            assert_eq!(one.outcome, Outcome::Failed("no certificate within 0.3 s".into()));
        }
    }
}

#[tokio::test]
async fn what_can_be_no_host_is_a_mistake_in_the_configuration() {
    let endpoint = Endpoint { protocol: Protocol::Tls, host: "127.0.0.1/x".into(), port: 443 };
    let prober = Prober::new(ProberConfig::default()).unwrap();
    let error = prober.probe_at(&endpoint, &BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.kind, danesmith::error::Kind::Config);
    assert_eq!(error.to_string(), "could not probe 127.0.0.1/x:443: not a host name or address");
}

/// OpenSSL's s_server: the library behind Postfix and Exim decides how "no such algorithm" looks in the wild.
struct OpenSsl(Child);

impl OpenSsl {
    async fn start(identities: &[&Identity], extra: &[&str]) -> (OpenSsl, SocketAddr) {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &address.to_string()]).args(extra);
        for (flags, identity) in [["-cert", "-key"], ["-dcert", "-dkey"]].iter().zip(identities) {
            let file = format!("{}/probe-{}-{}.pem", env!("CARGO_TARGET_TMPDIR"), address.port(), flags[0]);
            std::fs::write(&file, &identity.pem).unwrap();
            command.args([flags[0], &file, flags[1], &file]);
        }
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = OpenSsl(child);
        for _ in 0..200 {
            if TcpStream::connect(address).await.is_ok() {
                return (running, address);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("openssl s_server does not listen");
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn openssl_says_no_such_algorithm_in_both_tls_versions() {
    let (ecdsa, rsa) = (Identity::ecdsa(), Identity::rsa());
    for version in ["-tls1_2", "-tls1_3"] {
        let (_server, address) = OpenSsl::start(&[&ecdsa], &[version]).await;
        assert_eq!(outcomes(Protocol::Tls, address).await, [ecdsa.chain(), Outcome::NoSuchAlgorithm]);
        let (_server, address) = OpenSsl::start(&[&rsa], &[version]).await;
        assert_eq!(outcomes(Protocol::Tls, address).await, [Outcome::NoSuchAlgorithm, rsa.chain()]);
        let (_server, address) = OpenSsl::start(&[&ecdsa, &rsa], &[version]).await;
        assert_eq!(outcomes(Protocol::Tls, address).await, [ecdsa.chain(), rsa.chain()]);
    }
}
