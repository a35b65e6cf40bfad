//! Programs and services of the administrator's own: plugins, and what was made for other ACME clients.

use super::setting::{Environment, Settings, settings};
use super::spec;
use crate::config::defaults;
use crate::config::keys::readable;
use crate::config::problem::Sink;
use crate::config::read::At;
use crate::config::resolve::{argv_of, checked, duration_in, file_path, optional, secret};
use crate::model::desired::{self, AcmeSh, Exec, HttpReq, LegoExec, Lexicon, Removal};
use danesmith_providers::http::check_address;
use std::path::{Path, PathBuf};

pub(super) fn exec(spec: &spec::Exec, folder: &Path, sink: &mut Sink) -> Option<Exec> {
    let command = argv_of(&spec.command, folder, sink).map(absolute_program);
    let config = named(spec.config.as_ref(), folder, sink);
    let env = environment(spec.env.as_ref(), folder, sink);
    let timeout = optional(spec.timeout.as_ref(), |at| duration_in(at, &defaults::TIMEOUT_RANGE, sink));
    Some(Exec { command: command?, config: config?, env: env?, timeout: timeout? })
}

pub(super) fn acme_sh(spec: &spec::AcmeSh, folder: &Path, sink: &mut Sink) -> Option<AcmeSh> {
    let script = checked(&spec.script, dnsapi, sink);
    let env = environment(spec.env.as_ref(), folder, sink);
    let removal = removal(spec.removal.as_ref(), sink);
    let install = absolute(&spec.install.value, folder);
    Some(AcmeSh { install, script: script?, env: env?, removal: removal? })
}

pub(super) fn lexicon(spec: &spec::Lexicon, folder: &Path, sink: &mut Sink) -> Option<Lexicon> {
    let python = match &spec.python {
        Some(at) if at.value.contains('/') => absolute(&at.value, folder).to_string_lossy().into_owned(),
        Some(at) => at.value.clone(),
        None => "python3".to_owned(),
    };
    let options = named(spec.options.as_ref(), folder, sink);
    Some(Lexicon { python, provider: spec.provider.value.clone(), options: options? })
}

pub(super) fn lego_exec(spec: &spec::LegoExec, folder: &Path, sink: &mut Sink) -> Option<LegoExec> {
    let env = environment(spec.env.as_ref(), folder, sink);
    let removal = removal(spec.removal.as_ref(), sink);
    Some(LegoExec { program: absolute(&spec.program.value, folder), env: env?, removal: removal? })
}

pub(super) fn httpreq(spec: &spec::HttpReq, folder: &Path, sink: &mut Sink) -> Option<HttpReq> {
    let endpoint = check_address(&spec.endpoint.value, false);
    if let Err(why) = &endpoint {
        let hint = "write an https URL; user name and password have fields of their own";
        sink.say_with(&spec.endpoint.place, why, hint);
    }
    let username = spec.username.as_ref().map(|at| at.value.clone());
    let password = optional(spec.password.as_ref(), |spec| secret(spec, folder, sink));
    let root = optional(spec.root.as_ref(), |at| readable(at, folder, sink));
    let removal = removal(spec.removal.as_ref(), sink);
    endpoint.ok()?;
    Some(HttpReq {
        endpoint: spec.endpoint.value.clone(),
        username,
        password: password?,
        root: root?,
        removal: removal?,
    })
}

fn named(map: Option<&Settings>, folder: &Path, sink: &mut Sink) -> Option<desired::Settings> {
    map.map_or(Some(desired::Settings::new()), |map| settings(map, folder, sink))
}

fn environment(map: Option<&Environment>, folder: &Path, sink: &mut Sink) -> Option<desired::Settings> {
    map.map_or(Some(desired::Settings::new()), |map| map.checked(folder, sink))
}

fn removal(at: Option<&At<String>>, sink: &mut Sink) -> Option<Removal> {
    let word = |text: &str| match text {
        "by-value" => Ok(Removal::ByValue),
        "may-take-all" => Ok(Removal::MayTakeAll),
        _ => Err("must be by-value or may-take-all (default)".to_owned()),
    };
    at.map_or(Some(Removal::MayTakeAll), |at| checked(at, word, sink))
}

fn dnsapi(text: &str) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with("dns_") && text.chars().all(letters) {
        return Ok(text.to_owned());
    }
    Err("is no name of a dnsapi script; they begin with `dns_`, such as dns_cf".to_owned())
}

/// Programs run elsewhere than here, and are only trusted by an absolute path.
fn absolute(text: &str, folder: &Path) -> PathBuf {
    let path = file_path(text, folder);
    std::path::absolute(&path).unwrap_or(path)
}

fn absolute_program(mut argv: Vec<String>) -> Vec<String> {
    if let Some(program) = argv.first_mut()
        && program.contains('/')
    {
        *program = absolute(program, Path::new("")).to_string_lossy().into_owned();
    }
    argv
}
