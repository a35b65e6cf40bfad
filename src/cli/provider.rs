//! `danesmith provider check ZONE`: a real write, read and removal.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::report::Output;
use hickory_proto::rr::Name;

/// Arguments of `provider`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write a record into a zone of zones.yaml, see it on every server, remove it
    Check {
        /// The zone, as zones.yaml names it
        zone: String,
    },
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let Command::Check { zone } = &args.command;
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
