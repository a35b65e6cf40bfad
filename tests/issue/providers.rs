//! The other ways to write: PowerDNS' HTTP interface and an exec plugin. Certificate and TLSA through both, from the same
//! zones.yaml to the same end; what `provider check` does; what others may write into zones.yaml.

use crate::first::quick;
use crate::site::Site;
use crate::support::{BIND, Daemon, KNOT, Lab, Options, PDNS, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The name that an administrator would give it in a file, with the lab's address.
pub(crate) const POWERDNS: &str =
    "home: {powerdns: {url: 'http://127.0.0.15:8081', api_key: {file: pdns.secret}}}";
pub(crate) const PDNS_ZONE: &str = "pdns.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";
const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";

pub(crate) fn with_pdns() -> Options {
    Options { pdns: true, extra_zones: 0, ..quick() }
}

/// The keys that are pinned, as the state directory has them.
pub(crate) fn keys(site: &Site) -> Vec<String> {
    let folder = site.lab.dir().join("state/certificates/mx/keys");
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().to_string_lossy().into_owned();
    let mut keys: Vec<String> =
        fs::read_dir(folder).unwrap().map(name).map(|n| n.trim_end_matches(".pem").to_owned()).collect();
    keys.sort();
    keys
}

pub(crate) fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn plugin(site: &mut Site, name: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/plugins").join(name);
    executable(&site.lab.dir().join(name), &fs::read_to_string(source).unwrap());
    site.providers = format!(
        "home: {{exec: {{command: [./{name}], config: {{server: 127.0.0.11, key_name: danesmith-key, \
         secret: {{file: tsig.secret}}}}}}}}"
    );
}

#[test]
fn powerdns_by_its_http_interface_gets_a_certificate_and_both_pins_and_keeps_what_is_not_ours() {
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = POWERDNS.into();
    site.configure(
        &[PDNS_ZONE],
        &["mx: {names: [pdns.test, '*.pdns.test', mx.pdns.test], keys: managed, tlsa: [_25._tcp.mx.pdns.test], endpoints: unchecked}"],
    );
    let foreign = ["_acme-challenge.pdns.test", "TXT", "5", "\"somebody else's\""];
    site.lab.run(
        "pdnsutil",
        &[&["--config-dir=pdns", "add-record", "pdns.test"][..], &["_acme-challenge"], &foreign[1..]]
            .concat(),
    );
    site.run(&["plan", "--detailed-exitcode"]).ends(2);
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    assert_eq!(site.names("mx"), ["*.pdns.test", "mx.pdns.test", "pdns.test"]);
    let pins = keys(&site);
    assert_eq!(pins.len(), 2);
    assert!(pins.contains(&site.leaf_spki("mx")));
    assert_eq!(site.pins(PDNS, "_25._tcp.mx.pdns.test"), pins);
    assert!(site.lab.validates("_25._tcp.mx.pdns.test", "TLSA"), "PowerDNS signs what was written");
    assert_eq!(site.lab.dig(PDNS, "_acme-challenge.pdns.test", "TXT"), [foreign[3]]);
    assert!(site.lab.dig(PDNS, "_acme-challenge.mx.pdns.test", "TXT").is_empty());

    let counts = site.lab.counts();
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!((run.outcome("mx"), site.lab.counts()), ("unchanged".into(), counts));
}

#[test]
fn a_check_of_powerdns_writes_both_types_and_leaves_nothing() {
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = POWERDNS.into();
    site.configure(&[PDNS_ZONE], &["www: {names: [pdns.test], keys: managed}"]);
    let run = site.run(&["provider", "check", "pdns.test"]).ends(0);
    let seen = run.json["seen"].to_string();
    assert!(seen.contains("TXT and TLSA changes") && seen.contains("gone from every server"), "{seen}");
    for (owner, rtype) in
        [("_danesmith-check.pdns.test", "TXT"), ("_25._tcp._danesmith-check.pdns.test", "TLSA")]
    {
        assert!(site.lab.dig(PDNS, owner, rtype).is_empty(), "{owner}");
    }
    // what is not ours is not touched, and no attempt is made beside it
    site.lab.run(
        "pdnsutil",
        &["--config-dir=pdns", "add-record", "pdns.test", "_danesmith-check", "TXT", "5", "\"mine\""],
    );
    site.run(&["provider", "check", "pdns.test"])
        .ends(5)
        .says(&["1 TXT value(s) stand there", "Nothing was changed."]);
    assert_eq!(site.lab.dig(PDNS, "_danesmith-check.pdns.test", "TXT"), ["\"mine\""]);
    site.lab.run("pdnsutil", &["--config-dir=pdns", "delete-rrset", "pdns.test", "_danesmith-check", "TXT"]);
    let pin = format!("3 1 1 {:064}", 7);
    site.lab.run(
        "pdnsutil",
        &["--config-dir=pdns", "add-record", "pdns.test", "_25._tcp._danesmith-check", "TLSA", "5", &pin],
    );
    site.run(&["provider", "check", "pdns.test"]).ends(5).says(&[
        "1 TLSA value(s) stand there",
        "`_25._tcp._danesmith-check.pdns.test`",
        "Nothing was changed.",
    ]);
    assert_eq!(site.pins(PDNS, "_25._tcp._danesmith-check.pdns.test"), [format!("{:064}", 7)]);
    assert!(site.lab.dig(PDNS, "_danesmith-check.pdns.test", "TXT").is_empty(), "not even tried");
    site.lab.run(
        "pdnsutil",
        &["--config-dir=pdns", "delete-rrset", "pdns.test", "_25._tcp._danesmith-check", "TLSA"],
    );

    fs::write(site.lab.dir().join("pdns.secret"), "wrong-api-key-9f27").unwrap();
    let run = site.run(&["provider", "check", "pdns.test"]).ends(77);
    assert!(
        !run.stderr.contains("wrong-api-key") && !run.json.to_string().contains("wrong-api-key"),
        "{run:?}"
    );
}

#[test]
fn a_plugin_gets_a_certificate_and_both_pins() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test, '*.example.test'], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.lab.add_record("example.test", "_25._tcp.mx1.example.test", "TLSA", &format!("2 1 1 {:064}", 5));
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    let mut pins = keys(&site);
    assert_eq!(pins.len(), 2);
    pins.push(format!("2 1 1 {} {}", "0".repeat(56), "00000005"));
    pins.sort();
    for server in [BIND, KNOT] {
        assert_eq!(site.pins(server, "_25._tcp.mx1.example.test"), pins, "{server}");
    }
    site.no_challenge_left(&["example.test"]);
    assert_eq!(site.lab.run("ls", &["/run/danesmith"]).trim(), "example.test.lock");
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.outcome("mx"), "unchanged");
    site.run(&["provider", "check", "example.test"]).ends(0).says(&[]);
}

