//! Providers other than dynamic update: fields as the host's file declares them, secrets by reference, what a provider
//! cannot do.

use super::{CANARY, SMALL, bad, good, shown, with_files};
use danesmith::config;
use danesmith::model::desired::{Provider, Removal, Setting};
use danesmith::secret::Source;
use danesmith_providers::catalog::Catalog;
use danesmith_providers::kinds;
use std::collections::BTreeSet;

const RFC2136: &str = "    rfc2136:
      server: 192.0.2.1
      tsig: {name: k, algorithm: hmac-sha256, secret: {file: tsig.secret}}
";

fn with(provider: &str) -> String {
    assert!(SMALL.contains(RFC2136));
    SMALL.replace(RFC2136, &format!("    {provider}\n"))
}

#[test]
fn a_described_host_takes_the_fields_of_its_file() {
    let desired =
        good(&with("powerdns: {url: 'http://127.0.0.1:8081', api_key: {env: PDNS_API_KEY}, timeout: 9s}"));
    let Provider::Described(home) = &desired.providers["home"] else { panic!() };
    assert_eq!((home.kind.as_str(), home.allow_http), ("powerdns", false));
    assert_eq!(home.timeout, Some(std::time::Duration::from_secs(9)));
    assert_eq!(home.settings["url"], Setting::Text("http://127.0.0.1:8081".into()));
    let Setting::Secret(key) = &home.settings["api_key"] else { panic!() };
    assert_eq!(key.source, Source::Env("PDNS_API_KEY".into()));
    assert_eq!(home.settings.len(), 2, "a default is the file's business");
}

#[test]
fn every_host_of_the_catalog_loads_with_what_it_needs_and_not_without() {
    let catalog = Catalog::builtin().unwrap();
    let mut hosts = 0;
    for spec in catalog.iter() {
        let value = |field: &danesmith_providers::http::Field| match field.secret {
            true => format!("{}: {{env: SECRET}}", field.name),
            false if field.name == "url" => "url: 'https://dns.example/'".to_owned(),
            false => format!("{}: 'x'", field.name),
        };
        let needed: Vec<String> = spec.fields.iter().filter(|field| field.required).map(value).collect();
        let text = with(&format!("{}: {{{}}}", spec.name, needed.join(", ")))
            .replace("    tlsa: [_25._tcp.mx.example.org]\n", "");
        let found = with_files(&text).load();
        let loaded = found.unwrap_or_else(|problems| panic!("{}: {}", spec.name, shown(&problems)));
        assert!(matches!(&loaded.providers["home"], Provider::Described(d) if d.kind == spec.name));
        let missing = with_files(&with(&format!("{}: {{}}", spec.name))).load().map(|_| ()).unwrap_err();
        for field in spec.fields.iter().filter(|field| field.required) {
            let told = missing
                .iter()
                .any(|p| p.message == format!("`{}` is missing", field.name) && p.hint.is_some());
            assert!(told, "{}.{}: {}", spec.name, field.name, shown(&missing));
        }
        hosts += 1;
    }
    assert_eq!(hosts, 86);
}

#[test]
fn all_problems_of_a_host_are_told_at_once_with_line_and_path() {
    bad(
        &with("powerdns: {ur: x, server: [a], api_key: {env: A, file: b}, timeout: 5, root: absent.pem}"),
        "6:16: providers.home.powerdns.ur: unknown field\n  hint: did you mean `url`?\n6:31: providers.home.powerdns.server: must be text, not a list\n  hint: write one value, without brackets, braces or dashes\n6:45: providers.home.powerdns.api_key: must name one place of the secret\n  hint: write where it is: {file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}\n6:73: providers.home.powerdns.timeout: lacks its unit\n  hint: write it as in 30s, 5m, 12h, 30d or 2w\n6:82: providers.home.powerdns.root: cannot read `absent.pem`: No such file or directory (os error 2)\n  hint: put the file there, or name its place anew; a relative path begins at the folder of zones.yaml",
    );
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_echoed() {
    let texts = [
        with(&format!("desec: {{token: {CANARY}}}")),
        with(&format!("desec: {{token: {{{CANARY}: x}}}}")),
        with(&format!("exec: {{command: [./p], config: {{api_token: {CANARY}}}}}")),
        with(&format!("exec: {{command: [./p], env: {{PASSWORD: {CANARY}}}}}")),
        with(&format!("acme_sh: {{install: /opt/acme.sh, script: dns_cf, env: {{CF_Key: {CANARY}}}}}")),
        with(&format!("lexicon: {{provider: x, options: {{auth_token: {CANARY}}}}}")),
        with(&format!("httpreq: {{endpoint: 'https://x.test/', password: {CANARY}}}")),
        with(&format!("httpreq: {{endpoint: 'https://u:{CANARY}@x.test/'}}")),
        with(&format!("powerdns: {{url: 'https://u:{CANARY}@x.test/', api_key: {{env: A}}}}")),
    ];
    for text in texts {
        let problems = with_files(&text).load().map(|_| ()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.line == 6), "{}", shown(&problems));
        assert!(!shown(&problems).contains(CANARY), "{}", shown(&problems));
    }
}

