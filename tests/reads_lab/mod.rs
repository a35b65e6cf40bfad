//! Name servers for the tests: a real BIND, authoritative and recursive, and a scriptable fake.

use danesmith::dns::{Reads, Resolver, ResolverConfig, Server};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Answers each datagram with what the script says; stops with the test's runtime.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
}

impl Fake {
    pub(crate) async fn at(
        ip: Ipv4Addr,
        port: u16,
        script: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Fake {
        let socket = UdpSocket::bind((ip, port)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                for answer in script(&Message::from_vec(&buffer[..length]).unwrap()) {
                    socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
                }
            }
        });
        Fake { address }
    }
}

/// One named for the zones (127.0.0.1 and 127.0.0.2), one that recurses by asking the first.
pub(crate) struct Bind {
    pub(crate) authority: SocketAddr,
    pub(crate) recursive: SocketAddr,
    folder: PathBuf,
    servers: [Child; 2],
}

impl Bind {
    pub(crate) async fn start() -> Bind {
        for _ in 0..5 {
            let bind = Bind::spawn();
            if bind.is_ready().await {
                return bind;
            }
            // Somebody took a port between our look and named's bind.
        }
        panic!("named does not answer");
    }

    fn spawn() -> Bind {
        let folder = fresh_folder();
        write_zones(&folder);
        let [authority, recursive] = free_ports();
        let zones = ["test", "plain.test", "sub.plain.test", "signed.test"]
            .map(|zone| format!("zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; }};\n"))
            .concat();
        let servers = [
            named(&folder, "authority", authority, "recursion no;", &zones),
            named(&folder, "recursive", recursive, &forwarding(authority), ""),
        ];
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Bind { authority: at(authority), recursive: at(recursive), folder, servers }
    }

    async fn is_ready(&self) -> bool {
        let quick = Duration::from_millis(100);
        let config = ResolverConfig { resolvers: vec![self.recursive], timeout: quick, ..Default::default() };
        let (reads, apex) = (Resolver::new(config), Name::from_str("plain.test.").unwrap());
        let server = Server { name: "bind".into(), address: self.authority };
        for _ in 0..200 {
            let up =
                reads.ask(&server, &apex, RecordType::SOA).await.is_ok() && reads.alias(&apex).await.is_ok();
            if up {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let log = |role| fs::read_to_string(self.folder.join(format!("{role}.log"))).unwrap_or_default();
        println!("named does not answer: {}\n{}", log("authority"), log("recursive"));
        false
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        for server in &mut self.servers {
            server.kill().ok();
            server.wait().ok();
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn fresh_folder() -> PathBuf {
    tempfile::Builder::new().prefix("reads-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep()
}

/// Held together, so that they differ; free again when named starts.
fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn forwarding(authority: u16) -> String {
    format!("recursion yes; forward only; forwarders {{ 127.0.0.1 port {authority}; }};")
}

fn named(folder: &Path, role: &str, port: u16, options: &str, zones: &str) -> Child {
    let configuration = format!(
        "options {{ directory \"{}\"; pid-file none; session-keyfile none; dnssec-validation no; notify no;\n\
         listen-on port {port} {{ 127.0.0.1; 127.0.0.2; }}; listen-on-v6 {{ none; }};\n\
         {options} }};\ncontrols {{ }};\n{zones}",
        folder.display()
    );
    let file = folder.join(format!("{role}.conf"));
    fs::write(&file, configuration).unwrap();
    let log = fs::File::create(folder.join(format!("{role}.log"))).unwrap();
    Command::new("named")
        .args(["-g", "-n", "1", "-c"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("named (BIND 9.18 or newer) runs the live tests")
}

const APEX: &str = "$TTL 120\n@ SOA ns1.plain.test. admin.plain.test. 1 3600 600 86400 60\n";

/// `test` delegates; `plain.test` has a child on the same server; `signed.test` is signed.
fn write_zones(folder: &Path) {
    let nameless = format!("{APEX}@ NS ns1.plain.test.\ntwo TXT one\ntwo TXT two\n");
    fs::write(folder.join("signed.test.unsigned"), &nameless).unwrap();
    sign(folder, "signed.test");
    let ds = fs::read_to_string(folder.join("dsset-signed.test.")).unwrap();
    let delegations = ["signed", "plain"].map(|zone| format!("{zone} NS ns1.plain.test.\n"));
    let glue = "ns1.plain A 127.0.0.1\n";
    let parent = format!("{APEX}@ NS ns1.plain.test.\n{}{glue}{ds}", delegations.concat());
    fs::write(folder.join("test.zone"), parent).unwrap();
    fs::write(folder.join("sub.plain.test.zone"), &nameless).unwrap();
    fs::write(folder.join("plain.test.zone"), plain_zone()).unwrap();
}

fn plain_zone() -> String {
    let many: String =
        (0..40).map(|n| format!("many TXT \"value number {n} of forty, to be long enough\"\n")).collect();
    format!(
        "{APEX}@ NS ns1\n@ NS ns2\n@ NS ns3\nns1 A 127.0.0.1\nns2 A 127.0.0.2\nns3 A 127.0.0.2\n\
         two TXT one\ntwo TXT two\nalias CNAME two\nsub NS ns1\naway NS ns.elsewhere.test.\n{many}"
    )
}

fn sign(folder: &Path, zone: &str) {
    run(folder, "dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone]);
    let (unsigned, signed) = (format!("{zone}.unsigned"), format!("{zone}.zone"));
    run(folder, "dnssec-signzone", &["-q", "-S", "-z", "-o", zone, "-f", &signed, &unsigned]);
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
