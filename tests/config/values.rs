//! Names, servers and keys that cannot be: line, column, path and words.

use super::{SMALL, good, small_with};

#[test]
fn names_must_be_host_names() {
    small_with(
        "[mx.example.org]",
        "[192.0.2.1]",
        "13:13: certificates.mx.names[0]: `192.0.2.1`: an IP address is not a name: DNS-01 proves names only (RFC 8555 §8.4)",
    );
    small_with(
        "[mx.example.org]",
        r#"["2001:db8::1"]"#,
        "13:13: certificates.mx.names[0]: `2001:db8::1`: an IP address is not a name: DNS-01 proves names only (RFC 8555 §8.4)",
    );
    small_with(
        "[mx.example.org]",
        r#"["a.*.example.org"]"#,
        "13:13: certificates.mx.names[0]: `a.*.example.org`: a wildcard can only be the whole leftmost label: `*.example.org`",
    );
    small_with(
        "[mx.example.org]",
        r#"["*x.example.org"]"#,
        "13:13: certificates.mx.names[0]: `*x.example.org`: a wildcard can only be the whole leftmost label: `*.example.org`",
    );
    small_with(
        "[mx.example.org]",
        r#"["*"]"#,
        "13:13: certificates.mx.names[0]: `*`: a wildcard can only be the whole leftmost label: `*.example.org`",
    );
    small_with(
        "[mx.example.org]",
        r#"["*.*.example.org"]"#,
        "13:13: certificates.mx.names[0]: `*.*.example.org`: a wildcard can only be the whole leftmost label: `*.example.org`",
    );
    small_with(
        "[mx.example.org]",
        "[-a.example.org]",
        "13:13: certificates.mx.names[0]: `-a.example.org`: a label begins or ends with a hyphen (RFC 1123 §2.1)",
    );
    small_with(
        "[mx.example.org]",
        "[a..example.org]",
        "13:13: certificates.mx.names[0]: `a..example.org`: a label is empty",
    );
    small_with(
        "[mx.example.org]",
        "[a_b.example.org]",
        "13:13: certificates.mx.names[0]: `a_b.example.org`: `_` cannot stand in a host name (RFC 1123 §2.1)",
    );
    small_with(
        "[mx.example.org]",
        r#"["https://mx.example.org/"]"#,
        "13:13: certificates.mx.names[0]: `https://mx.example.org/`: is a URL or path; a name is wanted",
    );
    small_with(
        "[mx.example.org]",
        "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.org]",
        "13:13: certificates.mx.names[0]: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.org`: a label has 64 octets; DNS allows 63 (RFC 1035 §2.3.4)",
    );
    small_with(
        "[mx.example.org]",
        "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.org]",
        "13:13: certificates.mx.names[0]: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaa…`: has 316 octets; DNS allows 253 (RFC 1035 §2.3.4)",
    );
    small_with("[mx.example.org]", r#"["."]"#, "13:13: certificates.mx.names[0]: `.`: a label is empty");
    small_with(
        "[mx.example.org]",
        r#"["../../etc"]"#,
        "13:13: certificates.mx.names[0]: `../../etc`: a label is empty",
    );
    small_with(
        "[mx.example.org]",
        "[xn--zzzz---.example.org]",
        "13:13: certificates.mx.names[0]: `xn--zzzz---.example.org`: a label begins or ends with a hyphen (RFC 1123 §2.1)",
    );
    small_with(
        "[mx.example.org]",
        "[]",
        "13:12: certificates.mx.names: at least one name is needed\n  hint: write `names: [mx1.example.org]`",
    );
}

/// "Domain name … is redundant with a wildcard domain in the same request."
#[test]
fn a_name_beside_a_wildcard_that_covers_it_is_refused_where_the_ca_refuses_it() {
    small_with(
        "[mx.example.org]",
        r#"["*.example.org", example.org, MX.example.org, a.mx.example.org]"#,
        "13:43: certificates.mx.names[2]: `mx.example.org` beside `*.example.org`, which covers it: Let's Encrypt refuses both in one \
         certificate\n  hint: leave one of them out",
    );
    let names = SMALL.replace("[mx.example.org]", r#"["*.example.org", mx.example.org]"#);
    let elsewhere = names.replace("letsencrypt-staging", "https://ca.example/dir");
    assert_eq!(good(&elsewhere).certificates["mx"].names.len(), 2, "other CAs take it");
}

#[test]
fn every_name_is_in_a_zone_of_ours_at_a_label_boundary() {
    small_with(
        "[mx.example.org]",
        "[mx.notexample.org]",
        "13:13: certificates.mx.names[0]: `mx.notexample.org` is in none of the zones\n  hint: write the zone it is in under `zones`; there are: example.org",
    );
    small_with(
        "[mx.example.org]",
        "[org]",
        "13:13: certificates.mx.names[0]: `org` is in none of the zones\n  hint: write the zone it is in under `zones`; there are: example.org",
    );
    small_with(
        "zones:\n  example.org: {provider: home}\n",
        "",
        "11:13: certificates.mx.names[0]: `mx.example.org` is in none of the zones\n  hint: write the zone it is in under `zones`\n13:12: certificates.mx.tlsa[0]: `_25._tcp.mx.example.org` is in none of the zones\n  hint: write the zone it is in under `zones`",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_25._tcp.mx.example.net",
        "15:12: certificates.mx.tlsa[0]: `_25._tcp.mx.example.net` is in none of the zones\n  hint: write the zone it is in under `zones`; there are: example.org",
    );
}

#[test]
fn tlsa_owners_have_port_protocol_and_host() {
    small_with(
        "_25._tcp.mx.example.org",
        "mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `mx.example.org`: must look like `_25._tcp.mx1.example.org`: _port._protocol.host",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_0._tcp.mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `_0._tcp.mx.example.org`: the port must be `_1` to `_65535`, or `*` for all",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_65536._tcp.mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `_65536._tcp.mx.example.org`: the port must be `_1` to `_65535`, or `*` for all",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_+5._tcp.mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `_+5._tcp.mx.example.org`: the port must be `_1` to `_65535`, or `*` for all",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "25._tcp.mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `25._tcp.mx.example.org`: must look like `_25._tcp.mx1.example.org`: _port._protocol.host",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_25._xmpp.mx.example.org",
        "15:12: certificates.mx.tlsa[0]: `_25._xmpp.mx.example.org`: the protocol must be `_tcp`, `_udp` or `_sctp` (RFC 6698 §3)",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_25._tcp.192.0.2.1",
        "15:12: certificates.mx.tlsa[0]: `_25._tcp.192.0.2.1`: an IP address is not a name: DNS-01 proves names only (RFC 8555 §8.4)",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_25._tcp",
        "15:12: certificates.mx.tlsa[0]: `_25._tcp`: must look like `_25._tcp.mx1.example.org`: _port._protocol.host",
    );
    small_with(
        "_25._tcp.mx.example.org",
        "_25._tcp.*.example.org",
        "15:12: certificates.mx.tlsa[0]: `_25._tcp.*.example.org`: is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)",
    );
}

#[test]
fn tlsa_needs_a_zone_with_a_provider() {
    small_with(
        "{provider: home}",
        "{provider: none}",
        "15:12: certificates.mx.tlsa[0]: the zone `example.org` has `provider: none`: no TLSA record can be written there\n  hint: give the zone a provider, or drop this owner",
    );
}

#[test]
fn an_endpoint_that_cannot_be_derived_must_be_listed() {
    small_with(
        "[_25._tcp.mx.example.org]",
        r#"["*._tcp.mx.example.org"]"#,
        "15:12: certificates.mx.tlsa[0]: no endpoint can be derived: a wildcard owner does not say which port to look at\n  hint: list `endpoints:` that present this certificate, or write `endpoints: unchecked`",
    );
    small_with(
        "_25._tcp",
        "_443._udp",
        "15:12: certificates.mx.tlsa[0]: no endpoint can be derived: danesmith cannot connect by udp\n  hint: list `endpoints:` that present this certificate, or write `endpoints: unchecked`",
    );
    small_with(
        "_25._tcp",
        "_5222._tcp",
        "15:12: certificates.mx.tlsa[0]: no endpoint can be derived: port 5222 begins without TLS, in a protocol that danesmith does not speak\n  hint: list `endpoints:` that present this certificate, or write `endpoints: unchecked`",
    );
}

#[test]
fn endpoints_are_urls() {
    small_with(
        "    keys:",
        "    endpoints: [\"mx.example.org:25\"]\n    keys:",
        "14:17: certificates.mx.endpoints[0]: `mx.example.org:25`: must be a URL such as smtp://host:25 (smtp, submission, smtps, submissions, imap, imaps, pop3, pop3s, sieve, https, tls)",
    );
    small_with(
        "    keys:",
        "    endpoints: [\"ftp://mx.example.org\"]\n    keys:",
        "14:17: certificates.mx.endpoints[0]: `ftp://mx.example.org`: the scheme is not one of smtp, submission, smtps, submissions, imap, imaps, pop3, pop3s, sieve, https, tls",
    );
    small_with(
        "    keys:",
        "    endpoints: [\"tls://mx.example.org\"]\n    keys:",
        "14:17: certificates.mx.endpoints[0]: `tls://mx.example.org`: a port is missing: tls://host:PORT",
    );
    small_with(
        "    keys:",
        "    endpoints: [\"smtp://mx.example.org:0\"]\n    keys:",
        "14:17: certificates.mx.endpoints[0]: `smtp://mx.example.org:0`: the port must be a number from 1 to 65535",
    );
    small_with(
        "    keys:",
        "    endpoints: [\"smtp://[::1\"]\n    keys:",
        "14:17: certificates.mx.endpoints[0]: `smtp://[::1`: a `[` is not closed",
    );
    small_with(
        "    keys:",
        "    endpoints: uncheckd\n    keys:",
        "14:16: certificates.mx.endpoints: `uncheckd` is no list\n  hint: write `[smtp://host:25]`, or `unchecked`",
    );
    small_with(
        "    keys:",
        "    endpoints: []\n    keys:",
        "14:16: certificates.mx.endpoints: is empty, and TLSA records want something to be checked\n  hint: write `unchecked` if you mean it",
    );
}

#[test]
fn servers_are_addresses_or_names() {
    small_with(
        "server: 192.0.2.1",
        "server: 192.0.2.1:0",
        "7:15: providers.home.rfc2136.server: `192.0.2.1:0`: the port must be a number from 1 to 65535",
    );
    small_with(
        "server: 192.0.2.1",
        r#"server: "ns1 example""#,
        "7:15: providers.home.rfc2136.server: `ns1 example`: is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)",
    );
    small_with(
        "server: 192.0.2.1",
        r#"server: "[192.0.2.1]:53""#,
        "7:15: providers.home.rfc2136.server: `[192.0.2.1]:53`: only an IPv6 address stands in brackets",
    );
    small_with(
        "server: 192.0.2.1",
        "server: ns1:http",
        "7:15: providers.home.rfc2136.server: `ns1:http`: the port must be a number from 1 to 65535",
    );
    small_with(
        "zones:",
        "resolvers: [dns.example.org]\nzones:",
        "9:13: resolvers[0]: `dns.example.org`: must be an address or address:port; a name would need a resolver first",
    );
    small_with(
        "{provider: home}",
        r#"{provider: home, check: ["a b"]}"#,
        "10:41: zones.\"example.org\".check[0]: `a b`: is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)",
    );
}

#[test]
fn a_validating_resolver_must_be_named() {
    small_with(
        "zones:",
        "validate: resolver\nzones:",
        "9:11: validate: believes a resolver, but none is named\n  hint: name one on this host or behind a protected link under `resolvers`",
    );
    small_with(
        "zones:",
        "resolvers: [127.0.0.1]\nvalidate: resolver\ntrust_anchor: root.key\nzones:",
        "11:15: trust_anchor: has no effect with `validate: resolver`\n  hint: drop one of the two",
    );
    small_with("zones:", "validate: yes\nzones:", "9:11: validate: `yes`: must be own or resolver");
    small_with(
        "zones:",
        "trust_anchor: nowhere.key\nzones:",
        "9:15: trust_anchor: cannot read `nowhere.key`: No such file or directory (os error 2)\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
}

#[test]
fn a_digest_is_64_hex_digits_of_something() {
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {spki_sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}}",
        "14:56: certificates.mx.keys.backup.spki_sha256: is the SHA-256 of nothing: the command that made it got no key\n  hint: `danesmith tlsa FILE` prints it for a key, CSR or certificate",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {spki_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}",
        "14:56: certificates.mx.keys.backup.spki_sha256: must be 64 hex digits (SHA-256), not 63\n  hint: `danesmith tlsa FILE` prints it for a key, CSR or certificate",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {spki_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}",
        "14:56: certificates.mx.keys.backup.spki_sha256: must be 64 hex digits (SHA-256), not 65\n  hint: `danesmith tlsa FILE` prints it for a key, CSR or certificate",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {spki_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag}}",
        "14:56: certificates.mx.keys.backup.spki_sha256: must be 64 hex digits; `g` is none\n  hint: `danesmith tlsa FILE` prints it for a key, CSR or certificate",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {spki_sha256: 1111111111111111111111111111111111111111111111111111111111111111}}",
        "14:56: certificates.mx.keys.backup.spki_sha256: must be text, but YAML takes it for a number or for true or false\n  hint: write it in quotes",
    );
}

