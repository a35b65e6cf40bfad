//! Exec plugins: a program of the user's choice that speaks one JSON document per line on its standard input and output.
//! `providers/PLUGINS.md` describes the protocol for its author. We compute what is to be added and removed; the plugin
//! only ever gets single values, and what it did is read back.

mod apply;
pub(crate) mod process;
mod protocol;
pub(crate) mod redact;
mod session;
mod trust;
pub(crate) mod turn;
pub(crate) mod value;

use crate::{Applied, Capabilities, Change, Class, Error, Provider, RrSet};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use process::Start;
use protocol::{List, Operation, Zone};
pub use protocol::{Setting, Settings};
use redact::Redactor;
use serde::de::DeserializeOwned;
use serde_json::Value;
use session::Session;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
pub(crate) use trust::check_owner;
use turn::Turns;
use value::plain;
use zeroize::Zeroizing;

/// How a plugin is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// In logs and errors: "exec my-plugin".
    pub label: String,
    /// Time for one request and its answer; then the plugin's process group is killed.
    pub request: Duration,
    /// Time for all of one `apply` or `list`, repetitions included.
    pub total: Duration,
    /// Environment beyond PATH, which is all a plugin has otherwise. Values count as secrets.
    pub env: Vec<(String, Zeroizing<String>)>,
    /// The plugin's working directory.
    pub dir: PathBuf,
    /// Where lock files keep other processes of this host from writing to the same zone; none: they are not kept from it.
    pub locks: Option<PathBuf>,
}

impl Options {
    /// 60 s per request and 180 s in all, our choice: hosts' interfaces answer within 30 s or not at all. No environment,
    /// `/` as working directory, no lock files.
    pub fn new(label: impl Into<String>) -> Self {
        Options {
            label: label.into(),
            request: Duration::from_secs(60),
            total: Duration::from_secs(180),
            env: Vec::new(),
            dir: "/".into(),
            locks: None,
        }
    }
}

/// First pause before a request is repeated; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause that nobody asked for.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often one request is sent that fails for the moment; our choice.
const TRIES: u32 = 4;

/// The provider.
pub struct ExecProvider {
    session: Session,
    capabilities: Capabilities,
    request: Duration,
    total: Duration,
    /// What the plugin told about zones, to be handed back with each request.
    zones: Mutex<HashMap<Name, Value>>,
    turns: Turns,
}

impl std::fmt::Debug for ExecProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecProvider").field("label", &self.session.label()).finish_non_exhaustive()
    }
}

/// A value as the plugin spells it, beside what it means.
struct Listed {
    text: String,
    value: RData,
}

impl ExecProvider {
    /// Starts the plugin and greets it. `argv[0]` is an absolute path or a name to be found in PATH.
    ///
    /// Errors: [`Class::Rejected`] when the program cannot be run or others may change it; those of `hello`.
    pub async fn new(argv: Vec<OsString>, config: Settings, options: Options) -> Result<Self, Error> {
        let Options { label, request, total, env, dir, locks } = options;
        if let Some(program) = argv.first() {
            check_owner(Path::new(program), &label)?;
        }
        // `python3 /path/plugin.py`: the script counts as much as its interpreter.
        let scripts = argv.iter().skip(1).map(Path::new).filter(|path| path.is_absolute() && path.is_file());
        for script in scripts {
            check_owner(script, &label)?;
        }
        let secrets = config.values().filter_map(|setting| match setting {
            Setting::Secret(text) => Some(text.as_str()),
            Setting::Plain(_) => None,
        });
        let redactor = Redactor::new(secrets.chain(env.iter().map(|(_, value)| value.as_str())));
        let env = env.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let session = Session::new(Start { argv, env, dir, label, redactor }, config);
        let capabilities = session.hello(request).await?;
        let (zones, turns) = (Mutex::default(), Turns::new(locks));
        Ok(ExecProvider { session, capabilities, request, total, zones, turns })
    }

