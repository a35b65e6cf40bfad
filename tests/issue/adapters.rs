//! Certificates through what people have installed for other clients: acme.sh, lego, dns-lexicon.

use crate::first::quick;
use crate::providers::{PDNS_ZONE, executable, keys, with_pdns};
use crate::python::python_or_return;
use crate::site::{HOME, Site};
use crate::support::{BIND, KNOT, Lab, Options, PDNS, eventually};
use std::fs;
use std::time::Duration;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5, tlsa: 7}}";

/// acme.sh cannot be had from a package here: this keeps its calling convention (its arguments are a command, its helpers
/// are there), and its script removes the whole TXT RRset, as acme.sh's own dns_nsupdate does.
const STAND_IN: &str = r#"#!/bin/sh
_info() { printf '%s\n' "$1"; }
_err() { printf '%s\n' "$1" >&2; return 1; }
_saveaccountconf_mutable() { echo "saved" >>CALLS; }
_readaccountconf_mutable() { :; }
"$@"
"#;
const SCRIPT: &str = r#"#!/usr/bin/env sh
dns_standin_add() {
    echo "add $1" >>CALLS
    _saveaccountconf_mutable STANDIN_KEY "$STANDIN_KEY"
    _standin "update add $1. 5 IN TXT \"$2\""
}
dns_standin_rm() { echo "rm $1" >>CALLS; _standin "update delete $1. TXT"; }
_standin() {
    printf 'server 127.0.0.11\nkey hmac-sha256:danesmith-key %s\n%s\nsend\n' "$STANDIN_KEY" "$1" | nsupdate || _err "invalid domain"
}
"#;

/// Its provider, after its files were written; they note their calls in the file `calls`.
fn stand_in(site: &Site) -> &'static str {
    let calls = site.lab.dir().join("calls");
    let here = |text: &str| text.replace("CALLS", calls.to_str().unwrap());
    fs::create_dir_all(site.lab.dir().join("acme.sh/dnsapi")).unwrap();
    executable(&site.lab.dir().join("acme.sh/acme.sh"), &here(STAND_IN));
    executable(&site.lab.dir().join("acme.sh/dnsapi/dns_standin.sh"), &here(SCRIPT));
    "{acme_sh: {install: ./acme.sh, script: dns_standin, env: {STANDIN_KEY: {file: tsig.secret}}}}"
}

#[test]
fn txt_goes_by_a_script_and_an_alias_and_tlsa_by_updates_in_one_certificate() {
    let mut site = Site::new(Lab::start(Options { extra_zones: 1, ..quick() }));
    site.providers = format!("script: {}\n{HOME}", stand_in(&site));
    site.configure(
        &["z01.test: {provider: script, propagation: 15s, ttl: {txt: 5}}", ZONE],
        &["mx: {names: [example.test, '*.example.test'], keys: managed, tlsa: [_25._tcp.mx1.example.test], endpoints: unchecked}"],
    );
    site.lab.add_record("example.test", "_acme-challenge.example.test", "CNAME", "example.z01.test.");
    site.lab.add_record("example.test", "_25._tcp.mx1.example.test", "TLSA", &format!("2 1 1 {:064}", 5));
    eventually(Duration::from_secs(10), "the alias is on both servers", || {
        !site.lab.dig(KNOT, "_acme-challenge.example.test", "CNAME").is_empty()
    });
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("mx"), "changed");
    assert_eq!(site.names("mx"), ["*.example.test", "example.test"]);
    let said = site.lab.read("calls");
    assert_eq!(said.matches("add example.z01.test\n").count(), 2, "{said}");
    assert!(!said.contains("add _") && said.contains("rm example.z01.test\n"), "{said}");
    assert!(site.lab.dig(BIND, "example.z01.test", "TXT").is_empty());
    let mut pins = keys(&site);
    assert_eq!(pins.len(), 2);
    assert!(pins.contains(&site.leaf_spki("mx")));
    pins.push(format!("2 1 1 {} {}", "0".repeat(56), "00000005"));
    pins.sort();
    for server in [BIND, KNOT] {
        assert_eq!(site.pins(server, "_25._tcp.mx1.example.test"), pins, "{server}");
    }
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(0);
    assert_eq!(run.outcome("mx"), "unchanged");
}

