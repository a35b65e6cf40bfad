//! PowerDNS with a database of its own: HTTP API and dynamic update for one zone.

use super::server::{ZONE, free_port, serial};
use super::{SECRET, zone};
use data_encoding::BASE64;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The key of the HTTP API; unusual enough to be looked for in output.
pub const API_KEY: &str = "api-key/with+signs=";

/// Debian's copy of the tables.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A running server, gone when dropped.
pub struct PowerDns {
    dir: PathBuf,
    dns: u16,
    http: u16,
    child: Child,
}

impl PowerDns {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("pdns-").tempdir().unwrap().keep();
        configure(&dir, 0, 0);
        fill(&dir);
        for _ in 0..5 {
            let (dns, http) = (free_port(), free_port());
            configure(&dir, dns, http);
            let child = spawn(&dir);
            let mut server = PowerDns { dir: dir.clone(), dns, http, child };
            if server.is_up() {
                return server;
            }
            // Somebody took a port between our look and the server's bind.
            server.kill();
            std::mem::forget(server);
        }
        panic!("PowerDNS does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
    }

    pub fn dns(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.dns).into()
    }

    pub fn http(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Runs SQL on the database and gives its output.
    pub fn sql(&self, statement: &str) -> String {
        let output = Command::new("sqlite3")
            .arg("-cmd")
            .arg(".timeout 5000")
            .arg(self.dir.join("db"))
            .arg(statement)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn is_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let http = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.http)).is_ok();
            if http && serial(self.dns(), &zone()).is_some() {
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

impl Drop for PowerDns {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn configure(dir: &Path, dns: u16, http: u16) {
    let conf = format!(
        "launch=gsqlite3\ngsqlite3-database={dir}/db\nsocket-dir={dir}\ndaemon=no\nguardian=no\nwrite-pid=no\n\
         local-address=127.0.0.1\nlocal-port={dns}\nwebserver=yes\nwebserver-address=127.0.0.1\n\
         webserver-port={http}\napi=yes\napi-key={API_KEY}\ndnsupdate=yes\ncache-ttl=0\nquery-cache-ttl=0\n\
         negquery-cache-ttl=0\nzone-cache-refresh-interval=0\nconsistent-backends=no\nloglevel=4\n",
        dir = dir.display()
    );
    std::fs::write(dir.join("pdns.conf"), conf).unwrap();
}

fn fill(dir: &Path) {
    let schema = std::fs::read_to_string(SCHEMA).unwrap_or_else(|e| {
        panic!("{SCHEMA}: {e}; apt-get install pdns-server pdns-backend-sqlite3 sqlite3")
    });
    run("sqlite3", &[&dir.join("db").display().to_string(), &schema]);
    std::fs::write(dir.join("zone"), ZONE).unwrap();
    let secret = BASE64.encode(SECRET);
    let zone_file = dir.join("zone").display().to_string();
    util(dir, &["load-zone", "example.test", &zone_file]);
    util(dir, &["import-tsig-key", "k256", "hmac-sha256", &secret]);
    util(dir, &["set-meta", "example.test", "TSIG-ALLOW-DNSUPDATE", "k256"]);
    util(dir, &["set-meta", "example.test", "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8"]);
}

fn util(dir: &Path, arguments: &[&str]) {
    let config = format!("--config-dir={}", dir.display());
    let mut all = vec![config.as_str()];
    all.extend(arguments);
    run("pdnsutil", &all);
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run {program} ({e}); run tests/install"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn spawn(dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    // Debian keeps daemons in /usr/sbin, which is not everyone's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let spawned = Command::new("pdns_server")
        .arg(format!("--config-dir={}", dir.display()))
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    spawned.unwrap_or_else(|e| panic!("cannot run pdns_server ({e}); run tests/install"))
}
