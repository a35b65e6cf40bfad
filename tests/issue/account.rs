//! The ACME account: found, forgotten, imported, bound; and a CA that goes away.

use crate::first::quick;
use crate::site::{ACCOUNT, Site};
use crate::support::{Daemon, EAB_HMAC, EAB_KID, Lab, Options};
use std::fs;
use std::path::PathBuf;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";
const WWW: &str = "www: {names: [example.test], keys: managed}";

#[test]
fn a_ca_that_goes_away_is_told_and_one_that_forgot_us_is_recovered_from() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    let leaf = site.leaf("www");
    site.lab.kill_daemon(Daemon::Pebble);
    site.age("www");
    site.apply().ends(69).says(&["127.0.0.14:14000"]);
    assert_eq!(site.leaf("www"), leaf, "what is served stays");

    site.lab.start_daemon(Daemon::Pebble);
    site.wait_for_pebble();
    site.apply().ends(77).says(&["accountDoesNotExist", "danesmith account register"]);
    site.register();
    site.apply().ends(0);
    assert_ne!(site.leaf("www"), leaf);
    site.run(&["account", "show"]).ends(0);
    site.no_challenge_left(&["example.test"]);
}

#[test]
fn account_keys_of_other_kinds_are_taken_and_found_again() {
    let mut site = Site::new(Lab::start(quick()));
    for (file, arguments) in [
        (
            "p384.pem",
            vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384.pem"],
        ),
        (
            "rsa.pem",
            vec!["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"],
        ),
    ] {
        site.lab.run("openssl", &arguments);
        site.accounts = ACCOUNT.replace("agree_terms", &format!("key: {{file: {file}}}, agree_terms"));
        site.configure(&[ZONE], &[WWW]);
        let _ = fs::remove_dir_all(site.lab.dir().join("state"));
        let first = site.run(&["account", "register"]).ends(0);
        fs::remove_dir_all(site.lab.dir().join("state")).unwrap();
        let again = site.run(&["account", "show"]).ends(0);
        assert_eq!(first.json["account"]["url"], again.json["account"]["url"], "{file}: found by its key");
        site.lab.flush_resolver();
        site.apply().ends(0);
    }
}

#[test]
fn a_ca_that_wants_a_binding_says_so_and_gets_it() {
    let mut site = Site::new(Lab::start(Options { eab_required: true, ..quick() }));
    site.configure(&[ZONE], &[WWW]);
    let run = site.apply().says(&["RFC 8555 §7.3.4", "eab"]);
    assert!([77, 78].contains(&run.code), "{} {}", run.code, run.stderr);
    assert_eq!(site.lab.counts().orders, 0);
    fs::write(site.lab.dir().join("eab.secret"), EAB_HMAC).unwrap();
    let eab = format!("eab: {{kid: {EAB_KID}, hmac_key: {{file: eab.secret}}}}, agree_terms");
    site.accounts = ACCOUNT.replace("agree_terms", &eab);
    site.configure(&[ZONE], &[WWW]);
    let run = site.apply().ends(0);
    assert!(!run.stderr.contains(EAB_HMAC));
    assert!(site.installed("www"));
}

/// A site whose account has got a certificate, and the account's URL and thumbprint.
fn at_work() -> (Site, String, String) {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &[WWW]);
    site.apply().ends(0);
    let (url, key) = shown(&site);
    (site, url, key)
}

fn shown(site: &Site) -> (String, String) {
    let account = site.run(&["account", "show"]).ends(0).json["account"].clone();
    let text = |member: &str| account[member].as_str().unwrap().to_owned();
    (text("url"), text("thumbprint"))
}

