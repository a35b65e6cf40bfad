//! The options of a zone and of its provider, as zones.yaml says them, at real servers.

use crate::first::quick;
use crate::site::{HOME, Site};
use crate::support::{BIND, Daemon, KNOT, Lab, Options};

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test, '*.example.test'], keys: managed}";

fn world() -> Options {
    Options { ipv6: true, ..quick().pebble("PEBBLE_AUTHZREUSE", "0") }
}

fn server(text: &str) -> String {
    HOME.replace("server: 127.0.0.11", &format!("server: {text}"))
}

/// BIND's log of the questions signed with our key since it was `seen` octets long.
fn questions(site: &Site, seen: usize) -> Vec<String> {
    let log = site.lab.read("bind/query.log");
    log[seen..].lines().filter(|line| line.contains("key danesmith-key")).map(str::to_owned).collect()
}

/// Whether BIND read a question from a stream: the flags that follow class and type, "-SE(0)TD" for example.
fn by_stream(line: &str) -> bool {
    let flags = line.split(" IN ").nth(1).and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
    flags.replace("E(0)", "").contains('T')
}

#[test]
fn the_server_is_reached_by_every_transport_address_and_name() {
    let mut site = Site::new(Lab::start(world()));
    let tls = "{server: 127.0.0.11, transport: tls, tls: {name: localhost, root: pebble-root.pem}";
    let ways = [
        ("tcp", server("127.0.0.11"), true, "127.0.0.11#"),
        ("udp", server("127.0.0.11, transport: udp"), false, "127.0.0.11#"),
        ("tls", HOME.replace("{server: 127.0.0.11", tls), true, "127.0.0.11#"),
        ("name", server("ns1.lab.test"), true, "#"),
        ("port", server("'ns1.lab.test:53'"), true, "#"),
        ("IPv6", server("'[::1]'"), true, "::1#"),
        ("IPv6 and port", server("'[fd00::11]:53'"), true, "fd00::11#"),
    ];
    for (what, provider, stream, from) in ways {
        site.providers = provider;
        site.configure(&[ZONE], &[WWW]);
        let seen = site.lab.read("bind/query.log").len();
        let before = site.lab.counts().updates;
        site.apply().ends(0);
        assert!(site.lab.counts().updates >= before + 2, "{what}");
        let asked = questions(&site, seen);
        assert!(
            !asked.is_empty() && asked.iter().all(|line| by_stream(line) == stream),
            "{what}: {asked:#?}"
        );
        assert!(asked.iter().all(|line| line.contains(from)), "{what}: {asked:#?}");
        site.no_challenge_left(&["example.test"]);
        site.age("www");
    }
    let orders = site.lab.counts().orders;
    let run = {
        site.providers = HOME.replace("{server: 127.0.0.11", &tls.replace("localhost", "other.test"));
        site.configure(&[ZONE], &[WWW]);
        site.apply()
    };
    assert!(run.code == 69 || run.code == 78, "{}", run.stderr);
    run.says(&["TLS handshake", "certificate not valid for name", "nothing was sent", "Nothing was ordered"]);
    assert_eq!(site.lab.counts().orders, orders, "credentials that worked today do not hide a wrong server");
}

#[test]
fn a_name_server_with_an_ipv6_address_is_asked_there_too() {
    let site = Site::new(Lab::start(world()));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    let log = site.lab.read("bind/query.log");
    let asked = |from: &str| {
        log.lines().any(|line| line.contains(from) && line.contains("_acme-challenge.example.test IN TXT"))
    };
    assert!(asked("fd00::11#") && asked("127.0.0."), "{log}");
}

#[test]
fn check_names_the_only_servers_that_are_looked_at() {
    // The CA asks no servers: its resolver would wait for the frozen one now and then.
    let site = Site::new(Lab::start(world().pebble("PEBBLE_VA_ALWAYS_VALID", "1")));
    site.lab.freeze(Daemon::Knot);
    for (check, code) in
        [(format!("[{BIND}]"), 0), ("[ns1.lab.test]".into(), 0), (format!("[{BIND}, {KNOT}]"), 69)]
    {
        site.configure(
            &[&format!("example.test: {{provider: home, propagation: 3s, ttl: {{txt: 5}}, check: {check}}}")],
            &[WWW],
        );
        let run = site.apply().ends(code);
        if code != 0 {
            run.says(&[KNOT, "within 3 s"]);
        }
        site.lab.flush_resolver();
        if site.installed("www") {
            site.age("www");
        }
    }
    site.lab.resume(Daemon::Knot);
}
