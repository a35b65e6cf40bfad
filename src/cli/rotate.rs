//! `danesmith rotate`: the backup key becomes the active one.

use super::apply::finish;
use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::Result;
use crate::flow;
use crate::model::plan::Wish;

/// Arguments of `rotate`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The certificate of zones.yaml
    certificate: String,
    /// Block until the backup's pin is ripe and every server presents the new key
    #[arg(long)]
    wait: bool,
    /// Serve the former key again; the new one stays pinned
    #[arg(long, conflicts_with_all = ["emergency", "switch_now"])]
    abort: bool,
    /// The active key leaked: say what each way out costs, and take the safe one where there is one
    #[arg(long)]
    emergency: bool,
    /// With --emergency: switch although the backup's pin is not ripe; mail is deferred until old caches have expired
    #[arg(long, requires = "emergency")]
    switch_now: bool,
    /// This host or address is gone for good: do not wait for it (repeatable)
    #[arg(long, value_name = "HOST")]
    gone: Vec<String>,
    /// Try at once although an earlier failure asks for patience
    #[arg(long)]
    now: bool,
    /// Exit with 2 when something changed, with 3 when something waits
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, std::slice::from_ref(&args.certificate))?;
    let world = wiring::world(&desired, Access::Change, ui.bar()).await?;
    for host in &args.gone {
        for certificate in &chosen {
            flow::gone::note(&world, certificate, host).await?;
        }
    }
    let wish = if args.abort {
        Wish::Abort
    } else if args.emergency {
        Wish::Emergency { switch_now: args.switch_now }
    } else {
        Wish::Rotate
    };
    let options = flow::apply::Options { now: args.now, wait: args.wait, wish: Some(wish) };
    let reports = flow::apply::apply(&world, &chosen, options).await;
    drop(world);
    Ok(finish(&reports, args.detailed_exitcode, ui))
}
