//! Numbers the state-changing system calls of a program, kills it at one of them, or fails one.
//!
//! ```text
//! sweeper count -- danesmith -c zones.yaml apply        # one JSON document, last line of standard output
//! sweeper list --files -- …                             # the same for people
//! sweeper kill 17 --when before -- …                    # exit 0: killed there; 3: fewer calls than that
//! sweeper kill 1 --shape 'fsync /keys/.#.new' -- …      # the first call that looks so, whatever comes before it
//! sweeper count --changes --looks 25 -- …               # files, and messages that others may keep something of
//! sweeper fail 17 --errno ENOSPC --report r.json -- …   # the call fails, the program goes on
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command-line tool: it prints

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use danesmith_testtools::sweep::{self, Action, Exit, Filter, Kind, Options, Report};
use serde_json::{Value, json};

/// The call with the wanted number did not happen.
const NOT_REACHED: u8 = 3;
/// The sweeper itself failed (sysexits.h EX_SOFTWARE).
const BROKEN: u8 = 70;

#[derive(Parser)]
#[command(about = "Numbers the state-changing system calls of a program, kills it at one, or fails one")]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Run the program and print its calls as JSON
    Count(Common),
    /// Run the program and print its calls, one a line
    List(Common),
    /// SIGKILL the program at call N
    Kill {
        /// Number of the call, from 1
        n: usize,
        /// Before the call takes effect, or after
        #[arg(long, value_enum, default_value = "before")]
        when: When,
        #[command(flatten)]
        common: Common,
    },
    /// Let call N fail without taking effect; the program goes on
    Fail {
        /// Number of the call, from 1
        n: usize,
        /// The error it returns
        #[arg(long, value_enum)]
        errno: Errno,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// Only calls of this kind count
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Short for --only files
    #[arg(long, conflicts_with_all = ["only", "net"])]
    files: bool,
    /// Short for --only net
    #[arg(long, conflicts_with = "only")]
    net: bool,
    /// Of the network's calls, only those count that the other end may keep something of: no connecting, no DNS questions
    #[arg(long)]
    changes: bool,
    /// With --changes: servers at this port are only looked at (repeatable)
    #[arg(long, value_name = "PORT", requires = "changes")]
    looks: Vec<u16>,
    /// Of the file-system calls, only those below this folder count
    #[arg(long)]
    under: Option<PathBuf>,
    /// Only calls whose "shape" in the report is this count
    #[arg(long)]
    shape: Option<String>,
    /// Calls of child processes count too
    #[arg(long)]
    children: bool,
    /// Write the JSON report there instead of a last line on standard output (count) or standard error
    #[arg(long)]
    report: Option<PathBuf>,
    /// Seconds until the program is killed
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Before,
    After,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    Files,
    Net,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Errno {
    Enospc,
    Eio,
    Edquot,
    Eacces,
    Erofs,
    Econnrefused,
    Econnreset,
    Enetunreach,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match sweep(&cli.mode) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sweeper: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn sweep(mode: &Mode) -> std::io::Result<u8> {
    let (action, common) = mode.parts();
    let options = Options { action, filter: common.filter()?, timeout: Duration::from_secs(common.timeout) };
    let mut command = Command::new(&common.command[0]);
    command.args(&common.command[1..]);
    let report = sweep::run(command, &options)?;
    mode.print(common, &report)?;
    Ok(if action.target().is_some() && !report.reached { NOT_REACHED } else { 0 })
}

impl Mode {
    fn parts(&self) -> (Action, &Common) {
        match self {
            Mode::Count(common) | Mode::List(common) => (Action::Count, common),
            Mode::Kill { n, when: When::Before, common } => (Action::KillBefore(*n), common),
            Mode::Kill { n, when: When::After, common } => (Action::KillAfter(*n), common),
            Mode::Fail { n, errno, common } => (Action::Fail(*n, errno.number()), common),
        }
    }

    fn print(&self, common: &Common, report: &Report) -> std::io::Result<()> {
        let json = self.json(report).to_string();
        match (self, &common.report) {
            (_, Some(file)) => return std::fs::write(file, json + "\n"),
            (Mode::Count(_), None) => println!("{json}"),
            (Mode::List(_), None) => print_list(report),
            (Mode::Kill { .. } | Mode::Fail { .. }, None) => eprintln!("{json}"),
        }
        Ok(())
    }

    fn json(&self, report: &Report) -> Value {
        let mut json = json!({
            "count": report.calls.len(),
            "uncounted_children": report.uncounted_children,
            "timed_out": report.timed_out,
            "exit": match report.exit {
                Exit::Code(code) => json!({"code": code}),
                Exit::Signal(signal) => json!({"signal": signal}),
            },
        });
        match self.parts().0.target() {
            None => json["calls"] = report.calls.iter().zip(1..).map(|(call, n)| call.json(n)).collect(),
            Some(n) => {
                json["reached"] = json!(report.reached);
                json["call"] = report.calls.get(n.wrapping_sub(1)).map_or(Value::Null, |call| call.json(n));
            }
        }
        json
    }
}

fn print_list(report: &Report) {
    for (n, call) in (1..).zip(&report.calls) {
        println!("{n:5}  {:<16} {}", call.name, call.place());
    }
}

impl Common {
    fn filter(&self) -> std::io::Result<Filter> {
        let only = match self.only {
            Some(Only::Files) => Some(Kind::Files),
            Some(Only::Net) => Some(Kind::Net),
            None if self.files => Some(Kind::Files),
            None if self.net => Some(Kind::Net),
            None => None,
        };
        let under = self.under.as_ref().map(std::fs::canonicalize).transpose()?;
        let changes = self.changes.then(|| self.looks.clone());
        Ok(Filter { only, under, shape: self.shape.clone(), children: self.children, changes })
    }
}

impl Errno {
    fn number(self) -> i32 {
        match self {
            Errno::Enospc => libc::ENOSPC,
            Errno::Eio => libc::EIO,
            Errno::Edquot => libc::EDQUOT,
            Errno::Eacces => libc::EACCES,
            Errno::Erofs => libc::EROFS,
            Errno::Econnrefused => libc::ECONNREFUSED,
            Errno::Econnreset => libc::ECONNRESET,
            Errno::Enetunreach => libc::ENETUNREACH,
        }
    }
}
