//! `deploy`: the folder for a server, and who shares it.

use super::{SMALL, bad, good, small_with};
use danesmith::model::desired::{Chains, Deploy, Files};

#[track_caller]
fn refused(deploy: &str, problem: &str) {
    small_with("    keys:", &format!("    deploy: {{{deploy}}}\n    keys:"), &format!("14:{problem}"));
}

/// SMALL with a second certificate, which is at line 17.
fn two(first: &str, second: &str) -> String {
    let text = SMALL.replace("    keys:", &format!("    deploy: {{{first}}}\n    keys:"));
    format!("{text}  second:\n    names: [mx.example.org]\n    deploy: {{{second}}}\n    keys: managed\n")
}

#[test]
fn a_folder_is_enough() {
    let text = SMALL.replace("    keys:", "    deploy: {dir: tls}\n    keys:");
    let desired = good(&text);
    let files = desired.certificates["mx"].deploy.files.clone().unwrap();
    assert!(files.dir.is_absolute() && files.dir.ends_with("tls"));
    let chains = Some(Chains { name: "chains.pem".into(), members: vec!["mx".into()] });
    let expected = Files {
        dir: files.dir.clone(),
        owner: None,
        group: None,
        mode: 0o600,
        links: [].into(),
        key_by_reload: false,
        chains,
    };
    assert_eq!(files, expected);
    let grouped = good(&text.replace("{dir: tls}", "{dir: tls, group: postfix}"));
    assert_eq!(grouped.certificates["mx"].deploy.files.as_ref().unwrap().mode, 0o640);
    let without = good(&text.replace("{dir: tls}", "{dir: tls, chains: none}"));
    assert_eq!(without.certificates["mx"].deploy.files.as_ref().unwrap().chains, None);
    assert_eq!(good(SMALL).certificates["mx"].deploy, Deploy::default());
}

#[test]
fn where_only_a_csr_is_nothing_with_the_key_can_be_written() {
    let text = SMALL.replace("    keys: managed", "    deploy: {dir: tls}\n    keys: {active: {csr: a.csr}}");
    assert_eq!(good(&text).certificates["mx"].deploy.files.as_ref().unwrap().chains, None);
    for (more, column, path) in
        [("chains: x.pem", 32, "chains"), ("files: {privkey: mx.key}", 41, "files.privkey")]
    {
        let text = text.replace("dir: tls", &format!("dir: tls, {more}"));
        let text = text.replace("privkey: mx.key", "privkey:   mx.key").replace("privkey:   ", "privkey: ");
        bad(
            &text,
            &format!(
                "14:{column}: certificates.mx.deploy.{path}: cannot be written: only a CSR is here, the private key is elsewhere\n  hint: drop this line: cert.pem, chain.pem and fullchain.pem are deployed"
            ),
        );
    }
}

#[test]
fn keys_that_others_may_read_are_refused() {
    let hint = "\n  hint: write one of \"0600\", \"0640\", \"0400\", \"0440\"; certificates can be read by everybody anyway";
    for mode in ["0644", "0604", "604", "0777"] {
        refused(
            &format!("dir: tls, mode: '{mode}'"),
            &format!(
                "30: certificates.mx.deploy.mode: `{mode}`: a private key that everybody may use is refused{hint}"
            ),
        );
    }
    for mode in ["0660", "0700", "0040", "u=rw", "4640", "8"] {
        refused(
            &format!("dir: tls, mode: '{mode}'"),
            &format!("30: certificates.mx.deploy.mode: `{mode}` is not a mode for private keys{hint}"),
        );
    }
    refused(
        "dir: tls, mode: 0640",
        "30: certificates.mx.deploy.mode: must be text, but YAML takes it for a number or for true or false\n  hint: write it in quotes",
    );
}

#[test]
fn owners_and_file_names_are_plain() {
    refused(
        "dir: tls, owner: 'root:root'",
        "31: certificates.mx.deploy.owner: `root:root`: is not the name or number of a user or group",
    );
    let names = "is not a file name: 1 to 64 of letters, digits, `.`, `_`, `-`; first no dot";
    refused("dir: tls, chains: ../x.pem", &format!("32: certificates.mx.deploy.chains: `../x.pem`: {names}"));
    refused("dir: tls, files: {cert: .x}", &format!("38: certificates.mx.deploy.files.cert: `.x`: {names}"));
}

#[test]
fn settings_of_files_need_a_folder() {
    refused(
        "group: postfix",
        "21: certificates.mx.deploy.group: has no effect without `dir`\n  hint: add `dir: FOLDER` or drop this line",
    );
}

#[test]
fn names_in_a_folder_are_taken_once() {
    let hint = "\n  hint: name them differently";
    refused(
        "dir: tls, files: {cert: a.pem, chain: a.pem}",
        &format!(
            "19: certificates.mx.deploy.dir: `a.pem` would be two things in this folder: see certificate mx{hint}"
        ),
    );
    refused(
        "dir: tls, files: {cert: chains.pem}",
        &format!(
            "19: certificates.mx.deploy.dir: `chains.pem` would be two things in this folder: see certificate mx{hint}"
        ),
    );
    bad(
        &two("dir: tls, files: {cert: second}", "dir: ./tls, chains: none"),
        &format!(
            "19:19: certificates.second.deploy.dir: `second` would be two things in this folder: see certificate mx{hint}"
        ),
    );
}

#[test]
fn who_shares_a_file_agrees() {
    bad(
        &two("dir: tls", "dir: tls"),
        "19:19: certificates.second.deploy.dir: shares `chains.pem` with certificate mx, and both have ECDSA keys: a server takes one per algorithm\n  hint: write `chains: second.pem`, or `chains: none`, or use another folder",
    );
    bad(
        &two("dir: tls", "dir: tls, group: postfix"),
        "19:19: certificates.second.deploy.dir: shares `chains.pem` with certificate mx, but wants another owner, group or mode\n  hint: write `chains: second.pem`, or `chains: none`, or use another folder",
    );
    let own =
        two("dir: tls", "dir: tls").replace("    keys: managed\n", "    keys: {active: {key: a.key}}\n");
    let desired = good(&own);
    for name in ["mx", "second"] {
        let chains = desired.certificates[name].deploy.files.as_ref().unwrap().chains.clone();
        assert_eq!(chains.unwrap().members, ["mx", "second"]);
    }
}

#[test]
fn the_word_for_a_key_that_follows_its_chain_is_by_reload() {
    let text = SMALL.replace("    keys:", "    deploy: {dir: tls, key: by-reload}\n    keys:");
    assert!(good(&text).certificates["mx"].deploy.files.as_ref().unwrap().key_by_reload);
    refused("dir: tls, key: yes", "29: certificates.mx.deploy.key: `yes`: must be `by-reload`, or absent");
}
