//! Providers behind HTTP interfaces, programs and adapters: their secrets are read when they are first needed.

use super::locks;
use super::opener::Opener;
use crate::error::{Error, Kind, Result};
use crate::flow::authoritative::Authorities;
use crate::model::desired::{self, AcmeSh, Described, Exec, HttpReq, LegoExec, Lexicon, Settings};
use crate::secret::SecretRef;
use danesmith_providers::adapters::txt_only::{Removal, Tool, TxtOnly};
use danesmith_providers::adapters::{acme_sh, httpreq, lego_exec, lexicon};
use danesmith_providers::catalog::Catalog;
use danesmith_providers::exec::{self, ExecProvider};
use danesmith_providers::http::{self, HttpProvider};
use danesmith_providers::{Class, Provider};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

impl Opener {
    /// A host of the catalog.
    pub(super) fn described(&self, name: &str, wanted: &Described) -> Result<Arc<dyn Provider>> {
        let catalog = match &self.desired.provider_files {
            Some(folder) => Catalog::with_folder(folder),
            None => Catalog::builtin(),
        };
        let catalog = catalog.map_err(|e| Error::new(Kind::Config, action(name), e))?;
        let spec = catalog.get(&wanted.kind).ok_or_else(|| {
            Error::new(Kind::Config, action(name), format!("no file describes `{}`", wanted.kind))
        })?;
        let mut settings = BTreeMap::new();
        for (field, setting) in &wanted.settings {
            settings.insert(
                field.clone(),
                match setting {
                    desired::Setting::Secret(place) => http::Setting::Secret(secret(place)?),
                    desired::Setting::Text(text) => http::Setting::Plain(text.clone()),
                    desired::Setting::Number(number) => http::Setting::Plain(number.to_string()),
                    desired::Setting::Flag(flag) => http::Setting::Plain(flag.to_string()),
                },
            );
        }
        let mut options = http::Options::new(self.seconds());
        options.locks = self.locks()?;
        options.root_pem = wanted.root.as_deref().map(root).transpose()?;
        options.allow_http = wanted.allow_http;
        options.timeout = wanted.timeout.unwrap_or(options.timeout);
        let provider = HttpProvider::new(spec.clone(), &settings, options).map_err(|e| failed(name, e))?;
        Ok(Arc::new(provider))
    }

    /// A plugin: it is started and greeted.
    pub(super) async fn exec(&self, name: &str, wanted: &Exec) -> Result<Arc<dyn Provider>> {
        let mut options =
            exec::Options::new(format!("exec {}", wanted.command.first().map_or("", String::as_str)));
        options.env = environment(&wanted.env)?;
        options.locks = self.locks()?;
        if let Some(timeout) = wanted.timeout {
            options.request = timeout;
            options.total = options.total.max(timeout.saturating_mul(3)); // as much as 60 s and 180 s
        }
        let argv = wanted.command.iter().map(Into::into).collect();
        let provider = ExecProvider::new(argv, settings(&wanted.config)?, options).await;
        Ok(Arc::new(provider.map_err(|e| failed(name, e))?))
    }

    /// dns-lexicon: its Python is started and greeted.
    pub(super) async fn lexicon(&self, name: &str, wanted: &Lexicon) -> Result<Arc<dyn Provider>> {
        let mut options = exec::Options::new(format!("lexicon {}", wanted.provider));
        options.locks = self.locks()?;
        let (python, settings) = (wanted.python.clone().into(), settings(&wanted.options)?);
        let provider = lexicon::open(python, &wanted.provider, settings, options).await;
        Ok(Arc::new(provider.map_err(|e| failed(name, e))?))
    }

    /// A script of acme.sh.
    pub(super) fn acme_sh(&self, name: &str, wanted: &AcmeSh) -> Result<Arc<dyn Provider>> {
        let tool = acme_sh::AcmeSh::new(&wanted.install, &wanted.script, environment(&wanted.env)?);
        self.txt_only(tool.map_err(|e| failed(name, e))?, wanted.removal)
    }

    /// A program made for lego.
    pub(super) fn lego_exec(&self, name: &str, wanted: &LegoExec) -> Result<Arc<dyn Provider>> {
        let tool = lego_exec::LegoExec::new(wanted.program.clone(), environment(&wanted.env)?);
        self.txt_only(tool.map_err(|e| failed(name, e))?, wanted.removal)
    }

