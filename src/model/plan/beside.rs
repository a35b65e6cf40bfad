//! Certificates beside this one at an owner name: RSA beside ECDSA. Senders choose the algorithm, so the RRset must match
//! whatever is presented, of all of them (RFC 7671 §8.1).

use super::pins::pinned;
use super::rotation::soon;
use super::{Observed, OwnerView, Step, Wanted, refusals};
use crate::model::document::Document;
use crate::model::key::SpkiDigest;
use crate::model::ripeness;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Owner names with the keys whose pins they lack.
type Missing = Vec<(String, Vec<SpkiDigest>)>;

/// Another certificate of zones.yaml that shares an owner name with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its name in zones.yaml.
    pub certificate: String,
    /// The owner names that both have.
    pub owners: BTreeSet<String>,
    /// Its active and backup key; none while they are yet to be made.
    pub keys: BTreeSet<SpkiDigest>,
}

/// Where others are pinned already, the pin of a key that was never served comes before its certificate: adding it beside
/// one that matches is always safe, serving it before every cache has it is not.
pub(super) fn join(
    wanted: &Wanted,
    durable: &Document,
    views: &BTreeMap<String, OwnerView>,
    now: Timestamp,
) -> Option<Step> {
    let ours = pinned(wanted, durable);
    let known = |key: &SpkiDigest| ours.contains(key) || wanted.is_sibling(key);
    let view = |owner: &String| views.get(owner).cloned().unwrap_or_default();
    let joined: Vec<String> = wanted
        .owners
        .iter()
        .filter(|o| view(o).somewhere.iter().any(|k| wanted.is_sibling(k)))
        .cloned()
        .collect();
    if joined.is_empty() || !joined.iter().all(|owner| view(owner).somewhere.iter().all(known)) {
        return None;
    }
    let lacking = |owner: &String| {
        let everywhere = view(owner).everywhere;
        let absent: Vec<_> = ours.iter().copied().filter(|key| !everywhere.contains(key)).collect();
        (!absent.is_empty()).then(|| (owner.clone(), absent))
    };
    let missing: Missing = joined.iter().filter_map(lacking).collect();
    if !missing.is_empty() {
        return Some(Step::Publish(missing));
    }
    if joined.iter().all(|owner| view(owner).silent.is_empty() && view(owner).doubtful.is_empty()) {
        let runs = |owner: &str, key| {
            durable.pins.iter().any(|p| p.owner == owner && p.spki == key && p.seen_everywhere.is_some())
        };
        let each = joined.iter().flat_map(|owner| ours.iter().map(move |key| (owner.clone(), *key)));
        let new: Vec<_> = each.filter(|(owner, key)| !runs(owner, *key)).collect();
        if !new.is_empty() {
            return Some(Step::RecordSeen(new));
        }
    }
    let until = ripeness::ripe_everywhere(durable, &joined, wanted.active, &wanted.policy)
        .unwrap_or_else(|| soon(now, now));
    (until > now).then(|| {
        let why = format!(
            "the key {} is served beside others that are pinned when its own pin is known everywhere",
            wanted.active
        );
        Step::Wait(until, why)
    })
}

/// At an owner name without any pins all begin together, when each is presented: otherwise the last one would be served
/// where others are pinned and it is not.
pub(super) fn late(wanted: &Wanted, observed: &Observed, missing: &Missing, now: Timestamp) -> Option<Step> {
    let (views, shown) = (observed.pins.as_ref()?, observed.endpoints.as_ref()?);
    let first = |owner: &String| {
        missing.iter().any(|(o, _)| o == owner)
            && views.get(owner).is_none_or(|view| view.somewhere.is_empty())
    };
    let late = wanted.siblings.iter().find(|sibling| {
        sibling.owners.iter().any(first) && !shown.shown.iter().any(|s| sibling.keys.contains(&s.key))
    })?;
    Some(Step::Hold(soon(now, now), refusals::sibling_not_served(&late.certificate, missing)))
}

