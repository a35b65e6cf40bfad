//! The same with Knot as primary and signer, and BIND as secondary by transfer.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, KNOT, Lab};

#[test]
fn knot_as_primary_takes_challenge_and_pins_and_bind_follows() {
    let site = Site::new(Lab::start(quick().pebble("PEBBLE_AUTHZREUSE", "0")));
    let site = Site { providers: crate::site::HOME.replace("127.0.0.11", KNOT), ..site };
    let (challenge, owner) = ("_acme-challenge.knot.test", "_25._tcp.mx1.knot.test");
    let foreign = format!("2 1 1 {}", "AB".repeat(32));
    site.lab.add_record("knot.test", challenge, "TXT", "\"not ours\"");
    site.lab.add_record("knot.test", owner, "TLSA", &foreign);
    site.csr("active", &["knot.test", "*.knot.test"]);
    site.csr("backup", &["knot.test", "*.knot.test"]);
    let certificate = format!(
        "mx: {{names: [knot.test, '*.knot.test'], tlsa: [{owner}], endpoints: unchecked, \
         keys: {{active: {{csr: active.csr}}, backup: {{csr: backup.csr}}}}}}"
    );
    site.configure(
        &["knot.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}"],
        &[&certificate],
    );
    site.run(&["provider", "check", "knot.test"]).ends(0);

    assert_eq!(site.apply().ends(0).outcome("mx"), "changed");
    assert_eq!(site.names("mx"), ["*.knot.test", "knot.test"]);
    let (active, backup) = (site.spki("req", "active.csr"), site.spki("req", "backup.csr"));
    assert_eq!(site.leaf_spki("mx"), active);
    let mut pins = vec![active, backup];
    pins.sort();
    let ours = |server| {
        let seen = site.pins(server, owner);
        seen.into_iter().filter(|pin| !pin.starts_with("2 1 1 ")).collect::<Vec<_>>()
    };
    assert_eq!((ours(KNOT), ours(BIND)), (pins.clone(), pins));

    let (files, counts, tlsa) = (site.state_files(), site.lab.counts(), site.lab.dig(KNOT, owner, "TLSA"));
    assert_eq!(tlsa.len(), 3, "theirs stands beside ours: {tlsa:?}");
    assert_eq!(site.apply().ends(0).outcome("mx"), "unchanged");
    assert_eq!((site.state_files(), site.lab.counts()), (files, counts), "nothing to do, nobody was asked");

    let first = site.leaf("mx");
    site.age("mx");
    site.apply().ends(0);
    assert_ne!(site.leaf("mx"), first, "a new certificate");
    assert_eq!(site.lab.dig(KNOT, owner, "TLSA"), tlsa);
    assert_eq!(site.lab.dig(KNOT, challenge, "TXT"), ["\"not ours\""]);
}
