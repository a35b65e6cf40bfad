//! Probes against servers on loopback: rustls in process, OpenSSL as a child, small SMTP fakes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use danesmith::model::endpoint::{Endpoint, Protocol};
use danesmith::verify::{
    Algorithm, Ask, Endpoints, FailureKind, Outcome, Presented, Prober, ProberConfig, Sni, Versions,
};
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

/// ECDSA, ECDSA in TLS 1.2, RSA, RSA in TLS 1.2: what is asked at an address, to which no name can be sent.
async fn outcomes(protocol: Protocol, address: SocketAddr) -> [Outcome; 4] {
    let presented = probe(protocol, &address.ip().to_string(), address.port()).await;
    let asks = presented.iter().map(|one| one.ask.to_string()).collect::<Vec<_>>();
    let nameless = ["ECDSA", "ECDSA, TLS 1.2", "RSA", "RSA, TLS 1.2"];
    assert_eq!(asks, nameless.map(|ask| ask.replacen("SA", "SA, without SNI", 1)));
    assert!(presented.iter().all(|one| one.address == address));
    <[Presented; 4]>::try_from(presented).unwrap().map(|one| one.outcome)
}

/// What a server of these versions answers that has these two for ECDSA and RSA.
fn answers(versions: &[&SupportedProtocolVersion], ecdsa: Outcome, rsa: Outcome) -> [Outcome; 4] {
    let old = |outcome: &Outcome| match versions {
        [only] if *only == &version::TLS13 => Outcome::NothingFor,
        _ => outcome.clone(),
    };
    let (old_ecdsa, old_rsa) = (old(&ecdsa), old(&rsa));
    [ecdsa, old_ecdsa, rsa, old_rsa]
}

async fn tls_outcomes(
    identities: &[&Identity],
    versions: &[&'static SupportedProtocolVersion],
) -> [Outcome; 4] {
    let acceptor = acceptor(choice(identities), versions);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &[], acceptor).await;
    outcomes(Protocol::Tls, address).await
}

fn failures(outcomes: [Outcome; 4], kind: FailureKind) -> [String; 4] {
    outcomes.map(|outcome| match outcome {
        Outcome::Failed(failure) if failure.kind == kind => failure.words,
        other => panic!("{other:?}"),
    })
}

const EVERY: [&[&SupportedProtocolVersion]; 3] = [BOTH, &[&version::TLS12], &[&version::TLS13]];

#[tokio::test]
async fn an_ecdsa_server_has_no_rsa_certificate() {
    let ecdsa = Identity::ecdsa();
    for versions in EVERY {
        let expected = answers(versions, ecdsa.chain(), Outcome::NothingFor);
        assert_eq!(tls_outcomes(&[&ecdsa], versions).await, expected);
    }
}

