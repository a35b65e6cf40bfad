//! zones.yaml as the command line says, and what of it a command is about.

use crate::cli::Global;
use crate::cli::ui::Ui;
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::flow::World;
use crate::flow::forgotten::{self, Forgotten};
use crate::model::csr::Csr;
use crate::model::desired::{Account, Certificate, Desired};
use danesmith_providers::catalog::Catalog;
use std::path::Path;
use std::sync::Arc;

/// zones.yaml as `--config`, `--providers` and `--state` say.
pub(in crate::cli) fn load(global: &Global) -> Result<Arc<Desired>> {
    let names = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        Csr::parse(&bytes).map(|csr| csr.names).map_err(|e| e.to_string())
    };
    let mut desired = config::load_below(&global.config, global.providers.as_deref(), &names)
        .map_err(config::problems_to_error)?;
    if let Some(state) = &global.state {
        desired.state = state.clone();
    }
    Ok(Arc::new(as_tested(desired)))
}

/// What `rehearse` takes: the administrator's zones.yaml, where there is none the one that `init` writes. The files that
/// it names need not be there. The text says where it came from.
pub(in crate::cli) fn rehearsed(global: &Global) -> Result<(Desired, String)> {
    let path = &global.config;
    if !path.exists() && path.as_os_str() == "zones.yaml" {
        if global.providers.is_some() {
            let e = Error::new(
                Kind::Usage,
                "rehearse",
                "--providers stands beside a zones.yaml, and there is none here",
            );
            return Err(e.hint("name it with --config"));
        }
        let built_in = config::template().map_err(config::problems_to_error)?;
        let state = global.state.clone().unwrap_or(built_in.state.clone());
        return Ok((as_tested(Desired { state, ..built_in }), "the built-in zones.example.yaml".into()));
    }
    let own = config::load_alone(path, global.providers.as_deref()).map_err(config::problems_to_error)?;
    let state = global.state.clone().unwrap_or(own.state.clone());
    Ok((as_tested(Desired { state, ..own }), path.display().to_string()))
}

/// What zones.yaml says, without the rule that a test takes away.
#[cfg_attr(not(debug_assertions), expect(unused_mut, reason = "there is nothing to take away"))]
fn as_tested(mut desired: Desired) -> Desired {
    #[cfg(debug_assertions)]
    without_waiting(&mut desired);
    desired
}

/// The DNS hosts that files describe, with those of `provider_files` where zones.yaml (or `--providers`) names a folder.
/// Needs no zones.yaml: without one, or with one that cannot be read, those in the program are shown. A file of one's own that
/// is wrong is an error: it may be the one that was asked about.
pub(in crate::cli) fn catalog(global: &Global, ui: &Ui) -> Result<Catalog> {
    let named = match (&global.providers, global.config.exists()) {
        (Some(file), _) => config::provider_files(file, true),
        (None, true) => config::provider_files(&global.config, false),
        (None, false) => Ok(None),
    };
    let folder = named.unwrap_or_else(|problems| {
        let e = config::problems_to_error(problems);
        ui.warning(&format!("the hosts of `provider_files` are left out: {e}"));
        None
    });
    let catalog = match folder {
        Some(folder) => Catalog::with_folder(&folder),
        None => Catalog::builtin(),
    };
    catalog
        .map_err(|e| Error::new(Kind::Config, "read the provider files", e).remains("Nothing was changed."))
}

/// Debug builds only: a test that must see mail break takes the waiting rule away.
#[cfg(debug_assertions)]
fn without_waiting(desired: &mut Desired) {
    use crate::model::policy::Policy;
    use jiff::SignedDuration;
    if std::env::var_os("DANESMITH_TEST_WITHOUT_WAITING").is_some() {
        tracing::warn!(
            "DANESMITH_TEST_WITHOUT_WAITING: keys are served before their pins are ripe, mail WILL break"
        );
        let none = Policy { ttls: 0, slack: SignedDuration::ZERO, floor: SignedDuration::ZERO };
        desired.certificates.values_mut().for_each(|c| c.policy = none);
    }
}

/// The certificates that the command line names; all when it names none.
pub(in crate::cli) fn choose<'d>(desired: &'d Desired, names: &[String]) -> Result<Vec<&'d Certificate>> {
    if names.is_empty() {
        if desired.certificates.is_empty() {
            tracing::warn!("zones.yaml lists no certificate: there is nothing to do");
        }
        return Ok(desired.certificates.values().collect());
    }
    let mut chosen: Vec<&Certificate> = Vec::new();
    for name in names {
        let known: Vec<_> = desired.certificates.keys().cloned().collect();
        let found = desired.certificates.get(name).ok_or_else(|| {
            Error::new(Kind::Usage, format!("find certificate `{name}`"), "zones.yaml does not list it")
                .hint(format!("it lists: {}", known.join(", ")))
        })?;
        if !chosen.iter().any(|c| c.name == found.name) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// Certificates of the state directory that zones.yaml lists no more; none when the command line names certificates.
pub(in crate::cli) async fn forgotten(world: &World, names: &[String]) -> Vec<Forgotten> {
    if names.is_empty() { forgotten::forgotten(world).await } else { Vec::new() }
}

/// An account of zones.yaml.
pub(in crate::cli) fn account<'d>(desired: &'d Desired, name: &str) -> Result<&'d Account> {
    desired.accounts.get(name).ok_or_else(|| {
        let known: Vec<_> = desired.accounts.keys().cloned().collect();
        Error::new(Kind::Usage, format!("find account `{name}`"), "zones.yaml does not list it")
            .hint(format!("it lists: {}", known.join(", ")))
    })
}