/// Adds the keys of those beside us that are presented and not pinned yet.
pub(super) fn along(wanted: &Wanted, observed: &Observed, missing: &mut Missing) {
    let Some(view) = &observed.endpoints else { return };
    let views = observed
        .pins
        .iter()
        .flatten()
        .map(|(owner, view)| (owner.as_str(), view))
        .collect::<BTreeMap<_, _>>();
    for (owner, keys) in missing {
        let here = wanted.siblings.iter().filter(|sibling| sibling.owners.contains(owner));
        let of_others: BTreeSet<_> = here.flat_map(|sibling| &sibling.keys).collect();
        let pinned = |key: &SpkiDigest| views.get(owner.as_str()).is_some_and(|v| v.everywhere.contains(key));
        let new: BTreeSet<_> =
            view.shown.iter().map(|s| s.key).filter(|key| of_others.contains(key) && !pinned(key)).collect();
        keys.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules_tests::*;
    use super::*;
    use crate::model::ledger;
    use crate::model::plan::{Reason, plan};

    fn beside(keys: &[SpkiDigest]) -> Wanted {
        Wanted { siblings: vec![rsa(keys)], wish: None, ..wanted() }
    }

    #[test]
    fn a_key_that_joins_others_is_pinned_and_ripe_before_it_is_served() {
        let wanted = beside(&[C]);
        let step = |durable: &Document, keys: &[SpkiDigest]| {
            plan(&wanted, durable, None, &seeing(view(keys), &[C]), now())
        };
        let mut durable = Document { history: steady(0).history, ..Document::default() };
        assert_eq!(step(&durable, &[]), Step::Issue(Reason::First, A), "nobody is pinned");
        assert_eq!(step(&durable, &[C]), Step::Publish(vec![(OWNER.into(), vec![A, B])]));
        let pins = vec![(OWNER.to_owned(), A), (OWNER.to_owned(), B)];
        assert_eq!(step(&durable, &[A, B, C]), Step::RecordSeen(pins.clone()));
        ledger::record_seen(&mut durable, &pins, now() - seconds(WAIT - 1));
        assert!(matches!(step(&durable, &[A, B, C]), Step::Wait(until, _) if until == now() + seconds(1)));
        durable.pins.iter_mut().for_each(|pin| pin.seen_everywhere = Some(now() - seconds(WAIT)));
        assert_eq!(step(&durable, &[A, B, C]), Step::Issue(Reason::First, A));
    }

    #[test]
    fn a_key_of_nobody_beside_us_is_still_refused() {
        let observed = seeing(view(&[C, SpkiDigest([0xdd; 32])]), &[C]);
        let step = plan(&beside(&[C]), &Document::default(), None, &observed, now());
        assert!(matches!(step, Step::Refuse(refusal) if refusal.cause.contains("pins other keys only")));
    }

    #[test]
    fn certificates_at_one_owner_name_are_first_pinned_together() {
        let durable = Document { pins: Vec::new(), spare: None, ..steady(0) };
        let step = |wanted: &Wanted, shown: &[SpkiDigest]| {
            plan(wanted, &durable, Some(3), &seeing(view(&[]), shown), now())
        };
        for (keys, shown) in [(&[][..], &[A][..]), (&[C], &[A])] {
            let step = step(&beside(keys), shown);
            assert!(
                matches!(&step, Step::Hold(_, refusal) if refusal.cause.contains("certificate rsa")),
                "{step:?}"
            );
        }
        assert_eq!(step(&beside(&[C]), &[A, C]), Step::Publish(vec![(OWNER.into(), vec![A, B, C])]));
        let mut elsewhere = beside(&[C]);
        elsewhere
            .siblings
            .iter_mut()
            .for_each(|sibling| sibling.owners = ["_465._tcp.mx1.example.org.".into()].into());
        assert_eq!(step(&elsewhere, &[A]), Step::Publish(vec![(OWNER.into(), vec![A, B])]));
    }
}
