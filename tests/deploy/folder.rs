//! What stands in the folder, and when it changes.

use crate::site::{Algorithm, Site, some_group};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

const MX1: &str = "mx1: {names: [mx.example.org], keys: managed, deploy: {dir: out/tls, reload: [/bin/sh, -c, 'echo $DANESMITH_CERTIFICATE $DANESMITH_GENERATION $DANESMITH_DIR >>reloads']}}";

fn reloads(site: &Site) -> String {
    fs::read_to_string(site.path("reloads")).unwrap_or_default()
}

#[test]
fn files_get_their_owner_group_and_mode_and_one_switch() {
    let (group, gid) = some_group();
    let deploy = format!(
        "{{dir: out/tls, owner: daemon, group: {group}, files: {{privkey: mx.key, fullchain: mx.crt}}}}"
    );
    let site = Site::new(&[&format!("mx1: {{names: [mx.example.org], keys: managed, deploy: {deploy}}}")]);
    site.key("mx1", Algorithm::Ecdsa);
    site.install("mx1", true);
    site.apply(0);

    let listing = site.listing("out/tls");
    let generation = fs::read_link(site.path("out/tls/mx1")).unwrap();
    let chains = fs::read_link(site.path("out/tls/chains.pem")).unwrap();
    let mut expected: Vec<(String, String)> = vec![
        (".danesmith".into(), "0755 folder".into()),
        (".danesmith/chains.pem".into(), "0755 folder".into()),
        (".danesmith/lock".into(), "0600 0:0".into()),
        (".danesmith/mx1".into(), "0755 folder".into()),
        (generation.display().to_string(), "0755 folder".into()),
        (chains.display().to_string(), format!("0640 1:{gid}")),
        ("chains.pem".into(), format!("-> {}", chains.display())),
        ("mx.crt".into(), "-> mx1/fullchain.pem".into()),
        ("mx.key".into(), "-> mx1/privkey.pem".into()),
        ("mx1".into(), format!("-> {}", generation.display())),
    ];
    for (file, mode) in [
        ("cert", "0644"),
        ("chain", "0644"),
        ("fullchain", "0644"),
        ("keyandchain", "0640"),
        ("privkey", "0640"),
    ] {
        expected.push((format!("{}/{file}.pem", generation.display()), format!("{mode} 1:{gid}")));
        assert_eq!(
            site.read(&format!("out/tls/mx1/{file}.pem")),
            site.installed("mx1", &format!("{file}.pem"))
        );
    }
    assert_eq!(listing, expected.into_iter().collect());
    assert_eq!(site.read("out/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
    assert_eq!(site.read("out/tls/mx.key"), site.installed("mx1", "privkey.pem"));
}

#[test]
fn a_deployment_happens_once_and_again_when_something_is_missing() {
    let site = Site::new(&[MX1]);
    site.key("mx1", Algorithm::Ecdsa);
    site.install("mx1", true);
    let plan = || String::from_utf8(site.danesmith(&["plan"]).stdout).unwrap();
    assert!(plan().contains("~ deploy key and chain to "), "{}", plan());
    site.apply(0);
    let dir = site.path("out/tls").display().to_string();
    assert_eq!(reloads(&site), format!("mx1 1 {dir}\n"));
    assert!(plan().contains("nothing to do until"), "{}", plan());
    site.apply(0);
    assert_eq!(reloads(&site).lines().count(), 1, "nothing was owed");

    fs::remove_file(site.path("out/tls/mx1/privkey.pem")).unwrap();
    site.apply(0);
    assert_eq!(site.read("out/tls/mx1/privkey.pem"), site.installed("mx1", "privkey.pem"));
    fs::remove_file(site.path("out/tls/chains.pem")).unwrap();
    site.apply(0);
    assert_eq!(site.read("out/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
    assert_eq!(reloads(&site).lines().count(), 3);

    // Another mode makes another folder; nobody sees a file change its rights.
    let former = fs::read_link(site.path("out/tls/mx1")).unwrap();
    site.configure(&[&MX1.replace("dir: out/tls", "dir: out/tls, mode: '0400'")]);
    site.apply(0);
    assert_ne!(fs::read_link(site.path("out/tls/mx1")).unwrap(), former);
    assert_eq!(
        site.listing("out/tls")
            [&format!("{}/privkey.pem", fs::read_link(site.path("out/tls/mx1")).unwrap().display())],
        "0400 0:0"
    );
}

#[test]
fn old_generations_go_but_for_the_one_before() {
    let site = Site::new(&[MX1]);
    for _ in 0..4 {
        site.renew("mx1", Algorithm::Ecdsa);
        site.apply(0);
    }
    let names = |folder: &str| fs::read_dir(site.path(folder)).unwrap().count();
    assert_eq!(names("out/tls/.danesmith/mx1"), 2);
    assert_eq!(names("out/tls/.danesmith/chains.pem"), 2);
    assert_eq!(reloads(&site).lines().count(), 4);
}

#[test]
fn a_failed_reload_is_owed_and_the_files_stay() {
    let site = Site::new(&[&MX1.replace("'echo", "'echo no such server >&2; test -e ok || exit 9; echo")]);
    site.key("mx1", Algorithm::Ecdsa);
    site.install("mx1", true);
    let said = site.apply(74);
    assert!(said.contains("exit status: 9; its last words: no such server"), "{said}");
    assert!(said.contains("the next apply runs it again"), "{said}");
    assert_eq!(site.read("out/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
    let status = || String::from_utf8(site.danesmith(&["status"]).stdout).unwrap();
    assert!(status().contains("\n  last run  failed, since 20"), "{}", status());
    assert!(status().contains("its last words:"), "{}", status());
    fs::write(site.path("ok"), "").unwrap();
    // Nothing is missing in the folder now, but the state remembers.
    let mut document = site.document("mx1");
    document["reload_owed"] = 1.into();
    fs::write(site.path("state/certificates/mx1/state.json"), document.to_string()).unwrap();
    site.apply(0);
    assert_eq!(reloads(&site).lines().count(), 1);
    assert_eq!(site.document("mx1").get("reload_owed"), None);
    assert!(!status().contains("last run"), "{}", status());
    let remembered = fs::metadata(site.path("state/memory.json")).unwrap().ino();
    site.apply(0);
    assert_eq!(
        fs::metadata(site.path("state/memory.json")).unwrap().ino(),
        remembered,
        "nothing new to remember"
    );
}

#[test]
fn without_the_private_key_only_chains_are_deployed() {
    let site = Site::new(&[
        "mx1: {names: [mx.example.org], keys: {active: {csr: mx1.csr}}, deploy: {dir: out/tls}}",
    ]);
    site.key("mx1", Algorithm::Ecdsa);
    site.openssl(&[
        "req",
        "-new",
        "-key",
        "mx1.key",
        "-subj",
        "/",
        "-addext",
        "subjectAltName=DNS:mx.example.org",
        "-out",
        "mx1.csr",
    ]);
    site.install("mx1", false);
    let said = site.apply(0);
    assert!(
        said.contains("chain of generation 1 deployed to") && said.contains("its private key is elsewhere"),
        "{said}"
    );
    let names: BTreeSet<String> = fs::read_dir(site.path("out/tls/mx1"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["cert.pem", "chain.pem", "fullchain.pem"].map(str::to_owned).into());
    assert!(!site.path("out/tls/chains.pem").exists());
    assert!(!site.apply(0).contains("deployed"), "it is done");
}

#[test]
fn certificates_that_share_a_folder_share_one_file_ecdsa_first() {
    let rsa = "a-rsa: {names: [mx.example.org], keys: {active: {key: a-rsa.key}}, deploy: {dir: out/tls}}";
    let site = Site::new(&[rsa, "mx1: {names: [mx.example.org], keys: managed, deploy: {dir: ./out/tls}}"]);
    for (name, algorithm) in [("a-rsa", Algorithm::Rsa), ("mx1", Algorithm::Ecdsa)] {
        site.key(name, algorithm);
        site.install(name, true);
    }
    site.apply(0);
    let both = |site: &Site| {
        format!("{}{}", site.installed("mx1", "keyandchain.pem"), site.installed("a-rsa", "keyandchain.pem"))
    };
    assert_eq!(site.read("out/tls/chains.pem"), both(&site));
    assert!(!site.apply(0).contains("deployed"), "it is done");

    site.renew("mx1", Algorithm::Ecdsa);
    let said = site.apply(0);
    assert!(said.contains("generation 2 deployed") && !said.contains("generation 1 deployed"), "{said}");
    assert_eq!(site.read("out/tls/chains.pem"), both(&site));

    // Who leaves zones.yaml leaves the file.
    site.configure(&["mx1: {names: [mx.example.org], keys: managed, deploy: {dir: ./out/tls}}"]);
    site.apply(0);
    assert_eq!(site.read("out/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
}

#[test]
fn two_keys_of_one_algorithm_in_one_file_are_refused() {
    let second = "mx2: {names: [mx.example.org], keys: {active: {key: mx2.key}}, deploy: {dir: out/tls}}";
    let site = Site::new(&["mx1: {names: [mx.example.org], keys: managed, deploy: {dir: out/tls}}", second]);
    for name in ["mx1", "mx2"] {
        site.key(name, Algorithm::Ecdsa);
        site.install(name, true);
    }
    let said = site.apply(4);
    assert!(said.contains("the keys of mx1 and mx2 have the same algorithm"), "{said}");
    assert!(said.contains("chains: mx2.pem"), "{said}");
    site.configure(&[
        "mx1: {names: [mx.example.org], keys: managed, deploy: {dir: out/tls}}",
        &second.replace("out/tls", "out/tls, chains: mx2.pem"),
    ]);
    site.apply(0);
    assert_eq!(site.read("out/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
    assert_eq!(site.read("out/tls/mx2.pem"), site.installed("mx2", "keyandchain.pem"));
}

#[test]
fn a_reader_never_sees_half_a_file_nor_a_key_beside_a_foreign_chain() {
    let site = Site::new(&["mx1: {names: [mx.example.org], keys: managed, deploy: {dir: out/tls}}"]);
    site.renew("mx1", Algorithm::Ecdsa);
    site.apply(0);
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.insert(site.read("out/tls/chains.pem"));
                seen.insert(site.read("out/tls/mx1/keyandchain.pem"));
                // One look at the switch, as a server has that keeps the folder open.
                let folder = fs::canonicalize(site.path("out/tls/mx1")).unwrap();
                let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
                seen.insert(read("privkey.pem") + &read("fullchain.pem"));
            }
            seen
        });
        let mut whole = BTreeSet::from([site.installed("mx1", "keyandchain.pem")]);
        for _ in 0..8 {
            site.renew("mx1", Algorithm::Ecdsa);
            whole.insert(site.installed("mx1", "keyandchain.pem"));
            site.apply(0);
        }
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(seen.is_subset(&whole), "{} things seen, {} whole", seen.len(), whole.len());
        seen
    });
    assert!(seen.len() > 2, "the reader saw {} generations", seen.len());
}
