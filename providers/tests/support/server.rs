//! BIND's `named` and Knot DNS' `knotd` with one zone, three good keys and one that may do little.

use super::SECRET;
use data_encoding::BASE64;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bind,
    Knot,
}

/// A running server.
pub struct Server {
    kind: Kind,
    dir: PathBuf,
    port: u16,
    tls_port: u16,
    child: Child,
}

/// Zone data of `example.test`; foreign values stand at some names, one name is an alias, one a wildcard.
pub(super) const ZONE: &str = r#"$TTL 600
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
mx A 127.0.0.1
alias CNAME mx
_acme-challenge.kept 300 TXT "foreign"
_25._tcp.kept 1200 TLSA 2 1 1 0000000000000000000000000000000000000000000000000000000000000000
*.wild 900 TXT "wild"
*._tcp.wild 900 TLSA 2 1 1 1111111111111111111111111111111111111111111111111111111111111111
child NS ns.child
ns.child A 127.0.0.9
"#;

impl Server {
    pub fn start(kind: Kind) -> Self {
        let dir = tempfile::Builder::new().prefix("rfc2136-").tempdir().unwrap().keep();
        for _ in 0..5 {
            let (port, tls_port) = (free_port(), free_port());
            configure(kind, &dir, port, tls_port);
            let child = spawn(kind, &dir);
            let mut server = Server { kind, dir: dir.clone(), port, tls_port, child };
            if server.is_up() {
                return server;
            }
            // Somebody took the port between our look and the server's bind.
            server.kill();
            std::mem::forget(server);
        }
        panic!("{kind:?} does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn address_v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }

    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls_port).into()
    }

    /// The certificate of the TLS listener.
    pub fn root_pem(&self) -> Vec<u8> {
        std::fs::read(self.dir.join("cert.pem")).unwrap()
    }

    /// The zone's serial.
    pub fn serial(&self) -> u32 {
        let zone = super::zone();
        serial(self.address(), &zone).expect("the server answers")
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with what is on its disk.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.kind, &self.dir);
        assert!(self.is_up(), "{:?} does not come back", self.kind);
    }

    /// SIGSTOP: the kernel still accepts connections for it.
    pub fn freeze(&self) {
        self.signal("STOP");
        // A thread may be in the middle of an answer when the signal comes.
        let begin = Instant::now();
        while !self.is_stopped() {
            assert!(begin.elapsed() < Duration::from_secs(10), "the server does not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether every thread is in state T (proc_pid_stat(5)).
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        })
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            if serial(self.address(), &super::zone()).is_some() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(super) fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
            && UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).is_ok();
        if free {
            return port;
        }
    }
}

fn spawn(kind: Kind, dir: &Path) -> Child {
    let (program, arguments) = match kind {
        Kind::Bind => ("named", vec!["-g", "-n", "1", "-c", "conf"]),
        Kind::Knot => ("knotd", vec!["-c", "conf"]),
    };
    let log = std::fs::File::create(dir.join("log")).unwrap();
    // Debian keeps daemons in /usr/sbin, which is not everyone's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let spawned = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    spawned.unwrap_or_else(|e| panic!("cannot run {program} ({e}); apt-get install bind9 knot"))
}

/// Asks for the SOA over UDP, unsigned; `None` without an authoritative answer.
pub(super) fn serial(address: SocketAddr, zone: &Name) -> Option<u32> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.connect(address).ok()?;
    let mut question = Message::query();
    question.add_query(Query::query(zone.clone(), RecordType::SOA));
    socket.send(&question.to_vec().unwrap()).ok()?;
    let mut datagram = [0; 4096];
    let length = socket.recv(&mut datagram).ok()?;
    let answer = Message::from_vec(&datagram[..length]).ok()?;
    answer.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

fn configure(kind: Kind, dir: &Path, port: u16, tls_port: u16) {
    if !dir.join("example.zone").exists() {
        std::fs::write(dir.join("example.zone"), ZONE).unwrap();
        certificate(dir);
    }
    let secret = BASE64.encode(SECRET);
    let conf = match kind {
        Kind::Bind => bind(dir, port, tls_port, &secret),
        Kind::Knot => knot(dir, port, &secret),
    };
    std::fs::write(dir.join("conf"), conf).unwrap();
}

fn certificate(dir: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["ns.example.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

fn bind(dir: &Path, port: u16, tls_port: u16, secret: &str) -> String {
    let dir = dir.display();
    let keys: String = [("k256", 256), ("k384", 384), ("k512", 512), ("narrow", 256)]
        .iter()
        .map(|(key, bits)| format!("key {key} {{ algorithm hmac-sha{bits}; secret \"{secret}\"; }};\n"))
        .collect();
    format!(
        r#"{keys}
tls local {{ cert-file "{dir}/cert.pem"; key-file "{dir}/key.pem"; }};
options {{
    directory "{dir}"; pid-file none; session-keyfile none; managed-keys-directory "{dir}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 port {port} {{ ::1; }};
    listen-on port {tls_port} tls local {{ 127.0.0.1; }};
    recursion no; notify no; dnssec-validation no; empty-zones-enable no;
}};
controls {{ }};
zone "example.test" {{
    type primary; file "{dir}/example.zone";
    update-policy {{
        grant k256 zonesub ANY; grant k384 zonesub ANY; grant k512 zonesub ANY;
        grant narrow name _acme-challenge.mx.example.test TXT;
    }};
}};
"#
    )
}

/// Knot 3.2 has no DNS over TLS (it came with 3.5), so that transport is tested on BIND alone.
fn knot(dir: &Path, port: u16, secret: &str) -> String {
    let dir = dir.display();
    let keys: String = [("k256", 256), ("k384", 384), ("k512", 512), ("narrow", 256)]
        .iter()
        .map(|(key, bits)| format!("  - id: {key}\n    algorithm: hmac-sha{bits}\n    secret: {secret}\n"))
        .collect();
    format!(
        r#"server:
    rundir: "{dir}"
    listen: [ 127.0.0.1@{port}, ::1@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{dir}"
    journal-db-max-size: 16M
    kasp-db-max-size: 8M
    timer-db-max-size: 8M
    catalog-db-max-size: 8M
key:
{keys}acl:
  - id: all
    key: [ k256, k384, k512 ]
    action: update
  - id: narrow
    key: narrow
    action: update
    update-owner: name
    update-owner-match: equal
    update-owner-name: _acme-challenge.mx
    update-type: TXT
template:
  - id: default
    storage: "{dir}"
zone:
  - domain: example.test
    file: example.zone
    zonefile-sync: 0
    acl: [ all, narrow ]
"#
    )
}
