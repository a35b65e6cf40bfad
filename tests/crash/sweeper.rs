//! The sweeper of tests/tools as seen from here, and the statistics of a sweep.

use crate::scene::{Scene, told};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::time::Instant;

/// The sweeper did what it was asked to.
const REACHED: i32 = 0;
/// The run made fewer calls than that.
const NOT_REACHED: i32 = 3;

/// A program of tests/tools; built when it is not there.
pub(crate) fn tool(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    let path = Path::new(env!("CARGO_BIN_EXE_danesmith")).with_file_name(name);
    BUILD.call_once(|| {
        if !path.exists() {
            build();
        }
    });
    assert!(path.exists(), "{} was not built", path.display());
    path
}

fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--locked",
        "-p",
        "danesmith-testtools",
        "--bins",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo runs").success(), "cargo build of the test tools");
}

/// What became of one run under the sweeper.
pub(crate) struct Run {
    /// Did the call with the wanted number happen?
    pub(crate) reached: bool,
    /// `name place` of that call.
    pub(crate) call: String,
    /// The same without what differs from run to run: the world's folder, digests.
    pub(crate) shape: String,
    /// The path of that call, or its peer.
    pub(crate) place: String,
    /// danesmith's exit code; `None` when it died of a signal.
    pub(crate) code: Option<i64>,
    /// What it said.
    pub(crate) output: Output,
}

/// Runs danesmith (`apply`, unless the scene says other words) under the sweeper: `mode` is for example `["kill", "17"]`.
pub(crate) fn run(scene: &Scene, mode: &[&str]) -> Run {
    let report = scene.lab.dir().join("sweep.json");
    let output = sweep(scene, mode, &[OsStr::new("--report"), report.as_os_str()]);
    let reached = match output.status.code() {
        Some(REACHED) => true,
        Some(NOT_REACHED) => false,
        _ => panic!("sweeper {mode:?}: {}", told(&output)),
    };
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["timed_out"], false, "{mode:?}: {}", told(&output));
    let place = report["call"]["place"].as_str().unwrap_or_default().to_owned();
    let call = format!("{} {place}", report["call"]["name"].as_str().unwrap_or("no call"));
    let shape = report["call"]["shape"].as_str().unwrap_or("no call").to_owned();
    Run { reached, call, shape, place, code: report["exit"]["code"].as_i64(), output }
}

/// The shape of every call of a run that nobody disturbs.
pub(crate) fn count(scene: &Scene, filter: &[&str]) -> BTreeSet<String> {
    let calls = undisturbed(scene, filter);
    calls.iter().map(|call| call["shape"].as_str().unwrap().to_owned()).collect()
}

/// Every call of such a run that touches a file of the state folder, in order: its name and its paths below that folder.
pub(crate) fn calls(scene: &Scene) -> Vec<(String, Vec<String>)> {
    let state = scene.state().display().to_string();
    let of = |call: &Value| {
        let paths = call["place"].as_str().unwrap().split(" -> ");
        let below: Option<Vec<_>> = paths.map(|path| path.strip_prefix(&state).map(str::to_owned)).collect();
        Some((call["name"].as_str().unwrap().to_owned(), below?))
    };
    undisturbed(scene, &["--files"]).iter().filter_map(of).collect()
}

fn undisturbed(scene: &Scene, filter: &[&str]) -> Vec<Value> {
    let output = sweep(scene, &[&["count"], filter].concat(), &[]);
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(report["exit"]["code"], 0, "{text}");
    report["calls"].as_array().unwrap().clone()
}

fn sweep(scene: &Scene, mode: &[&str], more: &[&OsStr]) -> Output {
    scene.forget_dns();
    let mut command = scene.lab.command(tool("sweeper").to_str().unwrap());
    command.args(mode).args(more).args(["--timeout", "60", "--", env!("CARGO_BIN_EXE_danesmith")]);
    command.args(scene.words.get());
    command.output().unwrap()
}

/// Which calls a sweep has met, for people.
pub(crate) struct Statistics {
    what: String,
    begin: Instant,
    points: usize,
    names: BTreeMap<String, usize>,
    kinds: BTreeSet<String>,
}

impl Statistics {
    pub(crate) fn new(what: &str) -> Statistics {
        let (names, kinds) = (BTreeMap::new(), BTreeSet::new());
        Statistics { what: what.to_owned(), begin: Instant::now(), points: 0, names, kinds }
    }

    /// Counts one point.
    pub(crate) fn add(&mut self, shape: &str) {
        self.points += 1;
        *self.names.entry(shape.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
        self.kinds.insert(shape.to_owned());
    }

    /// The shapes in an undisturbed run that no point has met. memory.json is left out: not every run learns something
    /// worth remembering.
    pub(crate) fn missed(&self, shapes: BTreeSet<String>) -> Vec<String> {
        let missed = |shape: &String| !shape.contains("memory.json") && !self.kinds.contains(shape);
        shapes.into_iter().filter(missed).collect()
    }

    /// One line: points, calls, duration.
    pub(crate) fn print(&self, note: &str) {
        let names: Vec<_> = self.names.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let (points, kinds, took) = (self.points, self.kinds.len(), self.begin.elapsed());
        println!(
            "{}: {points} points, {kinds} kinds ({}) in {took:.0?}; {note}",
            self.what,
            names.join(", ")
        );
    }
}
