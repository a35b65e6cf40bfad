//! README.md's "a new host in five steps", followed in a copy of the catalog with a file that is no copy of another. (Step 5, a
//! real server, is `tests/issue/providers.rs` of the program, with the same file.)

use std::fs;
use std::path::Path;
use std::process::Command;

const FILE: &str = include_str!("steps/myhost.yaml");
const CASE: &str = include_str!("steps/case.yaml");
const LOADS: &str = "files::every_file_of_the_catalog_loads_without_a_problem";
const DRIVES: &str = "drive::every_file_adds_and_removes_its_own_values_and_nothing_else";
const LISTS: &str = "table::the_readme_lists_every_described_host";

/// Enough neighbours to follow the steps among; all of them are driven elsewhere.
const NEIGHBOURS: [&str; 6] = ["digitalocean", "dnscale", "gandi", "hostinger", "nodion", "virtualname"];

/// A copy of what the steps touch.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Copy {
        let copy = Copy(tempfile::tempdir().expect("a folder"));
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in [
            "catalog",
            "tests/catalog",
            "tests/catalog/cases",
            "tests/catalog/requests",
            "tests/catalog/reach",
        ] {
            fs::create_dir_all(copy.0.path().join(folder)).expect("writable");
            for entry in fs::read_dir(crate_folder.join(folder)).expect("a folder") {
                let from = entry.expect("an entry").path();
                let name = from.file_stem().and_then(|name| name.to_str()).expect("a name");
                let host = folder != "tests/catalog" && folder != "tests/catalog/reach";
                if from.is_file() && (!host || NEIGHBOURS.contains(&name)) {
                    let to = copy.0.path().join(folder).join(from.file_name().expect("a name"));
                    fs::copy(&from, to).expect("writable");
                }
            }
        }
        fs::copy(crate_folder.join("README.md"), copy.0.path().join("README.md")).expect("writable");
        let (passed, said) = copy.test(LISTS, true);
        assert!(passed, "{said}");
        copy
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).expect("writable");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).expect("readable")
    }

    /// `cargo test … TEST`, in the copy: whether it passed, and what it said.
    fn test(&self, test: &str, bless: bool) -> (bool, String) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", test]).env("DANESMITH_CATALOG", self.0.path());
        command.env_remove("BLESS").env("RUST_BACKTRACE", "0");
        if bless {
            command.env("BLESS", "1");
        }
        let output = command.output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("running 1 test"), "no test is called {test}: {said}");
        (output.status.success(), said)
    }
}

#[test]
fn the_five_steps_of_the_readme_lead_to_a_new_host() {
    let copy = Copy::new();
    // 2 and 3: every mistake is told with its line and column
    let wrong = FILE.replace("disabled: record", "disabeld: record").replace("item.ttl\n", "item.ttl +\n");
    copy.write("catalog/myhost.yaml", &wrong.replace("{{ fqdn }}.\"\n", "{{ fqnd }}.\"\n"));
    let (passed, said) = copy.test(LOADS, false);
    assert!(!passed);
    for (told, key) in
        [("`disabeld`", "  disabeld:"), ("syntax error", "  ttl: item.ttl +"), ("fqnd", "- name: \"{{ fqnd")]
    {
        let line = wrong.replace("fqdn }}.\"\n", "fqnd }}.\"\n").lines().position(|text| text.contains(key));
        let place = format!("myhost.yaml:{}:", line.expect("the mistake") + 1);
        let found = said.lines().any(|line| line.contains(&place) && line.contains(told));
        assert!(found, "{place} … {told}\n{said}");
    }
    copy.write("catalog/myhost.yaml", FILE);
    let (passed, said) = copy.test(LOADS, false);
    assert!(passed, "{said}");
    // 4: its fake; the requests and the table are written, and hold from then on
    copy.write("tests/catalog/cases/myhost.yaml", CASE);
    assert!(!copy.test(LISTS, false).0, "the table lacks it");
    for test in [DRIVES, LISTS] {
        let (passed, said) = copy.test(test, true);
        assert!(passed, "{test}: {said}");
    }
    assert!(copy.read("README.md").contains("| `myhost` | [A host of one's own]"), "its row");
    let requests = copy.read("tests/catalog/requests/myhost.txt");
    assert!(requests.contains("PATCH /api/v1/servers/localhost/zones/example.org."), "{requests}");
    let (passed, said) = copy.test(LISTS, false);
    assert!(passed, "{said}");
    // and a file that would do harm does not pass
    copy.write(
        "catalog/myhost.yaml",
        &FILE.replace("{$each: final,", "{$each: \"final | rejectattr('raw') | list\","),
    );
    let (passed, said) = copy.test(DRIVES, false);
    assert!(!passed && said.contains("which shall stay"), "{said}");
}
