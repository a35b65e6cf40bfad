//! The DNS hosts that files describe: those in the program, and those of the folder that `provider_files` names.

use crate::config::problem::{Files, Problem, Sink};
use crate::config::read::At;
use crate::config::resolve::file_path;
use danesmith_providers::catalog::{Catalog, CatalogError};
use std::path::{Path, PathBuf};

/// The described hosts.
pub(in crate::config) struct Known {
    pub(in crate::config) catalog: Catalog,
    /// Whether all that should be there could be read.
    pub(in crate::config) complete: bool,
}

/// Reads the folder, if one is named. Its files' problems are told with their own line and column.
pub(in crate::config) fn open(
    at: Option<&At<String>>,
    folder: &Path,
    sink: &mut Sink,
) -> (Option<PathBuf>, Known) {
    let built_in = |complete| Known { catalog: Catalog::builtin().unwrap_or_default(), complete };
    let Some(at) = at else { return (None, built_in(true)) };
    let path = file_path(&at.value, folder);
    let path = std::path::absolute(&path).unwrap_or(path);
    if sink.files() == Files::Unread && !path.exists() {
        return (Some(path), built_in(false));
    }
    match Catalog::with_folder(&path) {
        Ok(catalog) => (Some(path), Known { catalog, complete: true }),
        Err(CatalogError::Untrusted { path: which, why }) => {
            let hint = "folder and files must belong to root or to you, and nobody else may write to them or above them";
            sink.say_with(&at.place, format!("{}: {why}", which.display()), hint);
            (None, built_in(false))
        }
        Err(CatalogError::Problems(problems)) => {
            sink.say(&at.place, "holds a file that is wrong");
            sink.elsewhere(problems.into_iter().map(|problem| Problem {
                file: problem.file,
                line: problem.at.line,
                column: problem.at.column,
                path: String::new(),
                message: problem.message,
                hint: None,
            }));
            (None, built_in(false))
        }
    }
}