    /// Ends the plugin: its standard input is closed, and after 2 s its process group is killed. Dropping does the same in
    /// the background while the runtime lives.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// One request; failures that pass are repeated until `deadline`, in the plugin's own time when it names one.
    async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation<'_>,
        deadline: Instant,
    ) -> Result<T, Error> {
        let mut tries = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(self.request);
            let error = match self.session.ask(operation, left).await {
                Ok(value) => return self.understood(operation, value),
                Err(error) => error,
            };
            let pause = pause(&error, tries);
            if !passes(&error) || tries >= TRIES || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!("{}; trying again in {pause:?}", error.message);
            sleep(pause).await;
            tries += 1;
        }
    }

    fn understood<T: DeserializeOwned>(&self, operation: Operation<'_>, value: Value) -> Result<T, Error> {
        serde_json::from_value(value).map_err(|error| {
            let why = self.session.clean(&error.to_string());
            let label = self.session.label();
            let text = format!("{label} answers `{}` in a way we do not understand: {why}", operation.word());
            Error::new(Class::Internal, text)
        })
    }

    /// What the plugin calls this zone.
    async fn known(&self, zone: &Name, deadline: Instant) -> Result<Value, Error> {
        let known = || self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known().get(zone) {
            return Ok(value.clone());
        }
        let name = plain(zone);
        let value: Value = self.ask(Operation::Zone { name: &name }, deadline).await?;
        let found: Zone = self.understood(Operation::Zone { name: &name }, value.clone())?;
        if !found.name.trim_end_matches('.').eq_ignore_ascii_case(&name) {
            let (label, found) = (self.session.label(), self.session.clean(&found.name));
            return Err(Error::new(Class::NotFound, format!("{label} has zone {found}, but no zone {name}"))
                .hint("check the zone's name, and which account the credentials belong to"));
        }
        known().insert(zone.clone(), value.clone());
        Ok(value)
    }

    async fn listed(
        &self,
        zone: &Name,
        name: &Name,
        rtype: RecordType,
        deadline: Instant,
    ) -> Result<(u32, Vec<Listed>), Error> {
        self.supports(rtype)?;
        let (at, word) = (self.known(zone, deadline).await?, rtype.to_string());
        let operation = Operation::List { zone: &at, name: &plain(name), rtype: &word };
        let List { records } = self.ask(operation, deadline).await?;
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        let listed = records.into_iter().map(|record| {
            value::parse(rtype, &record.value)
                .map(|value| Listed { value, text: record.value.clone() })
                .map_err(|why| {
                    let (label, shown) = (self.session.label(), self.session.clean(&record.value));
                    let text = format!("{label} lists `{shown}` as {rtype} at {}: {why}", plain(name));
                    Error::new(Class::Internal, text)
                })
        });
        Ok((ttl, listed.collect::<Result<_, _>>()?))
    }

    fn supports(&self, rtype: RecordType) -> Result<(), Error> {
        if self.capabilities.types.contains(&rtype) {
            return Ok(());
        }
        let text = format!("{} does not handle {rtype} records", self.session.label());
        Err(Error::new(Class::Unsupported, text))
    }
}

#[async_trait]
impl Provider for ExecProvider {
    fn describe(&self) -> String {
        self.session.label().to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn zone(&self, name: &Name) -> Result<Name, Error> {
        let asked = plain(name);
        let operation = Operation::Zone { name: &asked };
        let found: Zone = self.ask(operation, Instant::now() + self.total).await?;
        let apex = Name::from_ascii(format!("{}.", found.name.trim_end_matches('.')));
        match apex.map(|apex| apex.to_lowercase()) {
            Ok(apex) if apex.zone_of(&name.to_lowercase()) => Ok(apex),
            _ => {
                let (label, found) = (self.session.label(), self.session.clean(&found.name));
                let text = format!("{label} says that {asked} lies in zone `{found}`, which cannot be");
                Err(Error::new(Class::Internal, text))
            }
        }
    }

    /// Reads only: the protocol has no way to test permissions to write, and a removal of what is not there would be a
    /// risk with a plugin that is not trusted yet. `conformance::check` writes.
    async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<(), Error> {
        let deadline = Instant::now() + self.total;
        for (name, rtype) in targets {
            self.listed(zone, name, *rtype, deadline).await?;
        }
        Ok(())
    }

    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        let (ttl, listed) = self.listed(zone, name, rtype, Instant::now() + self.total).await?;
        Ok(RrSet { ttl, values: listed.into_iter().map(|listed| listed.value).collect() })
    }

    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        apply::Run::new(self, zone, changes)?.finish().await
    }
}

/// Whether the same request may succeed a moment later.
fn passes(error: &Error) -> bool {
    matches!(error.class, Class::Transient | Class::RateLimited)
}

/// What the host asked for, else a pause that doubles.
fn pause(error: &Error, tries: u32) -> Duration {
    let ours = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(6)).min(MAX_PAUSE);
    error.retry_after.unwrap_or(ours)
}
