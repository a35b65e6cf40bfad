//! DNS hosts behind HTTP interfaces, each described by a file (`catalog/`, FORMAT.md). One engine reads the file, asks
//! what stands, writes the difference and reads it back.

mod apply;
mod client;
mod crypto;
mod engine;
mod expression;
mod fields;
mod load;
mod options;
mod pace;
mod read;
mod request;
mod session;
mod settings;
mod sign;
mod spec;
mod steps;
mod template;
mod totp;
mod value;
mod yaml;

pub use crate::Semantics;
pub use client::check_address;
pub(crate) use client::retry_after;
pub use options::{Options, Setting};
pub use spec::{Evidence, Field, Level, Spec, TtlRules};
pub use yaml::{At, Problem};

use crate::rfc2136::update::merged;
use crate::{Applied, Capabilities, Change, Class, Error, Provider, RrSet};
use async_trait::async_trait;
use client::{Client, Hosts};
use engine::{Call, Engine, Memory};
use hickory_proto::rr::{Name, RData, RecordType};
use minijinja::value::Value;
use pace::Place;
use read::{Zone, plain};
use reqwest::Url;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// A DNS host that a file describes.
pub struct HttpProvider {
    engine: Engine,
    /// Zones that were found.
    zones: Mutex<HashMap<Name, Zone>>,
}

impl std::fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProvider").field("label", &self.engine.label).finish_non_exhaustive()
    }
}

/// Where requests would go with these settings, before any secret is known.
///
/// # Errors
/// Why that is no address, or none that secrets may be sent to.
pub fn check_base(spec: &Spec, texts: &BTreeMap<String, String>, allow_http: bool) -> Result<(), String> {
    let value = |field: &Field| match texts.get(&field.name).or(field.default.as_ref()) {
        Some(text) => Value::from(text.as_str()),
        None if field.secret => Value::from("secret"),
        None => Value::from(()),
    };
    let config = Value::from_pairs(spec.fields.iter().map(|field| (field.name.clone(), value(field))));
    let base = spec.http.base.text(&expression::Scope::default().with("config", config))?.unwrap_or_default();
    client::origin(&base, allow_http).map(drop).map_err(|why| format!("requests would go to `{base}`: {why}"))
}

impl HttpProvider {
    /// Prepares; nothing is sent yet.
    ///
    /// # Errors
    /// [`Class::Rejected`] for a setting that is missing or not known, an address that is no https URL (or http to this
    /// host), or unusable TLS roots.
    pub fn new(
        spec: Arc<Spec>,
        config: &BTreeMap<String, Setting>,
        options: Options,
    ) -> Result<HttpProvider, Error> {
        let (values, secrets) = options::resolve(&spec, config)?;
        let refused = |why: String| {
            Error::new(
                Class::Rejected,
                secrets.redact(&format!("provider {} cannot be used: {why}", spec.name)),
            )
        };
        let scope = expression::Scope::default().with("config", values.clone());
        let base = spec.http.base.text(&scope).map_err(refused)?.unwrap_or_default();
        let base_url = Url::parse(&base).map_err(|e| refused(format!("its address is no URL: {e}")))?;
        let mut urls = vec![base_url.clone()];
        for field in spec.fields.iter().filter(|field| !field.secret) {
            let text = values.get_attr(&field.name).ok().and_then(|value| value.as_str().map(str::to_owned));
            let url = text.filter(|text| text.starts_with("http")).and_then(|text| Url::parse(&text).ok());
            urls.extend(url);
        }
        let hosts = Hosts::new(&urls, options.allow_http);
        for url in &urls {
            hosts.check(url).map_err(refused)?;
        }
        let origin = base_url.origin().ascii_serialization();
        let client = Client::new(&options, spec.http.answers, &urls).map_err(refused)?;
        let everywhere = Place::of(&format!("{} {origin}", spec.name));
        let engine = Engine {
            label: format!("{} at {origin}", spec.name),
            base,
            config: values,
            hosts,
            client,
            secrets: secrets.clone(),
            session: session::Session::default(),
            everywhere,
            options,
            spec,
        };
        Ok(HttpProvider { engine, zones: Mutex::default() })
    }

