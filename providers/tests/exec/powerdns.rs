//! A PowerDNS with its HTTP interface, on free loopback ports in a folder of its own, gone when dropped.

use crate::tools::Dir;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const KEY: &str = "c4n4ry-of-powerdns";

pub struct PowerDns {
    _dir: Dir,
    child: Child,
    port: u16,
    web: u16,
}

impl PowerDns {
    /// With the empty zone `example.test`.
    pub fn start() -> Self {
        let dir = Dir::new();
        let (port, web) = (free_port(), free_port());
        let database = dir.path("db");
        let conf = format!(
            "launch=gsqlite3\ngsqlite3-database={}\nlocal-address=127.0.0.1\nlocal-port={port}\nsocket-dir={}\n\
             webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={web}\napi=yes\napi-key={KEY}\n\
             cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n\
             daemon=no\nguardian=no\nsetuid=\nsetgid=\n",
            database.display(),
            dir.0.display()
        );
        std::fs::write(dir.path("pdns.conf"), conf).unwrap();
        let schema = std::fs::File::open("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql");
        let schema = schema.expect("apt-get install pdns-backend-sqlite3");
        let made = Command::new("sqlite3").arg(&database).stdin(schema).status();
        assert!(made.expect("apt-get install sqlite3").success());
        let config_dir = format!("--config-dir={}", dir.0.display());
        let made = Command::new("pdnsutil")
            .arg(&config_dir)
            .args(["create-zone", "example.test", "ns.example.test"])
            .output();
        assert!(made.expect("apt-get install pdns-server").status.success());
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let log = std::fs::File::create(dir.path("log")).unwrap();
        let child = Command::new("pdns_server")
            .arg(&config_dir)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let server = PowerDns { child: child.expect("apt-get install pdns-server"), port, web, _dir: dir };
        let until = Instant::now() + Duration::from_secs(15);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, web)).is_err() {
            assert!(Instant::now() < until, "PowerDNS does not start: {}", server._dir.read("log"));
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }
}

impl Drop for PowerDns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