/// Where the account's key lies.
fn account_folder(site: &Site) -> PathBuf {
    let folders = fs::read_dir(site.lab.dir().join("state/accounts")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.extension().is_none());
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

#[test]
fn an_account_gets_another_key_and_keeps_its_url() {
    let (site, url, former) = at_work();
    let run = site.run(&["account", "rollover"]).ends(0);
    let (now, key) = shown(&site);
    assert_eq!((&now, &run.json["account"]["thumbprint"]), (&url, &key.as_str().into()));
    assert_ne!(key, former);
    let curve = "ec_paramgen_curve:P-256";
    site.lab.run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", "next"]);
    site.run(&["account", "rollover", "--key", "next"]).ends(64).says(&["leave out --key"]);
    site.age("www");
    site.apply().ends(0);

    // killed before the CA heard of it: a key lies there that it does not know
    let folder = account_folder(&site);
    fs::rename(site.lab.dir().join("next"), folder.join("next-key.pem")).unwrap();
    site.age("www");
    site.apply().ends(0).says(&["danesmith account rollover default"]);
    assert_eq!(shown(&site).1, key);
    // killed after the CA had taken it, before we knew: the former key is of no use any more
    let stale = fs::read(folder.join("key.pem")).unwrap();
    site.run(&["account", "rollover"]).ends(0);
    let (_, later) = shown(&site);
    assert_ne!(later, key);
    fs::rename(folder.join("key.pem"), folder.join("next-key.pem")).unwrap();
    fs::write(folder.join("key.pem"), stale).unwrap();
    site.age("www");
    site.apply().ends(0);
    assert_eq!(shown(&site), (url, later));
    assert!(!folder.join("next-key.pem").exists());
}

#[test]
fn an_account_key_of_the_administrator_is_changed_for_the_one_that_is_given() {
    let mut site = Site::new(Lab::start(quick()));
    for name in ["one.pem", "two.pem", "three.pem"] {
        let curve = "ec_paramgen_curve:P-384";
        site.lab.run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", name]);
    }
    let configure = |site: &mut Site, file: &str| {
        site.accounts = ACCOUNT.replace("agree_terms", &format!("key: {{file: {file}}}, agree_terms"));
        site.configure(&[ZONE], &[WWW]);
    };
    configure(&mut site, "one.pem");
    site.apply().ends(0);
    let (url, _) = shown(&site);
    site.run(&["account", "rollover"]).ends(64).says(&["--key", "yours"]);
    site.run(&["account", "rollover", "--key", "zones.yaml"])
        .ends(65)
        .says(&["zones.yaml as the account key"]);
    site.run(&["account", "rollover", "--key", "-"]).ends(64).says(&["must lie in a file"]);
    site.run(&["account", "rollover", "--key", "one.pem"]).ends(64).says(&["the key that it has"]);
    // another account's
    configure(&mut site, "two.pem");
    site.register();
    configure(&mut site, "one.pem");
    site.register();
    site.run(&["account", "rollover", "--key", "two.pem"]).ends(64).says(&["another account by that key"]);
    site.lab.run("cp", &["three.pem", "two.pem"]);
    let run = site.run(&["account", "rollover", "--key", "two.pem"]).ends(0);
    assert_eq!(
        (&run.json["account"]["url"], &run.json["account"]["before"]),
        (&url.as_str().into(), &false.into())
    );
    let again = site.run(&["account", "rollover", "--key", "two.pem"]).ends(0);
    assert_eq!(again.json["account"]["before"], true, "a run that was killed after the change is repeated");
    site.age("www");
    let run = site.apply().says(&["has the account got another key?"]);
    assert!([69, 77].contains(&run.code), "{}", run.stderr);
    configure(&mut site, "two.pem");
    site.apply().ends(0);
    assert_eq!(shown(&site).0, url);
}

#[test]
fn a_deactivated_account_is_put_aside_and_another_one_is_registered() {
    let (site, url, _) = at_work();
    let leaf = site.leaf("www");
    site.run(&["account", "deactivate"]).ends(64).says(&["--yes", "Nothing was changed"]);
    assert_eq!(shown(&site).0, url);
    let run = site.run(&["account", "deactivate", "--yes"]).ends(0);
    let aside = site.lab.dir().join(run.json["account"]["aside"].as_str().unwrap());
    assert!(aside.join("key.pem").exists() && aside.join("account.json").exists());
    site.run(&["account", "show"]).ends(77).says(&["account register"]);
    assert_eq!(site.leaf("www"), leaf);
    site.age("www");
    site.apply().ends(0);
    let (second, _) = shown(&site);
    assert_ne!(second, url);
    assert_ne!(site.leaf("www"), leaf);

    // killed after the CA's yes: the CA refuses whatever this account asks for, and the same command goes on
    let (folder, kept) = (account_folder(&site), site.lab.dir().join("kept"));
    site.lab.run("cp", &["-a", folder.to_str().unwrap(), kept.to_str().unwrap()]);
    site.run(&["account", "deactivate", "--yes"]).ends(0);
    fs::rename(&kept, &folder).unwrap();
    let run = site.run(&["account", "deactivate", "--yes"]).ends(0);
    assert_eq!(run.json["account"]["before"], true);
    site.register();
    assert_ne!(shown(&site).0, second);
}
