//! Files are checked whole when they are read.

use danesmith_providers::Semantics;
use danesmith_providers::catalog::{Catalog, CatalogError};
use danesmith_providers::http::{Level, Spec};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const GOOD: &str = include_str!("../../catalog/cloudflare.yaml");

fn problems(text: &str) -> Vec<String> {
    Spec::parse(text, "t.yaml").unwrap_err().iter().map(ToString::to_string).collect()
}

/// The good file with one thing changed; the change must hit.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// Line and column of `needle` in `text`, both from 1.
fn position(text: &str, needle: &str) -> String {
    let at = text.find(needle).unwrap();
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].rsplit('\n').next().unwrap().chars().count() + 1;
    format!("t.yaml:{line}:{column}: ")
}

#[test]
fn every_builtin_file_is_right_and_named_like_its_file() {
    let catalog = Catalog::builtin().unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<&str> = catalog.iter().map(|spec| spec.name.as_str()).collect();
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/catalog")).unwrap().count();
    assert_eq!(names.len(), files, "{names:?}");
    for spec in catalog.iter() {
        assert_eq!(spec.file, format!("catalog/{}.yaml", spec.name));
        assert!(spec.fields.iter().all(|field| !field.secret || field.default.is_none()));
    }
    let powerdns = catalog.get("powerdns").unwrap();
    assert_eq!((powerdns.semantics, powerdns.evidence.level), (Semantics::RrSet, Level::Live));
    assert_eq!(catalog.get("cloudflare").unwrap().semantics, Semantics::Record);
    assert!(catalog.get("nonsense").is_none());
}

#[test]
fn every_mistake_is_told_with_its_line_and_column() {
    let cases = [
        ("docs:", "doccs:", "doccs:", "has no key `doccs`; known are name, title"),
        ("items: body.result\n", "itmes: body.result\n", "itmes:", "has no key `itmes`"),
        ("  id: item.id\n", "  id: item.\n", "item.\n", "syntax error"),
        ("{{ config.api_token }}", "{{ config.api_tokn }}", "\"Bearer", "`config` has no member `api_tokn`"),
        (
            "{{ zone.id }}/dns",
            "{{ zone.ident }}/dns",
            "\"/zones/{{ zone.ident",
            "`zone` has no member `ident`",
        ),
        ("{{ candidate }}", "{{ fqdn }}", "\"{{ fqdn }}\"}, items", "`fqdn` is not defined here"),
        ("{{ tlsa.usage }}", "{{ tlsa.use }}", "\"{{ tlsa.use", "`tlsa` has no member `use`"),
        ("| join('; ')", "| glue('; ')", "\"body.errors | map", "unknown filter"),
        ("class: exists", "class: fine", "fine}", "`fine` is not one of ok, exists, auth"),
        ("types: [TXT, TLSA]", "types: [TXT, MX]", "[TXT, MX]", "`MX` is no type that can be written"),
        ("level: spec", "level: hearsay", "hearsay", "is not one of live, spec, recording, docs"),
        ("date: 2024-08-06", "date: 2024-13-06", "level: spec", "no date of the form"),
        ("[1200/5min]", "[4/fortnight]", "[4/fort", "is no rate"),
        ("  post:", "  put: /x\n  post:", "/x\n", "two requests"),
        ("min: 60", "min: sixty", "sixty", "`sixty` is not defined here"),
        (
            "ttl: item.ttl\n",
            "disabled: record\n",
            "get: \"/zones/{{ zone.id }}/dns_records\"",
            "`list` lacks `ttl`",
        ),
    ];
    for (from, to, at, words) in cases {
        let text = changed(from, to);
        let said = problems(&text);
        assert!(said.iter().any(|line| line.contains(words)), "{to}: {said:?}");
        let place = position(&text, at);
        assert!(said.iter().any(|line| line.starts_with(&place)), "{to}: {place} not in {said:?}");
    }
}

#[test]
fn what_cannot_write_is_refused() {
    let no_remove = GOOD.lines().filter(|line| !line.starts_with("remove:")).collect::<Vec<_>>().join("\n");
    assert!(problems(&no_remove)[0].contains("lacks a way to write"), "{:?}", problems(&no_remove));
    let both = format!("{GOOD}replace: {{put: /x}}\n");
    assert!(problems(&both)[0].contains("not both"), "{:?}", problems(&both));
    let one_type = changed("  TXT: {content: \"{{ value }}\"}\n", "");
    assert!(problems(&one_type)[0].contains("nothing is said for TXT"), "{:?}", problems(&one_type));
    let twice = format!("{GOOD}name: again\n");
    assert!(problems(&twice)[0].contains("duplicate"), "{:?}", problems(&twice));
}

#[test]
fn bombs_are_refused() {
    assert!(problems(&"[".repeat(20_000))[0].contains("is not YAML"));
    assert!(problems(&"x".repeat(200_000))[0].contains("is larger than 128 KiB"));
    let bomb = format!(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n{}",
        (0..8)
            .map(|n| format!(
                "{}: &{} [{}]\n",
                letter(n + 1),
                letter(n + 1),
                vec![format!("*{}", letter(n)); 10].join(", ")
            ))
            .collect::<String>()
    );
    assert_eq!(problems(&bomb).len(), 1);
}

fn letter(n: u8) -> char {
    char::from(b'a' + n)
}

/// A folder in the target directory: nobody else can write above it.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn mode(path: &PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_of_ones_own_extends_and_overrides() {
    let folder = folder("own");
    fs::write(folder.join("mine.yaml"), changed("name: cloudflare", "name: mine")).unwrap();
    fs::write(folder.join("cf.yaml"), changed("title: Cloudflare", "title: Ours")).unwrap();
    fs::write(folder.join("README.md"), "no provider").unwrap();
    let catalog = Catalog::with_folder(&folder).unwrap();
    assert_eq!(catalog.get("cloudflare").unwrap().title, "Ours");
    assert!(catalog.get("mine").is_some() && catalog.get("powerdns").is_some());

    fs::write(folder.join("bad.yaml"), "name: bad\n").unwrap();
    let error = Catalog::with_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("bad.yaml:1:1: the file lacks `title`"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_others_can_change_is_not_trusted() {
    let folder = folder("shared");
    let file = folder.join("mine.yaml");
    fs::write(&file, changed("name: cloudflare", "name: mine")).unwrap();
    let why = || match Catalog::with_folder(&folder) {
        Err(CatalogError::Untrusted { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    mode(&file, 0o664);
    assert!(why().contains("chmod go-w"));
    mode(&file, 0o644);
    mode(&folder, 0o777);
    assert!(why().contains("chmod go-w"));
    mode(&folder, 0o755);
    fs::rename(&file, folder.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.join("elsewhere"), &file).unwrap();
    assert!(why().contains("symbolic link"));
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(
        Catalog::with_folder(&PathBuf::from("catalog")),
        Err(CatalogError::Untrusted { why, .. }) if why.contains("absolute")
    ));
}
