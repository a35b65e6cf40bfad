//! dns-lexicon (PyPI) from the administrator's own Python, used as a library through a small driver that speaks our plugin
//! protocol: its command line refuses TLSA and guesses zones, the library does not have to.

use crate::Error;
use crate::exec::{ExecProvider, Options, Setting, Settings};
use serde_json::Value;
use std::ffi::OsString;

/// The driver; it runs in the administrator's Python.
const DRIVER: &str = include_str!("lexicon.py");

/// Starts dns-lexicon's provider `provider` (`cloudflare`) with `python`, an absolute path or a name in PATH, that has it
/// installed. `settings` are lexicon's options of that provider (`auth_token`).
///
/// Errors: those of [`ExecProvider::new`]; [`crate::Class::Unsupported`] when this Python has no dns-lexicon or it does not
/// know the provider.
pub async fn open(
    python: OsString,
    provider: &str,
    mut settings: Settings,
    options: Options,
) -> Result<ExecProvider, Error> {
    settings.insert("provider".to_owned(), Setting::Plain(Value::from(provider)));
    // -I: neither PYTHON* variables nor the folder we run in decide what is imported.
    let argv = vec![python, "-I".into(), "-c".into(), DRIVER.into()];
    ExecProvider::new(argv, settings, options).await
}
