//! What zones.yaml may say, and what it comes to.

use super::{SMALL, good, name, shown, with_files};
use danesmith::config::{self, TEMPLATE};
use danesmith::model::desired::{
    ActiveKey, BackupKey, Chains, Dnssec, Endpoint, Endpoints, Files, KeyAlgorithm, Keys, Part, Protocol,
    Provider, Renew, Rotate, Transport, Validation,
};
use danesmith::model::policy::Policy;
use danesmith::secret::Source;
use jiff::SignedDuration;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_backup_key_may_be_managed_beside_an_active_key_of_the_administrators() {
    for active in ["{csr: a.csr}", "{key: a.key}"] {
        let keys = format!("keys: {{active: {active}, backup: managed}}");
        let desired = good(&SMALL.replace("keys: managed", &keys));
        let keys = &desired.certificates["mx"].keys;
        let expected = Some(BackupKey::Managed(KeyAlgorithm::P256));
        assert!(
            matches!(keys, Keys::Own { backup, .. } if format!("{backup:?}") == format!("{expected:?}")),
            "{keys:?}"
        );
    }
}

#[test]
fn the_smallest_file_gets_every_default() {
    let desired = good(SMALL);
    assert!(desired.state.ends_with("state"));
    let zone = &desired.zones[&name("example.org.")];
    assert_eq!((zone.txt_ttl, zone.tlsa_ttl, zone.dnssec), (60, 3600, Dnssec::Required));
    assert_eq!(zone.propagation, Duration::from_secs(120));
    let Provider::Rfc2136(home) = &desired.providers["home"] else { panic!() };
    assert_eq!((home.transport, home.timeout), (Transport::Tcp, Duration::from_secs(5)));
    let mx = &desired.certificates["mx"];
    assert_eq!((mx.account.as_str(), mx.renew), ("default", Renew::Third));
    assert!(matches!(mx.keys, Keys::Managed(KeyAlgorithm::P256)));
    assert_eq!(mx.tlsa, [name("_25._tcp.mx.example.org.")]);
    let endpoint = Endpoint { protocol: Protocol::Smtp, host: "mx.example.org".into(), port: 25 };
    assert_eq!(mx.endpoints, Endpoints::Listed(vec![endpoint]));
    let account = &desired.accounts["default"];
    assert_eq!(account.directory, "https://acme-staging-v02.api.letsencrypt.org/directory");
    assert_eq!(account.contact, ["mailto:a@example.org"]);
}

#[test]
fn the_example_loads_as_it_stands() {
    let folder = with_files(TEMPLATE);
    let desired = folder.load().unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert_eq!(desired.certificates.len(), 5);
    assert_eq!(desired.certificates["mx1"].names, ["*.example.org", "example.org"]);
    assert_eq!(desired.certificates["mx4"].endpoints, Endpoints::Unchecked);
    assert_eq!(desired.certificates["mx1"].renew, Renew::Before(Duration::from_secs(20 * 86_400)));
    let deploy = &desired.certificates["mx1"].deploy;
    assert_eq!(deploy.reload, ["systemctl", "reload", "postfix"]);
    let links = [
        (Part::Cert, "mx1-alone.crt"),
        (Part::Chain, "mx1-issuers.crt"),
        (Part::Fullchain, "mx1.crt"),
        (Part::Privkey, "mx1.key"),
        (Part::Keyandchain, "mx1.pem"),
    ];
    let files = Files {
        dir: "/etc/postfix/tls".into(),
        owner: Some("root".into()),
        group: Some("postfix".into()),
        mode: 0o640,
        links: links.map(|(part, name)| (part, name.to_owned())).into(),
        key_by_reload: false,
        chains: Some(Chains { name: "chains.pem".into(), members: vec!["mx1".into()] }),
    };
    assert_eq!(deploy.files.as_ref(), Some(&files));
    assert_eq!(
        desired.certificates["mx1"].policy,
        Policy { slack: SignedDuration::from_hours(2), ..Policy::default() }
    );
    assert_eq!(desired.certificates["mx1"].rotate, Rotate::Manual);
    assert_eq!(desired.certificates["mx2"].policy, Policy::default(), "the file shows the defaults");
    assert!(desired.zones[&name("example.com.")].provider.is_none());
    let Keys::Own { active: ActiveKey::PrivateKey(key), backup: Some(BackupKey::SpkiSha256(digest)) } =
        &desired.certificates["mx3"].keys
    else {
        panic!("{:?}", desired.certificates["mx3"].keys)
    };
    assert_eq!(key, &folder.0.join("mx3-active.key"));
    assert_eq!(digest.0[..2], [0x4b, 0x8f]);
    let Provider::Rfc2136(home) = &desired.providers["home"] else { panic!() };
    assert_eq!(home.secret.source, Source::File(folder.0.join("tsig.secret")));
    let line = home.secret.named_at.as_deref().unwrap();
    assert!(
        line.contains("zones.yaml:") && line.ends_with(": providers.home.rfc2136.tsig.secret.file"),
        "{line}"
    );
    assert!(desired.named[key].ends_with(": certificates.mx3.keys.active.key"), "{:?}", desired.named);
}

