//! From the mirror to what the administrator wants, typed: every cross-check, each problem at its line.

use super::certificate::certificate;
use super::keys::readable;
use super::names;
use super::problem::{Sink, nearest, quote};
use super::read::{At, DurationText, Map};
use super::{CsrNames, defaults, deploy, rotation, servers, spec};
use crate::model::desired::{
    Account, Desired, Dnssec, Eab, Provider, Rfc2136, Transport, TsigAlgorithm, Validation, Zone,
};
use crate::model::policy::Policy;
use crate::secret::SecretRef;
use hickory_proto::rr::Name;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What checking a file needs besides its text.
pub(super) struct Context<'a> {
    /// The folder zones.yaml stands in.
    pub(super) folder: &'a Path,
    /// Reads a CSR's names; `None`: files are not looked at, for a rehearsal.
    pub(super) csr_names: Option<&'a CsrNames<'a>>,
    /// Accounts by name, also those with problems.
    pub(super) accounts: BTreeSet<String>,
    /// Providers by name, also those with problems.
    providers: BTreeSet<String>,
    /// Zones by apex (relative form); `None`: no provider.
    pub(super) zones: BTreeMap<String, Option<String>>,
    /// The waiting rule of certificates that have none of their own.
    pub(super) policy: Policy,
}

/// Checks everything; `None` when the file as a whole makes no sense (a problem says why).
pub(super) fn resolve(
    spec: spec::Zones,
    folder: &Path,
    csr_names: Option<&CsrNames<'_>>,
    sink: &mut Sink,
) -> Option<Desired> {
    if spec.version.value != defaults::VERSION {
        let message = format!("version {} is not one that danesmith knows", spec.version.value);
        sink.say_with(&spec.version.place, message, "this program reads `version: 1`");
        return None; // the rest may mean something else there
    }
    let accounts = spec.accounts.unwrap_or(Map(Vec::new()));
    let providers = spec.providers.unwrap_or(Map(Vec::new()));
    let zones = spec.zones.unwrap_or(Map(Vec::new()));
    let mut context = Context {
        folder,
        csr_names,
        accounts: accounts.names().map(str::to_owned).collect(),
        providers: providers.names().map(str::to_owned).collect(),
        zones: BTreeMap::new(),
        policy: rotation::policy(spec.rotation.as_ref(), Policy::default(), sink).unwrap_or_default(),
    };
    let resolvers = texts(spec.resolvers.as_deref(), servers::resolver, sink);
    let validation = validation(&spec.validate, &spec.trust_anchor, &resolvers, &context, sink);
    let state = state(spec.state.as_ref(), folder, sink);
    let accounts = each(accounts, sink, |name, spec, sink| account(name, &spec, &context, sink));
    let providers = each(providers, sink, |_, spec, sink| provider(&spec, &context, sink));
    let zones = self::zones(&zones, &mut context, sink);
    let certificates = spec.certificates.unwrap_or(Map(Vec::new()));
    let places = deploy::places(&certificates);
    let mut certificates =
        each(certificates, sink, |name, spec, sink| certificate(name, &spec, &context, sink));
    deploy::share(&mut certificates, &places, sink);
    Some(Desired {
        state: state?,
        resolvers,
        validation: validation?,
        accounts,
        providers,
        zones,
        certificates,
    })
}

