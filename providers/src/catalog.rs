//! The DNS hosts that are described in files: those in the program, and those of a folder of the user's own.

use crate::http::{At, Problem, Spec};
use crate::owner::{self, Foreign};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Name and text of each file of `catalog/`.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// Described DNS hosts, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    /// Of the user's own: read and checked when the catalog was made.
    Own(Arc<Spec>),
    /// In the program: read when it is first wanted, because a run wants one or two of them.
    Built { file: &'static str, text: &'static str, spec: OnceLock<Option<Arc<Spec>>> },
}

impl Entry {
    fn spec(&self) -> Option<&Arc<Spec>> {
        match self {
            Entry::Own(spec) => Some(spec),
            Entry::Built { file, text, spec } => {
                let read = || Spec::parse(text, &format!("catalog/{file}")).ok().map(Arc::new);
                spec.get_or_init(read).as_ref()
            }
        }
    }
}

/// Why a catalog cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogError {
    /// Files that are wrong; every problem of every file.
    Problems(Vec<Problem>),
    /// A folder or file that cannot be read or is not to be trusted.
    Untrusted {
        /// The folder or file.
        path: PathBuf,
        /// What is the matter.
        why: String,
    },
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogError::Problems(problems) => {
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            CatalogError::Untrusted { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for CatalogError {}

impl Catalog {
    /// The files in the program.
    ///
    /// # Errors
    /// None today: a test reads every file.
    pub fn builtin() -> Result<Catalog, CatalogError> {
        let entry = |(file, text): &(&'static str, &'static str)| {
            let name = file.trim_end_matches(".yaml").to_owned();
            (name, Entry::Built { file, text, spec: OnceLock::new() })
        };
        Ok(Catalog { entries: FILES.iter().map(entry).collect() })
    }

    /// The files in the program and those of a folder (`*.yaml`), which win. Folder and files must belong to root or
    /// to the user who runs this, and nobody else may be able to write to them: they say where secrets are sent.
    ///
    /// # Errors
    /// A relative path, a folder or file that others can change or that cannot be read, or a file that is wrong.
    pub fn with_folder(path: &Path) -> Result<Catalog, CatalogError> {
        let mut catalog = Catalog::builtin()?;
        let texts = own_files(path)?;
        catalog.read(texts.iter().map(|(file, text)| (file.display().to_string(), text.as_str())))?;
        Ok(catalog)
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Arc<Spec>> {
        self.entries.get(name)?.spec()
    }

    /// The names, without reading the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Spec>> {
        self.entries.values().filter_map(Entry::spec)
    }

    fn read<'t>(&mut self, texts: impl Iterator<Item = (String, &'t str)>) -> Result<(), CatalogError> {
        let (mut problems, mut files) = (Vec::new(), BTreeMap::new());
        for (file, text) in texts {
            match Spec::parse(text, &file) {
                Ok(spec) => {
                    if let Some(other) = files.insert(spec.name.clone(), file.clone()) {
                        let message = format!("the name `{}` is that of {other}, too", spec.name);
                        problems.push(Problem { file, at: At { line: 1, column: 1 }, message });
                    }
                    self.entries.insert(spec.name.clone(), Entry::Own(Arc::new(spec)));
                }
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(CatalogError::Problems(problems)) }
    }
}

fn own_files(folder: &Path) -> Result<Vec<(PathBuf, String)>, CatalogError> {
    let untrusted = |path: &Path, why: String| CatalogError::Untrusted { path: path.to_owned(), why };
    if !folder.is_absolute() {
        return Err(untrusted(folder, "the folder of provider files must be an absolute path".to_owned()));
    }
    trusted(folder).map_err(|foreign| untrusted(&foreign.path, foreign.why))?;
    let entries = fs::read_dir(folder).map_err(|e| untrusted(folder, e.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| untrusted(folder, e.to_string()))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        trusted(&path).map_err(|foreign| untrusted(&foreign.path, foreign.why))?;
        if !path.is_file() {
            return Err(untrusted(&path, "is no file".to_owned()));
        }
        let text = fs::read_to_string(&path).map_err(|e| untrusted(&path, e.to_string()))?;
        files.push((path, text));
    }
    files.sort();
    Ok(files)
}

/// Whether nobody but root and the user who runs this can change a file, or put another one in its place.
///
/// # Errors
/// What is the matter, with the file or a folder above it.
pub fn check_owner(file: &Path) -> Result<(), String> {
    if !file.is_absolute() {
        return Err(format!("{}: must be an absolute path", file.display()));
    }
    trusted(file).map_err(|foreign| format!("{}: {}", foreign.path.display(), foreign.why))
}

/// [`owner::check`], and no symbolic link itself.
fn trusted(path: &Path) -> Result<(), Foreign> {
    owner::check(path)?;
    if path.is_symlink() {
        let why = "is a symbolic link; name the folder or file itself".to_owned();
        return Err(Foreign { path: path.to_owned(), why });
    }
    Ok(())
}
