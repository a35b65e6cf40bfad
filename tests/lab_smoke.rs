//! The test world itself: what the other tests take for granted about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{BIND, Daemon, KNOT, Lab, Options, eventually};

#[test]
fn every_signed_zone_validates_and_the_unsigned_one_does_not() {
    let lab = Lab::start(Options::default());
    // wrongds.test is signed, and its parent says so of another key
    for zone in lab.read("zones.signed").lines().filter(|z| *z != "wrongds.test").chain(["knot.test"]) {
        assert!(lab.validates(zone, "SOA"), "{zone}");
        assert!(lab.validates(&format!("missing.{zone}"), "TLSA"), "denial in {zone}");
    }
    assert!(!lab.validates("unsigned.test", "SOA"));
    assert!(!lab.validates("wrongds.test", "SOA"));
    assert_eq!(lab.dig(support::UNBOUND, "unsigned.test", "TXT"), ["\"zone unsigned.test\""]);
}

#[test]
fn an_update_reaches_the_secondary_both_ways() {
    let lab = Lab::start(Options { notify_delay: Some(0), ..Options::default() });
    for (zone, secondary) in [("example.test", KNOT), ("xn--bcher-kva.test", KNOT), ("knot.test", BIND)] {
        let owner = format!("_acme-challenge.{zone}");
        let before = lab.serial(secondary, zone);
        lab.update("danesmith-key", zone, &[&format!("update add {owner} 5 TXT \"value\"")])
            .expect("granted");
        eventually(Duration::from_secs(8), zone, || lab.dig(secondary, &owner, "TXT") == ["\"value\""]);
        assert!(lab.serial(secondary, zone) > before, "{zone}");
        assert!(lab.validates(&owner, "TXT"), "{zone}");
    }
}

#[test]
fn the_key_may_write_txt_and_tlsa_and_nothing_else() {
    let lab = Lab::start(Options { extra_zones: 0, ..Options::default() });
    let before = lab.counts();
    let refused = lab.update("danesmith-key", "refused.test", &["update add x.refused.test 5 TXT v"]);
    assert!(refused.unwrap_err().contains("REFUSED"));
    let address = lab.update("danesmith-key", "example.test", &["update add x.example.test 5 A 127.0.0.1"]);
    assert!(address.unwrap_err().contains("REFUSED"));
    lab.add_record("refused.test", "x.refused.test", "TXT", "v");
    assert_eq!(lab.counts().updates - before.updates, 3);
}

#[test]
fn the_ca_answers_and_forgets_when_it_is_started_again() {
    let lab = Lab::start(Options { extra_zones: 0, ..Options::default() });
    let directory = lab.run("curl", &["-sS", "--cacert", "pebble-root.pem", support::DIRECTORY]);
    assert!(directory.contains("newAccount"), "{directory}");
    assert_eq!(directory.contains("renewalInfo"), lab.has_new_pebble());
    assert_eq!(lab.counts().requests, 1);
    lab.stop_daemon(Daemon::Pebble);
    assert!(!curl_works(&lab));
    lab.start_daemon(Daemon::Pebble);
    eventually(Duration::from_secs(5), "pebble is back", || curl_works(&lab));
}

#[test]
fn another_acme_client_gets_a_certificate_here() {
    // lego asks the resolver for the challenge name before it exists, and unbound remembers that for the negative TTL
    let options = Options { extra_zones: 0, notify_delay: Some(0), negative_ttl: 1, ..Options::default() };
    let lab = Lab::start(options);
    let before = lab.counts();
    let output = lab
        .command("lego")
        .env("LEGO_CA_CERTIFICATES", lab.pebble_root())
        .env("RFC2136_NAMESERVER", BIND)
        .env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.")
        .env("RFC2136_TSIG_KEY", support::KEY_NAME)
        .env("RFC2136_TSIG_SECRET", lab.read("tsig.secret").trim())
        .args(["--server", support::DIRECTORY, "--accept-tos", "--email", "hostmaster@example.test"])
        .args([
            "--dns",
            "rfc2136",
            "--dns.resolvers",
            support::UNBOUND,
            "--domains",
            "mx1.example.test",
            "run",
        ])
        .output()
        .expect("lego runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = lab.counts();
    assert_eq!((after.orders - before.orders, after.certificates - before.certificates), (1, 1));
    assert_eq!(after.updates - before.updates, 2, "one to add, one to delete");
    assert!(lab.read(".lego/certificates/mx1.example.test.crt").contains("BEGIN CERTIFICATE"));
}

#[test]
fn a_frozen_server_keeps_silent_until_it_is_resumed() {
    let lab = Lab::start(Options { extra_zones: 0, ..Options::default() });
    let asks = || {
        let args = ["+time=1", "+tries=1", &format!("@{BIND}"), "example.test", "SOA"];
        lab.command("dig").args(args).output().expect("dig runs").status.success()
    };
    lab.freeze(Daemon::Bind);
    assert!(!asks());
    lab.resume(Daemon::Bind);
    assert!(asks());
}

#[test]
fn two_worlds_do_not_see_each_other() {
    let options = Options { extra_zones: 0, ..Options::default() };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| Lab::start(options.clone()));
        let other = Lab::start(options.clone());
        (one.join().expect("a second world"), other)
    });
    one.add_record("example.test", "only-here.example.test", "TXT", "v");
    assert_eq!(one.dig(BIND, "only-here.example.test", "TXT"), ["\"v\""]);
    assert!(other.dig(BIND, "only-here.example.test", "TXT").is_empty());
}

#[test]
fn a_dropped_world_leaves_nothing_behind() {
    let lab = Lab::start(Options { extra_zones: 0, ..Options::default() });
    let (dir, holder) = (lab.dir().to_owned(), lab.read("holder.pid"));
    drop(lab);
    assert!(!dir.exists());
    assert!(!std::path::Path::new("/proc").join(holder.trim()).exists());
}

fn curl_works(lab: &Lab) -> bool {
    let args = ["-sS", "--cacert", "pebble-root.pem", support::DIRECTORY];
    lab.command("curl").args(args).output().expect("curl runs").status.success()
}
