//! A disk that fails: each state-changing call below the state directory fails once, with ENOSPC and with EIO.

use crate::scene::{Live, Scene, told};
use crate::sweeper::{Run, Statistics, run};
use std::collections::BTreeMap;
use std::path::Path;

/// More calls than this and the sweep would not end: a defect of ours.
const MANY: usize = 2000;
/// README: a local read or write failed.
const LOCAL: i64 = 74;

#[test]
fn a_full_disk_at_any_moment_of_a_first_issue_is_told_and_outlived() {
    sweep_first_issue("ENOSPC");
}

#[test]
fn a_broken_disk_at_any_moment_of_a_first_issue_is_told_and_outlived() {
    sweep_first_issue("EIO");
}

#[test]
fn a_full_disk_at_any_moment_of_a_renewal_leaves_the_old_certificate() {
    sweep_renewal("ENOSPC");
}

#[test]
fn a_broken_disk_at_any_moment_of_a_renewal_leaves_the_old_certificate() {
    sweep_renewal("EIO");
}

fn sweep_first_issue(errno: &str) {
    let scene = Scene::new();
    let mut tally = Tally::new(&format!("{errno}, first issue"));
    for n in 1..MANY {
        scene.reset();
        std::fs::create_dir(scene.state()).unwrap(); // what calls are counted under must be there
        let failed = fail(&scene, n, errno);
        let context = context(errno, n, &failed);
        if !failed.reached {
            assert_eq!(failed.code, Some(0), "{context}");
            break;
        }
        tally.add(&scene, &failed, &context);
        scene.assert_whole_or_absent(&context);
        scene.apply_well(&context);
        scene.assert_done(&context);
        let orders = scene.orders();
        assert!(orders <= 2, "{context}: {orders} orders");
    }
    tally.print();
}

fn sweep_renewal(errno: &str) {
    let scene = Scene::new();
    scene.grow_old();
    let (old, pins) = (scene.assert_done("the old certificate"), scene.pins());
    let mut tally = Tally::new(&format!("{errno}, renewal"));
    for n in 1..MANY {
        scene.rewind();
        let failed = fail(&scene, n, errno);
        let context = context(errno, n, &failed);
        if !failed.reached {
            assert_eq!(failed.code, Some(0), "{context}");
            break;
        }
        tally.add(&scene, &failed, &context);
        let live =
            scene.assert_whole_or_absent(&context).unwrap_or_else(|| panic!("{context}: live is gone"));
        assert!(live == old || live.generation == old.generation + 1, "{context}: {live:?}");
        scene.apply_well(&context);
        assert_renewed(&scene, &old, &context);
        assert_eq!(scene.pins(), pins, "{context}: pins");
        let orders = scene.orders();
        assert!(orders <= 2, "{context}: {orders} orders");
    }
    tally.print();
}

fn fail(scene: &Scene, n: usize, errno: &str) -> Run {
    let state = scene.state();
    run(scene, &["fail", &n.to_string(), "--errno", errno, "--files", "--under", state.to_str().unwrap()])
}

fn context(errno: &str, n: usize, run: &Run) -> String {
    format!("{errno} at {n}: {}\n{}", run.call, told(&run.output))
}

fn assert_renewed(scene: &Scene, old: &Live, context: &str) {
    let new = scene.assert_done(context);
    assert_eq!((&new.spki, new.generation), (&old.spki, old.generation + 1), "{context}");
    assert_ne!(new.cert, old.cert, "{context}");
}

/// Counts what the failing runs ended with, and holds each to its word.
struct Tally {
    statistics: Statistics,
    told: usize,
    harmless: BTreeMap<String, usize>,
}

impl Tally {
    fn new(what: &str) -> Tally {
        Tally { statistics: Statistics::new(what), told: 0, harmless: BTreeMap::new() }
    }

    /// Exit 0 means that all is done; anything else is 74 and names the file.
    fn add(&mut self, scene: &Scene, run: &Run, context: &str) {
        self.statistics.add(&run.shape);
        match run.code {
            Some(0) => {
                scene.assert_done(context);
                *self.harmless.entry(run.shape.clone()).or_default() += 1;
            }
            Some(LOCAL) => {
                let stderr = String::from_utf8_lossy(&run.output.stderr);
                assert!(names(&stderr, &run.place), "the message does not name the place; {context}");
                self.told += 1;
            }
            other => panic!("exit {other:?}; {context}"),
        }
    }

    fn print(&self) {
        let harmless: usize = self.harmless.values().sum();
        self.statistics.print(&format!("{} told with exit 74, {harmless} harmless with exit 0", self.told));
        println!("  harmless: {}", self.harmless.keys().cloned().collect::<Vec<_>>().join(", "));
    }
}

/// Does the message name the file, the file that the temporary one is for, or a path below the folder?
fn names(message: &str, place: &str) -> bool {
    place.split(" -> ").any(|path| {
        let path = Path::new(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches('.').trim_end_matches(".new");
        message.contains(&path.with_file_name(name).display().to_string().replace("/./", "/"))
            || message.contains(&format!("/{name}"))
    })
}
