//! What the tests of exec plugins and adapters share.

use crate::support::{self, Server};
use async_trait::async_trait;
use danesmith_providers::authoritative::Authoritative;
use danesmith_providers::conformance::{Check, Finding, Outcome, check};
use danesmith_providers::exec::{ExecProvider, Options, Setting, Settings};
use danesmith_providers::{Class, Error, Provider, RrSet};
use data_encoding::BASE64;
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;

/// One server, asked without a key by a program that has nothing to do with the one under test.
pub struct Witness(pub SocketAddr);

impl Witness {
    pub fn of(server: &Server) -> Self {
        Witness(server.address())
    }
}

#[async_trait]
impl Authoritative for Witness {
    async fn look(&self, _zone: &Name, name: &Name, rtype: RecordType) -> Result<Vec<RrSet>, Error> {
        let away = |error: std::io::Error| Error::new(Class::Transient, format!("no answer: {error}"));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(away)?;
        socket.connect(self.0).await.map_err(away)?;
        let mut question = Message::query();
        question.add_query(Query::query(name.clone(), rtype));
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        question.set_edns(edns);
        socket.send(&question.to_vec().unwrap()).await.map_err(away)?;
        let mut datagram = [0; 4096];
        let received = tokio::time::timeout(Duration::from_secs(3), socket.recv(&mut datagram)).await;
        let length = received.map_err(|late| away(late.into()))?.map_err(away)?;
        let answer = Message::from_vec(&datagram[..length]).unwrap();
        if answer.response_code == ResponseCode::Refused {
            return Err(Error::new(Class::NotFound, "REFUSED"));
        }
        assert!(!answer.truncation, "{answer}");
        let here: Vec<_> =
            answer.answers.iter().filter(|r| r.name == *name && r.record_type() == rtype).collect();
        let ttl = here.iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok(vec![RrSet { ttl, values: here.iter().map(|record| record.data.clone()).collect() }])
    }
}

/// A folder of its own, gone when dropped.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        Dir(tempfile::Builder::new().prefix("exec-").tempdir().unwrap().keep())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// An executable file.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        // Written elsewhere and moved: a parallel fork must not hold it open for writing when it is run (ETXTBSY).
        let draft = self.path(&format!("{name}.draft"));
        std::fs::write(&draft, text).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(draft, &path).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The secret of the test server's keys, as text.
pub fn secret() -> String {
    BASE64.encode(support::SECRET)
}

/// Settings for a plugin that talks to `server`.
pub fn settings(server: &Server) -> Settings {
    let address = server.address();
    Settings::from([
        ("server".to_owned(), Setting::Plain(json!(address.ip().to_string()))),
        ("port".to_owned(), Setting::Plain(json!(address.port()))),
        ("key_name".to_owned(), Setting::Plain(json!("k256"))),
        ("secret".to_owned(), Setting::Secret(secret().into())),
    ])
}

/// A reference plugin, copied: the checkout may belong to somebody whose programs we rightly do not run.
pub fn reference(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(name);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (draft, copy) = (folder.join(format!("{name}.{}", std::process::id())), folder.join(name));
    std::fs::copy(source, &draft).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(draft, &copy).unwrap();
    copy
}

/// A plugin with little patience.
pub async fn open(program: &Path, settings: Settings) -> Result<ExecProvider, Error> {
    open_with(program, settings, |_| {}).await
}

pub async fn open_with(
    program: &Path,
    settings: Settings,
    adjust: impl FnOnce(&mut Options),
) -> Result<ExecProvider, Error> {
    let mut options = Options::new("exec test-plugin");
    options.request = Duration::from_secs(20);
    options.total = Duration::from_secs(40);
    adjust(&mut options);
    ExecProvider::new(vec![program.into()], settings, options).await
}

/// All findings in the zone of the test server, with the server itself as witness.
pub async fn conformance(provider: &dyn Provider, server: &Server) -> Vec<Finding> {
    conformance_at(provider, server.address()).await
}

/// The same at any server of this zone.
pub async fn conformance_at(provider: &dyn Provider, server: SocketAddr) -> Vec<Finding> {
    let (witness, zone) = (Witness(server), support::zone());
    let patience = Duration::from_secs(10);
    check(&Check { provider, zone: &zone, authoritative: Some(&witness), patience }).await
}

/// Everything passed, nothing was skipped, and it was not nothing.
pub fn assert_all_passed(findings: &[Finding]) {
    let others: Vec<_> = findings.iter().filter(|f| f.outcome != Outcome::Passed).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(findings.len() >= 18, "{findings:#?}");
}

/// Log lines of this thread's runtime while it lives.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Catches what is logged until the guard goes.
    pub fn catch(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
