//! `--providers FILE`: what zones.yaml may say when others write it. `provider_files`: the administrator's own hosts.

use super::{CANARY, Folder, SMALL, names_in, shown, with_files};
use danesmith::config;
use danesmith::model::desired::{Desired, Provider, Validation};
use danesmith::secret::Source;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const FILE: &str = "\
version: 1
state: ./kept
resolvers: [192.0.2.53]
trust_anchor: root.key
accounts:
  paid: {directory: letsencrypt, root: private-ca.pem, eab: {kid: k, hmac_key: {file: eab}}, agree_terms: true}
providers:
  home: {desec: {token: {file: token}}}
";

const GUEST: &str = "\
version: 1
accounts:
  default: {directory: letsencrypt-staging, agree_terms: true}
zones:
  example.org: {provider: home}
certificates:
  mx: {names: [mx.example.org], keys: managed, tlsa: [_25._tcp.mx.example.org]}
  paid: {account: paid, names: [www.example.org], keys: managed}
";

/// The administrator's folder, beside that of zones.yaml.
fn administrator(text: &str) -> Folder {
    let folder = with_files("");
    folder.write("providers.yaml", text);
    folder
}

fn load(zones: &Folder, file: &Folder) -> Result<Desired, String> {
    let providers = file.0.join("providers.yaml");
    config::load_below(&zones.0.join("zones.yaml"), Some(&providers), &names_in).map_err(|problems| {
        let text = shown(&problems).replace(&format!("{}/", zones.0.display()), "");
        text.replace(&format!("{}/", file.0.display()), "FILE/")
    })
}

#[test]
fn zones_yaml_names_what_the_administrator_defines() {
    let (zones, file) = (with_files(GUEST), administrator(FILE));
    let desired = load(&zones, &file).unwrap();
    let Provider::Described(home) = &desired.providers["home"] else { panic!() };
    let danesmith::model::desired::Setting::Secret(token) = &home.settings["token"] else { panic!() };
    assert_eq!(token.source, Source::File(file.0.join("token")), "relative to the file it stands in");
    assert_eq!(desired.state, file.0.join("kept"));
    assert_eq!(desired.resolvers, ["192.0.2.53"]);
    assert_eq!(desired.validation, Validation::Own { trust_anchor: Some(file.0.join("root.key")) });
    assert_eq!(desired.accounts["paid"].root, Some(file.0.join("private-ca.pem")));
    assert_eq!(desired.accounts.len(), 2);
    assert_eq!(desired.certificates.len(), 2);
}

#[test]
fn what_could_redirect_a_secret_or_run_a_command_is_refused_line_by_line() {
    let zones = with_files(
        "version: 1
state: ./state
resolvers: [198.51.100.1]
validate: resolver
trust_anchor: root.key
provider_files: ./files
accounts:
  default: {directory: letsencrypt-staging, root: private-ca.pem, key: {file: a.key}}
  other: {directory: letsencrypt, eab: {kid: k, hmac_key: {env: HOME}}}
  paid: {directory: letsencrypt}
providers:
  home: {httpreq: {endpoint: 'https://collector.example/', password: {file: token}}}
zones:
  example.org: {provider: home}
certificates:
  mx:
    names: [mx.example.org]
    keys: managed
    deploy: {reload: [curl, collector.example]}
  own:
    names: [own.example.org]
    keys: {active: {key: ../administrator/a.key}, backup: {key: b.key}}
",
    );
    let told = load(&zones, &administrator(FILE)).unwrap_err();
    let places: Vec<&str> = told.lines().filter(|line| line.starts_with("zones.yaml")).collect();
    let expected = [
        "zones.yaml:2:8: state: must not stand here with --providers: it says where keys are kept, and which account key is used",
        "zones.yaml:3:13: resolvers: must not stand here with --providers: it says whom to believe",
        "zones.yaml:4:11: validate: must not stand here with --providers: it says whom to believe",
        "zones.yaml:5:15: trust_anchor: must not stand here with --providers: it says whom to believe",
        "zones.yaml:6:17: provider_files: must not stand here with --providers: it says where secrets are sent",
        "zones.yaml:8:51: accounts.default.root: must not stand here with --providers: it says which CA to believe",
        "zones.yaml:8:79: accounts.default.key.file: must not stand here with --providers: it names a credential",
        "zones.yaml:9:46: accounts.other.eab.kid: must not stand here with --providers: it names a credential",
        "zones.yaml:10:3: accounts.paid: this account stands in FILE/providers.yaml already",
        "zones.yaml:12:3: providers.home: must not stand here with --providers: a provider says where secrets are sent",
        "zones.yaml:19:13: certificates.mx.deploy: must not stand here with --providers: it runs a command, or puts keys \
         where others want them",
        "zones.yaml:22:26: certificates.own.keys.active.key: must not stand here with --providers: any private key that \
         danesmith may read could be named; give a CSR",
        "zones.yaml:22:65: certificates.own.keys.backup.key: must not stand here with --providers: any private key that \
         danesmith may read could be named; give a CSR",
    ];
    assert_eq!(places, expected, "\n{told}");
    assert!(told.contains("hint: it belongs into FILE/providers.yaml; drop it here"), "{told}");
}

