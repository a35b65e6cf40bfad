//! `danesmith provider`: which kinds there are, and whether one keeps its word in a real zone.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::flow::authoritative::Authorities;
use crate::model::desired::{Setting, Settings};
use crate::report::{self, Output};
use crate::secret::{SecretRef, Source};
use danesmith_providers::{conformance, kinds};
use hickory_proto::rr::Name;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `provider`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// All kinds: what they write, what that rests on, what they need
    List,
    /// One kind in full, with its fields in zones.yaml
    Show {
        /// The kind, as `provider list` names it
        name: String,
    },
    /// Write records into a zone of zones.yaml, see them on every server, remove them
    Check(CheckArgs),
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The zone, as zones.yaml names it
    zone: String,
    /// Check this program against the whole plugin contract instead of the zone's provider; needs no zones.yaml
    #[arg(long, value_name = "PROGRAM")]
    plugin: Option<PathBuf>,
    /// A setting that the plugin is given (repeatable)
    #[arg(long, value_name = "NAME=VALUE", requires = "plugin")]
    setting: Vec<String>,
    /// A secret that the plugin is given: NAME=file:PATH or NAME=env:VARIABLE (repeatable)
    #[arg(long, value_name = "NAME=PLACE", requires = "plugin")]
    secret: Vec<String>,
    /// Server to look at instead of the zone's NS set, ADDRESS or ADDRESS:PORT (repeatable)
    #[arg(long, value_name = "ADDRESS", requires = "plugin")]
    server: Vec<String>,
    /// Recursive resolver to find the name servers with, instead of that of zones.yaml or of the system (repeatable)
    #[arg(long, value_name = "ADDRESS", requires = "plugin")]
    resolver: Vec<String>,
    /// Seconds that a change may take to show
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "plugin",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    match &args.command {
        Command::List => Ok(Finish::ok(report::provider::list(&kinds::all(&wiring::catalog(global, ui)?)))),
        Command::Show { name } => show(name, &kinds::all(&wiring::catalog(global, ui)?)),
        Command::Check(args) => match &args.plugin {
            None => check(global, &args.zone, ui).await,
            Some(program) => plugin(global, program, args, ui).await,
        },
    }
}

fn show(name: &str, kinds: &[kinds::Kind]) -> Result<Finish> {
    let found = kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let hint = match config::nearest(name, kinds.iter().map(|kind| kind.name.as_str())) {
            Some(near) => format!("did you mean `{near}`? `danesmith provider list` shows them all"),
            None => "`danesmith provider list` shows them all".to_owned(),
        };
        Error::new(Kind::Usage, format!("show provider `{name}`"), "no kind has this name").hint(hint)
    })?;
    Ok(Finish::ok(report::provider::show(found)))
}

async fn check(global: &Global, zone: &str, ui: &Ui) -> Result<Finish> {
    let apex = zone_name(zone)?;
    let desired = wiring::load(global)?;
    let world = wiring::world(&desired, Access::Change, ui.bar()).await?;
    let seen = flow::check::provider(&world, &apex, &wiring::random_marker()?).await?;
    drop(world);
    let text = seen.iter().map(|line| format!("ok  {line}\n")).collect();
    Ok(Finish::ok(Output { text, json: serde_json::json!({ "zone": zone, "seen": seen }) }))
}

/// The conformance check of a program that is being written.
async fn plugin(global: &Global, program: &Path, args: &CheckArgs, ui: &Ui) -> Result<Finish> {
    let zone = zone_name(&args.zone)?;
    let desired = match global.config.exists() {
        true => Some(wiring::load(global)?),
        false => None,
    };
    let mut settings = Settings::new();
    for given in &args.setting {
        let (name, value) = pair(given)?;
        settings.insert(name, Setting::Text(value.to_owned()));
    }
    for given in &args.secret {
        let (name, place) = pair(given)?;
        settings.insert(name, Setting::Secret(secret_place(place)?));
    }
    let eyes = wiring::eyes(desired.as_deref(), &args.resolver, None)?;
    let provider = wiring::plugin(program, &settings, desired.as_ref().map(|d| d.state.as_path())).await?;
    let authorities = Authorities::at(args.server.clone(), eyes.reads.clone());
    let findings = conformance::check(&conformance::Check {
        provider: &provider,
        zone: &zone,
        authoritative: Some(&authorities),
        patience: Duration::from_secs(args.patience),
    })
    .await;
    provider.close().await;
    let failed = findings.iter().filter(|f| f.outcome == conformance::Outcome::Failed).count();
    let error = (!conformance::conforms(&findings)).then(|| {
        let action = format!("call {} a plugin", program.display());
        Error::new(Kind::Remote, action, format!("{failed} of {} checks failed", findings.len()))
            .hint("providers/PLUGINS.md says what each of them asks for")
    });
    if let Some(e) = &error {
        ui.error(e);
    }
    let code = error.as_ref().map_or(0, |e| e.kind.exit_code());
    Ok(Finish { output: report::provider::findings(&findings), code, error, warnings: Vec::new() })
}

fn pair(given: &str) -> Result<(String, &str)> {
    let (name, value) = given.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        // Not echoed: it may be a secret that was to stand elsewhere.
        Error::new(Kind::Usage, "read the plugin's settings", "one of them is not NAME=VALUE")
    })?;
    Ok((name.to_owned(), value))
}

fn secret_place(place: &str) -> Result<SecretRef> {
    match place.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(Source::File(path.into()).into()),
        Some(("env", name)) if !name.is_empty() => Ok(Source::Env(name.to_owned()).into()),
        _ => Err(Error::new(Kind::Usage, "read the plugin's secrets", "one of them names no place")
            .hint("a secret never stands on a command line: write NAME=file:PATH or NAME=env:VARIABLE")),
    }
}

fn zone_name(text: &str) -> Result<Name> {
    let ascii = idna::domain_to_ascii(text.trim_end_matches('.')).unwrap_or_default();
    let name = Name::from_ascii(format!("{ascii}."));
    match name {
        Ok(name) if !ascii.is_empty() => Ok(name.to_lowercase()),
        _ => Err(Error::new(Kind::Usage, format!("check zone `{text}`"), "that is not a DNS name")),
    }
}
