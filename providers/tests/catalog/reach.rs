//! How many services are reached, counted from lists of names: ours, those of acme.sh's scripts, those of dns-lexicon; and how
//! many lego lists. What README.md and CHANGELOG.md say is compared with that.

use super::fetched;
use super::files::{catalog, here, spec};
use danesmith_providers::http::{Level, Spec};
use hickory_proto::rr::RecordType;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Described hosts for which acme.sh has a script that is no part of the list: proposed, or newer.
const PROPOSED: [&str; 4] = ["dnscale", "hostinger", "nodion", "virtualname"];

/// What the lists come to.
pub(crate) struct Reach {
    /// Services behind acme.sh's scripts and dns-lexicon.
    pub(crate) adapters: BTreeSet<String>,
    /// Described hosts that are none of them.
    pub(crate) beyond: BTreeSet<String>,
    /// Of these, those with a proposal to acme.sh.
    pub(crate) proposed: usize,
    /// Services that lego lists.
    pub(crate) lego: BTreeSet<String>,
}

impl Reach {
    pub(crate) fn all(&self) -> usize {
        self.adapters.len() + self.beyond.len()
    }

    /// What lego lists and we do not reach.
    pub(crate) fn lacking(&self) -> Vec<&str> {
        let reached = |name: &String| self.adapters.contains(name) || self.beyond.contains(name);
        self.lego.iter().filter(|name| !reached(name)).map(String::as_str).collect()
    }
}

pub(crate) fn reach() -> Reach {
    let same = same();
    let service = |name: String| same.get(&name).cloned().unwrap_or(name);
    let services = |names: Vec<String>| -> BTreeSet<String> {
        names.into_iter().map(service).filter(|name| name != "-").collect()
    };
    let adapters: BTreeSet<String> = &services(names("acme_sh")) | &services(names("lexicon"));
    let lego = services(names("lego"));
    let ours = catalog().into_iter().map(|(name, _)| name);
    let beyond: BTreeSet<String> = ours.filter(|name| !adapters.contains(name)).collect();
    let proposed = PROPOSED.iter().filter(|name| beyond.contains(**name)).count();
    assert_eq!(proposed, PROPOSED.len(), "a proposal is in the list now: {PROPOSED:?}");
    Reach { adapters, beyond, proposed, lego }
}

/// How many of these write TLSA, and on what that rests: "1 live, 2 spec".
pub(crate) fn with_tlsa(specs: &[Spec]) -> (usize, String) {
    let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
    for spec in specs.iter().filter(|spec| spec.types.contains(&RecordType::TLSA)) {
        *levels.entry(spec.evidence_of(RecordType::TLSA).level).or_default() += 1;
    }
    let words: Vec<String> =
        levels.iter().map(|(level, count)| format!("{count} {}", level.word())).collect();
    (levels.values().sum(), words.join(", "))
}

fn lines(list: &str) -> Vec<String> {
    let path = here().join(format!("tests/catalog/reach/{list}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn names(list: &str) -> Vec<String> {
    lines(list).iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect()
}

/// A service's other names, each with the one that counts.
fn same() -> BTreeMap<String, String> {
    let mut same = BTreeMap::new();
    for line in lines("same") {
        let (service, others) = line.split_once(" = ").expect("SERVICE = NAMES");
        same.extend(others.split(' ').map(|other| (other.to_owned(), service.to_owned())));
    }
    same
}

#[test]
fn every_other_name_is_one_of_theirs_and_says_something() {
    let lists = ["acme_sh", "lexicon", "lego"];
    let theirs: BTreeSet<String> = lists.into_iter().flat_map(names).collect();
    for (other, service) in same() {
        assert!(theirs.contains(&other), "{other} is in no list");
        let known = theirs.contains(&service) || here().join(format!("catalog/{service}.yaml")).exists();
        let software = ["-", "rfc2136", "plesk", "henet", "tencentcloud"].contains(&service.as_str());
        assert!(known || software, "{service} is nobody's name");
    }
}

#[test]
fn danesmith_reaches_more_services_than_lego_lists() {
    let reach = reach();
    assert_eq!(names("lego").len(), 215, "lego.txt says so in its first lines");
    assert!(reach.all() > reach.lego.len(), "{} of ours, {} of lego's", reach.all(), reach.lego.len());
    assert!(reach.lacking().len() < reach.lego.len() / 5, "{:?}", reach.lacking());
}

#[test]
fn the_list_of_dns_lexicons_hosts_is_that_of_the_library() {
    let programs = match fetched::python("lexicon-venv", &["dns-lexicon==3.25.2"]) {
        Ok(programs) => programs,
        Err(missing) => return missing.tell("dns-lexicon's list of hosts"),
    };
    let list = "import os, lexicon; print(' '.join(sorted(f[:-3] for f in os.listdir(os.path.dirname(lexicon.__file__) + \
                '/_private/providers') if f.endswith('.py') and not f.startswith('_'))))";
    let output =
        std::process::Command::new(programs.join("python3")).args(["-c", list]).output().expect("it runs");
    let known = names("lexicon").join(" ");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), known);
}

#[test]
fn the_readme_and_the_changelog_count_as_the_lists_do() {
    let specs: Vec<Spec> = catalog().iter().map(|(name, _)| spec(name)).collect();
    let reach = reach();
    let (hosts, (tlsa, levels), all) = (specs.len(), with_tlsa(&specs), reach.all());
    let (lego, lacking) = (reach.lego.len(), reach.lacking().len());
    let words = |file: &str| {
        let text = fs::read_to_string(here().join("..").join(file)).expect("readable");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let readme = words("README.md");
    for said in [
        format!("the HTTP interfaces of {hosts} DNS hosts, {tlsa} of them with TLSA ({levels})"),
        format!(
            "By all those {all} services are reached (lego lists {lego}, {lacking} of them are not among these)"
        ),
        format!("one of the {tlsa},"),
    ] {
        assert!(readme.contains(&said), "README.md does not say: {said}");
    }
    let said = format!("{hosts} DNS hosts described in `providers/catalog/`, {tlsa} of them with TLSA");
    assert!(words("CHANGELOG.md").contains(&said), "CHANGELOG.md does not say: {said}");
}
