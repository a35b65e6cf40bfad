//! Where danesmith refuses to put a private key, and whose files it leaves alone.

use crate::site::{Algorithm, Site, chmod, some_group};
use std::fs;
use std::os::unix::fs::{chown, symlink};

fn site(deploy: &str) -> Site {
    let site =
        Site::new(&[&format!("mx1: {{names: [mx.example.org], keys: managed, deploy: {{{deploy}}}}}")]);
    site.key("mx1", Algorithm::Ecdsa);
    site.install("mx1", true);
    site
}

/// The run ends with 78, says this, and puts nothing into the folder.
#[track_caller]
fn refuses(site: &Site, folder: &str, words: &str) {
    let said = site.apply(78);
    assert!(said.contains(words), "{said}");
    assert!(said.contains("nothing was deployed"), "{said}");
    assert!(!site.path(folder).join(".danesmith").exists());
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let site = site("dir: out/tls");
    fs::create_dir(site.path("out/tls")).unwrap();
    for mode in [0o777, 0o1777, 0o757] {
        chmod(&site.path("out/tls"), mode);
        refuses(&site, "out/tls", &format!("can be written by everybody (mode {mode:04o})"));
    }
    chmod(&site.path("out/tls"), 0o775);
    chown(site.path("out/tls"), None, Some(some_group().1)).unwrap();
    refuses(&site, "out/tls", "can be written by its group");
    chmod(&site.path("out/tls"), 0o755);
    site.apply(0);
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let site = site("dir: out/tls");
    fs::create_dir(site.path("out/tls")).unwrap();
    chown(site.path("out/tls"), Some(1), None).unwrap();
    refuses(&site, "out/tls", "belongs to the user daemon, who could replace files in it");
}

#[test]
fn a_link_to_a_folder_that_everybody_can_write_to_is_refused() {
    let site = site("dir: out/tls");
    fs::create_dir(site.path("open")).unwrap();
    chmod(&site.path("open"), 0o777);
    symlink("../open", site.path("out/tls")).unwrap();
    refuses(&site, "open", "can be written by everybody");
    // Nor below one.
    fs::create_dir(site.path("open/tls")).unwrap();
    fs::remove_file(site.path("out/tls")).unwrap();
    symlink("../open/tls", site.path("out/tls")).unwrap();
    refuses(&site, "open/tls", "/open` can be written by everybody");
    chmod(&site.path("open"), 0o755);
    site.apply(0);
    assert_eq!(site.read("open/tls/chains.pem"), site.installed("mx1", "keyandchain.pem"));
}

#[test]
fn users_and_groups_that_the_host_does_not_know_are_named() {
    let unknown = site("dir: out/tls, owner: nobody-of-that-name");
    refuses(
        &unknown,
        "out/tls",
        "deploy files for the user `nobody-of-that-name`: this host knows no such user",
    );
    let unknown = site("dir: out/tls, group: nogroup-of-that-name");
    refuses(&unknown, "out/tls", "`getent group` lists what it knows");
    let by_number = site("dir: out/tls, owner: '1', group: '1'");
    by_number.apply(0);
    let listing = by_number.listing("out/tls");
    let keys = listing.iter().filter(|(path, _)| path.ends_with("/privkey.pem"));
    assert_eq!(keys.map(|(_, what)| what.as_str()).collect::<Vec<_>>(), ["0640 1:1"]);
}

#[test]
fn what_is_not_ours_is_not_replaced() {
    for (name, make) in
        [("mx1", "file"), ("mx.key", "file"), ("chains.pem", "file"), ("mx.key", "link"), ("mx1", "folder")]
    {
        let site = site("dir: out/tls, files: {privkey: mx.key}");
        let path = site.path("out/tls").join(name);
        fs::create_dir(site.path("out/tls")).unwrap();
        match make {
            "file" => fs::write(&path, "precious").unwrap(),
            "link" => symlink("/etc/hostname", &path).unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        let before = fs::symlink_metadata(&path).unwrap().file_type();
        let said = site.apply(74);
        assert!(said.contains("something that is not danesmith's stands there"), "{said}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before);
        if make == "file" {
            assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        }
        if make == "folder" {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        site.apply(0);
    }
}

#[test]
fn a_missing_parent_is_told() {
    let said = site("dir: out/not/there").apply(74);
    assert!(said.contains("could not create the folder `"), "{said}");
}

#[test]
fn somebody_who_may_not_give_files_away_is_told() {
    let site = site("dir: out/tls, owner: root");
    chown_all(&site, 1);
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=1", "--regid=1", "--clear-groups", env!("CARGO_BIN_EXE_danesmith"), "apply"])
        .current_dir(&site.0)
        .output()
        .unwrap();
    let said = crate::site::told(&output);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("Operation not permitted"), "{said}");
    assert!(!site.path("out/tls/mx1").exists());
    let left = site.listing("out/tls");
    assert!(!left.keys().any(|name| name.ends_with("privkey.pem")), "{left:?}");
}

fn chown_all(site: &Site, uid: u32) {
    let status =
        std::process::Command::new("chown").arg("-R").arg(uid.to_string()).arg(&site.0).status().unwrap();
    assert!(status.success());
}
