//! From what every server answered to what may be believed. Pure.

use crate::dns::{Lookup, Observation, Security, Server};
use crate::model::key::SpkiDigest;
use crate::model::pin;
use crate::model::plan::{OtherTlsa, OwnerView};
use hickory_proto::rr::{Name, RData};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Everything that was looked at for one owner name; an error is why there is no answer.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// The TLSA RRset by server.
    pub(super) tlsa: Vec<(String, Result<Observation, String>)>,
    /// The zone's SOA by server.
    pub(super) apexes: Vec<(String, Result<Observation, String>)>,
    /// Servers that say something else of an alias on the way than that it leads here, with what they say.
    pub(super) strays: Vec<String>,
    /// The CNAME at each alias on the way, by the recursive resolver.
    pub(super) aliases: Vec<(Name, Result<Lookup, String>)>,
}

/// A server as messages name it: "ns1.example.org. (192.0.2.1:53)".
pub(super) fn label(server: &Server) -> String {
    format!("{} ({})", server.name, server.address)
}

/// A server is a witness when a validating resolver would believe its answer, or the zone is not signed at all. What it
/// shows otherwise is somewhere, but proves nothing.
pub(super) fn summary(target: &Name, looks: &Looks) -> OwnerView {
    let mut view = OwnerView { target: target.to_ascii(), ..OwnerView::default() };
    let mut everywhere: Option<BTreeSet<SpkiDigest>> = None;
    let mut others: BTreeSet<BTreeSet<OtherTlsa>> = BTreeSet::new();
    for (server, look) in &looks.tlsa {
        let seen = match look {
            Ok(seen) => seen,
            Err(cause) => {
                view.silent.push(format!("{server}: {cause}"));
                continue;
            }
        };
        let here = add_records(&mut view, seen);
        others.insert(others_of(seen));
        if let Security::Bogus(why) = &seen.security {
            view.doubtful.push(format!("{server}: bogus TLSA answer: {why}"));
            continue;
        }
        everywhere = Some(match everywhere {
            Some(before) => before.intersection(&here).copied().collect(),
            None => here,
        });
    }
    view.unheard = looks.tlsa.iter().all(|(_, look)| look.is_err());
    view.unbelieved = everywhere.is_none() && !view.doubtful.is_empty();
    view.everywhere = everywhere.unwrap_or_default();
    view.others_differ = others.len() > 1;
    view.others = others.into_iter().flatten().collect();
    view.unsigned = unsigned(looks);
    view.serials = looks.apexes.iter().filter_map(serial).collect();
    view.doubtful.extend(looks.strays.iter().cloned());
    looks.aliases.iter().for_each(|(alias, look)| add_alias(&mut view, alias, look));
    view
}

/// Adds what a server shows to the view, believed or not; returns its 3 1 1 digests.
fn add_records(view: &mut OwnerView, seen: &Observation) -> BTreeSet<SpkiDigest> {
    let values = &seen.answer.values;
    let here: BTreeSet<SpkiDigest> = values.iter().filter_map(pin::digest_of).collect();
    view.somewhere.extend(&here);
    if !values.is_empty() {
        view.ttl = view.ttl.max(Some(seen.answer.ttl));
        if let Security::Secure { until, last } = seen.security {
            must_hold(view, until);
            view.replayable_until = view.replayable_until.max(Some(last));
        }
    }
    here
}

/// A signature that senders need ends at this time.
fn must_hold(view: &mut OwnerView, until: Timestamp) {
    view.signed_until = Some(view.signed_until.map_or(until, |earliest| earliest.min(until)));
}

/// What a server shows beside 3 1 1.
fn others_of(seen: &Observation) -> BTreeSet<OtherTlsa> {
    seen.answer.values.iter().filter(|data| pin::digest_of(data).is_none()).filter_map(other).collect()
}

fn other(data: &RData) -> Option<OtherTlsa> {
    let RData::TLSA(tlsa) = data else { return None };
    let kind = (tlsa.cert_usage.into(), tlsa.selector.into(), tlsa.matching.into());
    Some(OtherTlsa { kind, data: tlsa.cert_data.clone() })
}

/// Why validating resolvers ignore the RRset. The SOA speaks for the zone: with opt-out (RFC 5155 §6) the denial of a
/// name is insecure in a zone that is signed.
fn unsigned(looks: &Looks) -> Option<String> {
    let insecure = |look: &Result<Observation, String>| match look {
        Ok(Observation { security: Security::Insecure(why), answer }) => {
            Some((why.clone(), answer.values.is_empty()))
        }
        _ => None,
    };
    let zone_is_secure =
        looks.apexes.iter().any(|(_, look)| look.as_ref().is_ok_and(|seen| seen.security.is_secure()));
    let of_zone = looks.apexes.iter().find_map(|(_, look)| insecure(look));
    let of_records = || {
        let all = looks.tlsa.iter().filter_map(|(_, look)| insecure(look));
        all.into_iter().find(|(_, denied)| !(*denied && zone_is_secure))
    };
    of_zone.or_else(of_records).map(|(why, _)| why)
}

fn serial((server, look): &(String, Result<Observation, String>)) -> Option<(String, u32)> {
    let values = &look.as_ref().ok()?.answer.values;
    values.iter().find_map(|data| match data {
        RData::SOA(soa) => Some((server.clone(), soa.serial)),
        _ => None,
    })
}

/// An alias that is not secure makes what it leads to as weak as itself (RFC 7672 §2.2.3).
fn add_alias(view: &mut OwnerView, alias: &Name, look: &Result<Lookup, String>) {
    let in_doubt = |why: &str| format!("the alias `{}`: {why}", alias.to_ascii());
    let found = match look {
        Ok(found) => found,
        Err(cause) => {
            view.doubtful.push(in_doubt(cause));
            nothing_is_known(view);
            return;
        }
    };
    view.alias_ttl = view.alias_ttl.max(Some(found.ttl));
    match &found.security {
        Security::Secure { until, .. } => must_hold(view, *until),
        Security::Insecure(why) => view.unsigned = Some(in_doubt(why)),
        Security::Bogus(why) => {
            view.doubtful.push(in_doubt(&format!("bogus: {why}")));
            nothing_is_known(view);
        }
    }
}

fn nothing_is_known(view: &mut OwnerView) {
    view.everywhere.clear();
    view.unbelieved = true;
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