    /// A service made for lego.
    pub(super) fn httpreq(&self, name: &str, wanted: &HttpReq) -> Result<Arc<dyn Provider>> {
        let tool = httpreq::HttpReq::new(httpreq::Config {
            endpoint: wanted.endpoint.clone(),
            username: wanted.username.clone(),
            password: wanted.password.as_ref().map(secret).transpose()?,
            root_pem: wanted.root.as_deref().map(root).transpose()?,
            clock: self.seconds(),
        });
        self.txt_only(tool.map_err(|e| failed(name, e))?, wanted.removal)
    }

    /// These tools cannot list: what stands is asked at the authoritative servers.
    fn txt_only<T: Tool + 'static>(&self, tool: T, removal: desired::Removal) -> Result<Arc<dyn Provider>> {
        let removal = match removal {
            desired::Removal::MayTakeAll => Removal::MayTakeAll,
            desired::Removal::ByValue => Removal::ByValue,
        };
        let authorities = Arc::new(Authorities::new(self.desired.clone(), self.reads.clone()));
        Ok(Arc::new(TxtOnly::new(tool, authorities, removal, self.locks()?)))
    }

    /// Unix seconds.
    fn seconds(&self) -> Arc<dyn Fn() -> u64 + Send + Sync> {
        let clock = self.clock.clone();
        Arc::new(move || clock.now().as_second().try_into().unwrap_or_default())
    }

    fn locks(&self) -> Result<Option<PathBuf>> {
        locks::folder(Some(&self.desired.state))
    }
}

/// A plugin that no configuration names, for its conformance check.
pub(in crate::cli) async fn plugin(
    program: &Path,
    wanted: &Settings,
    state: Option<&Path>,
) -> Result<ExecProvider> {
    let label = program.display().to_string();
    let program = std::path::absolute(program)
        .map_err(|e| Error::new(Kind::Usage, format!("find the plugin `{label}`"), e))?;
    let mut options = exec::Options::new(format!("exec {label}"));
    options.locks = locks::folder(state)?;
    ExecProvider::new(vec![program.into()], settings(wanted)?, options).await.map_err(|e| failed(&label, e))
}

fn action(name: &str) -> String {
    format!("open provider `{name}`")
}

/// What a provider says about itself before anything was asked of it.
pub(super) fn failed(name: &str, e: danesmith_providers::Error) -> Error {
    let kind = match e.class {
        Class::Auth => Kind::Credentials,
        Class::Rejected | Class::Unsupported => Kind::Config,
        Class::Internal => Kind::Internal,
        Class::NotFound | Class::RateLimited | Class::Conflict | Class::Transient => Kind::Remote,
    };
    let mut error =
        Error::new(kind, action(name), e.message).remains("Nothing was ordered and nothing was changed.");
    error.retry_after = e.retry_after;
    error.hints.extend(e.hint);
    error
}

/// A secret as text; what is no UTF-8 cannot stand in a header, a form or an environment.
fn secret(place: &SecretRef) -> Result<Zeroizing<String>> {
    let secret = place.read()?;
    let text = std::str::from_utf8(secret.bytes()).map_err(|_| {
        Error::new(Kind::Credentials, format!("use the secret of {:?}", place.source), "it is not text")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn settings(wanted: &Settings) -> Result<exec::Settings> {
    let mut settings = exec::Settings::new();
    for (name, setting) in wanted {
        settings.insert(
            name.clone(),
            match setting {
                desired::Setting::Text(text) => exec::Setting::Plain(text.as_str().into()),
                desired::Setting::Number(number) => exec::Setting::Plain((*number).into()),
                desired::Setting::Flag(flag) => exec::Setting::Plain((*flag).into()),
                desired::Setting::Secret(place) => exec::Setting::Secret(secret(place)?),
            },
        );
    }
    Ok(settings)
}

fn environment(wanted: &Settings) -> Result<Vec<(String, Zeroizing<String>)>> {
    let value = |setting: &desired::Setting| match setting {
        desired::Setting::Text(text) => Ok(Zeroizing::new(text.clone())),
        desired::Setting::Number(number) => Ok(Zeroizing::new(number.to_string())),
        desired::Setting::Flag(flag) => Ok(Zeroizing::new(flag.to_string())),
        desired::Setting::Secret(place) => secret(place),
    };
    wanted.iter().map(|(name, setting)| Ok((name.clone(), value(setting)?))).collect()
}

fn root(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| Error::new(Kind::Config, format!("read the trust root `{}`", path.display()), e))
}