/// Checks each entry of a map; entries with problems are left out.
fn each<S, T>(
    map: Map<S>,
    sink: &mut Sink,
    mut check: impl FnMut(&At<String>, S, &mut Sink) -> Option<T>,
) -> BTreeMap<String, T> {
    let entries = map.0.into_iter();
    entries
        .filter_map(|(name, spec)| check(&name, spec?, sink).map(|checked| (name.value, checked)))
        .collect()
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

/// `validate` and `trust_anchor`, which belong together. Any resolver's AD bit would be a hole: it must be a named one.
fn validation(
    validate: &Option<At<String>>,
    trust_anchor: &Option<At<String>>,
    resolvers: &[String],
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Validation> {
    let by_resolver = |text: &str| match text {
        "own" => Ok(false),
        "resolver" => Ok(true),
        _ => Err("must be own or resolver".to_owned()),
    };
    let trust_anchor_file = optional(trust_anchor.as_ref(), |at| readable(at, context, sink));
    let Some(validate) = validate else { return Some(Validation::Own { trust_anchor: trust_anchor_file? }) };
    if !checked(validate, by_resolver, sink)? {
        return Some(Validation::Own { trust_anchor: trust_anchor_file? });
    }
    if resolvers.is_empty() {
        let hint = "name one on this host or behind a protected link under `resolvers`";
        sink.say_with(&validate.place, "believes a resolver, but none is named", hint);
    }
    if let Some(at) = trust_anchor {
        sink.say_with(&at.place, "has no effect with `validate: resolver`", "drop one of the two");
    }
    Some(Validation::Resolver)
}

fn state(spec: Option<&At<String>>, folder: &Path, sink: &mut Sink) -> Option<PathBuf> {
    let Some(At { value, place }) = spec else { return Some(file_path(defaults::STATE, folder)) };
    if value.contains("://") {
        // Not echoed: such URLs hold passwords.
        sink.say_with(
            place,
            "this version keeps state in a directory",
            "write a path, such as `state: ./state`",
        );
        return None;
    }
    Some(file_path(value, folder))
}

/// A path as it is meant: relative to the folder of zones.yaml.
pub(super) fn file_path(text: &str, folder: &Path) -> PathBuf {
    folder.join(text.strip_prefix("./").unwrap_or(text))
}

fn account(
    name: &At<String>,
    spec: &spec::Account,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Account> {
    let named = entry_name(name, sink);
    let directory = directory(&spec.directory, sink);
    let root = optional(spec.root.as_ref(), |root| readable(root, context, sink));
    let contact = texts(spec.contact.as_deref(), servers::contact, sink);
    let eab = optional(spec.eab.as_ref(), |eab| {
        Some(Eab { kid: eab.kid.value.clone(), hmac_key: secret(&eab.hmac_key, context, sink)? })
    });
    let key = optional(spec.key.as_ref(), |key| secret(key, context, sink));
    named?;
    let (name, agree_terms) = (name.value.clone(), spec.agree_terms.unwrap_or(false));
    Some(Account { name, directory: directory?, root: root?, contact, agree_terms, eab: eab?, key: key? })
}

/// `Some(None)` for an absent option, `None` when its value has a problem.
pub(super) fn optional<S, T>(spec: Option<S>, check: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
    match spec {
        Some(spec) => check(spec).map(Some),
        None => Some(None),
    }
}

fn directory(at: &At<String>, sink: &mut Sink) -> Option<String> {
    if let Some((_, url)) = defaults::DIRECTORIES.iter().find(|(short, _)| *short == at.value) {
        return Some((*url).to_owned());
    }
    match servers::directory(&at.value) {
        Ok(url) => Some(url),
        Err(why) => {
            let known = defaults::DIRECTORIES.map(|(short, _)| short);
            let hint = match nearest(&at.value, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {} or the CA's https URL", known.join(", ")),
            };
            sink.say_with(&at.place, why, hint);
            None
        }
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

fn secret(spec: &spec::Secret, context: &Context<'_>, sink: &mut Sink) -> Option<SecretRef> {
    match spec {
        spec::Secret::File(path) => Some(SecretRef::File(file_path(&path.value, context.folder))),
        spec::Secret::Env(At { value, place }) => {
            let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !value.starts_with(|c: char| c.is_ascii_digit());
            if !plain {
                sink.say(place, "is not the name of an environment variable"); // not echoed: it may be the secret itself
            }
            plain.then(|| SecretRef::Env(value.clone()))
        }
        spec::Secret::Command(argv) => argv_of(argv, context.folder, sink).map(SecretRef::Command),
        spec::Secret::Credential(At { value, place }) => {
            let plain = !value.contains('/') && value != "." && value != "..";
            if !plain {
                sink.say(place, "is not the name of a credential: it cannot hold a `/`");
            }
            plain.then(|| SecretRef::Credential(value.clone()))
        }
    }
}

fn provider(spec: &spec::Provider, context: &Context<'_>, sink: &mut Sink) -> Option<Provider> {
    let spec::Provider::Rfc2136(spec) = spec;
    let server = checked(&spec.server, servers::server, sink);
    let transport = optional(spec.transport.as_ref(), |at| transport(at, sink));
    let tls_root = optional(tls(spec, |tls| tls.root.as_ref()), |at| readable(at, context, sink));
    let tls_name = optional(tls(spec, |tls| tls.name.as_ref()), |at| checked(at, names::host, sink));
    let key_name = checked(&spec.tsig.name, names::key_name, sink);
    let algorithm = algorithm(&spec.tsig.algorithm, sink);
    let secret = secret(&spec.tsig.secret, context, sink);
    let timeout = duration(spec.timeout.as_ref(), defaults::TIMEOUT, &defaults::TIMEOUT_RANGE, sink);
    let transport = transport?.unwrap_or(Transport::Tcp);
    if let (Some(tls), Transport::Tcp | Transport::Udp) = (&spec.tls, transport) {
        sink.say_with(
            &tls.place,
            "has no effect without `transport: tls`",
            "add `transport: tls` or drop `tls`",
        );
    }
    Some(Provider::Rfc2136(Rfc2136 {
        server: server?,
        transport,
        tls_root: tls_root?,
        tls_name: tls_name?,
        key_name: key_name?,
        algorithm: algorithm?,
        secret: secret?,
        timeout: timeout?,
    }))
}

fn tls(spec: &spec::Rfc2136, field: impl FnOnce(&spec::Tls) -> Option<&At<String>>) -> Option<&At<String>> {
    spec.tls.as_ref().and_then(|tls| field(&tls.value))
}

fn transport(at: &At<String>, sink: &mut Sink) -> Option<Transport> {
    let word = |text: &str| match text {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "tls" => Ok(Transport::Tls),
        _ => Err("must be tcp, udp or tls".to_owned()),
    };
    checked(at, word, sink)
}

fn algorithm(at: &At<String>, sink: &mut Sink) -> Option<TsigAlgorithm> {
    match at.value.to_ascii_lowercase().trim_end_matches('.') {
        "hmac-sha256" => return Some(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => return Some(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => return Some(TsigAlgorithm::HmacSha512),
        "hmac-md5" | "hmac-md5.sig-alg.reg.int" | "hmac-sha1" | "hmac-sha224" => {
            let hint = "make a new key: `tsig-keygen -a hmac-sha256 NAME`";
            sink.say_with(&at.place, format!("{}: weaker than SHA-256 is refused", quote(&at.value)), hint);
        }
        _ => sink
            .say(&at.place, format!("{}: must be hmac-sha256, hmac-sha384 or hmac-sha512", quote(&at.value))),
    }
    None
}

fn duration(
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
            sink.say(&name.place, format!("the zone {} stands twice, in two spellings", quote(&apex)));
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
    let txt_ttl = ttl(ttls.and_then(|ttl| ttl.txt.as_ref()), defaults::TXT_TTL, sink);
    let tlsa_ttl = ttl(ttls.and_then(|ttl| ttl.tlsa.as_ref()), defaults::TLSA_TTL, sink);
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

fn ttl(at: Option<&At<u64>>, default: u32, sink: &mut Sink) -> Option<u32> {
    let Some(At { value, place }) = at else { return Some(default) };
    if !defaults::TTL_RANGE.contains(value) {
        let (least, most) = (defaults::TTL_RANGE.start(), defaults::TTL_RANGE.end());
        sink.say(place, format!("must be from {least} to {most} seconds"));
        return None;
    }
    u32::try_from(*value).ok()
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
        sink.say(&argv.place, "is an empty list: a program is missing");
        return None;
    };
    if program.contains('/') {
        *program = file_path(program, folder).to_string_lossy().into_owned();
    }
    Some(words)
}
