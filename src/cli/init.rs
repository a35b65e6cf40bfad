//! `danesmith init`: a commented zones.yaml.

use super::Global;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::report::Output;
use std::fs::OpenOptions;
use std::io::Write;

/// `init` has no arguments of its own; `--config` names the file.
#[derive(clap::Args)]
pub(super) struct Args {}

/// Writes the template where `--config` says; never over an existing file.
pub(super) fn run(global: &Global, _: &Args) -> Result<Output> {
    let path = &global.config;
    let action = format!("write `{}`", path.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Error::new(Kind::Usage, action.clone(), "it exists already")
                .remains("It was not changed.")
                .hint("name another file: danesmith init -c FILE"),
            _ => Error::new(Kind::Local, action.clone(), &e).hint_of(&e),
        })?;
    file.write_all(config::TEMPLATE.as_bytes()).map_err(|e| Error::new(Kind::Local, action, e))?;
    let text = format!(
        "wrote {}\nnext: put your names, zones and provider into it and delete the samples you do not need, then run `danesmith plan`\n",
        path.display()
    );
    Ok(Output { text, json: serde_json::json!({ "file": path.display().to_string() }) })
}