#[test]
fn a_script_in_the_manner_of_acme_sh_gets_a_certificate_and_leaves_foreign_values() {
    let mut site = Site::new(Lab::start(quick()));
    let calls = site.lab.dir().join("calls");
    site.providers = format!("home: {}", stand_in(&site));
    site.configure(
        &[ZONE],
        &["www: {names: [example.test, '*.example.test', www.example.test], keys: managed}"],
    );
    site.lab.add_record("example.test", "_acme-challenge.www.example.test", "TXT", "\"somebody else's\"");
    let run = site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(run.outcome("www"), "changed");
    assert_eq!(site.names("www"), ["*.example.test", "example.test", "www.example.test"]);
    let said = fs::read_to_string(&calls).unwrap();
    assert_eq!(said.matches("add _acme-challenge.example.test\n").count(), 2, "{said}");
    assert!(!said.contains("rm _acme-challenge.www.example.test"), "a foreign value stands there: {said}");
    assert!(!said.contains("saved"), "no secret is saved: {said}");
    assert!(site.lab.dig(BIND, "_acme-challenge.example.test", "TXT").is_empty());
    let left = site.lab.dig(BIND, "_acme-challenge.www.example.test", "TXT");
    assert!(left.contains(&"\"somebody else's\"".to_owned()) && left.len() == 2, "{left:?}");
    run.says(&["a TXT value of ours stays at _acme-challenge.www.example.test"]);

    let run = site.run(&["provider", "check", "example.test"]).ends(0);
    assert!(
        run.json["seen"].to_string().contains("it cannot write TLSA: no DANE in this zone"),
        "{:#}",
        run.json
    );
    assert!(site.lab.dig(BIND, "_danesmith-check.example.test", "TXT").is_empty());

    // TLSA through it is refused with its line, and nobody is asked for anything.
    let before = site.lab.counts();
    site.configure(
        &[ZONE],
        &["mx: {names: [example.test], keys: managed, tlsa: [_25._tcp.mx1.example.test]}"],
    );
    for command in ["plan", "apply"] {
        site.run(&[command]).ends(78).says(&["zones.yaml:12:53:", "acme.sh's interface takes TXT only"]);
    }
    assert_eq!(site.lab.counts(), before);
}

