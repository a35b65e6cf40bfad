//! `tlsa` and `keys` as they are typed.

use crate::dir::{Dir, SAN};
use clap::Parser;
use danesmith::cli::{keys, tlsa};
use danesmith::error::{Error, Kind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The command line of the commands under test.
#[derive(Parser)]
enum Line {
    Tlsa(tlsa::TlsaArgs),
    Keys(keys::KeysArgs),
}

fn danesmith(words: &[&str]) -> Result<danesmith::report::Output, Error> {
    match Line::try_parse_from([&["danesmith"], words].concat()).unwrap_or_else(|error| panic!("{error}")) {
        Line::Tlsa(args) => tlsa::run(&args),
        Line::Keys(args) => keys::run(&args),
    }
}

/// Two keys, of which the first is in two files.
fn three_files(dir: &Dir) -> [String; 3] {
    dir.ec("P-256", "one.pem");
    dir.ec("P-384", "two.pem");
    dir.csr("one.pem", "one.csr", &[SAN]);
    ["one.pem", "one.csr", "two.pem"].map(|name| dir.text(name))
}

const APEX: &str = "@ 3600 IN SOA ns.example.org. root.example.org. 1 3600 600 86400 300\n\
                    @ 3600 IN NS ns.example.org.\nns.example.org. 3600 IN A 192.0.2.53\n";

#[test]
fn zone_lines_load_in_bind_in_both_notations() {
    let dir = Dir::new();
    let [one, csr, two] = three_files(&dir);
    let mut loaded = Vec::new();
    for format in ["zone", "rfc3597"] {
        let words =
            ["tlsa", &one, &csr, &two, "--host", "MX1.example.org", "--host", "mx.bücher.example.org"];
        let rest = ["--port", "25", "--port", "465", "--owner", "*._tcp.mx2.example.org", "--format", format];
        let text = danesmith(&[&words[..], &rest[..]].concat()).unwrap().text;
        assert_eq!(text.lines().count(), 10, "{text}");
        std::fs::write(dir.path("zone"), format!("{APEX}{text}")).unwrap();
        loaded.push(dir.run("named-checkzone", "-o - -D example.org zone"));
    }
    let canonical = String::from_utf8(loaded[0].clone()).unwrap();
    assert_eq!(canonical.matches("TLSA").count(), 10, "{canonical}");
    assert_eq!(loaded[0], loaded[1]);
    assert!(canonical.contains("_465._tcp.mx.xn--bcher-kva.example.org."));
}

#[test]
fn nsupdate_takes_its_commands() {
    let dir = Dir::new();
    let [one, _, two] = three_files(&dir);
    let words =
        ["tlsa", &one, &two, "--host", "mx1.example.org", "--format", "nsupdate", "--zone", "example.org"];
    let text = danesmith(&words).unwrap().text;
    // "show" prints the message that "send" would send; nothing leaves this host.
    let script = text.replace("send\n", "show\n");
    assert_ne!(script, text);
    std::fs::write(dir.path("script"), script).unwrap();
    let mut nsupdate = Command::new("nsupdate");
    let output = nsupdate.arg("script").current_dir(&dir.0).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.matches("_25._tcp.mx1.example.org.").count(), 2, "{told}");
    assert!(told.contains(";example.org.\t\t\tIN\tSOA"), "{told}");
}

#[test]
fn without_owner_the_record_data_is_printed_once_a_key() {
    let dir = Dir::new();
    let [one, csr, two] = three_files(&dir);
    let output = danesmith(&["tlsa", &one, &csr, &two]).unwrap();
    let (first, second) = (dir.digest("one.pem"), dir.digest("two.pem"));
    assert_eq!(output.text, format!("3 1 1 {first}\n3 1 1 {second}\n"));
    assert_eq!(output.json["keys"].as_array().unwrap().len(), 3);
    assert_eq!(output.json["keys"][1]["kind"], "CSR");
    assert_eq!(output.json["keys"][2]["spki_sha256"], second.as_str());
}

