//! The engine for described DNS hosts: files that are right and wrong, hosts that are real and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "http/bounds.rs"]
mod bounds;
#[path = "http/builtin.rs"]
mod builtin;
#[path = "http/features.rs"]
mod features;
#[path = "http/format.rs"]
mod format;
#[path = "http/hostile.rs"]
mod hostile;
#[path = "http/logins.rs"]
mod logins;
#[path = "http/powerdns.rs"]
mod powerdns;
#[path = "http/rates.rs"]
mod rates;
mod support;
#[path = "http/waits.rs"]
mod waits;

use danesmith_providers::catalog::Catalog;
use danesmith_providers::http::{HttpProvider, Options, Setting, Spec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

const CHALLENGE: &str = "_acme-challenge.mx.example.test.";
const PINS: &str = "_25._tcp.mx.example.test.";

/// What most tests need: little patience.
fn options() -> Options {
    let mut options = Options::new(Arc::new(support::now));
    options.deadline = Duration::from_secs(20);
    options.timeout = Duration::from_secs(5);
    options
}

/// A provider of the catalog; settings that are secret are given as such.
fn builtin(name: &str, settings: &[(&str, &str)], options: Options) -> HttpProvider {
    provider(Catalog::builtin().unwrap().get(name).unwrap().clone(), settings, options)
}

fn provider(spec: Arc<Spec>, settings: &[(&str, &str)], options: Options) -> HttpProvider {
    let settings = given(&spec, settings);
    HttpProvider::new(spec, &settings, options).unwrap()
}

fn given(spec: &Spec, settings: &[(&str, &str)]) -> BTreeMap<String, Setting> {
    let value = |name: &str, text: &str| match spec.field(name) {
        Some(field) if field.secret => Setting::Secret(Zeroizing::new(text.to_owned())),
        _ => Setting::Plain(text.to_owned()),
    };
    settings.iter().map(|(name, text)| ((*name).to_owned(), value(name, text))).collect()
}

/// The catalog's PowerDNS at an address, with the key "s3cret-k3y".
fn pdns(url: &str, options: Options) -> HttpProvider {
    builtin("powerdns", &[("url", url), ("api_key", "s3cret-k3y")], options)
}