#[test]
fn a_program_in_the_manner_of_lego_exec_gets_a_certificate_and_says_nothing_it_was_given() {
    let mut site = Site::new(Lab::start(quick()));
    let calls = site.lab.dir().join("calls");
    let program = "#!/bin/sh\necho \"$1 $2\" >>CALLS\ncase $1 in present) how=add what=\"5 IN TXT\" ;; *) how=delete what=TXT ;; esac\n\
                   printf 'server 127.0.0.11\\nkey hmac-sha256:danesmith-key %s\\nupdate %s %s %s \"%s\"\\nsend\\n' \
                   \"$HOOK_KEY\" $how \"$2\" \"$what\" \"$3\" | nsupdate && echo \"used $HOOK_KEY\" >&2\n";
    executable(&site.lab.dir().join("hook"), &program.replace("CALLS", calls.to_str().unwrap()));
    site.providers =
        "home: {lego_exec: {program: ./hook, env: {HOOK_KEY: {file: tsig.secret}}, removal: by-value}}"
            .into();
    site.configure(&[ZONE], &["www: {names: [example.test, '*.example.test'], keys: managed}"]);
    site.lab.add_record("example.test", "_acme-challenge.example.test", "TXT", "\"somebody else's\"");
    let run = site.run(&["-vvv", "apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(site.names("www"), ["*.example.test", "example.test"]);
    let said = fs::read_to_string(&calls).unwrap();
    for action in ["present _acme-challenge.example.test.\n", "cleanup _acme-challenge.example.test.\n"] {
        assert_eq!(said.matches(action).count(), 2, "{said}");
    }
    let left = site.lab.dig(BIND, "_acme-challenge.example.test", "TXT");
    assert_eq!(left, ["\"somebody else's\""], "it removes by value, as the administrator says");
    let secret = site.lab.read("tsig.secret");
    assert!(run.stderr.contains("used [secret]") && !run.stderr.contains(secret.trim()), "{}", run.stderr);
}

/// A service as lego's httpreq expects one, in front of BIND.
const SERVICE: &str = r#"
import base64, http.server, json, subprocess
KEY = open("tsig.secret").read().strip()
class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        given = base64.b64decode((self.headers["authorization"] or "Basic ")[6:]).decode()
        if given != "danesmith:pass-word-9f27":
            return self.answer(401)
        line = {"/dns/present": 'add %s 5 IN TXT "%s"', "/dns/cleanup": 'delete %s TXT "%s"'}[self.path]
        line = "update " + line % (asked["fqdn"], asked["value"])
        script = f"server 127.0.0.11\nkey hmac-sha256:danesmith-key {KEY}\n{line}\nsend\n"
        self.answer(200 if subprocess.run(["nsupdate"], input=script, text=True).returncode == 0 else 500)
    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 5380), Service).serve_forever()
"#;

#[test]
fn a_service_in_the_manner_of_lego_httpreq_gets_a_certificate() {
    let mut site = Site::new(Lab::start(quick()));
    fs::write(site.lab.dir().join("service.py"), SERVICE).unwrap();
    let mut service = site.lab.command("python3").arg("service.py").spawn().unwrap();
    eventually(Duration::from_secs(20), "the service listens", || {
        site.lab.run("ss", &["-ltnH", "src 127.0.0.1:5380"]).contains("5380")
    });
    fs::write(site.lab.dir().join("password"), "wrong-pass-word-9f27\n").unwrap();
    site.providers = "home: {httpreq: {endpoint: 'http://127.0.0.1:5380/dns', username: danesmith, \
                      password: {file: password}, removal: by-value}}"
        .into();
    site.configure(&[ZONE], &["www: {names: [example.test], keys: managed}"]);
    let run = site.run(&["apply"]).ends(77).says(&["401"]);
    assert!(!run.stderr.contains("pass-word"), "{}", run.stderr);
    fs::write(site.lab.dir().join("password"), "pass-word-9f27\n").unwrap();
    site.run(&["apply", "--now", "--detailed-exitcode"]).ends(2);
    assert_eq!(site.names("www"), ["example.test"]);
    assert!(site.lab.dig(BIND, "_acme-challenge.example.test", "TXT").is_empty());
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn dns_lexicon_gets_a_certificate_and_both_pins_at_powerdns() {
    let python = python_or_return!();
    let mut site = Site::new(Lab::start(with_pdns()));
    site.providers = format!(
        "home: {{lexicon: {{python: '{}', provider: powerdns, options: {{pdns_server: 'http://127.0.0.15:8081', \
         auth_token: {{file: pdns.secret}}}}}}}}",
        python.display()
    );
    site.configure(
        &[PDNS_ZONE],
        &["mx: {names: [pdns.test, mx.pdns.test], keys: managed, tlsa: [_25._tcp.mx.pdns.test], endpoints: unchecked}"],
    );
    site.run(&["apply", "--detailed-exitcode"]).ends(2);
    assert_eq!(site.names("mx"), ["mx.pdns.test", "pdns.test"]);
    assert_eq!(site.pins(PDNS, "_25._tcp.mx.pdns.test"), keys(&site));
    assert!(site.lab.dig(PDNS, "_acme-challenge.pdns.test", "TXT").is_empty());
}