#[test]
fn wrong_command_lines_of_tlsa_are_usage_errors() {
    let dir = Dir::new();
    let [one, ..] = three_files(&dir);
    for rest in [
        &["--format", "nsupdate"][..],
        &["--owner", "_0._tcp.example.org"],
        &["--host", "192.0.2.1"],
        &["--zone", "example.org"],
        &["-", "-"],
    ] {
        let error = danesmith(&[&["tlsa", &one], rest].concat()).unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "{rest:?}: {error}");
    }
    assert!(Line::try_parse_from(["danesmith", "tlsa", "x", "--host", "a.org", "--port", "0"]).is_err());
    assert!(Line::try_parse_from(["danesmith", "tlsa", "x", "--port", "25"]).is_err());
    assert!(Line::try_parse_from(["danesmith", "tlsa", "x", "--ttl", "2147483648"]).is_err());
}

#[test]
fn unusable_files_are_input_errors_with_a_hint() {
    let dir = Dir::new();
    std::fs::write(dir.path("notes"), "nothing here").unwrap();
    let error = danesmith(&["tlsa", &dir.text("notes")]).unwrap_err();
    assert_eq!((error.kind, error.hints.len()), (Kind::Input, 1));
    assert!(error.to_string().contains("notes: no certificate, CSR or key was found in it"), "{error}");
    assert_eq!(danesmith(&["tlsa", &dir.text("absent")]).unwrap_err().kind, Kind::Local);
}

#[test]
fn a_new_key_is_ours_alone_and_never_replaces_another() {
    let dir = Dir::new();
    for (name, algorithm) in [("a.pem", "p256"), ("b.pem", "p384")] {
        let out = dir.text(name);
        let output = danesmith(&["keys", "new", "--out", &out, "--algorithm", algorithm]).unwrap();
        assert_eq!(output.text.trim_end(), dir.digest(name));
        let mode = std::fs::metadata(dir.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = dir.read(name);
        let error = danesmith(&["keys", "new", "--out", &out]).unwrap_err();
        assert_eq!((error.kind, error.remains.is_some()), (Kind::Local, true));
        assert_eq!(dir.read(name), before);
    }
    // Nor does it follow a link that leads nowhere yet.
    std::os::unix::fs::symlink(dir.path("target"), dir.path("link")).unwrap();
    assert!(danesmith(&["keys", "new", "--out", &dir.text("link")]).is_err());
    assert!(!Path::new(&dir.path("target")).exists());
}

#[test]
fn a_csr_from_the_command_line_verifies_in_openssl() {
    let dir = Dir::new();
    let key = dir.text("key.pem");
    danesmith(&["keys", "new", "--out", &key]).unwrap();
    let words = ["keys", "csr", "--key", &key, "--name", "MX1.Bücher.example", "--name", "*.example.org"];
    let printed = danesmith(&words).unwrap();
    assert_eq!(printed.json["names"], serde_json::json!(["*.example.org", "mx1.xn--bcher-kva.example"]));
    assert!(printed.text.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
    let out = dir.text("key.csr");
    let written = danesmith(&[&words[..], &["--out", &out]].concat()).unwrap();
    assert_eq!(written.text.trim_end(), dir.digest("key.pem"));
    dir.openssl("req -in key.csr -verify -noout");
    assert!(danesmith(&[&words[..], &["--out", &out]].concat()).is_err());
    for name in ["mx.*.example.org", "192.0.2.1", "a b"] {
        let error = danesmith(&["keys", "csr", "--key", &key, "--name", name]).unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "{name}");
    }
}

#[test]
fn a_list_says_which_files_hold_the_same_key() {
    let dir = Dir::new();
    let [one, csr, two] = three_files(&dir);
    let (first, second) = (dir.digest("one.pem"), dir.digest("two.pem"));
    std::fs::remove_file(dir.path("one.pem.pub.der")).unwrap();
    std::fs::remove_file(dir.path("two.pem.pub.der")).unwrap();
    std::fs::write(dir.path("README"), "hello").unwrap();
    let width = one.len();
    let expected = format!(
        "{:width$}  -            -      no certificate, CSR or key was found in it\n\
         {csr}  CSR          P-256  {first}\n\
         {one}  private key  P-256  {first}  same key as {csr}\n\
         {two}  private key  P-384  {second}\n",
        dir.text("README"),
    );
    let listed = danesmith(&["keys", "list", &dir.0.display().to_string()]).unwrap();
    assert_eq!(listed.text, expected);
    assert_eq!(listed.json["keys"][2]["same_key_as"], csr.as_str());
    assert!(danesmith(&["keys", "list", &dir.text("README")]).is_err());
}
