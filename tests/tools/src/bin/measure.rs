//! Runs a program and writes what it cost: wall-clock seconds, CPU milliseconds, largest resident size.
//!
//! `measure REPORT -- CMD…` writes `{"seconds":…,"cpu_ms":…,"max_rss_kb":…,"exit":…}` to the file REPORT and exits
//! like the program (70 when it could not be run). CPU time includes the children the program waited for.
#![allow(clippy::print_stderr)] // a command-line tool: it prints

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use danesmith_testtools::usage;
use serde_json::json;

/// The program could not be run (sysexits.h EX_SOFTWARE).
const BROKEN: u8 = 70;

#[derive(Parser)]
#[command(about = "Runs a program and writes what it cost")]
struct Cli {
    /// Where the JSON goes
    report: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("measure: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn measure(cli: &Cli) -> std::io::Result<u8> {
    let start = Instant::now();
    let status = Command::new(&cli.command[0]).args(&cli.command[1..]).status()?;
    let seconds = start.elapsed().as_secs_f64();
    let usage = usage::of_children();
    let json = json!({
        "seconds": seconds,
        "cpu_ms": usage.cpu.as_secs_f64() * 1000.0,
        "max_rss_kb": usage.max_rss_kb,
        "exit": status.code(),
    });
    std::fs::write(&cli.report, format!("{json}\n"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(BROKEN))
}
