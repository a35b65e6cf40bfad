//! When keys change by themselves, and how long a pin has to be published before.

use super::problem::Sink;
use super::read::{At, PeriodText};
use super::resolve::{checked, duration_in, optional};
use super::{defaults, servers, spec};
use crate::model::desired::{Endpoints, Keys, Rotate};
use crate::model::policy::Policy;
use jiff::SignedDuration;
use std::ops::RangeInclusive;

/// What a rotation needs of the rest of a certificate.
pub(super) struct Basis<'a> {
    pub(super) keys: Option<&'a Keys>,
    pub(super) pinned: bool,
    pub(super) endpoints: Option<&'a Endpoints>,
}

/// `manual` when nothing is said. What would be refused on its day is refused now.
pub(super) fn rotate(spec: Option<&At<spec::Rotate>>, basis: &Basis<'_>, sink: &mut Sink) -> Option<Rotate> {
    let Some(At { value, place }) = spec else { return Some(Rotate::Manual) };
    let rotate = match value {
        spec::Rotate::Manual => return Some(Rotate::Manual),
        spec::Rotate::Every(at) => {
            let At { value: PeriodText(text), place } = at;
            let text = At { value: text.clone(), place: place.clone() };
            Rotate::Every(checked(&text, |text| servers::period(text, &defaults::ROTATE_RANGE), sink)?)
        }
        spec::Rotate::Renewals(at) => Rotate::Renewals(number(at, &defaults::RENEWALS_RANGE, "", sink)?),
    };
    let (why, hint) = match basis {
        Basis { keys: Some(Keys::Own { backup: None, .. }), .. } => {
            ("there is no backup key to rotate to", "give a `backup:` key, or write `rotate: manual`")
        }
        Basis { pinned: false, .. } => {
            ("has no effect without `tlsa`", "list the TLSA records to keep, or drop this line")
        }
        Basis { endpoints: Some(Endpoints::Unchecked), .. } => (
            "needs endpoints to look at: a key is retired when nobody presents it any more",
            "list `endpoints:`, or write `rotate: manual`",
        ),
        _ => return Some(rotate),
    };
    sink.say_with(place, why, hint);
    None
}

/// The waiting rule: what `rotation` says, the rest from `otherwise`.
pub(super) fn policy(spec: Option<&spec::Rotation>, otherwise: Policy, sink: &mut Sink) -> Option<Policy> {
    let Some(spec) = spec else { return Some(otherwise) };
    let ttls = optional(spec.ttls.as_ref(), |at| number(at, &defaults::TTLS_RANGE, "", sink));
    let slack = optional(spec.slack.as_ref(), |at| {
        SignedDuration::try_from(duration_in(at, &defaults::SLACK_RANGE, sink)?).ok()
    });
    let floor = optional(spec.ttl_floor.as_ref(), |at| {
        number(at, &defaults::TTL_FLOOR_RANGE, " seconds", sink).map(|n| SignedDuration::from_secs(n.into()))
    });
    Some(Policy {
        ttls: ttls?.unwrap_or(otherwise.ttls),
        slack: slack?.unwrap_or(otherwise.slack),
        floor: floor?.unwrap_or(otherwise.floor),
    })
}

fn number(at: &At<u64>, range: &RangeInclusive<u64>, unit: &str, sink: &mut Sink) -> Option<u32> {
    if !range.contains(&at.value) {
        sink.say(&at.place, format!("must be from {} to {}{unit}", range.start(), range.end()));
        return None;
    }
    u32::try_from(at.value).ok()
}
