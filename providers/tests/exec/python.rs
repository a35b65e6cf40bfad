//! A Python with dns-lexicon from PyPI, in a virtual environment below `target/`; made once for all tests.

use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "dns-lexicon==3.25.2";

/// A Python with dns-lexicon, or why there is none.
pub(crate) fn python() -> Result<PathBuf, String> {
    // target/PROFILE/deps/TEST
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = test.ancestors().nth(3).ok_or("this test lies in no target folder")?;
    let root = target.join("lexicon-venv");
    let python = root.join("bin/python3");
    std::fs::create_dir_all(&root).map_err(|error| error.to_string())?;
    // Tests run at the same time: one makes it, the others wait.
    let lock = std::fs::File::create(root.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if root.join(VERSION).exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
    let install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", VERSION];
    run(Command::new(&python).args(install))?;
    std::fs::write(root.join(VERSION), "").map_err(|error| error.to_string())?;
    Ok(python)
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// Runs the test, or says plainly that it did not run. Where CI runs, not running is a failure.
macro_rules! python_or_return {
    () => {
        match crate::python::python() {
            Ok(python) => python,
            Err(why) if std::env::var_os("CI").is_none() => {
                println!("NOT RUN: dns-lexicon could not be installed: {why}");
                return;
            }
            Err(why) => panic!("dns-lexicon could not be installed: {why}"),
        }
    };
}
pub(crate) use python_or_return;
