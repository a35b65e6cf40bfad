//! `danesmith provider`: which kinds there are, and whether one keeps its word in a real zone.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::report::{self, Output};
use danesmith_providers::kinds;
use hickory_proto::rr::Name;

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
    /// Write a record into a zone of zones.yaml, see it on every server, remove it
    Check {
        /// The zone, as zones.yaml names it
        zone: String,
    },
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    match &args.command {
        Command::List => Ok(Finish::ok(report::provider::list(&kinds::all(&wiring::catalog(global, ui)?)))),
        Command::Show { name } => show(name, &kinds::all(&wiring::catalog(global, ui)?)),
        Command::Check { zone } => check(global, zone, ui).await,
    }
}

fn show(name: &str, kinds: &[kinds::Kind]) -> Result<Finish> {
    let found = kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
        Error::new(Kind::Usage, format!("show provider `{name}`"), "no kind has this name")
            .hint("`danesmith provider list` shows them all")
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

fn zone_name(text: &str) -> Result<Name> {
    let ascii = idna::domain_to_ascii(text.trim_end_matches('.')).unwrap_or_default();
    let name = Name::from_ascii(format!("{ascii}."));
    match name {
        Ok(name) if !ascii.is_empty() => Ok(name.to_lowercase()),
        _ => Err(Error::new(Kind::Usage, format!("check zone `{text}`"), "that is not a DNS name")),
    }
}
