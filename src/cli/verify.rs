//! `danesmith verify`: the outside view. Needs no configuration, changes nothing.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::model::dane::{Severity, Verified};
use crate::model::endpoint::Target;
use crate::report;
use futures_util::future::join_all;
use std::path::PathBuf;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A mail domain, HOST:PORT, a URL such as smtp://HOST, or a TLSA owner name; none: the endpoints of zones.yaml
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Recursive resolver to ask, ADDRESS or ADDRESS:PORT, instead of that of zones.yaml or of the system (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    resolver: Vec<String>,
    /// File with DS or DNSKEY records to validate from, instead of the root's keys
    #[arg(long, value_name = "FILE")]
    trust_anchor: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let targets = args.hosts.iter().map(|host| parse(host)).collect::<Result<Vec<_>>>()?;
    // With hosts zones.yaml is not needed; where there is one, it knows the resolvers.
    let desired = match targets.is_empty() || global.config.exists() {
        true => Some(wiring::load(global)?),
        false => None,
    };
    let eyes = wiring::eyes(desired.as_deref(), &args.resolver, args.trust_anchor.as_deref())?;
    let mut all: Vec<Verified> = Vec::new();
    if let (true, Some(desired)) = (targets.is_empty(), &desired) {
        let world = wiring::world(desired, Access::Read, ui.bar()).await?;
        let certificates = desired.certificates.values();
        for seen in join_all(certificates.map(|c| flow::verify::certificate(&eyes, &world, c))).await {
            all.extend(seen?);
        }
    } else {
        for seen in join_all(targets.iter().map(|target| flow::verify::look(&eyes, target))).await {
            all.push(seen?);
        }
    }
    let (code, error) = match report::verify::trouble(&all) {
        None => (0, None),
        Some((worst, tally)) => {
            let kind = if worst == Severity::Critical { Kind::Refused } else { Kind::Partial };
            (kind.exit_code(), Some(Error::new(kind, "call this well", tally)))
        }
    };
    let output = report::verify::verified(&all, eyes.clock.now());
    Ok(Finish { output, code, error, warnings: Vec::new() })
}

fn parse(text: &str) -> Result<Target> {
    config::target::target(text).map_err(|why| {
        Error::new(Kind::Usage, format!("look at `{text}`"), why)
            .hint("write example.org, mx1.example.org:25, smtp://mx1.example.org or _25._tcp.mx1.example.org")
    })
}
