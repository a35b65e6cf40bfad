//! `danesmith status`: from the state directory alone; no network, no secret, no lock.

use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::atomic;
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::report;
use std::path::PathBuf;

/// Arguments of `status`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Certificates of zones.yaml; all when none is named
    certificates: Vec<String>,
    /// Print metrics for Prometheus (the text format of its node exporter's textfile collector)
    #[arg(long)]
    prometheus: bool,
    /// Also draw keys, pins and renewals into this HTML file: what was, and what is to come
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// The page holds nothing secret, and a web server may be the one to read it.
pub(super) const PAGE: atomic::Access = atomic::Access { uid: None, gid: None, mode: 0o644 };

pub(super) async fn run(global: &Global, args: &Args) -> Result<Finish> {
    if args.prometheus && global.json {
        let e = Error::new(Kind::Usage, "print metrics as JSON", "--prometheus and --json were both given");
        return Err(e.hint("give one of them: metrics are text, and the JSON of status has the same facts"));
    }
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, &args.certificates)?;
    let world = wiring::world(&desired, Access::Read, wiring::Silent).await?;
    let mut facts = Vec::new();
    for certificate in chosen {
        facts.push(flow::status::facts(&world, certificate).await?);
    }
    let now = world.clock.now();
    let forgotten = wiring::forgotten(&world, &args.certificates).await;
    let mut output = report::status::status(&facts, now);
    output.json["forgotten"] = forgotten.iter().map(|f| f.certificate.as_str()).collect();
    if let Some(path) = &args.html {
        let page = report::picture::html(&report::status::timeline::timeline(&facts, now));
        atomic::write_out(path, page.as_bytes(), PAGE)?;
    }
    if args.prometheus {
        output.text = report::metrics::text(&facts);
    }
    let warnings = forgotten.into_iter().map(|f| f.told).collect();
    Ok(Finish { warnings, ..Finish::ok(output) })
}