#[test]
fn without_a_state_of_its_own_the_state_stands_beside_the_administrators_file() {
    let file = administrator(&FILE.replace("state: ./kept\n", ""));
    let desired = load(&with_files(GUEST), &file).unwrap();
    assert_eq!(desired.state, file.0.join("state"));
}

#[test]
fn a_provider_that_the_administrator_does_not_define_is_not_there() {
    let zones = with_files(&GUEST.replace("provider: home", "provider: hone"));
    let told = load(&zones, &administrator(FILE)).unwrap_err();
    assert_eq!(
        told,
        "zones.yaml:5:27: zones.\"example.org\".provider: no provider is named `hone`\n  hint: did you mean `home`?"
    );
}

#[test]
fn a_zones_yaml_of_others_that_is_a_link_is_not_followed() {
    let (zones, file) = (with_files(GUEST), administrator(FILE));
    fs::rename(zones.0.join("zones.yaml"), zones.0.join("real.yaml")).unwrap();
    std::os::unix::fs::symlink("real.yaml", zones.0.join("zones.yaml")).unwrap();
    assert!(zones.load().is_err(), "it names a provider that the other file has");
    let told = load(&zones, &file).unwrap_err();
    let expected = "zones.yaml: is no file, or a symbolic link: that is not followed with --providers\n  \
                    hint: name the file itself with --config";
    assert_eq!(told, expected);
}

#[test]
fn the_hosts_of_the_administrators_file_are_listed_without_a_zones_yaml() {
    let file = administrator(&FILE.replace("state: ./kept\n", "provider_files: ./files\n"));
    fs::create_dir(file.0.join("files")).unwrap();
    file.write("files/myhost.yaml", HOST);
    let shown = |providers: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_danesmith"));
        let output = command
            .args(["--providers", providers, "provider", "show", "myhost"])
            .current_dir(&file.0)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let path = file.0.join("providers.yaml").display().to_string();
    assert_eq!(shown(&path), (Some(0), String::new()));
    let (code, told) = shown("absent.yaml");
    assert!(code == Some(64) && told.contains("absent.yaml") && told.contains("left out"), "{told}");
}