#[test]
fn dnssec_is_validated_by_us_or_by_a_named_resolver() {
    let with = |lines: &str| good(&SMALL.replace("zones:", &format!("{lines}\nzones:"))).validation;
    assert_eq!(good(SMALL).validation, Validation::Own { trust_anchor: None });
    assert_eq!(with("validate: own"), Validation::Own { trust_anchor: None });
    let Validation::Own { trust_anchor: Some(path) } = with("trust_anchor: ./root.key") else { panic!() };
    assert!(path.ends_with("root.key"));
    assert_eq!(with("resolvers: [127.0.0.1]\nvalidate: resolver"), Validation::Resolver);
}

/// Every property name anywhere in the schema, and every word of its enumerations.
fn words_of(schema: &serde_json::Value, words: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                words.extend(properties.keys().cloned());
            }
            for word in ["const", "enum"].iter().filter_map(|key| map.get(*key)) {
                words.extend(word.as_str().map(str::to_owned));
            }
            map.values().for_each(|value| words_of(value, words));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| words_of(value, words)),
        _ => {}
    }
}

#[test]
fn every_option_stands_in_the_example() {
    let mut schema = config::schema();
    // Each host of the catalog has its fields; two of them are in the example.
    let catalog = danesmith_providers::catalog::Catalog::builtin().unwrap();
    let kinds = schema["$defs"]["Provider"]["properties"].as_object_mut().unwrap();
    kinds.retain(|kind, _| catalog.get(kind).is_none());
    let mut words = Vec::new();
    words_of(&schema, &mut words);
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        let stands = ["{", " ", "\n", "(", "{env: NAME}"]
            .iter()
            .any(|before| TEMPLATE.contains(&format!("{before}{word}:")));
        assert!(
            stands || TEMPLATE.contains(&format!(": {word}")),
            "`{word}` is not explained in zones.example.yaml"
        );
    }
}

/// `BLESS=1 cargo test` writes the file anew.
#[test]
fn the_schema_file_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones.schema.json");
    let schema = serde_json::to_string_pretty(&config::schema()).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == schema,
        "run it with BLESS=1 and look at the difference"
    );
}

#[test]
fn names_become_canonical_and_duplicates_merge() {
    let names =
        "[MX.Example.ORG., mx.example.org, bücher.example.org, \"*.a.example.org\", \"*.A.EXAMPLE.org.\"]";
    let desired = good(&SMALL.replace("[mx.example.org]", names));
    assert_eq!(
        desired.certificates["mx"].names,
        ["*.a.example.org", "mx.example.org", "xn--bcher-kva.example.org"]
    );
    let desired = good(&SMALL.replace("example.org", "bücher.example"));
    assert!(desired.zones.contains_key(&name("xn--bcher-kva.example.")));
    assert_eq!(desired.certificates["mx"].tlsa, [name("_25._tcp.mx.xn--bcher-kva.example.")]);
}

#[test]
fn tlsa_owners_imply_endpoints() {
    use Protocol::{Imap, Pop3, Sieve, Smtp, Submission, Tls};
    let expected = [
        (Smtp, 25),
        (Tls, 465),
        (Submission, 587),
        (Imap, 143),
        (Tls, 993),
        (Pop3, 110),
        (Tls, 995),
        (Sieve, 4190),
        (Tls, 443),
    ];
    let owners = expected.map(|(_, port)| format!("_{port}._tcp.mx.example.org")).join(", ");
    let desired = good(&SMALL.replace("[_25._tcp.mx.example.org]", &format!("[{owners}]")));
    let Endpoints::Listed(found) = &desired.certificates["mx"].endpoints else { panic!() };
    let found: Vec<_> = found.iter().map(|e| (e.protocol, e.port)).collect();
    assert_eq!(found, expected);
}

