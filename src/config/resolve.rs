//! From the mirror to what the administrator wants, typed: every cross-check, each problem at its line.

use super::certificate::certificate;
use super::foundation::{Foundation, each};
use super::names;
use super::problem::{Sink, nearest, quote};
use super::provider::ability::Ability;
use super::read::{At, DurationText, Map};
use super::{CsrNames, defaults, deploy, rotation, servers, spec};
use crate::model::desired::{Account, Desired, Dnssec, Zone};
use crate::model::policy::Policy;
use crate::secret::{SecretRef, Source};
use hickory_proto::rr::Name;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What checking a file needs besides its text.
pub(super) struct Context<'a> {
    /// The folder zones.yaml stands in.
    pub(super) folder: &'a Path,
    /// Reads a CSR's names.
    pub(super) csr_names: &'a CsrNames<'a>,
    /// Accounts by name, also those with problems.
    pub(super) accounts: BTreeSet<String>,
    /// Those of them whose CA refuses a name beside a wildcard that covers it.
    pub(super) refuse_redundant: BTreeSet<String>,
    /// Providers by name, also those with problems.
    providers: BTreeSet<String>,
    /// What providers can do, where it is known before they are opened.
    pub(super) abilities: BTreeMap<String, Ability>,
    /// Zones by apex (relative form); `None`: no provider.
    pub(super) zones: BTreeMap<String, Option<String>>,
    /// The waiting rule of certificates that have none of their own.
    pub(super) policy: Policy,
}

/// What stands in zones.yaml beside its foundation.
pub(super) struct Rest {
    pub(super) zones: Map<spec::Zone>,
    pub(super) certificates: Map<spec::Certificate>,
    pub(super) rotation: Option<spec::Rotation>,
}

/// Checks everything on its foundation; `None` when something is missing that all else needs (a problem says so).
pub(super) fn resolve(
    spec: Rest,
    foundation: Foundation,
    folder: &Path,
    csr_names: &CsrNames<'_>,
    sink: &mut Sink,
) -> Option<Desired> {
    let at_lets_encrypt = |account: &&Account| defaults::is_lets_encrypt(&account.directory);
    let mut context = Context {
        folder,
        csr_names,
        accounts: foundation.account_names,
        refuse_redundant: foundation
            .accounts
            .values()
            .filter(at_lets_encrypt)
            .map(|a| a.name.clone())
            .collect(),
        providers: foundation.provider_names,
        abilities: foundation.abilities,
        zones: BTreeMap::new(),
        policy: rotation::policy(spec.rotation.as_ref(), Policy::default(), sink).unwrap_or_default(),
    };
    let zones = self::zones(&spec.zones, &mut context, sink);
    let places = deploy::places(&spec.certificates);
    let mut certificates =
        each(spec.certificates, sink, |name, spec, sink| certificate(name, &spec, &context, sink));
    deploy::share(&mut certificates, &places, sink);
    Some(Desired {
        state: foundation.state?,
        resolvers: foundation.resolvers,
        validation: foundation.validation?,
        accounts: foundation.accounts,
        provider_files: foundation.provider_files,
        providers: foundation.providers,
        named: sink.take_named(),
        zones,
        certificates,
    })
}

/// The value, or its problem at the right place with the text it is about.
pub(super) fn checked<T>(
    at: &At<String>,
    check: impl FnOnce(&str) -> Result<T, String>,
    sink: &mut Sink,
) -> Option<T> {
    check(&at.value).map_err(|why| sink.say(&at.place, format!("{}: {why}", quote(&at.value)))).ok()
}

pub(super) fn texts<T>(
    list: Option<&[At<String>]>,
    check: impl Fn(&str) -> Result<T, String>,
    sink: &mut Sink,
) -> Vec<T> {
    list.unwrap_or_default().iter().filter_map(|at| checked(at, &check, sink)).collect()
}

/// A path as it is meant: relative to the folder of zones.yaml.
pub(super) fn file_path(text: &str, folder: &Path) -> PathBuf {
    folder.join(text.strip_prefix("./").unwrap_or(text))
}

/// `Some(None)` for an absent option, `None` when its value has a problem.
pub(super) fn optional<S, T>(spec: Option<S>, check: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
    match spec {
        Some(spec) => check(spec).map(Some),
        None => Some(None),
    }
}

/// Names of accounts, providers and certificates are file names in the state directory.
pub(super) fn entry_name(name: &At<String>, sink: &mut Sink) -> Option<()> {
    let text = name.value.as_bytes();
    let first = text.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b));
    if first && rest && text.len() <= 64 && !name.value.ends_with('.') {
        return Some(());
    }
    let hint = "1 to 64 of a-z, 0-9, `.`, `_`, `-`; first a letter or digit, last no dot";
    sink.say_with(&name.place, format!("{} cannot be a name here", quote(&name.value)), hint);
    None
}

/// Where a secret is; it is not read.
pub(super) fn secret(spec: &spec::Secret, folder: &Path, sink: &mut Sink) -> Option<SecretRef> {
    let source = match spec {
        spec::Secret::File(path) => Source::File(file_path(&path.value, folder)),
        spec::Secret::Env(At { value, place }) => {
            let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !value.starts_with(|c: char| c.is_ascii_digit());
            if !plain {
                // Not echoed: it may be the secret itself.
                let hint = "write the variable's name, without `$`; its value belongs into the environment";
                sink.say_with(place, "is not the name of an environment variable", hint);
                return None;
            }
            Source::Env(value.clone())
        }
        spec::Secret::Command(argv) => Source::Command(argv_of(argv, folder, sink)?),
        spec::Secret::Credential(At { value, place }) => {
            if value.contains('/') || value == "." || value == ".." {
                let hint = "write the name that LoadCredential= gives it";
                sink.say_with(place, "is not the name of a credential: it cannot hold a `/`", hint);
                return None;
            }
            Source::Credential(value.clone())
        }
    };
    Some(SecretRef { source, named_at: Some(sink.told(&spec.place())) })
}

