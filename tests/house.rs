//! The rules of the house that the compiler does not know: who may import whom, how long a file may be, who prints.
//! CONTRIBUTING.md explains them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Past this a file has two subjects.
const MAX_LINES: usize = 450;
/// They never import each other; see [`allowed`].
const EDGES: [&str; 5] = ["acme", "dns", "store", "deploy", "verify"];
/// Modules that anyone may use.
const COMMON: [&str; 4] = ["error", "clock", "atomic", "secret"];

/// Modules of this crate that `module` may import, besides itself and [`COMMON`].
fn allowed(module: &str) -> Vec<&'static str> {
    match module {
        "main" => vec!["cli"],
        "cli" => {
            vec!["flow", "config", "report", "model", "acme", "dns", "store", "deploy", "verify", "rehearse"]
        }
        // The edges' traits and plain types only: a simulated world has no real edge.
        "rehearse" => vec!["flow", "acme", "dns", "store", "deploy", "verify", "model"],
        "flow" => vec!["acme", "dns", "store", "deploy", "verify", "model"],
        "config" | "report" => vec!["model"],
        edge if EDGES.contains(&edge) => vec!["model"],
        "model" | "error" | "clock" | "atomic" | "secret" => vec![],
        "lib" => vec![],
        other => panic!("src/{other} is new: say here and in CONTRIBUTING.md what it may import"),
    }
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut offences = Vec::new();
    for file in sources("src") {
        let module = module_of(&file);
        let mut allowed = allowed(&module);
        allowed.extend(COMMON);
        for imported in imports(&code(&file)) {
            if imported != module && !allowed.contains(&imported.as_str()) {
                offences.push(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_model_knows_no_files_no_network_and_no_clock() {
    let foreign = [
        "tokio",
        "reqwest",
        "std::fs",
        "std::io",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "Timestamp::now",
        "SystemTime",
        "Instant",
    ];
    let mut offences = Vec::new();
    for file in sources("src/model") {
        for (number, line) in code(&file).lines().enumerate() {
            for word in foreign.iter().filter(|word| line.contains(**word)) {
                offences.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
            if line.contains("hickory_proto::") && !imports_only_names_and_data(line) {
                offences.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn providers_know_nothing_of_acme() {
    for file in sources("providers/src") {
        assert!(!code(&file).to_lowercase().contains("acme::"), "{} knows ACME", file.display());
    }
}

#[test]
fn no_file_is_longer_than_one_subject() {
    let lines = |file: &PathBuf| fs::read_to_string(file).expect("readable").lines().count();
    let long: Vec<String> = all_sources()
        .iter()
        .filter(|file| lines(file) > MAX_LINES)
        .map(|file| format!("{}: {} lines", file.display(), lines(file)))
        .collect();
    assert!(long.is_empty(), "split by meaning:\n{}", long.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for file in all_sources() {
        let text = fs::read_to_string(&file).expect("readable");
        assert!(text.starts_with("//! "), "{}", file.display());
    }
}

#[test]
fn only_ui_prints() {
    offences_of(&["println!(", "eprintln!(", "print!(", "eprint!(", "stdout()", "stderr()"], |file| {
        file.ends_with("src/cli/ui.rs")
    });
}

#[test]
fn nothing_panics_on_purpose() {
    offences_of(
        &[".unwrap()", ".expect(\"", "panic!(", "todo!(", "unimplemented!(", "unreachable!("],
        |_| false,
    );
}

#[test]
fn the_readme_lists_every_exit_code() {
    use danesmith::error::Kind;
    let readme = fs::read_to_string(root().join("README.md")).expect("readable");
    let listed: BTreeSet<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| exit code"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('·').map(str::trim))
        .collect();
    let kinds = [
        Kind::Partial,
        Kind::Refused,
        Kind::Usage,
        Kind::Input,
        Kind::Remote,
        Kind::Internal,
        Kind::Local,
        Kind::Locked,
        Kind::Credentials,
        Kind::Config,
        Kind::Interrupted(2),
        Kind::Interrupted(15),
    ];
    for kind in kinds {
        let code = kind.exit_code().to_string();
        assert!(listed.contains(code.as_str()), "{kind:?} ({code}) is not in README's table: {listed:?}");
    }
}

#[test]
fn every_rule_of_dane_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/dane-rules.md")).expect("readable");
    let all: String = ["src", "tests", "providers"]
        .iter()
        .flat_map(|dir| sources(dir))
        .map(|file| fs::read_to_string(file).expect("readable"))
        .collect();
    let mut rules = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains("RFC ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        rules.push(cells[1].parse::<u32>().expect("a number"));
        let tests: Vec<&str> = cells[4].split('`').filter(|name| !name.trim().is_empty()).collect();
        assert!(!tests.is_empty(), "rule {} has no test", cells[1]);
        for test in tests {
            assert!(is_test(&all, test), "rule {}: there is no test {test}", cells[1]);
        }
    }
    assert_eq!(rules, (1..=21).collect::<Vec<_>>());
    for rule in rules {
        assert!(all.contains(&format!("fn rule_{rule}_")), "no test is named after rule {rule}");
    }
    let named = all.split("fn rule_").skip(1).filter_map(|text| text.split('(').next());
    for test in named.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
        assert!(page.contains(&format!("`rule_{test}`")), "docs/dane-rules.md does not name rule_{test}");
        let above = above(&all, &format!("rule_{test}"));
        assert!(above.contains("RFC "), "no RFC is named above rule_{test}: {above}");
    }
}

/// What stands above a function, up to the item before it.
fn above<'a>(all: &'a str, function: &str) -> &'a str {
    aboves(all, function).next().unwrap_or_default()
}

/// The same for every function of this name: a suite may have one that tests call by theirs.
fn aboves<'a>(all: &'a str, function: &str) -> impl Iterator<Item = &'a str> {
    all.match_indices(&format!("fn {function}(")).map(|(at, _)| at).collect::<Vec<_>>().into_iter().map(
        move |at| {
            let before = &all[..at];
            &before[before.rfind("\n\n").or(before.rfind("{\n")).unwrap_or_default()..]
        },
    )
}

/// Whether a function of this name is one that the test runner calls.
fn is_test(all: &str, function: &str) -> bool {
    // a macro makes a test of each way to write out of a sentence of the shared suite
    let of_suite = all.contains(&format!("pub async fn {function}(site: Site)"));
    of_suite
        || aboves(all, function).any(|above| above.contains("#[test]") || above.contains("#[tokio::test"))
}

/// Fails when product code (not tests) holds one of `words`, except in files for which `may`.
fn offences_of(words: &[&str], may: impl Fn(&Path) -> bool) {
    let mut offences = Vec::new();
    for file in all_sources().into_iter().filter(|file| !may(file)) {
        for (number, line) in code(&file).lines().enumerate() {
            for word in words.iter().filter(|word| contains_call(line, word)) {
                offences.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// `print!(` is no part of `eprint!(`, nor `stdout()` of `.stdout()`.
fn contains_call(line: &str, word: &str) -> bool {
    let part_of_a_word = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let method = |at: usize| line[..at].ends_with('.') && !word.starts_with('.');
    line.match_indices(word).any(|(at, _)| word.starts_with('.') || (!part_of_a_word(at) && !method(at)))
}

fn imports_only_names_and_data(line: &str) -> bool {
    let line = line.split("//").next().unwrap_or_default();
    line.contains("hickory_proto::rr::") || line.contains("hickory_proto::dnssec::rdata")
}

/// The modules of this crate a file names in `crate::…` paths: `use crate::model::key`, `crate::error::Result`, …
/// (`super::super` is not used to leave a module; a macro's `$crate` does not occur.)
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "danesmith::"] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads_of_group(group)),
                None => found.extend(head(rest)),
            }
        }
    }
    // `use crate::Thing` of a re-export at the crate's top is no module
    found.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    found
}

/// `a::{b, c}, d}` gives `a` and `d`.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut start = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                heads.extend(head(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first folder or file name below `src/`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).expect("a file of src/");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// A file's product code: without comments and without its test module, which stands last. A file that is a test
/// module as a whole (`tests.rs`, `*_tests.rs`) has none. Line numbers stay.
fn code(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if name == "tests"
        || name.ends_with("_tests")
        || file.components().any(|part| part.as_os_str() == "tests")
    {
        return String::new();
    }
    let text = fs::read_to_string(file).expect("readable");
    let product = &text[..start_of_tests(&text)];
    let lines = product.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where `#[cfg(test)] mod tests { … }` begins; other attributes may stand between.
fn start_of_tests(text: &str) -> usize {
    let is_module = |rest: &str| {
        let item = rest.lines().skip(1).find(|line| !line.starts_with("#[")).unwrap_or_default();
        item.starts_with("mod ") && item.ends_with('{')
    };
    let mut marks = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at);
    marks.find(|at| is_module(&text[*at..])).unwrap_or(text.len())
}

fn all_sources() -> Vec<PathBuf> {
    let mut files = sources("src");
    files.extend(sources("providers/src"));
    files
}

fn sources(dir: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(dir)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{dir} has no sources");
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_reader_of_imports_reads_groups_and_paths() {
    let code = "use crate::{acme::{Order, Account}, model};\nlet x = crate::error::Error::new();\nmycrate::cli::x();";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["acme", "error", "model"]);
}
