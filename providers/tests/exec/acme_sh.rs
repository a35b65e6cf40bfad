//! The adapter of acme.sh at a real BIND. acme.sh is in no package registry we reach, so a stand-in of our own keeps its
//! calling convention: it runs its arguments as a command, has the helpers that scripts call, and its script removes the
//! whole TXT RRset, as acme.sh's own dns_nsupdate does. What the stand-in cannot show is that nothing else of acme.sh is
//! needed by the scripts of other hosts.

use crate::support::{Kind, Server, change, name, standing, txt, zone};
use crate::tools::*;
use danesmith_providers::adapters::acme_sh::AcmeSh;
use danesmith_providers::adapters::txt_only::{Removal, TxtOnly};
use danesmith_providers::conformance::Outcome;
use danesmith_providers::{Applied, Class, Provider};
use hickory_proto::rr::RecordType::{TLSA, TXT};
use std::sync::Arc;
use zeroize::Zeroizing;

const CANARY: &str = "c4n4ry-of-acme-sh";

const PROGRAM: &str = r#"#!/bin/sh
_info() { printf '%s\n' "$1"; }
_err() { printf '%s\n' "$1" >&2; return 1; }
_save_conf() { echo "$1=$2" >>"SAVED"; }
_saveaccountconf() { _save_conf "$@"; }
_saveaccountconf_mutable() { _save_conf "$@"; }
_readaccountconf_mutable() { grep "^$1=" "SAVED" | cut -d= -f2-; }
_savedomainconf() { _save_conf "$@"; }
_startswith() { case $1 in "$2"*) return 0 ;; *) return 1 ;; esac; }
main() {
    [ -z "$1" ] && return
    if _startswith "$1" '-'; then echo "usage" >&2; exit 2; else "$@"; fi
}
main "$@"
"#;

const SCRIPT: &str = r#"#!/usr/bin/env sh
dns_standin_add() {
    echo "add $1 $2" >>CALLS
    STANDIN_KEY="${STANDIN_KEY:-$(_readaccountconf_mutable STANDIN_KEY)}"
    [ "$STANDIN_TOKEN" ] || { _err "no STANDIN_TOKEN"; return 1; }
    _saveaccountconf_mutable STANDIN_TOKEN "$STANDIN_TOKEN"
    _savedomainconf STANDIN_KEY "$STANDIN_KEY"
    env >ENV; tr '\0' ' ' </proc/$$/cmdline >ARGV; : >"$HOME/left-behind"
    _info "logging in with $STANDIN_TOKEN"
    _standin "update add $1. 60 IN TXT \"$2\""
}
dns_standin_rm() {
    echo "rm $1 $2" >>CALLS
    _standin "update delete $1. TXT"
}
_standin() {
    printf 'server %s %s\nkey hmac-sha256:k256 %s\n%s\nsend\n' "$STANDIN_SERVER" "$STANDIN_PORT" "$STANDIN_KEY" "$1" | nsupdate || _err "invalid domain"
}
"#;

/// An install with one script.
fn install() -> Dir {
    let dir = Dir::new();
    let here = |text: &str| {
        ["SAVED", "CALLS", "ENV", "ARGV"].iter().fold(text.to_owned(), |text, file| {
            text.replace(&format!(">>{file}"), &format!(">>{}", dir.path(file).display()))
                .replace(&format!(">{file}"), &format!(">{}", dir.path(file).display()))
                .replace(&format!("\"{file}\""), &format!("\"{}\"", dir.path(file).display()))
        })
    };
    std::fs::create_dir(dir.path("dnsapi")).unwrap();
    dir.program("acme.sh", &here(PROGRAM));
    dir.program("dnsapi/dns_standin.sh", &here(SCRIPT));
    dir
}

fn credentials(server: &Server) -> Vec<(String, Zeroizing<String>)> {
    let address = server.address();
    [
        ("STANDIN_SERVER", address.ip().to_string()),
        ("STANDIN_PORT", address.port().to_string()),
        ("STANDIN_KEY", secret()),
        ("STANDIN_TOKEN", CANARY.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .to_vec()
}

fn provider(dir: &Dir, server: &Server, removal: Removal) -> TxtOnly<AcmeSh> {
    let tool = AcmeSh::new(&dir.0, "dns_standin", credentials(server)).unwrap();
    TxtOnly::new(tool, Arc::new(Witness::of(server)), removal, None)
}

const KEPT: &str = "_acme-challenge.kept.example.test.";
const CHALLENGE: &str = "_acme-challenge.mx.example.test.";

#[tokio::test]
async fn acme_sh_conforms_but_for_single_removals() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let findings = conformance(&provider(&dir, &server, Removal::MayTakeAll), &server).await;
    let with =
        |outcome| findings.iter().filter(|f| f.outcome == outcome).map(|f| f.check).collect::<Vec<_>>();
    assert_eq!(with(Outcome::Failed), [""; 0], "{findings:#?}");
    assert_eq!(with(Outcome::Limited), ["removing one value leaves its siblings"]);
    assert_eq!(with(Outcome::Skipped).len(), 4, "{findings:#?}");
    assert!(with(Outcome::Passed).len() >= 13, "{findings:#?}");
}

#[tokio::test]
async fn foreign_values_are_worth_more_than_a_tidy_zone() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let provider = provider(&dir, &server, Removal::MayTakeAll);
    let log = Log::default();
    let guard = log.catch();
    assert_eq!(provider.apply(&zone(), &[change(KEPT, &[txt("ours")], &[])]).await.unwrap().writes, 1);
    let removed = provider.apply(&zone(), &[change(KEPT, &[], &[txt("ours")])]).await.unwrap();
    drop(guard);
    assert_eq!(removed, Applied { writes: 0 });
    let witness = crate::support::provider(server.address(), |_| {});
    assert_eq!(standing(&witness, KEPT, TXT).await.1.len(), 2);
    assert!(log.text().contains("1 other value(s) stand there"), "{}", log.text());
    assert!(!dir.read("CALLS").contains("rm "), "{}", dir.read("CALLS"));
}