#[test]
fn a_host_that_puts_the_name_into_another_zone_is_told_before_anything_is_written() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let path = site.lab.dir().join("nsupdate.py");
    let text = fs::read_to_string(&path).unwrap();
    let (right, wrong) =
        ("{\"name\": apexes[0]}", "{\"name\": name.split('.')[-1] if '_' in name else apexes[0]}");
    assert!(text.contains(right));
    executable(&path, &text.replace(right, wrong));
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed}"]);
    site.run(&["provider", "check", "example.test"]).ends(78).says(&[
        "it puts `_danesmith-check.example.test` into zone `test`",
        "Nothing was changed.",
        "is this the host that the zone is delegated to?",
    ]);
    assert_eq!(site.lab.counts().updates, 0);
}

#[test]
fn a_plugin_that_writes_txt_only_is_refused_for_tlsa_before_an_order() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let path = site.lab.dir().join("nsupdate.py");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("TYPES = (\"TXT\", \"TLSA\")"));
    executable(&path, &text.replace("TYPES = (\"TXT\", \"TLSA\")", "TYPES = (\"TXT\",)"));
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.run(&["apply"]).ends(78).says(&[
        "writes no TLSA records",
        "certificates.mx.tlsa",
        "`_25._tcp.mx1.example.test`",
    ]);
    assert_eq!((site.lab.counts().orders, site.lab.counts().updates), (0, 0));
}

#[test]
fn a_plugin_is_checked_against_the_whole_contract_without_a_configuration() {
    let mut site = Site::new(Lab::start(quick()));
    plugin(&mut site, "nsupdate.py");
    let check = [
        "provider",
        "check",
        "--plugin",
        "./nsupdate.py",
        "--setting",
        "server=127.0.0.11",
        "--setting",
        "key_name=danesmith-key",
        "--secret",
        "secret=file:tsig.secret",
        "--server",
        BIND,
        "--server",
        KNOT,
        "--resolver",
        "127.0.0.53",
        "--patience",
        "9",
        "example.test",
    ];
    let run = site.run(&check).ends(0);
    let findings = run.json["findings"].as_array().unwrap();
    assert!(findings.len() >= 10, "{:#}", run.json);
    assert!(findings.iter().all(|f| f["outcome"] == "ok"), "{:#}", run.json);
    assert!(site.lab.read("bind/update.log").contains("TLSA"), "the check wrote");

    // One that says that it added and does not.
    let path = site.lab.dir().join("nsupdate.py");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("update add"));
    executable(&path, &text.replace("update add", "prereq yxdomain example.test. ; "));
    let run = site.run(&check).ends(69).says(&["checks failed"]);
    assert!(
        run.json["findings"].as_array().unwrap().iter().any(|f| f["outcome"] == "FAILED"),
        "{:#}",
        run.json
    );
    site.run(&[
        "provider",
        "check",
        "--plugin",
        "./nsupdate.py",
        "--secret",
        "secret=c4n4ry",
        "example.test",
    ])
    .ends(64)
    .says(&["names no place"]);
}

