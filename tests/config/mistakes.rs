//! The mistakes of writing: line, column, path and words.

use super::{SMALL, bad, names_in, small_with};
use danesmith::config;
use danesmith::error::Kind;
use std::path::Path;

#[test]
fn a_missing_file_points_to_init() {
    let problems = config::load(Path::new("/nonexistent/zones.yaml"), &names_in).unwrap_err();
    let error = config::problems_to_error(problems);
    assert_eq!((error.kind, error.kind.exit_code()), (Kind::Config, 78));
    assert_eq!(
        error.to_string(),
        "could not use /nonexistent/zones.yaml: 1 problem\n/nonexistent/zones.yaml: cannot be read: No such file or \
         directory (os error 2)\n  hint: `danesmith init` writes a commented zones.yaml; `--config FILE` names another"
    );
}

#[test]
fn an_unknown_field_names_the_nearest_known_one() {
    small_with(
        "    tlsa:",
        "    tsla:",
        "15:5: certificates.mx.tsla: unknown field\n  hint: did you mean `tlsa`?",
    );
    small_with(
        "      server:",
        "      sever:",
        "7:7: providers.home.rfc2136.sever: unknown field\n  hint: did you mean `server`?",
    );
    small_with(
        "    tlsa:",
        "    zzzzz:",
        "15:5: certificates.mx.zzzzz: unknown field\n  hint: known here: account, names, keys, tlsa, endpoints, profile, preferred_chain, renew, deploy, rotate, rotation",
    );
    small_with(
        "version: 1",
        "version: 1\nvresion: 1",
        "2:1: vresion: unknown field\n  hint: did you mean `version`?",
    );
}

/// What is given for a field may be a line of another file, or a secret.
#[test]
fn a_field_unlike_ours_is_not_repeated() {
    for odd in ["hunter2hunter2", "root:*:20228:0:99999:7:", "0123456789abcdef0123456789abcdef"] {
        small_with(
            "    tlsa:",
            &format!("    '{odd}':"),
            "15:5: certificates.mx.\"…\": unknown field\n  hint: known here: account, names, keys, tlsa, endpoints, \
             profile, preferred_chain, renew, deploy, rotate, rotation",
        );
    }
}

#[test]
fn a_missing_field_is_named_at_its_mapping() {
    small_with(
        "    names: [mx.example.org]\n",
        "",
        "13:5: certificates.mx: `names` is missing\n  hint: add `names: …` here",
    );
    small_with("version: 1\n", "", "1:1: `version` is missing\n  hint: add `version: …` here");
    small_with(
        "algorithm: hmac-sha256, ",
        "",
        "8:13: providers.home.rfc2136.tsig: `algorithm` is missing\n  hint: add `algorithm: …` here",
    );
}

#[test]
fn a_wrong_type_says_what_stands_there() {
    small_with(
        "names: [mx.example.org]",
        "names: mx.example.org",
        "13:12: certificates.mx.names: must be a list, not text\n  hint: write it in [brackets]",
    );
    small_with(
        "agree_terms: true",
        "agree_terms: yes",
        "3:84: accounts.default.agree_terms: must be `true` or `false`, not text\n  hint: write one of these two words, without quotes",
    );
    small_with(
        "agree_terms: true",
        "agree_terms: 1",
        "3:84: accounts.default.agree_terms: must be `true` or `false`, not a number\n  hint: write one of these two words, without quotes",
    );
    small_with(
        "version: 1",
        "version: one",
        "1:10: version: must be a whole number, not text\n  hint: write digits only, without quotes, sign or unit",
    );
    small_with(
        "version: 1",
        "version: 0o1x",
        "1:10: version: must be a whole number, not text\n  hint: write digits only, without quotes, sign or unit",
    );
    small_with(
        "name: k",
        "name: 0123",
        "8:20: providers.home.rfc2136.tsig.name: must be text, but YAML takes it for a number or for true or false\n  hint: write it in quotes",
    );
    small_with("name: k", "name: no", "accepted");
    small_with(
        "{provider: home}",
        "[home]",
        "10:16: zones.\"example.org\": must be a mapping of provider, check, propagation, ttl, dnssec, not a list\n  hint: write its fields in lines of their own, indented, or in {braces}",
    );
    small_with(
        "keys: managed",
        "keys:",
        "14:9: certificates.mx.keys: must say where the keys come from\n  hint: `keys: managed`, or `keys: {active: {csr: a.csr}, backup: {csr: b.csr}}`",
    );
    small_with(
        "certificates:",
        "certificates: 7\nx:",
        "11:15: certificates: must be a mapping, not a number\n  hint: write its fields in lines of their own, indented, or in {braces}\n12:1: x: unknown field\n  hint: known here: version, state, resolvers, validate, trust_anchor, accounts, provider_files, providers, zones, certificates, rotation",
    );
}

#[test]
fn another_version_is_refused() {
    small_with(
        "version: 1",
        "version: 2",
        "1:10: version: version 2 is not one that danesmith knows\n  hint: this program reads `version: 1`",
    );
}

