//! Looks for secrets in files: `canary --secret-file F… -- PATH…`, or in standard input without a PATH.
//!
//! Folders are searched through, symbolic links not followed, the secret files themselves left out. Prints where and
//! in which form a secret was found, never the secret. Exit: 0 nothing found, 1 found, 2 could not look.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool: it prints

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use danesmith_testtools::canary::Canary;

const FOUND: u8 = 1;
const BROKEN: u8 = 2;

#[derive(Parser)]
#[command(about = "Looks for secrets in files; exit 1 when one is found")]
struct Cli {
    /// A file that holds a secret
    #[arg(long = "secret-file", required = true)]
    secret_files: Vec<PathBuf>,
    /// A file anyone may read, such as the certificate of a secret key: what stands in it is no secret
    #[arg(long = "public-file")]
    public_files: Vec<PathBuf>,
    /// Files and folders; standard input when none is given
    #[arg(last = true)]
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match look(&Cli::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("canary: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn look(cli: &Cli) -> io::Result<usize> {
    let public = cli.public_files.iter().map(|file| read(file)).collect::<io::Result<Vec<_>>>()?;
    let mut canary = Canary::default();
    for file in &cli.secret_files {
        canary.add(&file.display().to_string(), &read(file)?, &public).map_err(io::Error::other)?;
    }
    if cli.paths.is_empty() {
        let mut input = Vec::new();
        io::stdin().read_to_end(&mut input)?;
        return Ok(report(&canary, "standard input", &input));
    }
    let own = cli.secret_files.iter().map(fs::canonicalize).collect::<io::Result<Vec<_>>>()?;
    cli.paths.iter().map(|path| look_below(&canary, path, &own)).sum()
}

fn look_below(canary: &Canary, path: &Path, own: &[PathBuf]) -> io::Result<usize> {
    let kind = fs::symlink_metadata(path).map_err(|error| at(path, &error))?.file_type();
    if kind.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| at(path, &error))?;
        return entries.map(|entry| look_below(canary, &entry?.path(), own)).sum();
    }
    if !kind.is_file() || own.contains(&fs::canonicalize(path)?) {
        return Ok(0);
    }
    let name = path.display().to_string();
    Ok(report(canary, &name, &read(path)?) + report(canary, &format!("the name {name}"), name.as_bytes()))
}

fn report(canary: &Canary, place: &str, content: &[u8]) -> usize {
    let hits = canary.search(content);
    for hit in &hits {
        println!("{place}: byte {}: {} of the secret in {}", hit.offset, hit.form, hit.secret);
    }
    hits.len()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