/// A duration within a range, or what stands for none.
pub(super) fn duration(
    at: Option<&At<DurationText>>,
    default: Duration,
    range: &RangeInclusive<Duration>,
    sink: &mut Sink,
) -> Option<Duration> {
    optional(at, |at| duration_in(at, range, sink)).map(|found| found.unwrap_or(default))
}

/// A duration within a range.
pub(super) fn duration_in(
    at: &At<DurationText>,
    range: &RangeInclusive<Duration>,
    sink: &mut Sink,
) -> Option<Duration> {
    let text = At { value: at.value.0.clone(), place: at.place.clone() };
    checked(&text, |text| servers::duration(text, range), sink)
}

fn zones(map: &Map<spec::Zone>, context: &mut Context<'_>, sink: &mut Sink) -> BTreeMap<Name, Zone> {
    let mut zones = BTreeMap::new();
    for (name, spec) in &map.0 {
        let Some(apex) = checked(name, names::host, sink) else { continue };
        let provider = match spec {
            Some(spec) if spec.provider.value == "none" => None,
            Some(spec) => Some(spec.provider.value.clone()),
            None => Some(String::new()), // its problem is reported; names in it are covered
        };
        if context.zones.insert(apex.clone(), provider.clone()).is_some() {
            let twice = format!("the zone {} stands twice, in two spellings", quote(&apex));
            sink.say_with(&name.place, twice, "drop one of the two, or put them together");
        }
        if let Some(zone) = spec.as_ref().and_then(|spec| zone(&apex, provider, spec, context, sink)) {
            zones.insert(zone.apex.clone(), zone);
        }
    }
    zones
}

fn zone(
    apex: &str,
    provider: Option<String>,
    spec: &spec::Zone,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Zone> {
    if provider.is_some() {
        known("provider", &spec.provider, &context.providers, sink);
    }
    let check = texts(spec.check.as_deref(), servers::server, sink);
    let propagation =
        duration(spec.propagation.as_ref(), defaults::PROPAGATION, &defaults::PROPAGATION_RANGE, sink);
    let ttls = spec.ttl.as_ref();
    let ability = context.abilities.get(&spec.provider.value);
    let txt_ttl = ttl(ttls.and_then(|ttl| ttl.txt.as_ref()), defaults::TXT_TTL, ability, sink);
    let tlsa_ttl = ttl(ttls.and_then(|ttl| ttl.tlsa.as_ref()), defaults::TLSA_TTL, ability, sink);
    let dnssec = optional(spec.dnssec.as_ref(), |at| dnssec(at, sink));
    Some(Zone {
        apex: names::absolute(apex).ok()?,
        provider,
        check,
        propagation: propagation?,
        txt_ttl: txt_ttl?,
        tlsa_ttl: tlsa_ttl?,
        dnssec: dnssec?.unwrap_or(Dnssec::Required),
    })
}

/// Reports a reference to something that is not there, with the nearest thing that is.
pub(super) fn known(what: &str, at: &At<String>, names: &BTreeSet<String>, sink: &mut Sink) {
    if names.contains(&at.value) || sink.is_full() || sink.blames(&format!("{what}s")) {
        return;
    }
    let hint = match nearest(&at.value, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("write it under `{what}s`"),
        None => format!("there are: {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    sink.say_with(&at.place, format!("no {what} is named {}", quote(&at.value)), hint);
}

/// A TTL that danesmith and the provider both accept. What the administrator did not choose is moved to the nearest one.
fn ttl(at: Option<&At<u64>>, default: u32, ability: Option<&Ability>, sink: &mut Sink) -> Option<u32> {
    let Some(At { value, place }) = at else {
        return Some(ability.map_or(default, |ability| ability.nearest_ttl(default)));
    };
    if !defaults::TTL_RANGE.contains(value) {
        let (least, most) = (defaults::TTL_RANGE.start(), defaults::TTL_RANGE.end());
        sink.say(place, format!("must be from {least} to {most} seconds"));
        return None;
    }
    let wanted = u32::try_from(*value).ok()?;
    if let Some(ability) = ability
        && ability.nearest_ttl(wanted) != wanted
    {
        sink.say_with(place, ability.about_ttls(), format!("write {}", ability.nearest_ttl(wanted)));
        return None;
    }
    Some(wanted)
}

fn dnssec(at: &At<String>, sink: &mut Sink) -> Option<Dnssec> {
    let word = |text: &str| match text {
        "required" => Ok(Dnssec::Required),
        "unsigned-ok" => Ok(Dnssec::UnsignedOk),
        _ => Err("must be required or unsigned-ok".to_owned()),
    };
    checked(at, word, sink)
}

/// An argument vector. A program with a `/` is a path like any other; without one it is looked up in PATH.
pub(super) fn argv_of(argv: &At<Vec<At<String>>>, folder: &Path, sink: &mut Sink) -> Option<Vec<String>> {
    let mut words: Vec<String> = argv.value.iter().map(|at| at.value.clone()).collect();
    let Some(program) = words.first_mut() else {
        sink.say_with(&argv.place, "is an empty list: a program is missing", "write [PROGRAM, ARGUMENT, …]");
        return None;
    };
    if program.contains('/') {
        *program = file_path(program, folder).to_string_lossy().into_owned();
    }
    Some(words)
}
