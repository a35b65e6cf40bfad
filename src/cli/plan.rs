//! `danesmith plan`: what apply would do. Reads only; takes no lock and no secret.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::{Error, Kind, Result};
use crate::flow::preview;
use crate::report;
use futures_util::future::join_all;

/// Arguments of `plan`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Certificates of zones.yaml; all when none is named
    certificates: Vec<String>,
    /// Exit with 2 when something would change
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, &args.certificates)?;
    let world = wiring::world(&desired, Access::Read, ui.bar()).await?;
    let previews = join_all(chosen.iter().map(|c| preview::preview(&world, c))).await;
    let mut warnings: Vec<_> = previews.iter().flat_map(|p| p.warnings.clone()).collect();
    warnings.extend(wiring::forgotten(&world, &args.certificates).await.into_iter().map(|f| f.told));
    let failed: Vec<&Error> = previews.iter().filter_map(|p| p.stopped.as_ref()).collect();
    let changes = previews.iter().any(|p| !p.changes.is_empty());
    let (code, error) = match failed.as_slice() {
        [] if changes && args.detailed_exitcode => (2, None),
        [] => (0, None),
        [only] if previews.len() == 1 => (only.kind.exit_code(), Some((*only).clone())),
        some => {
            let e = Error::new(
                Kind::Partial,
                "plan every certificate",
                format!("{} of {} would stop", some.len(), previews.len()),
            );
            (e.kind.exit_code(), Some(e))
        }
    };
    for e in failed {
        ui.error(e);
    }
    Ok(Finish { output: report::apply::planned(&previews), code, error, warnings })
}
