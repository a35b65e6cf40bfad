//! `keys`: keys and CSRs, made and looked at where the keys live. Offline.

use crate::cli::files::{self, Access};
use crate::error::{Error, Kind, Result};
use crate::model::csr::Csr;
use crate::model::desired::KeyAlgorithm;
use crate::model::key::{self, KeyError, Seen};
use crate::model::private_key::PrivateKey;
use crate::report::Output;
use crate::secret;
use std::path::{Path, PathBuf};

/// Make keys and CSRs, and see what key files hold. Offline.
#[derive(Debug, Clone, clap::Args)]
pub struct KeysArgs {
    /// What to do
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What `keys` can do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum KeysCommand {
    /// Make a private key (PKCS#8 PEM, mode 0600); print its digest
    New(NewArgs),
    /// Make a CSR for a private key
    Csr(CsrArgs),
    /// List key files with the keys they hold
    List(ListArgs),
}

/// Arguments of `keys new`.
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// Where the key goes; an existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Algorithm of the key
    #[arg(long, value_enum, default_value_t = Algorithm::P256)]
    pub algorithm: Algorithm,
}

/// Algorithms on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// ECDSA P-256
    P256,
    /// ECDSA P-384
    P384,
}

/// Arguments of `keys csr`.
#[derive(Debug, Clone, clap::Args)]
pub struct CsrArgs {
    /// The private key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Host name for the certificate; may be repeated, may begin with `*.`
    #[arg(long = "name", value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// Where the CSR goes; standard output when not given. An existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `keys list`.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// Key files, or directories of them (not searched deeper)
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
}

/// Does what `keys` was asked for.
pub fn run(args: &KeysArgs) -> Result<Output> {
    match &args.command {
        KeysCommand::New(args) => new(args),
        KeysCommand::Csr(args) => csr(args),
        KeysCommand::List(args) => list(args),
    }
}

fn new(args: &NewArgs) -> Result<Output> {
    let algorithm = match args.algorithm {
        Algorithm::P256 => KeyAlgorithm::P256,
        Algorithm::P384 => KeyAlgorithm::P384,
    };
    if args.out == Path::new("-") {
        return Err(Error::new(
            Kind::Usage,
            "make a key",
            "a private key is never written to standard output",
        )
        .hint("give a file: --out mx1.key"));
    }
    let key = PrivateKey::generate(algorithm)?;
    files::create(&args.out, key.to_pem().as_bytes(), Access::Owner)?;
    let seen = Seen { what: key::What::PrivateKey, spki: key.spki(), key: key.kind().clone() };
    Ok(Output { text: format!("{}\n", seen.spki), json: files::describe(&args.out, &seen) })
}

fn csr(args: &CsrArgs) -> Result<Output> {
    let bytes = files::read(&args.key)?;
    let key = PrivateKey::from_bytes(&bytes).map_err(|error| error.in_file(args.key.display()))?;
    if let Ok(metadata) = std::fs::metadata(&args.key) {
        secret::warn_if_shared(&args.key, &metadata);
    }
    let der = key.csr(&args.names).map_err(usage)?;
    let pem = crate::model::csr::to_pem(&der);
    if let Some(out) = &args.out {
        files::create(out, pem.as_bytes(), Access::Everybody)?;
    }
    let names = Csr::parse(&der)?.names;
    let json = serde_json::json!({ "file": args.out, "names": names, "spki_sha256": key.spki(), "csr": pem });
    let text = if args.out.is_some() { format!("{}\n", key.spki()) } else { pem };
    Ok(Output { text, json })
}

/// Names come from the command line, the rest from the key file.
fn usage(error: KeyError) -> Error {
    let kind = if matches!(error, KeyError::Name { .. }) { Kind::Usage } else { Kind::Input };
    Error { kind, ..error.during("make the CSR") }
}

/// One file with what is in it, or why nothing is.
struct Row {
    file: PathBuf,
    seen: Result<Seen>,
}

impl Row {
    fn of(file: PathBuf) -> Self {
        let look = |bytes: &[u8]| key::look(bytes).map_err(|error| error.in_file(file.display()));
        let seen = files::read(&file).and_then(|bytes| look(&bytes));
        Row { seen, file }
    }
}

fn list(args: &ListArgs) -> Result<Output> {
    files::refuse_two_standard_inputs(&args.paths)?;
    let mut rows = Vec::new();
    for path in &args.paths {
        if path.is_dir() {
            // Others than keys may lie about in a directory: their rows say so.
            rows.extend(files_in(path)?.into_iter().map(Row::of));
        } else {
            rows.push(named(path)?);
        }
    }
    let keys: Vec<_> = rows.iter().map(|row| json(row, &rows)).collect();
    Ok(Output { text: table(&rows), json: serde_json::json!({ "keys": keys }) })
}

/// The row of a file that was named, and so must be a key.
fn named(file: &Path) -> Result<Row> {
    let Row { file, seen } = Row::of(file.to_path_buf());
    Ok(Row { seen: Ok(seen?), file })
}

/// The regular files of a directory, by name.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::new(Kind::Local, format!("list {}", directory.display()), error);
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 4]> = rows.iter().map(cells).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (file, kind, algorithm) = (width(0), width(1), width(2));
    let mut text = String::new();
    for (cells, row) in cells.iter().zip(rows) {
        let [name, what, how, which] = cells;
        text += &format!("{name:file$}  {what:kind$}  {how:algorithm$}  {which}");
        if let Some(other) = same_key(row, rows) {
            text += &format!("  same key as {}", other.display());
        }
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; 4] {
    let file = row.file.display().to_string();
    match &row.seen {
        Ok(seen) => [file, seen.what.to_string(), seen.key.to_string(), seen.spki.to_string()],
        Err(error) => [file, "-".into(), "-".into(), error.cause.clone()],
    }
}

/// The first file above this one with the same key.
fn same_key<'a>(row: &Row, rows: &'a [Row]) -> Option<&'a Path> {
    let spki = row.seen.as_ref().ok()?.spki;
    let first = rows.iter().find(|other| other.seen.as_ref().is_ok_and(|seen| seen.spki == spki))?;
    (first.file != row.file).then_some(first.file.as_path())
}

fn json(row: &Row, rows: &[Row]) -> serde_json::Value {
    let mut value = match &row.seen {
        Ok(seen) => files::describe(&row.file, seen),
        Err(error) => {
            serde_json::json!({ "file": row.file.display().to_string(), "problem": error.cause })
        }
    };
    if let Some(other) = same_key(row, rows) {
        value["same_key_as"] = other.display().to_string().into();
    }
    value
}
