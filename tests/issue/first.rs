//! First issue, renewal, and the run after it.

use crate::site::Site;
use crate::support::{BIND, KNOT, Lab, Options};
use std::fs;

pub(crate) fn quick() -> Options {
    Options { notify_delay: Some(0), ..Options::default() }.pebble("PEBBLE_WFE_NONCEREJECT", "0")
}

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";

#[test]
fn one_run_installs_pins_and_cleans_up_and_the_next_does_nothing() {
    let site = Site::new(Lab::start(quick()));
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test, '*.example.test'], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.register();
    let before = site.lab.counts();
    site.run(&["plan", "--detailed-exitcode"]).ends(2);
    assert_eq!(site.lab.counts(), before, "plan asks nobody for anything");

    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    let after = site.lab.counts();
    assert_eq!(after.orders - before.orders, 1);
    assert_eq!(after.certificates - before.certificates, 1);
    // credentials tried, TXT added (both values in one), TXT removed, TLSA tried for and added
    assert!(after.updates - before.updates <= 4, "{} UPDATEs", after.updates - before.updates);
    assert_eq!(site.names("mx"), ["*.example.test", "example.test"]);

    let folder = site.lab.dir().join("state/certificates/mx/keys");
    let mut keys: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().trim_end_matches(".pem").to_owned())
        .collect();
    keys.sort();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&site.leaf_spki("mx")));
    assert_eq!(
        site.spki("pkey", site.live("mx").join("privkey.pem").to_str().unwrap()),
        site.leaf_spki("mx")
    );
    for server in [BIND, KNOT] {
        assert_eq!(site.pins(server, "_25._tcp.mx1.example.test"), keys, "{server}");
    }
    assert!(site.rrset("_25._tcp.mx1.example.test", "TLSA")[0].contains(" 7 IN TLSA 3 1 1 "));
    site.no_challenge_left(&["example.test"]);

    let (files, before) = (site.state_files(), site.lab.counts());
    site.run(&["plan", "--detailed-exitcode"]).ends(0);
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.outcome("mx"), "unchanged");
    assert_eq!(site.lab.counts(), before, "the second apply asks nobody for anything");
    assert_eq!(site.state_files(), files);
}

#[test]
fn a_renewal_with_the_same_csr_leaves_tlsa_as_it_is_bit_for_bit() {
    let site = Site::new(Lab::start(quick()));
    site.csr("active", &["example.test", "mx1.example.test"]);
    site.csr("backup", &["example.test", "mx1.example.test"]);
    let certificate = "mx: {names: [example.test, mx1.example.test], tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked, \
                       keys: {active: {csr: active.csr}, backup: {csr: backup.csr}}}";
    site.configure(&[ZONE], &[certificate]);
    site.apply().ends(0);
    let active = site.spki("req", "active.csr");
    assert_eq!(site.leaf_spki("mx"), active);
    assert!(!site.live("mx").join("privkey.pem").exists(), "the key was never ours");
    let mut pins = vec![active.clone(), site.spki("req", "backup.csr")];
    pins.sort();
    assert_eq!(site.pins(KNOT, "_25._tcp.mx1.example.test"), pins);

    let (first, tlsa) = (site.leaf("mx"), site.rrset("_25._tcp.mx1.example.test", "TLSA"));
    site.age("mx");
    site.apply().ends(0);
    assert_ne!(site.leaf("mx"), first, "a new certificate");
    assert_eq!(site.leaf_spki("mx"), active);
    assert_eq!(site.rrset("_25._tcp.mx1.example.test", "TLSA"), tlsa);
    site.no_challenge_left(&["example.test", "mx1.example.test"]);
}

#[test]
fn a_managed_backup_is_made_and_pinned_beside_a_csr_whose_key_is_elsewhere() {
    let site = Site::new(Lab::start(quick()));
    site.csr("active", &["example.test"]);
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test], tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked, \
           keys: {active: {csr: active.csr}, backup: managed}}"],
    );
    site.run(&["plan"]).ends(0);
    assert!(!site.lab.dir().join("state/certificates/mx").exists(), "plan makes no key");
    site.apply().ends(0);
    let (active, backup) = (site.spki("req", "active.csr"), site.document("mx")["keys"]["backup"].clone());
    let backup = backup.as_str().unwrap().to_owned();
    let mut both = vec![active.clone(), backup.clone()];
    both.sort();
    assert_eq!(site.pins(KNOT, "_25._tcp.mx1.example.test"), both);
    assert_eq!(site.leaf_spki("mx"), active);
    assert!(!site.live("mx").join("privkey.pem").exists());
    let kept = format!("state/certificates/mx/keys/{backup}.pem");
    assert_eq!(site.spki("pkey", &kept), backup);
    assert_eq!(site.run(&["apply", "--detailed-exitcode"]).ends(0).outcome("mx"), "unchanged");
    fs::remove_file(site.lab.dir().join(&kept)).unwrap();
    site.apply().ends(0).says(&["the backup key", "is not in the state directory"]);
}

#[test]
fn a_certificate_shorter_lived_than_renew_before_is_not_ordered_in_circles() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed, renew: {before: 398d}}"]);
    site.apply().ends(0);
    site.apply().ends(0);
    assert_eq!(site.lab.counts().orders, 1);
}
