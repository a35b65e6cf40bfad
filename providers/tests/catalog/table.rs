//! The table of providers in `README.md` is made from the files; BLESS=1 writes it anew.

use super::files::{catalog, here, spec};
use super::reach;
use danesmith_providers::Semantics;
use danesmith_providers::http::{Evidence, Spec};
use hickory_proto::rr::RecordType;
use std::fs;

/// Where the generated part of README.md stands.
const MARKS: (&str, &str) = ("<!-- made by tests/catalog/table.rs: begin -->\n", "<!-- end -->\n");

fn table(specs: &[Spec]) -> String {
    let mut lines =
        vec!["| name | host | types | changes | rests on |".to_owned(), "|---|---|---|---|---|".to_owned()];
    for spec in specs {
        let types: Vec<String> = spec.types.iter().map(ToString::to_string).collect();
        let semantics = match spec.semantics {
            Semantics::Record => "record by record",
            Semantics::RrSet => "whole RRsets",
            Semantics::Value => "value by value",
        };
        let evidence = evidence(spec);
        let host = match &spec.docs {
            Some(docs) => format!("[{}]({docs})", spec.title),
            None => spec.title.clone(),
        };
        lines.push(format!("| `{}` | {host} | {} | {semantics} | {evidence} |", spec.name, types.join(", ")));
    }
    lines.join("\n")
}

/// Level and date, what is left open, and the same for TLSA where it is something else.
fn evidence(spec: &Spec) -> String {
    let grounds = |evidence: &Evidence| {
        let date = evidence.date.as_deref().unwrap_or("no date");
        let note = evidence.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{}, {date}{note}", evidence.level.word())
    };
    let tlsa =
        spec.tlsa_evidence.as_ref().map(|tlsa| format!(". TLSA: {}", grounds(tlsa))).unwrap_or_default();
    format!("{}{tlsa}", grounds(&spec.evidence)).replace('|', "\\|")
}

fn counts(specs: &[Spec]) -> String {
    let (with_tlsa, levels) = reach::with_tlsa(specs);
    let reach = reach::reach();
    format!(
        "{} hosts are described here, {with_tlsa} of them with TLSA ({levels}); RFC 2136 comes on top. The scripts of acme.sh \
         3.1 and dns-lexicon 3.25.2 come to {} services; {} of ours are none of them (for {} there are scripts beyond \
         that list), so that with the adapters danesmith reaches {}. lego's own list comes to {} services; {} of them are not among \
         these: {}.",
        specs.len(),
        reach.adapters.len(),
        reach.beyond.len(),
        reach.proposed,
        reach.all(),
        reach.lego.len(),
        reach.lacking().len(),
        reach.lacking().join(", "),
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
        assert!(spec.tlsa_evidence.is_none() || spec.types.contains(&RecordType::TLSA), "{name}: TLSA?");
        let more = spec.tlsa_evidence.as_ref().is_some_and(|tlsa| tlsa.level < spec.evidence.level);
        assert!(!more, "{name}: TLSA goes by the same requests, so it cannot rest on more than they do");
        for evidence in [Some(&spec.evidence), spec.tlsa_evidence.as_ref()].into_iter().flatten() {
            assert!(
                evidence.date.is_some() && evidence.against.is_some(),
                "{name}: evidence without date or against"
            );
        }
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