#[test]
fn an_address_that_would_show_secrets_on_the_way_is_refused() {
    bad(
        &with("powerdns: {url: 'http://192.0.2.7:8081', api_key: {env: A}}"),
        "6:21: providers.home.powerdns.url: http://192.0.2.7:8081 is not encrypted; only this host may be asked by http\n  \
         hint: secrets go there: write an https URL without user name or query",
    );
    good(&with("powerdns: {url: 'http://192.0.2.7:8081', api_key: {env: A}, allow_http: true}"));
    bad(
        &with("powerdns: {url: '127.0.0.1:8081', api_key: {env: A}}"),
        "6:15: providers.home.powerdns: requests would go to `127.0.0.1:8081/api/v1/servers/localhost`: is no URL",
    );
    bad(
        &with(
            "edgedns: {host: 'a b', client_token: {env: A}, client_secret: {env: B}, access_token: {env: C}}",
        ),
        "6:14: providers.home.edgedns: requests would go to `https://a b/config-dns/v2`: is no URL",
    );
    good(&with("powerdns: {url: {env: PDNS_URL}, api_key: {env: A}}"));
}

#[test]
fn what_provider_show_prints_for_copying_is_accepted() {
    let kinds = kinds::all(&Catalog::builtin().unwrap());
    let built_in: Vec<_> =
        kinds.iter().filter_map(|kind| Some((kind.name.as_str(), kind.example?))).collect();
    assert_eq!(built_in.len(), 6);
    for (name, lines) in built_in {
        let lines: String = lines.lines().map(|line| format!("      {line}\n")).collect();
        let text = SMALL.replace(RFC2136, &format!("    {name}:\n{lines}")).replace("    tlsa: ", "    # ");
        let folder = with_files(&text);
        for secret in ["token", "cf.token", "httpreq.password"] {
            folder.write(secret, CANARY);
        }
        let loaded = folder.load();
        assert!(loaded.is_ok(), "{name}: {}", shown(&loaded.unwrap_err()));
    }
}

#[test]
fn a_kind_that_does_not_exist_is_answered_with_one_that_does() {
    let told = |kind: &str, hint: &str| {
        let message = format!("6:5: providers.home: `{kind}` is not a kind of provider\n  hint: {hint}");
        bad(&with(&format!("{kind}: {{}}")), &message);
    };
    told("cloudfare", "did you mean `cloudflare`?");
    told("hetzner", "did you mean `hetznercloud`?");
    told("zzzzzzzzzz", "`danesmith provider list` shows those that there are");
    bad(
        &with("desec: {}\n    exec: {}"),
        "6:5: providers.home: must be exactly one kind of provider with its fields\n  \
         hint: such as `{rfc2136: {…}}`; `danesmith provider list` shows the kinds",
    );
}

#[test]
fn programs_and_adapters_take_their_fields() {
    let folder = with_files(&with(
        "exec: {command: [./plugin, -v], config: {port: 53, gss: true, secret: {file: s}}, env: {A: 5}}",
    ));
    let desired = folder.load().unwrap();
    let Provider::Exec(exec) = &desired.providers["home"] else { panic!() };
    assert_eq!(exec.command, [folder.0.join("plugin").to_str().unwrap(), "-v"]);
    assert_eq!((&exec.config["port"], &exec.config["gss"]), (&Setting::Number(53), &Setting::Flag(true)));
    let Setting::Secret(secret) = &exec.config["secret"] else { panic!() };
    assert_eq!(secret.source, Source::File(folder.0.join("s")));
    assert_eq!(exec.env["A"], Setting::Text("5".into()));

    let without_tlsa = |text: &str| with(text).replace("    tlsa: [_25._tcp.mx.example.org]\n", "");
    let desired = good(&without_tlsa("acme_sh: {install: /opt/acme.sh, script: dns_cf, removal: by-value}"));
    let Provider::AcmeSh(script) = &desired.providers["home"] else { panic!() };
    assert_eq!((script.script.as_str(), script.removal), ("dns_cf", Removal::ByValue));
    let desired = good(&without_tlsa("lego_exec: {program: /opt/hook}"));
    let Provider::LegoExec(hook) = &desired.providers["home"] else { panic!() };
    assert_eq!(hook.removal, Removal::MayTakeAll);
    let desired = good(&with("lexicon: {provider: cloudflare, options: {auth_token: {env: T}}}"));
    let Provider::Lexicon(library) = &desired.providers["home"] else { panic!() };
    assert_eq!((library.python.as_str(), library.provider.as_str()), ("python3", "cloudflare"));
}