#[test]
fn key_files_must_be_usable() {
    small_with(
        "keys: managed",
        "keys: {active: {csr: absent.csr}}",
        "14:26: certificates.mx.keys.active.csr: cannot read `absent.csr`: No such file or directory (os error 2)\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: empty.csr}}",
        "14:26: certificates.mx.keys.active.csr: cannot read `empty.csr`: the file is empty\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: not-a.csr}}",
        "14:26: certificates.mx.keys.active.csr: `not-a.csr` is not a usable CSR: this is no PKCS#10 request\n  hint: `danesmith keys csr` makes one of a private key",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: .}}",
        "14:26: certificates.mx.keys.active.csr: cannot read `.`: it is not a regular file\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
    small_with(
        "keys: managed",
        "keys: {active: {key: absent.key}, backup: {public_key: absent.pub}}",
        "14:60: certificates.mx.keys.backup.public_key: cannot read `absent.pub`: No such file or directory (os error 2)\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr}, backup: {csr: a.csr}}",
        "14:11: certificates.mx.keys: the backup is the active key: nothing would be left when that is lost\n  hint: make a second key, or drop `backup`",
    );
    small_with(
        "keys: managed",
        "keys: {active: {csr: a.csr, key: a.key}}",
        "14:20: certificates.mx.keys.active: must be exactly one of {csr: …}, {key: …}\n  hint: write one of them; the others belong elsewhere, or nowhere",
    );
    small_with(
        "keys: managed",
        "keys: {backup: {csr: a.csr}}",
        "14:11: certificates.mx.keys: `active` is missing\n  hint: add `active: …` here",
    );
    small_with(
        "keys: managed",
        "keys: {active: {crs: a.csr}}",
        "14:21: certificates.mx.keys.active.crs: unknown field\n  hint: did you mean `csr`?",
    );
}

#[test]
fn a_csr_is_for_the_certificates_names() {
    small_with(
        "keys: managed",
        "keys: {active: {csr: other.csr}, backup: {csr: lacking.csr}}",
        "14:26: certificates.mx.keys.active.csr: the CSR `other.csr` is not for the certificate's names: it also has `old.example.org`\n  hint: the CA certifies what the CSR says; make the two lists equal\n14:52: certificates.mx.keys.backup.csr: the CSR `lacking.csr` is not for the certificate's names: it lacks `mx.example.org`; it also has `www.example.org`\n  hint: the CA certifies what the CSR says; make the two lists equal",
    );
}

#[test]
fn the_longest_zone_covers_a_name() {
    let zones = "{provider: home}\n  mx.example.org: {provider: none}";
    small_with(
        "{provider: home}",
        zones,
        "16:12: certificates.mx.tlsa[0]: the zone `mx.example.org` has `provider: none`: no TLSA record can be written there\n  hint: give the zone a provider, or drop this owner",
    );
}
