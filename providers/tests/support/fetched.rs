//! Programs that others made, from their registries, below `target/`: made once, by whoever asks first; the others wait.
//! What cannot be had is said aloud and kept in `target/skipped.txt`, which tests/run shows at its end: the runner hides
//! what a passing test prints.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a program is not there.
#[derive(Debug)]
pub(crate) struct Missing {
    why: String,
    /// Whether a test without it fails: where CI runs, and where the registry answers but the program cannot be made.
    fails: bool,
}

impl Missing {
    fn here(why: String) -> Missing {
        Missing { why, fails: std::env::var_os("CI").is_some() }
    }

    /// Says that a test does not run; fails where it must.
    pub(crate) fn tell(&self, what: &str) {
        assert!(!self.fails, "{what}: {}", self.why);
        left_out(what, &self.why);
    }
}

/// Says plainly that something is not tested here.
pub(crate) fn left_out(what: &str, why: &str) {
    let line = format!("NOT RUN: {what}: {}", why.replace('\n', " "));
    #[allow(clippy::print_stdout)] // the runner shows it with the test
    {
        println!("{line}");
    }
    let kept = target().and_then(|folder| {
        let mut file = File::options().create(true).append(true).open(folder.join("skipped.txt")).ok()?;
        file.write_all(format!("{line}\n").as_bytes()).ok()
    });
    assert!(kept.is_some(), "target/skipped.txt cannot be written");
}

/// The folder `bin` of a virtual environment with these packages, which name their versions.
pub(crate) fn python(folder: &str, packages: &[&str]) -> Result<PathBuf, Missing> {
    let make = |root: &Path| {
        run(Command::new("python3").args(["-m", "venv"]).arg(root))?;
        // Byte code is made when it is needed: of botocore alone that would be hundreds of modules.
        let install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"];
        run(Command::new(root.join("bin/python3")).args(install).args(packages))
    };
    let answers = |root: &Path| {
        let look = ["-m", "pip", "--quiet", "download", "--no-deps", "--dest"];
        run(Command::new(root.join("bin/python3")).args(look).arg(root.join("look")).args(&packages[..1]))
    };
    once(folder, &packages.join(" "), make, answers).map(|root| root.join("bin"))
}

/// The folder of the programs of an npm package, which names its version.
pub(crate) fn npm(folder: &str, package: &str) -> Result<PathBuf, Missing> {
    if let Err(why) = run(Command::new("npm").arg("--version")) {
        return Err(Missing { why: format!("there is no npm: {why}"), fails: false });
    }
    let make = |root: &Path| {
        let quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
        run(Command::new("npm").arg("install").args(quiet).arg("--prefix").arg(root).arg(package))
    };
    let answers = |_: &Path| run(Command::new("npm").args(["view", package, "version"]));
    once(folder, package, make, answers).map(|root| root.join("node_modules/.bin"))
}

/// Makes a folder below `target/` unless it was made of the same; `answers` asks whether the registry does.
fn once(
    folder: &str,
    what: &str,
    make: impl Fn(&Path) -> Result<(), String>,
    answers: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, Missing> {
    let root =
        target().ok_or_else(|| Missing::here("this test lies in no target folder".into()))?.join(folder);
    let broken = |error: std::io::Error| Missing::here(error.to_string());
    fs::create_dir_all(&root).map_err(broken)?;
    let lock = File::create(root.join("lock")).map_err(broken)?;
    lock.lock().map_err(broken)?;
    let made = root.join("made-of");
    if fs::read_to_string(&made).is_ok_and(|of| of == what) {
        return Ok(root);
    }
    // Registries have bad minutes.
    let again = |made: Result<(), String>, pause: u64| {
        made.or_else(|_| {
            std::thread::sleep(std::time::Duration::from_secs(pause));
            make(&root)
        })
    };
    if let Err(why) = [5, 20].into_iter().fold(make(&root), again) {
        let missing = Missing::here(format!("{what} cannot be installed: {why}"));
        return Err(Missing { fails: missing.fails || answers(&root).is_ok(), ..missing });
    }
    fs::write(made, what).map_err(broken)?;
    Ok(root)
}

/// `target`, of which this program is `target/PROFILE/deps/TEST`.
fn target() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.ancestors().nth(3)?.to_owned())
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}