#[test]
fn listed_endpoints_take_the_customary_schemes_and_ports() {
    let written = [
        ("smtp://mx.example.org", "smtp://mx.example.org:25"),
        ("submission://MX.example.org.", "submission://mx.example.org:587"),
        ("submissions://[2001:DB8::1]", "tls://[2001:db8::1]:465"),
        ("smtps://mx.example.org:4465", "tls://mx.example.org:4465"),
        ("imap://mx.example.org", "imap://mx.example.org:143"),
        ("imaps://mx.example.org", "tls://mx.example.org:993"),
        ("pop3://mx.example.org", "pop3://mx.example.org:110"),
        ("pop3s://mx.example.org", "tls://mx.example.org:995"),
        ("sieve://mx.example.org", "sieve://mx.example.org:4190"),
        ("https://192.0.2.1:8443/", "tls://192.0.2.1:8443"),
    ];
    let urls = written.map(|(url, _)| format!("\"{url}\"")).join(", ");
    let desired = good(&SMALL.replace("    keys:", &format!("    endpoints: [{urls}]\n    keys:")));
    let Endpoints::Listed(found) = &desired.certificates["mx"].endpoints else { panic!() };
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, written.map(|(_, canonical)| canonical));
}

#[test]
fn a_wildcard_owner_may_be_unchecked() {
    let text =
        SMALL.replace("[_25._tcp.mx.example.org]", "[\"*._tcp.mx.example.org\"]\n    endpoints: unchecked");
    let mx = &good(&text).certificates["mx"];
    assert_eq!((mx.tlsa.len(), &mx.endpoints), (1, &Endpoints::Unchecked));
}

#[test]
fn servers_keep_their_port() {
    for (written, canonical) in [
        ("192.0.2.1:5353", "192.0.2.1:5353"),
        ("\"2001:DB8::1\"", "2001:db8::1"),
        ("\"[2001:db8::1]:53\"", "[2001:db8::1]:53"),
        ("NS1.example.net.", "ns1.example.net"),
        ("ns1:853", "ns1:853"),
    ] {
        let desired = good(&SMALL.replace("server: 192.0.2.1", &format!("server: {written}")));
        let Provider::Rfc2136(home) = &desired.providers["home"] else { panic!() };
        assert_eq!(home.server, canonical);
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let text = SMALL
        .replace(
            "keys: managed",
            "keys: {active: {csr: a.csr}, backup: {csr: /b.csr}}\n    deploy: {reload: [./hook, x]}",
        )
        .replace("{file: tsig.secret}", "{command: [bin/secret, ./x]}");
    let folder = with_files(&text);
    folder.write("b.csr", "names: mx.example.org");
    let text = text.replace("/b.csr", &folder.0.join("b.csr").display().to_string());
    folder.write("zones.yaml", &text);
    let desired = folder.load().unwrap();
    let Keys::Own { active: ActiveKey::Csr(active), backup: Some(BackupKey::Csr(backup)) } =
        &desired.certificates["mx"].keys
    else {
        panic!()
    };
    assert_eq!((active, backup), (&folder.0.join("a.csr"), &folder.0.join("b.csr")));
    assert_eq!(desired.certificates["mx"].deploy.reload, [folder.0.join("hook").to_str().unwrap(), "x"]);
    let Provider::Rfc2136(home) = &desired.providers["home"] else { panic!() };
    let program = folder.0.join("bin/secret").display().to_string();
    assert_eq!(home.secret.source, Source::Command(vec![program, "./x".into()]));
    assert_eq!(desired.state, folder.0.join("state"));
}

#[test]
fn aliases_and_merges_work_within_bounds() {
    let text = SMALL.replace(
        "  example.org: {provider: home}",
        "  example.org: &zone {provider: home}\n  example.net: *zone",
    );
    assert_eq!(good(&text).zones.len(), 2);
}