#[tokio::test]
async fn an_ed25519_key_counts_with_ecdsa() {
    let ed25519 = Identity::of(&KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let expected = answers(BOTH, ed25519.chain(), Outcome::NothingFor);
    assert_eq!(tls_outcomes(&[&ed25519], BOTH).await, expected);
}

#[tokio::test]
async fn an_rsa_server_has_no_ecdsa_certificate() {
    let rsa = Identity::rsa();
    for versions in EVERY {
        assert_eq!(
            tls_outcomes(&[&rsa], versions).await,
            answers(versions, Outcome::NothingFor, rsa.chain())
        );
    }
}

#[tokio::test]
async fn both_certificates_of_a_server_are_seen() {
    let (ecdsa, rsa) = (Identity::ecdsa(), Identity::rsa());
    for versions in EVERY {
        let expected = answers(versions, ecdsa.chain(), rsa.chain());
        assert_eq!(tls_outcomes(&[&ecdsa, &rsa], versions).await, expected);
    }
}

#[tokio::test]
async fn a_server_that_does_not_hold_the_key_is_not_believed() {
    let (shown, held) = (Identity::ecdsa(), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let liar = Identity { certified: certified(&shown.der, &held), ..shown };
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let [outcome, ..] = tls_outcomes(&[&liar], versions).await;
        assert!(
            matches!(&outcome, Outcome::Failed(failure) if failure.words.contains("BadSignature")),
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
    let expected = answers(BOTH, ecdsa.chain(), Outcome::NothingFor);
    assert_eq!(outcomes(Protocol::Smtp, address).await, expected);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.contains("EHLO [127.0.0.1]\r\n") && heard.ends_with("QUIT\r\nclosed"), "{heard}");
    assert_eq!(*choice.sni.lock().unwrap(), [None, None, None, None], "an address is no SNI");
}

#[tokio::test]
async fn the_name_is_sent_as_sni_and_withheld_in_turn() {
    let ecdsa = Identity::ecdsa();
    let choice = choice(&[&ecdsa]);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &[], acceptor(Arc::clone(&choice), BOTH)).await;
    let presented = probe(Protocol::Tls, "localhost", address.port()).await;
    let here: Vec<_> = presented.iter().filter(|one| one.address == address).collect();
    let chains = here.iter().filter(|one| one.outcome == ecdsa.chain());
    assert_eq!((here.len(), chains.count()), (8, 4));
    let mut sni = choice.sni.lock().unwrap().clone();
    sni.sort();
    let named = Some("localhost".to_owned());
    assert_eq!(sni, [vec![None; 4], vec![named; 4]].concat());
}

/// One certificate for a name, another for everybody else: a mail host of many.
#[derive(Debug)]
struct ByName(Arc<CertifiedKey>, Arc<CertifiedKey>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(if hello.server_name() == Some("mx.example.org") { &self.0 } else { &self.1 }.clone())
    }
}

#[tokio::test]
async fn the_certificate_for_nobody_in_particular_is_seen_too() {
    let (mine, fallback) = (Identity::ecdsa(), Identity::ecdsa());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(BOTH)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName(mine.certified.clone(), fallback.certified.clone())));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &[], acceptor).await;
    let endpoint = Endpoint { protocol: Protocol::Tls, host: "mx.example.org".into(), port: address.port() };
    let prober = Prober::new(ProberConfig::default()).unwrap();
    let presented = prober.probe_at(&endpoint, &BTreeSet::from([address])).await;
    for one in presented.iter().filter(|one| one.ask.algorithm == Algorithm::Ecdsa) {
        let expected = if one.ask.sni == Sni::Sent { &mine } else { &fallback };
        assert_eq!(one.outcome, expected.chain(), "{}", one.ask);
    }
    assert_eq!(presented.len(), 8);
}

#[tokio::test]
async fn every_address_is_probed_by_itself() {
    let (one, two) = (Identity::ecdsa(), Identity::ecdsa());
    let ips = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    let (first, _) = serve(ips[0].into(), 0, &[], acceptor(choice(&[&one]), BOTH)).await;
    let (second, _) = serve(ips[1].into(), first.port(), &[], acceptor(choice(&[&two]), BOTH)).await;
    let endpoint = Endpoint { protocol: Protocol::Tls, host: "mx.example.org".into(), port: first.port() };
    let prober = Prober::new(ProberConfig::default()).unwrap();
    let presented = prober.probe_at(&endpoint, &BTreeSet::from([first, second])).await;
    let mut expected = Vec::new();
    for (address, chain) in [(first, one.chain()), (second, two.chain())] {
        for sni in [Sni::Sent, Sni::Absent] {
            for (algorithm, outcome) in [(Algorithm::Ecdsa, &chain), (Algorithm::Rsa, &Outcome::NothingFor)] {
                for versions in [Versions::Both, Versions::Tls12] {
                    let ask = Ask { sni, algorithm, versions };
                    expected.push(Presented { address, ask, outcome: outcome.clone() });
                }
            }
        }
    }
    assert_eq!(presented, expected);
}

