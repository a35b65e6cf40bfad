//! Secrets of providers, from each place that zones.yaml may name, all the way to the host.

use crate::first::quick;
use crate::providers::{PDNS_ZONE, plugin, with_pdns};
use crate::site::{Run, Site};
use crate::support::Lab;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Base64, as a TSIG secret must be.
const WRONG: &str = "d3JvbmctOWYyNy1zZWNyZXQtb2Ytbm9ib2R5";

/// A check whose secrets come from `secrets`, as systemd's `LoadCredential=` places them, and from `SECRET`.
fn checked(site: &Site, zone: &str, secret: &str) -> Run {
    let folder = site.lab.dir().join("secrets");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let file = folder.join("dns-key");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = site.command(&["-vvv", "provider", "check", zone]);
    Run::after(command.env("CREDENTIALS_DIRECTORY", &folder).env("DNS_KEY", secret))
}

/// The right one opens the zone, another one does not, and neither is ever shown.
fn comes_from_everywhere(site: &mut Site, zone: &str, right: &str, providers: impl Fn(&str) -> String) {
    let command = format!("{{command: [cat, {}]}}", site.lab.dir().join("secrets/dns-key").display());
    for place in ["{credential: dns-key}", "{env: DNS_KEY}", &command] {
        site.providers = providers(place);
        site.configure(
            &[&format!("{zone}: {{provider: home, propagation: 15s, ttl: {{txt: 5, tlsa: 7}}}}")],
            &[&format!("www: {{names: [{zone}], keys: managed}}")],
        );
        let good = checked(site, zone, right).ends(0);
        assert!(good.json["seen"].to_string().contains("gone from every server"), "{place}: {:#}", good.json);
        let bad = checked(site, zone, WRONG).ends(77);
        for (run, secret) in [(good, right), (bad, WRONG)] {
            let said = format!("{}{}", run.stderr, run.json);
            assert!(!said.contains(secret), "{place}: {said}");
        }
    }
}

#[test]
fn a_described_host_takes_its_secret_from_systemd_the_environment_and_a_command() {
    let mut site = Site::new(Lab::start(with_pdns()));
    assert!(PDNS_ZONE.starts_with("pdns.test:"));
    let right = site.lab.read("pdns.secret").trim().to_owned();
    comes_from_everywhere(&mut site, "pdns.test", &right, |place| {
        format!("home: {{powerdns: {{url: 'http://127.0.0.15:8081', api_key: {place}}}}}")
    });
}

#[test]
fn a_plugin_takes_its_secret_from_systemd_the_environment_and_a_command() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let right = site.lab.read("tsig.secret").trim().to_owned();
    comes_from_everywhere(&mut site, "example.test", &right, |place| {
        format!(
            "home: {{exec: {{command: [./nsupdate.py], config: {{server: 127.0.0.11, key_name: danesmith-key, \
             secret: {place}}}}}}}"
        )
    });
}