    fn until(&self) -> Instant {
        Instant::now() + self.engine.options.deadline
    }

    /// The zone of exactly that name.
    async fn known(&self, name: &Name, until: Instant, memory: Option<&Memory>) -> Result<Zone, Error> {
        let known = self.zones.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(zone) = known {
            return Ok(zone);
        }
        let zone = self.engine.zone(name, &Call { memory, ..Call::read(until) }).await?;
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), zone.clone());
        Ok(zone)
    }

    fn check(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<(), Error> {
        let spec = &self.engine.spec;
        if !spec.types.contains(&rtype) {
            let message = format!("{} cannot write {rtype} records (for {})", spec.title, plain(name));
            return Err(Error::new(Class::Unsupported, message)
                .hint("another provider for this zone can, or an alias into a zone of one that can"));
        }
        if !zone.zone_of(name) {
            let message = format!("{} lies outside the zone {}", plain(name), plain(zone));
            return Err(Error::new(Class::Internal, message));
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for HttpProvider {
    fn describe(&self) -> String {
        self.engine.label.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let spec = &self.engine.spec;
        Capabilities {
            types: spec.types.clone(),
            semantics: Some(spec.semantics),
            atomicity: spec.atomicity,
            min_ttl: spec.ttl.min,
            max_ttl: spec.ttl.max,
        }
    }

    /// The longest name at or above it that the host has a zone of.
    async fn zone(&self, name: &Name) -> Result<Name, Error> {
        let (until, memory) = (self.until(), Memory::default());
        let mut candidate = name.to_lowercase();
        // A top-level domain is nobody's zone here, and some interfaces answer strangely when asked for one.
        while candidate.num_labels() > 1 {
            match self.known(&candidate, until, Some(&memory)).await {
                Err(error) if error.class == Class::NotFound => candidate = candidate.base_name(),
                outcome => return outcome.map(|_| candidate),
            }
        }
        let message = format!("{} has no zone that holds {}", self.engine.label, plain(name));
        Err(Error::new(Class::NotFound, message)
            .hint("check the account, and what its credentials are allowed to see"))
    }

    /// Finds the zone and lists the targets; where the file knows how, also tries the permission to write.
    async fn preflight(&self, zone: &Name, targets: &[(Name, RecordType)]) -> Result<(), Error> {
        let until = self.until();
        for (name, rtype) in targets {
            self.check(zone, name, *rtype)?;
        }
        let found = self.known(zone, until, None).await?;
        let memory = Memory::default();
        let call = Call { memory: Some(&memory), ..Call::read(until) };
        for (name, rtype) in targets {
            self.engine.standing(&found, name, *rtype, &call).await?;
        }
        self.engine.probe(&found, until).await
    }

    async fn list(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<RrSet, Error> {
        self.check(zone, name, rtype)?;
        let until = self.until();
        let found = self.known(zone, until, None).await?;
        let standing = self.engine.standing(&found, name, rtype, &Call::read(until)).await?;
        let live = || standing.entries.iter().filter(|entry| !entry.disabled);
        Ok(RrSet {
            ttl: live().map(|entry| entry.ttl).min().unwrap_or(0),
            values: live().filter_map(|entry| entry.value.clone()).collect(),
        })
    }

    async fn apply(&self, zone: &Name, changes: &[Change]) -> Result<Applied, Error> {
        let changes = merged(zone, changes)?;
        for change in &changes {
            self.check(zone, &change.name, change.rtype)?;
            let text = |value: &RData| value::octets(value).is_none_or(|o| String::from_utf8(o).is_ok());
            if !change.add.iter().all(text) {
                let message = format!("a TXT value for {} is not UTF-8", plain(&change.name));
                return Err(Error::new(Class::Unsupported, message));
            }
        }
        let until = self.until();
        let found = self.known(zone, until, None).await?;
        self.engine.apply(&found, &changes, until).await
    }
}
