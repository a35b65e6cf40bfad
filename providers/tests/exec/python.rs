//! A Python with dns-lexicon from PyPI, in a virtual environment below `target/`; made once for all tests.

use std::path::PathBuf;

#[allow(dead_code)] // each test program uses a part of it
#[path = "../support/fetched.rs"]
pub(crate) mod fetched;

/// A Python with dns-lexicon, or why there is none.
pub(crate) fn python() -> Result<PathBuf, fetched::Missing> {
    fetched::python("lexicon-venv", &["dns-lexicon==3.25.2"]).map(|programs| programs.join("python3"))
}

/// Runs the test, or says plainly that it did not run. Where CI runs, and where the registry answers, not running is a
/// failure.
macro_rules! python_or_return {
    () => {
        match crate::python::python() {
            Ok(python) => python,
            Err(missing) => return missing.tell("dns-lexicon"),
        }
    };
}
pub(crate) use python_or_return;
