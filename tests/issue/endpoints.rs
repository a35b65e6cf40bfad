//! First publication needs a server that presents the active key: a pin that nobody matches stops mail.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, KNOT, Lab, eventually};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// `openssl s_server`, ended with the test.
struct Server(Child);

impl Server {
    fn start(site: &Site, certificate: &Path, key: &Path) -> Server {
        let mut command = site.lab.command("openssl");
        command
            .args(["s_server", "-quiet", "-accept", "127.0.0.25:465", "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(key);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Server(child);
        eventually(Duration::from_secs(10), "s_server listens", || {
            site.lab
                .command("openssl")
                .args(["s_client", "-connect", "127.0.0.25:465"])
                .output()
                .unwrap()
                .status
                .success()
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_pin_waits_for_a_server_that_presents_the_active_key() {
    let site = Site::new(Lab::start(quick()));
    let owner = "_465._tcp.mx1.example.test";
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 5}}"],
        &[&format!("mx: {{names: [mx1.example.test], keys: managed, tlsa: [{owner}], endpoints: ['tls://mx1.example.test:465']}}")],
    );
    let none_published = |site: &Site| {
        assert!(site.pins(BIND, owner).is_empty() && site.pins(KNOT, owner).is_empty());
    };
    site.apply().ends(5).says(&["Mail is safe", "tls://mx1.example.test:465", owner]);
    assert!(site.installed("mx"), "the certificate is there for the server to present");
    none_published(&site);

    site.csr("other", &["mx1.example.test"]);
    site.lab.run(
        "openssl",
        &["req", "-x509", "-in", "other.csr", "-key", "other.key", "-days", "9", "-out", "other.pem"],
    );
    let other = Server::start(&site, Path::new("other.pem"), Path::new("other.key"));
    let key = site.spki("req", "other.csr");
    site.apply().ends(5).says(&["presents the key", &key]);
    none_published(&site);
    drop(other);

    let live = site.live("mx");
    let _server = Server::start(&site, &live.join("cert.pem"), &live.join("privkey.pem"));
    site.apply().ends(0);
    assert_eq!(site.pins(KNOT, owner).len(), 2);
    assert!(site.pins(BIND, owner).contains(&site.leaf_spki("mx")));
    assert_eq!(site.lab.counts().orders, 1);
}
