//! Zones that no validator believes, and aliases between zones.

use crate::site::Site;
use crate::support::{BIND, Lab, Options};

#[test]
fn a_bogus_zone_is_told_and_nothing_is_published_there() {
    let site = Site::new(Lab::start(Options { extra_zones: 0, ..Options::default() }));
    site.configure(
        &["wrongds.test: {provider: home}"],
        &["mx: {names: [mx1.wrongds.test], keys: managed, tlsa: [_25._tcp.mx1.wrongds.test], endpoints: unchecked}"],
    );
    let before = site.lab.dig(BIND, "_25._tcp.mx1.wrongds.test", "TLSA");
    assert_eq!(before.len(), 1);
    let run = site.run(&["plan"]);
    panic!("{}\n{:#}\n{}", run.code, run.json, run.stderr);
}
