//! zones.yaml: text → tree (`tree`) → mirror (`read`, `spec`) → checked and typed [`Desired`] (`resolve`).
//!
//! All problems of a file are reported at once, each with line, column and path. No secret is read here, and none is
//! needed: `plan` runs without them.

mod administrator;
mod certificate;
pub mod defaults;
mod deploy;
mod foundation;
mod keys;
mod names;
mod problem;
mod provider;
mod read;
mod resolve;
mod rotation;
mod schema;
mod servers;
mod spec;
pub mod target;
mod tree;

pub use problem::{Problem, nearest, problems_to_error};
pub use schema::schema;

use crate::model::desired::Desired;
use problem::{Files, Sink, unreadable};
use std::io::Read as _;
use std::path::Path;

/// What `danesmith init` writes: a commented zones.yaml with every option.
pub const TEMPLATE: &str = include_str!("../../zones.example.yaml");

/// Reads the dns names of a CSR file: `Err` says why it is not usable.
pub type CsrNames<'a> = dyn Fn(&Path) -> Result<Vec<String>, String> + 'a;

/// Reads zones.yaml and checks all of it. Relative paths in it are relative to its folder. CSR, public key and root
/// files must be readable; secrets and private keys are not looked at. `csr_names` lets a CSR's names be compared with
/// the certificate's.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn load(path: &Path, csr_names: &CsrNames<'_>) -> Result<Desired, Vec<Problem>> {
    load_below(path, None, csr_names)
}

/// [`load`] where zones.yaml may come from people who must not see secrets: what it stands on comes from
/// `administrator` (`--providers FILE`), and may not stand in zones.yaml.
///
/// # Errors
/// Every problem of both files, those of zones.yaml first.
pub fn load_below(
    path: &Path,
    administrator: Option<&Path>,
    csr_names: &CsrNames<'_>,
) -> Result<Desired, Vec<Problem>> {
    let text = read_zones(path, administrator).map_err(|problem| vec![problem])?;
    checked(&text, path, administrator, Files::Needed, csr_names)
}

/// The same where the files that zones.yaml names need not be there: CSRs, public keys and trust roots are not looked at.
///
/// # Errors
/// Every problem of both files, those of zones.yaml first.
pub fn load_alone(path: &Path, administrator: Option<&Path>) -> Result<Desired, Vec<Problem>> {
    let text = read_zones(path, administrator).map_err(|problem| vec![problem])?;
    checked(&text, path, administrator, Files::Unread, &|_| Ok(Vec::new()))
}

/// The folder of provider files that zones.yaml names, or the administrator's file (`--providers`). Nothing else of the file
/// is looked at, and the folder itself is not either.
///
/// # Errors
/// What makes the file unreadable.
pub fn provider_files(
    file: &Path,
    is_administrators: bool,
) -> Result<Option<std::path::PathBuf>, Vec<Problem>> {
    let mut sink = Sink::new(&file.display().to_string());
    let read = |sink: &mut Sink| {
        if is_administrators {
            administrator::provider_files(file, sink)
        } else {
            let text = read_text(file, &file.display().to_string());
            let text = text.map_err(|problem| sink.elsewhere([problem])).ok()?;
            read_root::<spec::Zones>(&tree::parse(&text, sink)?, sink).map(|spec| spec.provider_files)
        }
    };
    match read(&mut sink) {
        Some(at) => Ok(at.map(|at| {
            let folder = resolve::file_path(&at.value, &folder_of(file));
            std::path::absolute(&folder).unwrap_or(folder)
        })),
        None => Err(sink.finish()),
    }
}

/// What `danesmith init` writes, as if it stood in the present folder; the files that it names need not be there.
///
/// # Errors
/// None, as long as the template is without fault.
pub fn template() -> Result<Desired, Vec<Problem>> {
    checked(TEMPLATE, Path::new("zones.yaml"), None, Files::Unread, &|_| Ok(Vec::new()))
}

fn checked(
    text: &str,
    path: &Path,
    administrator: Option<&Path>,
    files: Files,
    csr_names: &CsrNames<'_>,
) -> Result<Desired, Vec<Problem>> {
    let mut sink = Sink::new(&path.display().to_string()).with(files);
    let root = tree::parse(text, &mut sink);
    let spec = root.and_then(|root| read_root::<spec::Zones>(&root, &mut sink));
    let desired = spec.filter(|spec| is_ours(&spec.version, &mut sink)).and_then(|spec| {
        let folder = folder_of(path);
        let (written, rest) = parts(spec);
        let foundation = match administrator {
            None => foundation::check(written, &folder, &mut sink),
            Some(file) => administrator::check(file, written, &rest, &folder, &mut sink)?,
        };
        resolve::resolve(rest, foundation, &folder, csr_names, &mut sink)
    });
    match (desired, sink.finish()) {
        (Some(desired), problems) if problems.is_empty() => Ok(desired),
        (_, problems) => Err(problems),
    }
}

fn parts(spec: spec::Zones) -> (foundation::Written, resolve::Rest) {
    let written = foundation::Written {
        state: spec.state,
        resolvers: spec.resolvers,
        validate: spec.validate,
        trust_anchor: spec.trust_anchor,
        accounts: spec.accounts,
        provider_files: spec.provider_files,
        providers: spec.providers,
    };
    let rest = resolve::Rest {
        zones: spec.zones.unwrap_or(read::Map(Vec::new())),
        certificates: spec.certificates.unwrap_or(read::Map(Vec::new())),
        rotation: spec.rotation,
    };
    (written, rest)
}

/// Another version may mean something else by the same words.
fn is_ours(version: &read::At<u64>, sink: &mut Sink) -> bool {
    if version.value != defaults::VERSION {
        let message = format!("version {} is not one that danesmith knows", version.value);
        sink.say_with(&version.place, message, "this program reads `version: 1`");
    }
    version.value == defaults::VERSION
}

fn read_root<T: read::Read>(root: &tree::Node, sink: &mut Sink) -> Option<T> {
    if let tree::Value::Null = root.value {
        sink.say_with(
            &root.place(""),
            "nothing stands in this file",
            "`danesmith init` writes a commented one",
        );
        return None;
    }
    T::read(root, "", sink)
}

fn folder_of(path: &Path) -> std::path::PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => Path::new(".").to_owned(),
    }
}

/// Whoever writes zones.yaml where another is the administrator could let it point at a file that only we may read.
fn read_zones(path: &Path, administrator: Option<&Path>) -> Result<String, Problem> {
    let file = path.display().to_string();
    if administrator.is_some() && std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
        let why = "is no file, or a symbolic link: that is not followed with --providers".to_owned();
        return Err(unreadable(&file, why, Some("name the file itself with --config")));
    }
    read_text(path, &file)
}

fn read_text(path: &Path, file: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(defaults::MAX_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let absent = error.kind() == std::io::ErrorKind::NotFound;
        let hint =
            absent.then_some("`danesmith init` writes a commented zones.yaml; `--config FILE` names another");
        return Err(unreadable(file, format!("cannot be read: {error}"), hint));
    }
    if bytes.len() as u64 > defaults::MAX_FILE {
        return Err(unreadable(file, "is larger than 1 MiB".to_owned(), None));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        unreadable(file, format!("is not UTF-8 text (line {line})"), None)
    })
}
