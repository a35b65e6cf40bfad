//! One certificate: its names and TLSA owners, the zones they are in, what to look at, what to run.

use super::deploy::deploy;
use super::keys::keys;
use super::names::{self, Owner};
use super::problem::{Place, Sink, quote};
use super::provider::ability::Ability;
use super::read::At;
use super::resolve::{Context, checked, duration_in, entry_name, known, optional, texts};
use super::{defaults, rotation, servers, spec};
use crate::model::desired::{ActiveKey, Certificate, Endpoints, Keys, Renew};
use std::collections::BTreeSet;

/// Checks one certificate; `None` when it has problems that leave nothing to work with.
pub(super) fn certificate(
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
    let profile = optional(spec.profile.as_ref(), |at| checked(at, profile_name, sink));
    let before = spec.renew.as_ref().and_then(|renew| renew.before.as_ref());
    let renew = optional(before, |at| duration_in(at, &defaults::RENEW_RANGE, sink).map(Renew::Before));
    let basis = rotation::Basis {
        keys: keys.as_ref(),
        pinned: spec.tlsa.as_ref().is_some_and(|list| !list.is_empty()),
        endpoints: endpoints.as_ref(),
    };
    let rotate = rotation::rotate(spec.rotate.as_ref(), &basis, sink);
    let policy = rotation::policy(spec.rotation.as_ref(), context.policy, sink);
    let key_is_here = !matches!(&keys, Some(Keys::Own { active: ActiveKey::Csr(_), .. }));
    let deploy = deploy(name, spec.deploy.as_ref().map(|at| &at.value), key_is_here, context.folder, sink);
    let account = account_of(name, spec.account.as_ref(), context, sink);
    if context.refuse_redundant.contains(&account) {
        redundant(&spec.names, &names, sink);
    }
    named?;
    Some(Certificate {
        name: name.value.clone(),
        account,
        names,
        keys: keys?,
        tlsa: owners.into_iter().map(|(owner, _)| owner.name).collect(),
        endpoints: endpoints?,
        profile: profile?,
        preferred_chain: spec.preferred_chain.as_ref().map(|at| at.value.clone()),
        renew: renew?.unwrap_or(Renew::Third),
        deploy: deploy?,
        rotate: rotate?,
        policy: policy?,
    })
}

/// What a CA may call a profile: no form is prescribed (draft-ietf-acme-profiles §3), so whatever fits on a line.
fn profile_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a profile is one word of at most 64 ASCII characters".to_owned())
    }
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
        sink.say_with(&list.place, "at least one name is needed", "write `names: [mx1.example.org]`");
    }
    found.into_iter().collect()
}

/// Boulder, the program of Let's Encrypt, refuses the whole order.
fn redundant(list: &At<Vec<At<String>>>, names: &[String], sink: &mut Sink) {
    for at in &list.value {
        let Ok(name) = names::identifier(&at.value) else { continue };
        let Some((_, above)) = name.split_once('.').filter(|_| !name.starts_with("*.")) else { continue };
        let wildcard = format!("*.{above}");
        if names.contains(&wildcard) {
            let what = format!(
                "{} beside {}, which covers it: Let's Encrypt refuses both in one certificate",
                quote(&name),
                quote(&wildcard)
            );
            sink.say_with(&at.place, what, "leave one of them out".to_owned());
        }
    }
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
    if sink.blames("zones") {
        return;
    }
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
    let mut seen = BTreeSet::new();
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
            Some((apex, Some(provider))) => {
                if let Some(why) = context.abilities.get(provider).and_then(Ability::about_tlsa) {
                    let message =
                        format!("the zone {} is at provider {}, which {why}", quote(apex), quote(provider));
                    let hint = "`danesmith provider list` shows which kinds write TLSA; give the zone one of them, or \
                                drop this owner";
                    sink.say_with(&at.place, message, hint);
                }
            }
        }
        if seen.insert(owner.name.clone()) {
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