/// What providers/README.md says about a host of one's own, followed.
#[test]
fn a_file_in_a_folder_of_ones_own_adds_a_host_that_a_check_proves() {
    let mut site = Site::new(Lab::start(with_pdns()));
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/tests/catalog/steps/myhost.yaml");
    let text = fs::read_to_string(written).unwrap();
    let files = site.lab.dir().join("files");
    fs::create_dir(&files).unwrap();
    fs::set_permissions(&files, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(files.join("myhost.yaml"), text.replace("list:\n", "lst:\n")).unwrap();
    site.providers = POWERDNS.replace("powerdns:", "myhost:");
    site.configure(&[PDNS_ZONE], &["www: {names: [pdns.test], keys: managed}"]);
    let path = site.lab.dir().join("zones.yaml");
    let zones = fs::read_to_string(&path).unwrap();
    fs::write(&path, zones.replace("providers:\n", "provider_files: ./files\nproviders:\n")).unwrap();

    let line = text.lines().position(|line| line == "list:").unwrap() + 1;
    let place = format!("files/myhost.yaml:{line}:1: ");
    for command in
        [&["provider", "check", "pdns.test"][..], &["provider", "show", "myhost"], &["provider", "list"]]
    {
        site.run(command).ends(78).says(&[&place, "`lst`"]);
    }
    fs::write(files.join("myhost.yaml"), &text).unwrap();
    site.run(&["provider", "check", "pdns.test"]).ends(0);
    let listed = site.run(&["provider", "show", "myhost"]).ends(0);
    assert!(
        listed.json["provider"]["file"].as_str().unwrap().ends_with("files/myhost.yaml"),
        "{:#}",
        listed.json
    );

    fs::set_permissions(files.join("myhost.yaml"), fs::Permissions::from_mode(0o666)).unwrap();
    site.run(&["provider", "check", "pdns.test"]).ends(78).says(&["may be changed by others"]);
}

#[test]
fn a_repository_of_others_uses_the_administrators_providers_and_cannot_name_its_own() {
    let mut site = Site::new(Lab::start(quick()));
    let dir = site.lab.dir().to_owned();
    let block = |text: &str| format!("  {text}\n");
    let file = format!(
        "version: 1\nresolvers: [127.0.0.53]\ntrust_anchor: root.key\naccounts:\n{}providers:\n{}",
        block(crate::site::ACCOUNT),
        block(crate::site::HOME),
    );
    fs::write(dir.join("providers.yaml"), file).unwrap();
    let zones = format!(
        "version: 1\nzones:\n{}certificates:\n{}",
        block(ZONE),
        block(
            "mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"
        ),
    );
    fs::create_dir(dir.join("repository")).unwrap();
    fs::write(dir.join("repository/zones.yaml"), &zones).unwrap();
    let options = ["-c", "repository/zones.yaml", "--providers", "providers.yaml"];
    site.run(&[&options[..], &["apply"]].concat()).ends(0);
    assert_eq!(site.names("mx"), ["example.test"], "the state stands beside the administrator's file");
    assert_eq!(site.pins(KNOT, "_25._tcp.mx1.example.test").len(), 2);
    assert!(!dir.join("repository/state").exists());

    let before = site.lab.counts();
    site.providers =
        "home: {httpreq: {endpoint: 'https://127.0.0.99/', password: {file: ../tsig.secret}}}".into();
    let theirs = format!("{zones}providers:\n{}", block(&site.providers));
    fs::write(dir.join("repository/zones.yaml"), theirs).unwrap();
    for command in ["plan", "apply"] {
        site.run(&[&options[..], &[command]].concat())
            .ends(78)
            .says(&["zones.yaml:7:3: providers.home: must not stand here with --providers"]);
    }
    assert_eq!(site.lab.counts(), before);
}

#[test]
fn what_a_killed_check_left_is_removed_by_the_next_one() {
    let site = Site::new(Lab::start(quick()));
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed}"]);
    let names =
        [("_danesmith-check.example.test", "TXT"), ("_25._tcp._danesmith-check.example.test", "TLSA")];
    let left =
        |wanted: usize| names.iter().all(|(owner, rtype)| site.lab.dig(BIND, owner, rtype).len() == wanted);
    site.lab.freeze(Daemon::Knot);
    let mut check =
        site.command(&["provider", "check", "example.test"]).stdout(Stdio::null()).spawn().unwrap();
    eventually(Duration::from_secs(20), "both records are written", || left(1));
    check.kill().unwrap();
    check.wait().unwrap();
    site.lab.resume(Daemon::Knot);
    assert!(left(1));
    let run = site.run(&["provider", "check", "example.test"]).ends(0);
    assert!(
        run.json["seen"].to_string().contains("what an interrupted check left was removed"),
        "{:#}",
        run.json
    );
    assert!(left(0));
}
