//! One server and the ways to write to it.

use crate::support::{self, API_KEY, Kind, PowerDns, Server};
use danesmith_providers::catalog::Catalog;
use danesmith_providers::http::{HttpProvider, Options, Setting};
use danesmith_providers::{Class, Provider};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    PowerDnsHttp,
    PowerDnsUpdate,
    Bind,
    Knot,
}

enum Host {
    PowerDns(PowerDns),
    Other(Server),
}

pub struct Site {
    way: Way,
    host: Host,
    locks: PathBuf,
}

impl Site {
    pub fn start(way: Way) -> Site {
        let host = match way {
            Way::PowerDnsHttp | Way::PowerDnsUpdate => Host::PowerDns(PowerDns::start()),
            Way::Bind => Host::Other(Server::start(Kind::Bind)),
            Way::Knot => Host::Other(Server::start(Kind::Knot)),
        };
        let locks = tempfile::Builder::new().prefix("locks-").tempdir().unwrap().keep();
        Site { way, host, locks }
    }

    /// A provider of its own each time, with good credentials.
    pub fn provider(&self) -> Arc<dyn Provider> {
        self.with_key(true)
    }

    /// A provider whose key is wrong.
    pub fn intruder(&self) -> Arc<dyn Provider> {
        self.with_key(false)
    }

    fn with_key(&self, good: bool) -> Arc<dyn Provider> {
        let address = match &self.host {
            Host::PowerDns(server) if self.way == Way::PowerDnsHttp => {
                let key = if good { API_KEY } else { "not the key" };
                return Arc::new(powerdns(&server.url(), key, Some(self.locks.clone())));
            }
            Host::PowerDns(server) => server.dns(),
            Host::Other(server) => server.address(),
        };
        Arc::new(support::provider(address, |config| {
            if !good {
                config.secret = Zeroizing::new(vec![1; 32]);
            }
        }))
    }

    /// PowerDNS 4.7 answers a question with a bad MAC by a bare NOTAUTH, as others do for a zone they do not serve.
    pub fn class_of_a_question_with_a_wrong_key(&self) -> Class {
        if self.way == Way::PowerDnsUpdate { Class::NotFound } else { Class::Auth }
    }

    /// The database of PowerDNS, asked by SQL; an answer has one line per row.
    pub fn sql(&self, statement: &str) -> String {
        match &self.host {
            Host::PowerDns(server) => server.sql(statement),
            Host::Other(_) => panic!("BIND and Knot have no database"),
        }
    }

    /// What listens now where the killed server was asked says nothing that makes sense; how often it was asked.
    pub fn answer_garbage(&self) -> Arc<AtomicUsize> {
        let (address, answer): (_, &[u8]) = match &self.host {
            Host::PowerDns(server) if self.way == Way::PowerDnsHttp => {
                (server.http(), b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n<p>Please log in!")
            }
            Host::PowerDns(server) => (server.dns(), b"\x00\x11<p>Please log in!"),
            Host::Other(server) => (server.address(), b"\x00\x11<p>Please log in!"),
        };
        let listener = TcpListener::bind(address).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
        });
        asked
    }

    pub fn kill(&mut self) {
        match &mut self.host {
            Host::PowerDns(server) => server.kill(),
            Host::Other(server) => server.kill(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.locks);
    }
}

/// The provider that the catalog describes, at one server.
fn powerdns(url: &str, key: &str, locks: Option<PathBuf>) -> HttpProvider {
    let spec = Catalog::builtin().unwrap().get("powerdns").unwrap().clone();
    let settings = BTreeMap::from([
        ("url".to_owned(), Setting::Plain(url.to_owned())),
        ("api_key".to_owned(), Setting::Secret(Zeroizing::new(key.to_owned()))),
    ]);
    let mut options = Options::new(Arc::new(support::now));
    options.deadline = Duration::from_secs(30);
    options.locks = locks;
    HttpProvider::new(spec, &settings, options).unwrap()
}
