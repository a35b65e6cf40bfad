//! Values that are of the right type and still cannot be: weak algorithms, dangling references, ranges, words.

use super::small_with;

#[test]
fn weak_tsig_algorithms_are_refused() {
    small_with(
        "hmac-sha256",
        "hmac-md5",
        "8:34: providers.home.rfc2136.tsig.algorithm: `hmac-md5`: weaker than SHA-256 is refused\n  hint: make a new key: `tsig-keygen -a hmac-sha256 NAME`",
    );
    small_with(
        "hmac-sha256",
        "HMAC-MD5.SIG-ALG.REG.INT.",
        "8:34: providers.home.rfc2136.tsig.algorithm: `HMAC-MD5.SIG-ALG.REG.INT.`: weaker than SHA-256 is refused\n  hint: make a new key: `tsig-keygen -a hmac-sha256 NAME`",
    );
    small_with(
        "hmac-sha256",
        "hmac-sha1",
        "8:34: providers.home.rfc2136.tsig.algorithm: `hmac-sha1`: weaker than SHA-256 is refused\n  hint: make a new key: `tsig-keygen -a hmac-sha256 NAME`",
    );
    small_with(
        "hmac-sha256",
        "hmac-sha224",
        "8:34: providers.home.rfc2136.tsig.algorithm: `hmac-sha224`: weaker than SHA-256 is refused\n  hint: make a new key: `tsig-keygen -a hmac-sha256 NAME`",
    );
    small_with(
        "hmac-sha256",
        "sha256",
        "8:34: providers.home.rfc2136.tsig.algorithm: `sha256`: must be hmac-sha256, hmac-sha384 or hmac-sha512",
    );
}

#[test]
fn references_must_exist() {
    small_with(
        "{provider: home}",
        "{provider: hoem}",
        "10:27: zones.\"example.org\".provider: no provider is named `hoem`\n  hint: did you mean `home`?",
    );
    small_with(
        "    keys: managed",
        "    account: defualt\n    keys: managed",
        "14:14: certificates.mx.account: no account is named `defualt`\n  hint: did you mean `default`?",
    );
    small_with(
        "  default:",
        "  private:",
        "12:3: certificates.mx: no account is named `default`\n  hint: there are: private",
    );
    small_with(
        "accounts:\n  default: {directory: letsencrypt-staging, contact: [a@example.org], agree_terms: true}\n",
        "",
        "10:3: certificates.mx: no account is named `default`\n  hint: write it under `accounts`",
    );
}

#[test]
fn an_account_needs_an_https_directory() {
    small_with(
        "letsencrypt-staging",
        "letsencrypt-stagign",
        "3:24: accounts.default.directory: is not a URL: relative URL without a base\n  hint: did you mean `letsencrypt-staging`?",
    );
    small_with(
        "letsencrypt-staging",
        "http://ca.example.org/",
        "3:24: accounts.default.directory: must begin with https:// (RFC 8555 §6.1)\n  hint: write letsencrypt, letsencrypt-staging or the CA's https URL",
    );
    small_with(
        "letsencrypt-staging",
        "https://user:pw@ca.example.org/",
        "3:24: accounts.default.directory: must hold neither a user name, a password nor a fragment\n  hint: write letsencrypt, letsencrypt-staging or the CA's https URL",
    );
    small_with(
        "letsencrypt-staging",
        "zzz",
        "3:24: accounts.default.directory: is not a URL: relative URL without a base\n  hint: write letsencrypt, letsencrypt-staging or the CA's https URL",
    );
}

#[test]
fn contacts_are_mail_addresses() {
    small_with(
        "a@example.org",
        "a@example.org?subject=x",
        "3:55: accounts.default.contact[0]: `a@example.org?subject=x`: after the @: is not a host name: letters, digits and hyphens, dots between labels (RFC 1123 §2.1, IDNA)",
    );
    small_with(
        "a@example.org",
        "tel:123",
        "3:55: accounts.default.contact[0]: `tel:123`: must be a mail address",
    );
    small_with(
        "a@example.org",
        "nobody",
        "3:55: accounts.default.contact[0]: `nobody`: must be a mail address",
    );
    small_with(
        "a@example.org",
        r#""a@x.org,b@x.org""#,
        "3:55: accounts.default.contact[0]: `a@x.org,b@x.org`: must be one mail address, without display name or header fields",
    );
}

