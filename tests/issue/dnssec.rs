//! Zones that no validator believes.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Lab};

const BOGUS: &str = "wrongds.test";

#[test]
fn what_no_validator_believes_is_told_and_nothing_is_ordered() {
    let site = Site::new(Lab::start(quick()));
    let certificate = format!(
        "mx: {{names: [mx1.{BOGUS}], keys: managed, tlsa: [_25._tcp.mx1.{BOGUS}], endpoints: unchecked}}"
    );
    let before = site.lab.dig(BIND, "_25._tcp.mx1.wrongds.test", "TLSA");
    let why = "bogus TLSA answer: no DS of `wrongds.test.` at its parent matches a DNSKEY of the zone";
    // The resolver withholds such a zone, its name servers too, unless it is told not to check.
    for servers in ["", ", check: [127.0.0.11, 127.0.0.12]"] {
        site.configure(&[&format!("{BOGUS}: {{provider: home{servers}}}")], &[&certificate]);
        site.apply().ends(5).says(&["127.0.0.11:53", "127.0.0.12:53", why]);
    }
    assert_eq!(site.lab.dig(BIND, "_25._tcp.mx1.wrongds.test", "TLSA"), before);
    assert_eq!((before.len(), site.lab.counts().orders), (1, 0));
}

#[test]
fn a_challenge_is_not_published_where_resolvers_refuse_to_answer() {
    let site = Site::new(Lab::start(quick()));
    site.configure(
        &[&format!("{BOGUS}: {{provider: home}}")],
        &[&format!("www: {{names: [{BOGUS}], keys: managed}}")],
    );
    site.apply().ends(69).says(&[
        "find the name servers of `wrongds.test.`",
        "SERVFAIL",
        "danesmith verify wrongds.test",
    ]);
    let counts = site.lab.counts();
    assert_eq!((counts.orders, counts.updates), (0, 0));
}
