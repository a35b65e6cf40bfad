//! `danesmith status`: from the state directory alone; no network, no secret, no lock.

use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::Result;
use crate::flow;
use crate::report;

/// Arguments of `status`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Certificates of zones.yaml; all when none is named
    certificates: Vec<String>,
    /// Print metrics for Prometheus (the text format of its node exporter's textfile collector)
    #[arg(long)]
    prometheus: bool,
}

pub(super) async fn run(global: &Global, args: &Args) -> Result<Finish> {
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, &args.certificates)?;
    let world = wiring::world(&desired, Access::Read, wiring::Silent).await?;
    let mut facts = Vec::new();
    for certificate in chosen {
        facts.push(flow::status::facts(&world, certificate).await?);
    }
    let mut output = report::status::status(&facts, world.clock.now());
    if args.prometheus {
        output.text = report::metrics::text(&facts);
    }
    Ok(Finish::ok(output))
}