#[test]
fn a_repeated_key_names_the_first() {
    small_with(
        "    keys: managed",
        "    keys: managed\n    keys: managed",
        "15:5: certificates.mx.keys: stands twice; first in line 14\n  hint: drop one of the two, or put them together",
    );
    small_with(
        "  example.org: {provider: home}",
        "  example.org: {provider: home}\n  example.org: {provider: none}",
        "11:3: zones.\"example.org\": stands twice; first in line 10\n  hint: drop one of the two, or put them together",
    );
    small_with(
        "  example.org: {provider: home}",
        "  example.org: {provider: home}\n  EXAMPLE.org.: {provider: home}",
        "11:3: zones.\"EXAMPLE.org.\": the zone `example.org` stands twice, in two spellings\n  hint: drop one of the two, or put them together",
    );
}

#[test]
fn syntax_errors_say_where() {
    small_with(
        "  mx:",
        "	mx:",
        "12:2: is not YAML: tabs disallowed within this context (block indentation)\n  hint: look at this line and the one above: indentation by spaces, quotes, brackets, a blank after each colon",
    );
    small_with(
        "    keys: managed",
        "   keys: managed",
        "14:4: is not YAML: while parsing a block mapping, did not find expected key\n  hint: look at this line and the one above: indentation by spaces, quotes, brackets, a blank after each colon",
    );
    small_with(
        "192.0.2.1",
        r#""192.0.2.1"#,
        "7:15: is not YAML: unclosed quote\n  hint: look at this line and the one above: indentation by spaces, quotes, brackets, a blank after each colon",
    );
    small_with(
        "[mx.example.org]",
        "[mx.example.org",
        "14:9: is not YAML: illegal placement of ':' indicator\n  hint: look at this line and the one above: indentation by spaces, quotes, brackets, a blank after each colon",
    );
    bad("", "1:1: nothing stands in this file\n  hint: `danesmith init` writes a commented one");
    bad("# nothing\n", "2:1: nothing stands in this file\n  hint: `danesmith init` writes a commented one");
    bad(
        &format!("{SMALL}---\nversion: 1\n"),
        "17:1: a second document begins; zones.yaml is one\n  hint: put both together, without the `---`",
    );
    bad(
        "- a\n",
        "1:1: must be a mapping of version, state, resolvers, validate, trust_anchor, accounts, provider_files, providers, zones, certificates, rotation, not a list\n  hint: write its fields in lines of their own, indented, or in {braces}",
    );
    bad(
        "version: 1\0\n",
        "1:1: a zero byte stands in this file: it is not text\n  hint: `danesmith init` writes a commented one",
    );
    small_with(
        "keys: managed",
        "keys: *unknown",
        "14:11: is not YAML: alias references unknown anchor\n  hint: what begins with * wants quotes: \"*.example.org\"",
    );
    small_with(
        "keys: managed",
        "keys: !!binary aGVsbG8=",
        "14:20: certificates.mx.keys: must say where the keys come from\n  hint: `keys: managed`, or `keys: {active: {csr: a.csr}, backup: {csr: b.csr}}`",
    );
    small_with(
        "version: 1",
        "1: 2\nversion: 1",
        "1:1: a key must be text, not a number\n  hint: write it in quotes",
    );
    small_with(
        "version: 1",
        "? [a]\n: 2\nversion: 1",
        "1:3: a key must be text, not a list\n  hint: write it in quotes",
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    bad(
        &SMALL
            .replace("hmac-sha256", "hmac-md5")
            .replace("provider: home", "provider: hom")
            .replace("[mx.example.org]", "[mx_.example.org, mx.example.com]")
            .replace("_25._tcp", "_0._tcp")
            .replace("agree_terms", "agre_terms"),
        "3:71: accounts.default.agre_terms: unknown field\n  hint: did you mean `agree_terms`?\n8:34: providers.home.rfc2136.tsig.algorithm: `hmac-md5`: weaker than SHA-256 is refused\n  hint: make a new key: `tsig-keygen -a hmac-sha256 NAME`\n10:27: zones.\"example.org\".provider: no provider is named `hom`\n  hint: did you mean `home`?\n13:13: certificates.mx.names[0]: `mx_.example.org`: `_` cannot stand in a host name (RFC 1123 §2.1)\n13:30: certificates.mx.names[1]: `mx.example.com` is in none of the zones\n  hint: write the zone it is in under `zones`; there are: example.org\n15:12: certificates.mx.tlsa[0]: `_0._tcp.mx.example.org`: the port must be `_1` to `_65535`, or `*` for all",
    );
}

#[test]
fn what_follows_from_a_mistake_is_not_reported_as_well() {
    small_with("zones:", "zone:", "9:1: zone: unknown field\n  hint: did you mean `zones`?");
    small_with("accounts:", "acounts:", "2:1: acounts: unknown field\n  hint: did you mean `accounts`?");
    small_with(
        "server: 192.0.2.1",
        "server: a b",
        "7:15: providers.home.rfc2136.server: `a b`: is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)",
    );
}