#[test]
fn the_administrators_file_is_checked_like_any_other_and_must_be_his() {
    let file = administrator(&FILE.replace("{file: token}", CANARY).replace("resolvers", "resolver"));
    let told = load(&with_files(GUEST), &file).unwrap_err();
    assert!(
        told.contains("FILE/providers.yaml:3:1: resolver: unknown field\n  hint: did you mean `resolvers`?"),
        "{told}"
    );
    assert!(
        told.contains("FILE/providers.yaml:8:25: providers.home.desec.token: a secret must not stand"),
        "{told}"
    );
    assert!(!told.contains(CANARY), "{told}");

    let file = administrator(FILE);
    let path = file.0.join("providers.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let told = load(&with_files(GUEST), &file).unwrap_err();
    assert!(
        told.starts_with("FILE/providers.yaml: FILE/providers.yaml: may be changed by others (mode 666)"),
        "{told}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&file.0, fs::Permissions::from_mode(0o777)).unwrap();
    let told = load(&with_files(GUEST), &file).unwrap_err();
    assert!(
        told.contains("may be changed by others (mode 777)"),
        "who may write to the folder may swap the file: {told}"
    );
    let told = load(&with_files(GUEST), &with_files("")).unwrap_err();
    assert!(told.contains("No such file"), "{told}");
}

const HOST: &str = "\
name: myhost
title: My host
evidence: {level: docs, date: 2026-11-23}
types: [TXT]
config:
  url: {}
  token: {secret: true}
http: {base: \"{{ config.url }}\", headers: {Authorization: \"Bearer {{ config.token }}\"}}
zone: {find: {get: /zones, query: {name: \"{{ candidate }}\"}, items: body}, zone: {id: \"{{ item.id }}\", name: \"{{ item.name }}\"}}
list: {get: \"/zones/{{ zone.id }}/records\", items: body, id: item.id, name: item.name, type: item.type, ttl: item.ttl, value: \"{{ item.value }}\"}
add: {post: \"/zones/{{ zone.id }}/records\", json: {name: \"{{ fqdn }}\", type: \"{{ type }}\", ttl: \"{{ ttl }}\", value: \"{{ value }}\"}}
remove: {delete: \"/zones/{{ zone.id }}/records/{{ id }}\"}
";

/// SMALL with a folder of provider files and one of their hosts.
fn with_own(provider: &str) -> Folder {
    let rfc2136 = "    rfc2136:
      server: 192.0.2.1
      tsig: {name: k, algorithm: hmac-sha256, secret: {file: tsig.secret}}
";
    let text = SMALL
        .replace(rfc2136, &format!("    {provider}\n"))
        .replace("    tlsa: [_25._tcp.mx.example.org]\n", "");
    let folder = with_files(&text.replace("providers:\n", "provider_files: ./files\nproviders:\n"));
    fs::create_dir(folder.0.join("files")).unwrap();
    fs::set_permissions(folder.0.join("files"), fs::Permissions::from_mode(0o755)).unwrap();
    folder.write("files/myhost.yaml", HOST);
    folder
}

#[test]
fn a_folder_of_own_files_adds_hosts_and_replaces_those_built_in() {
    let folder = with_own("myhost: {url: 'https://dns.example/', token: {file: t}}");
    let desired = folder.load().unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    assert_eq!(desired.provider_files, Some(folder.0.join("files")));
    assert!(matches!(&desired.providers["home"], Provider::Described(d) if d.kind == "myhost"));

    let folder = with_own("powerdns: {url: 'https://dns.example/', token: {file: t}}");
    folder.write("files/powerdns.yaml", &HOST.replace("name: myhost", "name: powerdns"));
    folder.load().unwrap_or_else(|problems| panic!("{}", shown(&problems)));
}

#[test]
fn own_files_are_checked_whole_and_must_be_in_nobody_elses_hands() {
    let folder = with_own("myhost: {url: 'https://dns.example/', token: {file: t}}");
    folder.write("files/other.yaml", &HOST.replace("name: myhost", "name: other\nbogus: 1"));
    let told =
        shown(&folder.load().map(|_| ()).unwrap_err()).replace(&format!("{}/", folder.0.display()), "");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].starts_with("zones.yaml:4:17: provider_files: holds a file that is wrong"), "{told}");
    assert!(lines[1].starts_with("files/other.yaml:2:1: "), "{told}");

    fs::remove_file(folder.0.join("files/other.yaml")).unwrap();
    for (path, mode) in [("files/myhost.yaml", 0o664), ("files", 0o777)] {
        let before = fs::metadata(folder.0.join(path)).unwrap().permissions();
        fs::set_permissions(folder.0.join(path), fs::Permissions::from_mode(mode)).unwrap();
        let told = shown(&folder.load().map(|_| ()).unwrap_err());
        assert!(told.contains("provider_files") && told.contains("may be changed by others"), "{told}");
        fs::set_permissions(folder.0.join(path), before).unwrap();
    }
    folder.load().unwrap();
}

#[test]
fn own_files_are_never_taken_from_where_the_program_happens_to_run() {
    let folder = with_own("myhost: {url: 'https://dns.example/', token: {file: t}}");
    let text = fs::read_to_string(folder.0.join("zones.yaml")).unwrap();
    folder.write("zones.yaml", &text.replace("provider_files: ./files\n", ""));
    for name in
        ["myhost.yaml", "catalog/myhost.yaml", "providers/myhost.yaml", "providers/catalog/myhost.yaml"]
    {
        fs::create_dir_all(folder.0.join(name).parent().unwrap()).unwrap();
        folder.write(name, HOST);
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_danesmith"));
    let output =
        command.args(["plan"]).current_dir(&folder.0).env_remove("DANESMITH_CONFIG").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("`myhost` is not a kind of provider"), "{told}");
}