#[test]
fn the_names_of_environment_variables_and_scripts_are_checked() {
    bad(
        &with("acme_sh: {install: /opt/acme.sh, script: cf, env: {A-B: x}, removal: yes}"),
        "6:46: providers.home.acme_sh.script: `cf`: is no name of a dnsapi script; they begin with `dns_`, such as dns_cf\n\
         6:56: providers.home.acme_sh.env.A-B: is not the name of an environment variable\n\
         6:74: providers.home.acme_sh.removal: `yes`: must be by-value or may-take-all (default)",
    );
}

#[test]
fn tlsa_through_a_provider_that_cannot_write_it_is_refused_with_its_line() {
    let hint = "`danesmith provider list` shows which kinds write TLSA; give the zone one of them, or drop this owner";
    for (provider, title) in [
        ("digitalocean: {token: {env: T}}", "DigitalOcean"),
        ("linode: {token: {env: T}}", "Linode / Akamai Cloud"),
        ("vultr: {api_key: {env: T}}", "Vultr"),
        ("acme_sh: {install: /opt/acme.sh, script: dns_cf}", "acme.sh's interface"),
        ("lego_exec: {program: /opt/hook}", "lego's exec interface"),
        ("httpreq: {endpoint: 'https://x.test/'}", "lego's httpreq interface"),
    ] {
        bad(
            &with(provider),
            &format!(
                "13:12: certificates.mx.tlsa[0]: the zone `example.org` is at provider `home`, which cannot write TLSA \
                 records: {title} takes TXT only\n  hint: {hint}"
            ),
        );
    }
}

#[test]
fn a_ttl_that_a_provider_does_not_take_is_refused_with_its_line() {
    let text = with("desec: {token: {env: T}}");
    let cloudflare = with("cloudflare: {api_token: {env: T}}");
    let zone = |text: &str, ttl: &str| {
        text.replace("{provider: home}", &format!("{{provider: home, ttl: {{{ttl}}}}}"))
    };
    bad(
        &zone(&cloudflare, "txt: 30, tlsa: 604800"),
        "8:44: zones.\"example.org\".ttl.txt: Cloudflare takes TTLs from 60 to 86400 seconds\n  hint: write 60\n\
         8:54: zones.\"example.org\".ttl.tlsa: Cloudflare takes TTLs from 60 to 86400 seconds\n  hint: write 86400",
    );
    good(&zone(&cloudflare, "txt: 60, tlsa: 3600"));
    good(&text); // its smallest TTL is the zone's, which only the host knows
    let ns1 = Catalog::builtin().unwrap();
    let strict = ns1.iter().find(|spec| spec.ttl.min > 60 && spec.ttl.allowed.is_empty()).unwrap().clone();
    let secrets: Vec<String> =
        strict.fields.iter().filter(|f| f.required).map(|f| format!("{}: {{env: T}}", f.name)).collect();
    let desired = good(
        &with(&format!("{}: {{{}}}", strict.name, secrets.join(", ")))
            .replace("    tlsa: [_25._tcp.mx.example.org]\n", ""),
    );
    let zone = desired.zones.values().next().unwrap();
    assert_eq!(
        zone.txt_ttl, strict.ttl.min,
        "{}: what nobody chose is moved to what the host takes",
        strict.name
    );
}

#[test]
fn what_the_list_says_of_built_in_kinds_is_what_the_reader_takes() {
    let schema = config::schema();
    let definition = |kind: &str| match kind {
        "rfc2136" => "Rfc2136",
        "exec" => "Exec",
        "acme_sh" => "AcmeSh",
        "lexicon" => "Lexicon",
        "lego_exec" => "LegoExec",
        "httpreq" => "HttpReq",
        other => panic!("{other}"),
    };
    let all = kinds::all(&Catalog::builtin().unwrap());
    assert_eq!(all.len(), 92);
    for kind in all.iter().filter(|kind| kind.file.is_none()) {
        let mirror = &schema["$defs"][definition(&kind.name)];
        let fields: BTreeSet<&str> =
            mirror["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, kind.fields.iter().map(|f| f.name.as_str()).collect(), "{}", kind.name);
        let required: BTreeSet<&str> =
            mirror["required"].as_array().into_iter().flatten().filter_map(|v| v.as_str()).collect();
        let needs = kind.fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
        assert_eq!(required, needs, "{}", kind.name);
    }
}

#[test]
fn the_providers_of_every_page_load_as_they_stand() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut blocks = 0;
    for page in ["README.md", "providers/README.md", "providers/PLUGINS.md"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if block.starts_with("providers:\n") {
                let loaded = with_files(&format!("version: 1\n{block}")).load();
                let desired =
                    loaded.unwrap_or_else(|problems| panic!("{page}: {}\n{block}", shown(&problems)));
                assert!(!desired.providers.is_empty());
                blocks += 1;
            }
        }
    }
    assert_eq!(blocks, 4);
}