#[test]
fn durations_have_a_unit_and_a_range() {
    small_with(
        "{provider: home}",
        "{provider: home, propagation: 120}",
        "10:46: zones.\"example.org\".propagation: lacks its unit\n  hint: write it as in 30s, 5m, 12h, 30d or 2w",
    );
    small_with(
        "{provider: home}",
        "{provider: home, propagation: 120x}",
        "10:46: zones.\"example.org\".propagation: `120x`: must be a number and a unit: 30s, 5m, 12h, 30d or 2w",
    );
    small_with(
        "{provider: home}",
        "{provider: home, propagation: 0s}",
        "10:46: zones.\"example.org\".propagation: `0s`: must be from 1s to 1d",
    );
    small_with(
        "{provider: home}",
        "{provider: home, propagation: 99999999999999999999s}",
        "10:46: zones.\"example.org\".propagation: `99999999999999999999s`: must be a number and a unit: 30s, 5m, 12h, 30d or 2w",
    );
    small_with(
        "    keys:",
        "    renew: {before: 1s}\n    keys:",
        "14:21: certificates.mx.renew.before: `1s`: must be from 1h to 398d",
    );
    small_with(
        "      server:",
        "      timeout: -5s\n      server:",
        "7:16: providers.home.rfc2136.timeout: `-5s`: must be a whole number and a unit: 30s, 5m, 12h, 30d or 2w",
    );
}

#[test]
fn ttls_have_a_range() {
    small_with(
        "{provider: home}",
        "{provider: home, ttl: {txt: 0}}",
        "10:44: zones.\"example.org\".ttl.txt: must be from 1 to 604800 seconds",
    );
    small_with(
        "{provider: home}",
        "{provider: home, ttl: {tlsa: 1h}}",
        "10:45: zones.\"example.org\".ttl.tlsa: must be a whole number, not text\n  hint: write digits only, without quotes, sign or unit",
    );
    small_with(
        "{provider: home}",
        "{provider: home, ttl: {tlsa: 9999999}}",
        "10:45: zones.\"example.org\".ttl.tlsa: must be from 1 to 604800 seconds",
    );
    small_with(
        "{provider: home}",
        "{provider: home, ttl: {tlsa: 99999999999999999999}}",
        "10:45: zones.\"example.org\".ttl.tlsa: must be a whole number, not a negative, broken or huge number\n  hint: write digits only, without quotes, sign or unit",
    );
}

#[test]
fn words_are_checked() {
    small_with(
        "{provider: home}",
        "{provider: home, dnssec: off}",
        "10:41: zones.\"example.org\".dnssec: `off`: must be required or unsigned-ok",
    );
    small_with(
        "      server:",
        "      transport: https\n      server:",
        "7:18: providers.home.rfc2136.transport: `https`: must be tcp, udp or tls",
    );
    small_with(
        "      server:",
        "      tls: {name: a.example.org}\n      server:",
        "7:12: providers.home.rfc2136.tls: has no effect without `transport: tls`\n  hint: add `transport: tls` or drop `tls`",
    );
    small_with(
        "keys: managed",
        "keys: manged",
        "14:11: certificates.mx.keys: must say where the keys come from\n  hint: `keys: managed`, or `keys: {active: {csr: a.csr}, backup: {csr: b.csr}}`",
    );
    small_with(
        "keys: managed",
        "keys: {managed: {algorithm: rsa}}",
        "14:33: certificates.mx.keys.managed.algorithm: `rsa` is not an algorithm danesmith makes keys for\n  hint: write p256 or p384, or drop the line: then it is p256",
    );
    small_with(
        "  mx:\n",
        "  ../mx:\n",
        "12:3: certificates.\"../mx\": `../mx` cannot be a name here\n  hint: 1 to 64 of a-z, 0-9, `.`, `_`, `-`; first a letter or digit, last no dot",
    );
    small_with(
        "  mx:\n",
        "  MX:\n",
        "12:3: certificates.MX: `MX` cannot be a name here\n  hint: 1 to 64 of a-z, 0-9, `.`, `_`, `-`; first a letter or digit, last no dot",
    );
}

#[test]
fn state_is_a_directory() {
    small_with(
        "version: 1",
        "version: 1\nstate: postgres://u:p@h/db",
        "2:8: state: this version keeps state in a directory\n  hint: write a path, such as `state: ./state`",
    );
    small_with(
        "version: 1",
        "version: 1\nstate: s3://bucket/x",
        "2:8: state: this version keeps state in a directory\n  hint: write a path, such as `state: ./state`",
    );
}

#[test]
fn reload_needs_a_program() {
    small_with(
        "    keys:",
        "    deploy: {reload: []}\n    keys:",
        "14:22: certificates.mx.deploy.reload: is an empty list: a program is missing\n  hint: write [PROGRAM, ARGUMENT, …]",
    );
    small_with(
        "    keys:",
        "    deploy: {reload: systemctl reload postfix}\n    keys:",
        "14:22: certificates.mx.deploy.reload: must be a list, not text\n  hint: write it in [brackets]",
    );
}