#[tokio::test]
async fn our_own_values_go_together_although_the_script_takes_all_at_once() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let provider = provider(&dir, &server, Removal::MayTakeAll);
    let two = [txt("apex"), txt("wildcard")];
    assert_eq!(provider.apply(&zone(), &[change(CHALLENGE, &two, &[])]).await.unwrap().writes, 2);
    assert_eq!(provider.apply(&zone(), &[change(CHALLENGE, &two, &[])]).await.unwrap().writes, 0);
    // The second call finds nothing any more; whether that is so cannot be told from here for sure.
    assert_eq!(provider.apply(&zone(), &[change(CHALLENGE, &[], &two)]).await.unwrap().writes, 2);
    assert_eq!(dir.read("CALLS").lines().filter(|line| line.starts_with("rm ")).count(), 2);
    assert!(provider.list(&zone(), &name(CHALLENGE), TXT).await.unwrap().values.is_empty());
}

#[tokio::test]
async fn nothing_is_removed_blindly_when_the_servers_are_away() {
    let (dir, mut server) = (install(), Server::start(Kind::Bind));
    let provider = provider(&dir, &server, Removal::MayTakeAll);
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap();
    server.kill();
    let error = provider.apply(&zone(), &[change(CHALLENGE, &[], &[txt("a")])]).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(!dir.read("CALLS").contains("rm "));
}

#[tokio::test]
async fn credentials_reach_the_script_alone_and_nothing_is_saved() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let log = Log::default();
    let guard = log.catch();
    let provider = provider(&dir, &server, Removal::MayTakeAll);
    provider.apply(&zone(), &[change(CHALLENGE, &[txt("-a_b-")], &[])]).await.unwrap();
    drop(guard);
    assert_eq!(dir.read("CALLS"), "add _acme-challenge.mx.example.test -a_b-\n");
    assert!(dir.read("ENV").contains(CANARY) && !dir.read("ARGV").contains(CANARY), "{}", dir.read("ARGV"));
    assert!(dir.read("ARGV").contains("acme.sh eval"), "{}", dir.read("ARGV"));
    assert!(!dir.path("SAVED").exists());
    let environment = dir.read("ENV");
    let home = environment.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap().to_owned();
    assert!(!std::path::Path::new(&home).exists(), "{home}");
    assert!(environment.lines().all(|line| !line.starts_with("CARGO")), "{environment}");
    let text = log.text();
    assert!(
        text.contains("acme.sh dns_standin: logging in with [secret]") && !text.contains(CANARY),
        "{text}"
    );
    assert!(std::env::var_os("STANDIN_TOKEN").is_none());
}

#[tokio::test]
async fn a_script_that_fails_is_quoted() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let mut bad = credentials(&server);
    bad[2].1 = "c29tZSBvdGhlciBzZWNyZXQgb2Ygc29tZSBsZW5ndGg=".to_owned().into();
    let tool = AcmeSh::new(&dir.0, "dns_standin", bad).unwrap();
    let provider = TxtOnly::new(tool, Arc::new(Witness::of(&server)), Removal::MayTakeAll, None);
    let error = provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected);
    assert!(error.message.contains("invalid domain"), "{error}");
    assert!(!error.message.contains("c29tZSBvdGhl") && !error.message.contains(CANARY), "{error}");
}

#[tokio::test]
async fn pins_and_what_is_no_install_are_refused() {
    let (dir, server) = (install(), Server::start(Kind::Bind));
    let provider = provider(&dir, &server, Removal::MayTakeAll);
    let pins = [(name("_25._tcp.mx.example.test."), TLSA)];
    assert_eq!(provider.preflight(&zone(), &pins).await.unwrap_err().class, Class::Unsupported);
    assert_eq!(provider.capabilities().types, [TXT]);
    provider.preflight(&zone(), &[(name(CHALLENGE), TXT)]).await.unwrap();

    for script in ["dns_missing", "../acme", "standin", "dns_a;b"] {
        assert_eq!(AcmeSh::new(&dir.0, script, vec![]).err().unwrap().class, Class::Rejected, "{script}");
    }
    for variable in ["LD_PRELOAD", "PATH", "HOME", "BASH_ENV", "A B", "", "1X"] {
        let env = vec![(variable.to_owned(), "x".to_owned().into())];
        assert!(AcmeSh::new(&dir.0, "dns_standin", env).is_err(), "{variable}");
    }
}
