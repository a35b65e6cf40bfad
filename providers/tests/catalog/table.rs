//! The table of providers in `README.md` is made from the files; BLESS=1 writes it anew.

use super::files::{catalog, here, spec};
use danesmith_providers::http::{Semantics, Spec};
use hickory_proto::rr::RecordType;
use std::fs;

/// Where the generated part of README.md stands.
const MARKS: (&str, &str) = ("<!-- made by tests/catalog/table.rs: begin -->\n", "<!-- end -->\n");

/// Described hosts that neither acme.sh 3.1.4 nor dns-lexicon 3.25.2 reaches, looked up in November 2026: no script of
/// that name among acme.sh's published `dnsapi/`, no provider module in dns-lexicon. Those marked in the second list have
/// a script in proposals to acme.sh that were not part of 3.1.4.
const LEGO_ONLY: [&str; 25] = [
    "axelname",
    "binarylane",
    "bluecat",
    "brandit",
    "civo",
    "cloudru",
    "derak",
    "epik",
    "excedo",
    "f5xc",
    "gigahostno",
    "hostingnl",
    "liara",
    "lightsail",
    "manageengine",
    "netnod",
    "nifcloud",
    "octenium",
    "otc",
    "rainyun",
    "rimuhosting",
    "uniteddomains",
    "vegadns",
    "vinyldns",
    "vkcloud",
];
const PROPOSED: [&str; 2] = ["nodion", "virtualname"];
/// Services behind acme.sh's scripts and dns-lexicon together, names normalised by hand in August 2026: an estimate.
const BY_ADAPTERS: usize = 193;

fn table(specs: &[Spec]) -> String {
    let mut lines =
        vec!["| name | host | types | changes | evidence |".to_owned(), "|---|---|---|---|---|".to_owned()];
    for spec in specs {
        let types: Vec<String> = spec.types.iter().map(ToString::to_string).collect();
        let semantics = match spec.semantics {
            Semantics::Record => "record by record",
            Semantics::RrSet => "whole RRsets",
            Semantics::Value => "value by value",
        };
        let date = spec.evidence.date.as_deref().map(|date| format!(", {date}")).unwrap_or_default();
        let host = match &spec.docs {
            Some(docs) => format!("[{}]({docs})", spec.title),
            None => spec.title.clone(),
        };
        let evidence = format!("{}{date}", spec.evidence.level.word());
        lines.push(format!("| `{}` | {host} | {} | {semantics} | {evidence} |", spec.name, types.join(", ")));
    }
    lines.join("\n")
}

fn counts(specs: &[Spec]) -> String {
    let with_tlsa = specs.iter().filter(|spec| spec.types.contains(&RecordType::TLSA)).count();
    let beyond = specs.iter().filter(|spec| LEGO_ONLY.contains(&spec.name.as_str())).count();
    let proposed = specs.iter().filter(|spec| PROPOSED.contains(&spec.name.as_str())).count();
    format!(
        "{} hosts are described here, {with_tlsa} of them with TLSA; RFC 2136 comes on top. {beyond} of them are reached \
         neither by acme.sh nor by dns-lexicon ({proposed} more only by proposals to acme.sh), so that together with the \
         adapters, which reach about {BY_ADAPTERS} services by those two, danesmith reaches about {}.",
        specs.len(),
        BY_ADAPTERS + beyond + proposed,
    )
}

#[test]
fn the_readme_lists_every_described_host() {
    let specs: Vec<Spec> = catalog().iter().map(|(name, _)| spec(name)).collect();
    let generated = format!("\n{}\n\n{}\n\n", counts(&specs), table(&specs));
    let path = here().join("README.md");
    let text = fs::read_to_string(&path).expect("providers/README.md");
    let (head, rest) = text.split_once(MARKS.0).expect("the first mark");
    let (known, tail) = rest.split_once(MARKS.1).expect("the second mark");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{head}{}{generated}{}{tail}", MARKS.0, MARKS.1)).expect("writable");
        return;
    }
    assert_eq!(
        known, generated,
        "BLESS=1 cargo test -p danesmith-providers --test catalog the_readme writes it anew"
    );
}

#[test]
fn every_file_says_where_it_comes_from_and_what_it_needs() {
    for (name, _) in catalog() {
        let spec = spec(&name);
        assert!(spec.docs.as_ref().is_some_and(|docs| docs.starts_with("https://")), "{name}: docs");
        assert!(spec.evidence.date.is_some() || spec.evidence.against.is_some(), "{name}: evidence");
        let told = spec.note.is_some() || spec.fields.iter().any(|field| field.doc.is_some());
        assert!(told, "{name}: what the credential must be able to do");
        assert!(spec.fields.iter().any(|field| field.secret), "{name}: no secret?");
        let known = spec.fields.iter().filter(|field| field.secret).all(|field| !field.env.is_empty());
        assert!(known, "{name}: which environment variable other tools use");
    }
}

#[test]
fn there_is_a_case_for_every_described_host_and_a_host_for_every_case() {
    let named = |folder: &str, extension: &str| -> Vec<String> {
        let entries = fs::read_dir(here().join(folder)).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter_map(|name| name.strip_suffix(extension).map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    let mut described = named("catalog", ".yaml");
    described.retain(|name| !super::drive::ELSEWHERE.contains(&name.as_str()));
    assert_eq!(named("tests/catalog/cases", ".yaml"), described);
    for name in &described {
        let assumed = super::case::Case::of(name).assumes;
        assert!(assumed.split(' ').count() > 5, "{name}: `assumes` is what its fake takes for true");
    }
    assert_eq!(named("tests/catalog/requests", ".txt"), described);
}
