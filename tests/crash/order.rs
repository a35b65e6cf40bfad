//! The order that makes a power cut harmless (`src/atomic.rs`), read off the system calls: nothing has its name before it is
//! on disk, and nothing is named by another file before that.

use crate::scene::Scene;
use crate::sweeper::calls;

const DOCUMENT: &str = "/certificates/mx1/state.json";
const LIVE: &str = "/certificates/mx1/live";
const GENERATION: &str = "/certificates/mx1/generations/1";

/// One call: its name and its paths below the state folder.
type Call = (String, Vec<String>);

fn is_sync((name, paths): &Call, path: &str) -> bool {
    (name == "fsync" || name == "fdatasync") && paths == &[path]
}

/// Gives a file its name: from, to. What may be lost without harm is left out.
fn naming((name, paths): &Call) -> Option<(&str, &str)> {
    let [from, to] = &paths[..] else { return None };
    let names = name.starts_with("rename") || name.starts_with("link");
    (names && !to.ends_with("/memory.json")).then_some((from, to))
}

fn is_key(path: &str) -> bool {
    folder(path).ends_with("/keys")
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[test]
fn nothing_has_its_name_before_it_is_on_disk_and_the_folder_follows() {
    let scene = Scene::new();
    let calls = calls(&scene);
    let names: Vec<(usize, &str, &str)> = calls
        .iter()
        .enumerate()
        .filter_map(|(at, call)| naming(call).map(|(from, to)| (at, from, to)))
        .collect();
    let to: Vec<&str> = names.iter().map(|(_, _, to)| *to).collect();
    assert!(
        to.contains(&DOCUMENT) && to.contains(&LIVE) && to.iter().any(|to| to.contains("/keys/")),
        "{to:?}"
    );
    for (at, from, to) in &names {
        let before = &calls[..*at];
        let link = before.iter().rev().find(|(name, paths)| name.starts_with("symlink") && paths == &[*from]);
        let synced = before.iter().rposition(|call| is_sync(call, from));
        let written = before.iter().rposition(|(name, paths)| name.contains("write") && paths == &[*from]);
        assert!(link.is_some() || synced > written, "{to} has its name before it is on disk: {calls:#?}");
        let after = &calls[at + 1..];
        let followed = after.iter().position(|call| is_sync(call, folder(to)));
        // Two keys are written at once, and one sync may serve both; a document or link names what lies beside or below it.
        let beside =
            |next: &str| next.starts_with(folder(to)) && !(is_key(to) && is_key(next)) || next == DOCUMENT;
        let next = after.iter().position(|call| naming(call).is_some_and(|(_, next)| beside(next)));
        assert!(
            followed.is_some_and(|followed| next.is_none_or(|next| followed < next)),
            "the folder of {to} is not synced before the next file: {calls:#?}"
        );
    }
}

#[test]
fn a_generation_is_on_disk_before_the_document_and_the_document_before_the_link() {
    let scene = Scene::new();
    let calls = calls(&scene);
    let named = |path: &str, until: usize| {
        calls[..until].iter().rposition(|call| naming(call).is_some_and(|(_, to)| to == path))
    };
    let synced = |path: &str| calls.iter().position(|call| is_sync(call, path));
    let live = named(LIVE, calls.len()).unwrap();
    let document = named(DOCUMENT, live).unwrap();
    for file in ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem", "keyandchain.pem"] {
        let path = format!("{GENERATION}/{file}");
        assert!(synced(&path).is_some_and(|at| at < document), "{path}: {calls:#?}");
    }
    for path in [GENERATION, folder(GENERATION)] {
        assert!(synced(path).is_some_and(|at| at < document), "{path}: {calls:#?}");
    }
    let folder_synced = calls[document..live].iter().any(|call| is_sync(call, folder(DOCUMENT)));
    assert!(folder_synced, "the document is durable before the link leads to what it names: {calls:#?}");
}
