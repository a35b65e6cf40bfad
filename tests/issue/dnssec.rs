//! Zones that no validator believes.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Lab};

#[test]
fn what_no_validator_believes_is_told_and_nothing_is_ordered() {
    let site = Site::new(Lab::start(quick()));
    // Resolvers refuse to name the servers of such a zone.
    site.configure(
        &["wrongds.test: {provider: home, check: [127.0.0.11, 127.0.0.12]}"],
        &["mx: {names: [mx1.wrongds.test], keys: managed, tlsa: [_25._tcp.mx1.wrongds.test], endpoints: unchecked}"],
    );
    let before = site.lab.dig(BIND, "_25._tcp.mx1.wrongds.test", "TLSA");
    let why = "bogus TLSA answer: no DS of `wrongds.test.` at its parent matches a DNSKEY of the zone";
    site.apply().ends(5).says(&["127.0.0.11:53", "127.0.0.12:53", why]);
    assert_eq!(site.lab.dig(BIND, "_25._tcp.mx1.wrongds.test", "TLSA"), before);
    assert_eq!((before.len(), site.lab.counts().orders), (1, 0));
}
