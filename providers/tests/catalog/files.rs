//! Every file of the catalog is read whole.

use danesmith_providers::http::Spec;
use std::fs;
use std::path::PathBuf;

/// The crate's folder, or the copy of it that a test (`steps.rs`) works on.
pub(crate) fn here() -> PathBuf {
    std::env::var_os("DANESMITH_CATALOG").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Name and text of every file, sorted.
pub(crate) fn catalog() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(here().join("catalog"))
        .expect("the catalog")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

/// The file of that name, read.
pub(crate) fn spec(name: &str) -> Spec {
    let text = fs::read_to_string(here().join("catalog").join(format!("{name}.yaml"))).expect("readable");
    Spec::parse(&text, &format!("{name}.yaml")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn every_file_of_the_catalog_loads_without_a_problem() {
    let mut problems = Vec::new();
    for (name, text) in catalog() {
        match Spec::parse(&text, &format!("{name}.yaml")) {
            Ok(spec) if spec.name != name => problems.push(format!("{name}.yaml calls itself {}", spec.name)),
            Ok(_) => {}
            Err(found) => problems.extend(found.iter().map(ToString::to_string)),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
