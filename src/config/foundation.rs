//! What everything else in a configuration stands on: state, resolvers, trust, accounts, providers. It stands in
//! zones.yaml, or in a file of the administrator's own (`administrator`).

use super::keys::readable;
use super::problem::{Sink, nearest};
use super::provider::ability::Ability;
use super::provider::{self, catalog};
use super::read::{At, Map};
use super::resolve::{checked, entry_name, file_path, optional, secret, texts};
use super::{defaults, servers, spec};
use crate::model::desired::{Account, Eab, Provider, Validation};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The part of a file that this is about.
#[derive(Default)]
pub(super) struct Written {
    pub(super) state: Option<At<String>>,
    pub(super) resolvers: Option<Vec<At<String>>>,
    pub(super) validate: Option<At<String>>,
    pub(super) trust_anchor: Option<At<String>>,
    pub(super) accounts: Option<Map<spec::Account>>,
    pub(super) provider_files: Option<At<String>>,
    pub(super) providers: Option<Map<spec::Provider>>,
}

/// Checked; what has problems is left out.
pub(super) struct Foundation {
    pub(super) state: Option<PathBuf>,
    pub(super) resolvers: Vec<String>,
    pub(super) validation: Option<Validation>,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) provider_files: Option<PathBuf>,
    pub(super) providers: BTreeMap<String, Provider>,
    /// Accounts by name, also those with problems.
    pub(super) account_names: BTreeSet<String>,
    /// Providers by name, also those with problems.
    pub(super) provider_names: BTreeSet<String>,
    /// What providers can do, where it is known before they are opened.
    pub(super) abilities: BTreeMap<String, Ability>,
}

/// Checks all of it; paths are relative to `folder`.
pub(super) fn check(written: Written, folder: &Path, sink: &mut Sink) -> Foundation {
    let accounts = written.accounts.unwrap_or(Map(Vec::new()));
    let providers = written.providers.unwrap_or(Map(Vec::new()));
    let account_names = accounts.names().map(str::to_owned).collect();
    let provider_names = providers.names().map(str::to_owned).collect();
    let resolvers = texts(written.resolvers.as_deref(), servers::resolver, sink);
    let validation = validation(&written.validate, &written.trust_anchor, &resolvers, folder, sink);
    let state = state(written.state.as_ref(), folder, sink);
    let (provider_files, catalog) = catalog::open(written.provider_files.as_ref(), folder, sink);
    let accounts = each(accounts, sink, |name, spec, sink| account(name, &spec, folder, sink));
    let providers = each(providers, sink, |_, spec, sink| provider::provider(&spec, &catalog, folder, sink));
    let abilities = providers
        .iter()
        .filter_map(|(name, provider)| Some((name.clone(), Ability::of(provider, &catalog)?)))
        .collect();
    Foundation {
        state,
        resolvers,
        validation,
        accounts,
        provider_files,
        providers,
        account_names,
        provider_names,
        abilities,
    }
}

/// Checks each entry of a map; entries with problems are left out.
pub(super) fn each<S, T>(
    map: Map<S>,
    sink: &mut Sink,
    mut check: impl FnMut(&At<String>, S, &mut Sink) -> Option<T>,
) -> BTreeMap<String, T> {
    let entries = map.0.into_iter();
    entries
        .filter_map(|(name, spec)| check(&name, spec?, sink).map(|checked| (name.value, checked)))
        .collect()
}

/// `validate` and `trust_anchor`, which belong together. Any resolver's AD bit would be a hole: it must be a named one.
fn validation(
    validate: &Option<At<String>>,
    trust_anchor: &Option<At<String>>,
    resolvers: &[String],
    folder: &Path,
    sink: &mut Sink,
) -> Option<Validation> {
    let by_resolver = |text: &str| match text {
        "own" => Ok(false),
        "resolver" => Ok(true),
        _ => Err("must be own or resolver".to_owned()),
    };
    let trust_anchor_file = optional(trust_anchor.as_ref(), |at| readable(at, folder, sink));
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

fn account(name: &At<String>, spec: &spec::Account, folder: &Path, sink: &mut Sink) -> Option<Account> {
    let named = entry_name(name, sink);
    let directory = directory(&spec.directory, sink);
    let root = optional(spec.root.as_ref(), |root| readable(root, folder, sink));
    let contact = texts(spec.contact.as_deref(), servers::contact, sink);
    let eab = optional(spec.eab.as_ref(), |eab| {
        Some(Eab { kid: eab.kid.value.clone(), hmac_key: secret(&eab.hmac_key, folder, sink)? })
    });
    let key = optional(spec.key.as_ref(), |key| secret(key, folder, sink));
    named?;
    let (name, agree_terms) = (name.value.clone(), spec.agree_terms.unwrap_or(false));
    Some(Account { name, directory: directory?, root: root?, contact, agree_terms, eab: eab?, key: key? })
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
