//! From the mirror to what the administrator wants, typed: every cross-check, each problem at its line.

use super::keys::{keys, readable};
use super::names::{self, Owner};
use super::problem::{Place, Sink, nearest, quote};
use super::read::{At, Map};
use super::{CsrNames, defaults, servers, spec};
use crate::model::desired::{
    Account, Certificate, Deploy, Desired, Dnssec, Eab, Endpoints, Provider, Renew, Rfc2136, Transport,
    TsigAlgorithm, Zone,
};
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
    /// Reads a CSR's names.
    pub(super) csr_names: &'a CsrNames<'a>,
    /// Accounts by name, also those with problems.
    accounts: BTreeSet<String>,
    /// Providers by name, also those with problems.
    providers: BTreeSet<String>,
    /// Zones by apex (relative form); `None`: no provider.
    zones: BTreeMap<String, Option<String>>,
}

/// Checks everything; `None` when the file as a whole makes no sense (a problem says why).
pub(super) fn resolve(
    spec: spec::Zones,
    folder: &Path,
    csr_names: &CsrNames<'_>,
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
    };
    let resolvers = texts(spec.resolvers.as_deref(), servers::resolver, sink);
    let state = state(spec.state.as_ref(), folder, sink);
    let accounts = each(accounts, sink, |name, spec, sink| account(name, &spec, &context, sink));
    let providers = each(providers, sink, |_, spec, sink| provider(&spec, &context, sink));
    let zones = self::zones(&zones, &mut context, sink);
    let certificates = spec.certificates.unwrap_or(Map(Vec::new()));
    let certificates = each(certificates, sink, |name, spec, sink| certificate(name, &spec, &context, sink));
    Some(Desired { state: state?, resolvers, accounts, providers, zones, certificates })
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
fn checked<T>(at: &At<String>, check: impl FnOnce(&str) -> Result<T, String>, sink: &mut Sink) -> Option<T> {
    check(&at.value).map_err(|why| sink.say(&at.place, format!("{}: {why}", quote(&at.value)))).ok()
}

