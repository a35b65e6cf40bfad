//! The command line: one file per command, each arguments and one call into flow.

mod account;
mod apply;
pub mod defect;
pub mod files;
mod init;
mod interrupt;
pub mod keys;
mod plan;
mod provider;
mod rehearse;
mod revoke;
mod rotate;
mod status;
pub mod tlsa;
pub mod ui;
mod verify;
mod wiring;

use crate::error::{Error, Kind, Result};
use crate::report::Output;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use ui::{Color, Ui};

/// Certificates by ACME DNS-01 for keys you control, and DANE TLSA records that follow them.
#[derive(Parser)]
#[command(name = "danesmith", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is as wanted; 2 changed, 3 waits (with --detailed-exitcode); 4 some certificates failed; \
5 refused: it would break mail; 64 command line; 65 input file; 69 CA, DNS or provider failed; 70 our defect; \
74 local read or write; 75 another run holds the lock; 77 credentials; 78 configuration";

/// Options of every command.
#[derive(clap::Args)]
struct Global {
    /// The configuration
    #[arg(
        short,
        long,
        global = true,
        default_value = "zones.yaml",
        env = "DANESMITH_CONFIG",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// State directory instead of the one that zones.yaml names
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Providers, accounts and their credentials from this file, which only the administrator can change; zones.yaml may
    /// then name them, but say nothing about them
    #[arg(long, global = true, env = "DANESMITH_PROVIDERS", value_name = "FILE")]
    providers: Option<PathBuf>,
    /// Print exactly one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more (repeat for debug and trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colour
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented zones.yaml
    Init(init::Args),
    /// Show what apply would do; changes nothing, needs no secret
    Plan(plan::Args),
    /// Do it: issue or renew, install, publish TLSA; safe to run hourly and twice
    Apply(apply::Args),
    /// Make the backup key the active one, without a sender ever seeing a key that it cannot match
    Rotate(rotate::Args),
    /// Keys, pins, expiry and the next step, from the state directory
    Status(status::Args),
    /// See two years of zones.yaml in seconds: a simulated CA, DNS, mail servers and senders; touches nothing
    Rehearse(rehearse::Args),
    /// Look from outside: DNSSEC, TLSA, what every endpoint presents; needs no configuration
    Verify(verify::Args),
    /// Print TLSA records for certificates, CSRs, public or private keys; offline
    Tlsa(tlsa::TlsaArgs),
    /// Make and look at keys and CSRs; offline
    Keys(keys::KeysArgs),
    /// Have the CA revoke certificates; apply then orders another
    Revoke(revoke::Args),
    /// The ACME account
    Account(account::Args),
    /// The kinds of DNS providers, and a real write, read and removal in a zone
    Provider(provider::Args),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// A command's result and the exit code that goes with it.
pub struct Finish {
    output: Output,
    code: u8,
    error: Option<Error>,
    warnings: Vec<String>,
}

impl Finish {
    /// Success with exit code 0.
    fn ok(output: Output) -> Finish {
        Finish { output, code: 0, error: None, warnings: Vec::new() }
    }
}

/// Parses, runs, prints; returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> u8 {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(e) => return unparsed(&e, &arguments),
    };
    let ui = Ui::new(cli.global.json, cli.global.quiet, cli.global.color);
    // What goes wrong in a rehearsal is its result, and no news of this machine.
    if cli.global.verbose > 0 || !matches!(cli.command, Command::Rehearse(_)) {
        ui.start_logs(cli.global.verbose);
    }
    match execute(cli, &ui) {
        Ok(Finish { output, code, error, warnings }) => {
            for warning in &warnings {
                ui.warning(warning);
            }
            let word = error.as_ref().map_or("ok", |e| e.kind.word());
            conclude(ui.result(word, &output, error.as_ref()), code, &ui)
        }
        Err(e) => failed(&e, &ui),
    }
}

/// Tells a failure that left no result.
fn failed(e: &Error, ui: &Ui) -> u8 {
    let printed =
        ui.result(e.kind.word(), &Output { text: String::new(), json: serde_json::json!({}) }, Some(e));
    ui.error(e);
    conclude(printed, e.kind.exit_code(), ui)
}

/// A result that could not be written is a failure, unless there is a worse one already.
fn conclude(printed: Result<()>, code: u8, ui: &Ui) -> u8 {
    match printed {
        Ok(()) => code,
        Err(e) => {
            ui.error(&e);
            if matches!(code, 0 | 2 | 3) { e.kind.exit_code() } else { code }
        }
    }
}

/// Help, the version, or a wrong command line: nothing is parsed, so `--json` is looked for by hand.
fn unparsed(e: &clap::Error, arguments: &[std::ffi::OsString]) -> u8 {
    if !asks_for_json(arguments) {
        let _ = e.print();
        return if e.use_stderr() { Kind::Usage.exit_code() } else { 0 };
    }
    let ui = Ui::new(true, false, Color::Never);
    let text = e.render().to_string();
    if !e.use_stderr() {
        return conclude(ui.result("ok", &plain(text), None), 0, &ui);
    }
    let mut parts = text
        .trim_start_matches("error: ")
        .splitn(2, "\n\n")
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    let wrong = match e.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "it names no command".to_owned(),
        _ => parts.next().unwrap_or_default(),
    };
    let error = Error::new(Kind::Usage, "read the command line", wrong)
        .hint("danesmith help COMMAND has the options");
    failed(&error, &ui)
}

fn asks_for_json(arguments: &[std::ffi::OsString]) -> bool {
    arguments.iter().take_while(|a| *a != "--").any(|a| a == "--json")
}

fn execute(cli: Cli, ui: &Ui) -> Result<Finish> {
    #[cfg(debug_assertions)]
    defect::on_purpose();
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => init::run(&global, &args).map(Finish::ok),
        Command::Tlsa(args) => tlsa::run(&args).map(Finish::ok),
        Command::Keys(args) => keys::run(&args).map(Finish::ok),
        Command::Completions { shell } => Ok(Finish::ok(completions(shell))),
        Command::Man => manual().map(Finish::ok),
        Command::Rehearse(args) => rehearse::run(&global, &args, ui),
        Command::Status(args) => block_on(status::run(&global, &args)),
        Command::Plan(args) => block_on(plan::run(&global, &args, ui)),
        Command::Apply(args) => block_on(apply::run(&global, &args, ui)),
        Command::Rotate(args) => block_on(rotate::run(&global, &args, ui)),
        Command::Verify(args) => block_on(verify::run(&global, &args, ui)),
        Command::Revoke(args) => block_on(revoke::run(&global, &args)),
        Command::Account(args) => block_on(account::run(&global, &args)),
        Command::Provider(args) => block_on(provider::run(&global, &args, ui)),
    }
}

/// One thread does all network work; disk work goes to a few helpers.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(|e| Error::new(Kind::Internal, "start the runtime", e))?
        .block_on(async {
            tokio::select! {
                done = work => done,
                interrupted = interrupt::interrupted() => Err(interrupted),
            }
        })
}

fn completions(shell: clap_complete::Shell) -> Output {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "danesmith", &mut script);
    plain(String::from_utf8_lossy(&script).into_owned())
}

fn manual() -> Result<Output> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|e| Error::new(Kind::Internal, "write the manual page", e))?;
    Ok(plain(String::from_utf8_lossy(&page).into_owned()))
}

fn plain(text: String) -> Output {
    let json = serde_json::json!({ "text": text });
    Output { text, json }
}