#[tokio::test]
async fn a_host_without_address_is_a_failure_of_that_host() {
    let endpoint = Endpoint { protocol: Protocol::Smtp, host: "mx.nowhere.invalid".into(), port: 25 };
    let failure = Prober::new(ProberConfig::default()).unwrap().probe(&endpoint).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoAddress);
}

#[tokio::test]
async fn smtp_without_starttls_says_so() {
    let script = &["220 mx ESMTP\r\n", "250-mx\r\n250 SIZE 10240000\r\n", ""];
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, script, acceptor).await;
    for reason in failures(outcomes(Protocol::Smtp, address).await, FailureKind::NoStarttls) {
        assert_eq!(reason, "SMTP: the server does not offer STARTTLS");
    }
}

#[tokio::test]
async fn plain_text_injected_before_tls_is_refused() {
    let script = &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"];
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, script, acceptor).await;
    for reason in failures(outcomes(Protocol::Smtp, address).await, FailureKind::Dialogue) {
        assert!(reason.contains("possible injection"), "{reason}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_readable_failure() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for reason in failures(outcomes(Protocol::Tls, address).await, FailureKind::Refused) {
        assert!(reason.starts_with("connection refused"), "{reason}");
    }
}

#[tokio::test]
async fn what_is_not_tls_is_a_readable_failure() {
    let acceptor = acceptor(choice(&[&Identity::ecdsa()]), BOTH);
    let (address, _) = serve(Ipv4Addr::LOCALHOST.into(), 0, &["220 mx ESMTP\r\n"], acceptor).await;
    for reason in failures(outcomes(Protocol::Tls, address).await, FailureKind::Handshake) {
        assert_eq!(reason, "TLS handshake: what came is not TLS");
    }
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = ProberConfig { connect: Duration::from_secs(1), total: Duration::from_millis(300) };
    let prober = Prober::new(config).unwrap();
    for protocol in [Protocol::Smtp, Protocol::Imap, Protocol::Pop3, Protocol::Sieve, Protocol::Tls] {
        let port = listener.local_addr().unwrap().port();
        let started = std::time::Instant::now();
        let presented = prober.probe(&Endpoint { protocol, host: "127.0.0.1".into(), port }).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for one in presented {
            let Outcome::Failed(failure) = one.outcome else { panic!() };
            assert_eq!(failure.kind, FailureKind::Timeout);
            assert_eq!(failure.words, "no certificate within 0.3 s");
        }
    }
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
async fn openssl_has_nothing_for_an_algorithm_in_both_tls_versions() {
    let (ecdsa, rsa) = (Identity::ecdsa(), Identity::rsa());
    for (flag, versions) in [("-tls1_2", EVERY[1]), ("-tls1_3", EVERY[2])] {
        let (_server, address) = OpenSsl::start(&[&ecdsa], &[flag]).await;
        let expected = answers(versions, ecdsa.chain(), Outcome::NothingFor);
        assert_eq!(outcomes(Protocol::Tls, address).await, expected);
        let (_server, address) = OpenSsl::start(&[&rsa], &[flag]).await;
        let expected = answers(versions, Outcome::NothingFor, rsa.chain());
        assert_eq!(outcomes(Protocol::Tls, address).await, expected);
        let (_server, address) = OpenSsl::start(&[&ecdsa, &rsa], &[flag]).await;
        let expected = answers(versions, ecdsa.chain(), rsa.chain());
        assert_eq!(outcomes(Protocol::Tls, address).await, expected);
    }
}

#[tokio::test]
async fn a_server_with_old_tls_only_has_nothing_for_us() {
    let (ecdsa, rsa) = (Identity::ecdsa(), Identity::rsa());
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let (_server, address) = OpenSsl::start(&[&ecdsa, &rsa], &old).await;
    assert_eq!(outcomes(Protocol::Tls, address).await, [const { Outcome::NothingFor }; 4]);
}