fn texts<T>(
    list: Option<&[At<String>]>,
    check: impl Fn(&str) -> Result<T, String>,
    sink: &mut Sink,
) -> Vec<T> {
    list.unwrap_or_default().iter().filter_map(|at| checked(at, &check, sink)).collect()
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
fn optional<S, T>(spec: Option<S>, check: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
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
fn entry_name(name: &At<String>, sink: &mut Sink) -> Option<()> {
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
    at: Option<&At<String>>,
    default: Duration,
    range: &RangeInclusive<Duration>,
    sink: &mut Sink,
) -> Option<Duration> {
    optional(at, |at| checked(at, |text| servers::duration(text, range), sink))
        .map(|found| found.unwrap_or(default))
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
fn known(what: &str, at: &At<String>, names: &BTreeSet<String>, sink: &mut Sink) {
    if names.contains(&at.value) {
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

fn certificate(
    name: &At<String>,
    spec: &spec::Certificate,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Certificate> {
    let named = entry_name(name, sink);
    let names = identifiers(&spec.names, context, sink);
    let keys = keys(&spec.keys, &names, context, sink);
    let owners = tlsa(spec.tlsa.as_deref().unwrap_or_default(), context, sink);
    let endpoints = endpoints(spec.endpoints.as_ref(), &owners, sink);
    let before = spec.renew.as_ref().and_then(|renew| renew.before.as_ref());
    let renew = optional(before, |at| {
        checked(at, |text| servers::duration(text, &defaults::RENEW_RANGE), sink).map(Renew::Before)
    });
    let (None | Some(spec::Rotate::Manual)) = spec.rotate; // another kind would not compile before it is handled
    let deploy = deploy(spec.deploy.as_ref(), context.folder, sink);
    let account = account_of(name, spec.account.as_ref(), context, sink);
    named?;
    Some(Certificate {
        name: name.value.clone(),
        account,
        names,
        keys: keys?,
        tlsa: owners.into_iter().map(|(owner, _)| owner.name).collect(),
        endpoints: endpoints?,
        preferred_chain: spec.preferred_chain.as_ref().map(|at| at.value.clone()),
        renew: renew?.unwrap_or(Renew::Third),
        deploy: deploy?,
    })
}

fn account_of(name: &At<String>, at: Option<&At<String>>, context: &Context<'_>, sink: &mut Sink) -> String {
    let implied = At { value: defaults::ACCOUNT.to_owned(), place: name.place.clone() };
    let at = at.unwrap_or(&implied);
    known("account", at, &context.accounts, sink);
    at.value.clone()
}

/// The certificate's names, canonical, sorted, each once, each in a zone of ours.
fn identifiers(list: &At<Vec<At<String>>>, context: &Context<'_>, sink: &mut Sink) -> Vec<String> {
    let mut found = BTreeSet::new();
    for at in &list.value {
        let Some(name) = checked(at, names::identifier, sink) else { continue };
        if zone_of(name.trim_start_matches("*."), context).is_none() {
            no_zone(&name, at, context, sink);
        }
        found.insert(name);
    }
    if list.value.is_empty() && list.place.line > 0 {
        sink.say(&list.place, "at least one name is needed");
    }
    found.into_iter().collect()
}

/// The zone with the longest apex that ends this name at a label boundary, and its provider.
fn zone_of<'c>(name: &str, context: &'c Context<'_>) -> Option<(&'c str, Option<&'c str>)> {
    let mut rest = name;
    loop {
        if let Some((apex, provider)) = context.zones.get_key_value(rest) {
            return Some((apex, provider.as_deref()));
        }
        rest = rest.split_once('.')?.1;
    }
}

fn no_zone(name: &str, at: &At<String>, context: &Context<'_>, sink: &mut Sink) {
    let hint = match context.zones.is_empty() {
        true => "write the zone it is in under `zones`".to_owned(),
        false => {
            let apexes: Vec<&str> = context.zones.keys().take(10).map(String::as_str).collect();
            format!("write the zone it is in under `zones`; there are: {}", apexes.join(", "))
        }
    };
    sink.say_with(&at.place, format!("{} is in none of the zones", quote(name)), hint);
}

fn tlsa<'s>(list: &'s [At<String>], context: &Context<'_>, sink: &mut Sink) -> Vec<(Owner, &'s Place)> {
    let mut owners: Vec<(Owner, &Place)> = Vec::new();
    for at in list {
        let Some(owner) = checked(at, names::tlsa_owner, sink) else { continue };
        match zone_of(&owner.host, context) {
            None => no_zone(&at.value, at, context, sink),
            Some((apex, None)) => {
                let message = format!(
                    "the zone {} has `provider: none`: no TLSA record can be written there",
                    quote(apex)
                );
                sink.say_with(&at.place, message, "give the zone a provider, or drop this owner");
            }
            Some(_) => {}
        }
        if !owners.iter().any(|(other, _)| other.name == owner.name) {
            owners.push((owner, &at.place));
        }
    }
    owners
}

fn endpoints(
    spec: Option<&At<spec::Endpoints>>,
    owners: &[(Owner, &Place)],
    sink: &mut Sink,
) -> Option<Endpoints> {
    match spec.map(|at| (&at.value, &at.place)) {
        Some((spec::Endpoints::Word(word), _)) if word.value == "unchecked" => Some(Endpoints::Unchecked),
        Some((spec::Endpoints::Word(word), _)) => {
            sink.say_with(
                &word.place,
                format!("{} is no list", quote(&word.value)),
                "write `[smtp://host:25]`, or `unchecked`",
            );
            None
        }
        Some((spec::Endpoints::Listed(list), place)) => {
            if list.is_empty() && !owners.is_empty() {
                sink.say_with(
                    place,
                    "is empty, and TLSA records want something to be checked",
                    "write `unchecked` if you mean it",
                );
            }
            Some(Endpoints::Listed(texts(Some(list), servers::endpoint, sink)))
        }
        None => derived(owners, sink),
    }
}

fn derived(owners: &[(Owner, &Place)], sink: &mut Sink) -> Option<Endpoints> {
    let before = sink.count();
    let mut endpoints = Vec::new();
    for (owner, place) in owners {
        match servers::endpoint_of(owner) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(why) => {
                let hint = "list `endpoints:` that present this certificate, or write `endpoints: unchecked`";
                sink.say_with(place, format!("no endpoint can be derived: {why}"), hint);
            }
        }
    }
    (sink.count() == before).then_some(Endpoints::Listed(endpoints))
}

fn deploy(spec: Option<&spec::Deploy>, folder: &Path, sink: &mut Sink) -> Option<Deploy> {
    let Some(argv) = spec.and_then(|deploy| deploy.reload.as_ref()) else { return Some(Deploy::default()) };
    argv_of(argv, folder, sink).map(|reload| Deploy { reload })
}

/// An argument vector. A program with a `/` is a path like any other; without one it is looked up in PATH.
fn argv_of(argv: &At<Vec<At<String>>>, folder: &Path, sink: &mut Sink) -> Option<Vec<String>> {
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
