//! `danesmith apply`: do what plan shows.

use super::ui::Ui;
use super::wiring::{self, Access};
use super::{Finish, Global};
use crate::error::{Error, Kind, Result};
use crate::flow;
use crate::model::outcome::{Outcome, Report};
use crate::report;

/// Arguments of `apply`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Certificates of zones.yaml; all when none is named
    certificates: Vec<String>,
    /// Block through waiting periods
    #[arg(long)]
    wait: bool,
    /// Try at once although an earlier failure asks for patience
    #[arg(long)]
    now: bool,
    /// Exit with 2 when something changed, with 3 when something waits
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let desired = wiring::load(global)?;
    let chosen = wiring::choose(&desired, &args.certificates)?;
    let bar = ui.bar();
    let world = wiring::world(&desired, Access::Change, bar).await?;
    let options = flow::apply::Options { now: args.now, wait: args.wait, wish: None };
    let reports = flow::apply::apply(&world, &chosen, options).await;
    let forgotten = wiring::forgotten(&world, &args.certificates).await;
    drop(world);
    let mut finish = finish(&reports, args.detailed_exitcode, ui);
    finish.warnings.extend(forgotten.into_iter().map(|f| f.told));
    Ok(finish)
}

/// Tells the failures and makes the result of a run.
pub(super) fn finish(reports: &[Report], detailed: bool, ui: &Ui) -> Finish {
    let warnings =
        reports.iter().flat_map(|r| r.warnings.iter().map(|w| format!("{}: {w}", r.certificate))).collect();
    for (name, e) in failures(reports) {
        let mut e = e.clone();
        if !e.action.ends_with(&format!("certificate {name}")) {
            e.action = format!("{} (certificate {name})", e.action);
        }
        ui.error(&e);
    }
    let (code, error) = verdict(reports, detailed);
    Finish { output: report::apply::applied(reports), code, error, warnings }
}

/// One certificate: its own exit code. Several: 4 when some failed, and when all failed in one way, that way's code.
fn verdict(reports: &[Report], detailed: bool) -> (u8, Option<Error>) {
    let failed: Vec<_> = failures(reports).collect();
    if let [(_, first), rest @ ..] = failed.as_slice() {
        let alike = failed.len() == reports.len() && rest.iter().all(|(_, e)| e.kind == first.kind);
        let kind = if alike { first.kind } else { Kind::Partial };
        let error = match reports.len() {
            1 => (*first).clone(),
            n => Error::new(kind, "apply every certificate", format!("{} of {n} failed", failed.len())),
        };
        return (kind.exit_code(), Some(error));
    }
    let waits = reports.iter().any(|r| matches!(r.outcome, Outcome::Waits(..)));
    let changed = reports.iter().any(|r| !r.changes.is_empty());
    match (detailed, waits, changed) {
        (true, true, _) => (3, None),
        (true, false, true) => (2, None),
        _ => (0, None),
    }
}

fn failures(reports: &[Report]) -> impl Iterator<Item = (&str, &Error)> {
    reports.iter().filter_map(|r| match &r.outcome {
        Outcome::Failed(e) => Some((r.certificate.as_str(), e)),
        _ => None,
    })
}
