//! dns-lexicon itself, from PyPI in a virtual environment below `target/`, against a real PowerDNS.

use crate::powerdns::{KEY, PowerDns};
use crate::python::{fetched::run, python_or_return};
use crate::support::{change, name, tlsa, txt, zone};
use crate::tools::*;
use danesmith_providers::adapters::lexicon;
use danesmith_providers::exec::{ExecProvider, Options, Setting, Settings};
use danesmith_providers::{Class, Error, Provider};
use hickory_proto::rr::RecordType::{TLSA, TXT};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

async fn open(python: PathBuf, server: &PowerDns, key: &str) -> Result<ExecProvider, Error> {
    let settings = Settings::from([
        ("pdns_server".to_owned(), Setting::Plain(json!(server.url()))),
        ("auth_token".to_owned(), Setting::Secret(key.to_owned().into())),
    ]);
    lexicon::open(python.into(), "powerdns", settings, Options::new("lexicon powerdns")).await
}

#[tokio::test]
async fn lexicon_conforms_with_txt_and_tlsa() {
    let python = python_or_return!();
    let server = PowerDns::start();
    let provider = open(python, &server, KEY).await.unwrap();
    assert_all_passed(&conformance_at(&provider, server.address()).await);
}

#[tokio::test]
async fn foreign_values_survive_lexicon_and_its_own_are_found_in_any_spelling() {
    let python = python_or_return!();
    let server = PowerDns::start();
    let (first, second) =
        (open(python.clone(), &server, KEY).await.unwrap(), open(python, &server, KEY).await.unwrap());
    let (pins, at) = ("_25._tcp.mx.example.test.", name("_25._tcp.mx.example.test."));
    first.apply(&zone(), &[change(pins, &[tlsa(0xab), tlsa(2)], &[])]).await.unwrap();
    // The other one wrote meanwhile, and the first one must not work on an old view.
    second.apply(&zone(), &[change(pins, &[tlsa(3)], &[])]).await.unwrap();
    first.apply(&zone(), &[change(pins, &[tlsa(4)], &[tlsa(0xab)])]).await.unwrap();
    assert_eq!(second.list(&zone(), &at, TLSA).await.unwrap().values.len(), 3);
    let challenge = change("_acme-challenge.mx.example.test.", &[txt("a"), txt("b")], &[]);
    second.apply(&zone(), &[challenge]).await.unwrap();
    let listed = first.list(&zone(), &name("_acme-challenge.mx.example.test."), TXT).await.unwrap();
    assert_eq!(listed.values.len(), 2);
}

#[tokio::test]
async fn lexicon_tells_a_wrong_key_a_wrong_zone_and_a_missing_library_apart() {
    let python = python_or_return!();
    let server = PowerDns::start();
    let wrong = open(python.clone(), &server, "some-other-key").await.unwrap();
    let error = wrong.list(&zone(), &name("a.example.test."), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::Auth, "{error}");
    assert!(!error.message.contains("some-other-key"), "{error}");

    let good = open(python.clone(), &server, KEY).await.unwrap();
    let error = good.list(&name("other.test."), &name("a.other.test."), TXT).await.unwrap_err();
    assert_eq!(error.class, Class::NotFound, "{error}");

    let unknown = lexicon::open(python.into(), "no-such-host", Settings::new(), Options::new("lexicon"))
        .await
        .unwrap_err();
    assert_eq!(unknown.class, Class::Unsupported, "{unknown}");
    let dir = Dir::new();
    run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&dir.0)).unwrap();
    let bare = dir.path("bin/python3").into();
    let without =
        lexicon::open(bare, "powerdns", Settings::new(), Options::new("lexicon")).await.unwrap_err();
    assert_eq!(without.class, Class::Unsupported, "{without}");
    assert!(without.message.contains("has no dns-lexicon"), "{without}");
}
