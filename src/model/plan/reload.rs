//! Whether the installed certificate may be put where the servers read it. After a switch or a renewal that was decided
//! before; but a state directory from a backup may be older than what the servers present, and then its key would come as
//! unknown to senders as any new one (RFC 7671 §8.1).

use super::pins::pinned;
use super::rotation::soon;
use super::{Observed, Proof, Step, Wanted, refusals};
use crate::model::document::Document;
use crate::model::evidence::Presence;
use crate::model::key::SpkiDigest;
use crate::model::ripeness;
use jiff::Timestamp;

pub(super) enum Reload {
    /// The next step: the reload, or a look that it needs.
    Step(Step),
    /// Not yet; what is missing in DNS comes first, then this.
    Held(Step),
}

pub(super) fn reload(
    wanted: &Wanted,
    durable: &Document,
    generation: u64,
    observed: &Observed,
    now: Timestamp,
) -> Reload {
    let at_once = Reload::Step(Step::Reload(generation));
    let forced = durable.rotation.as_ref().is_some_and(|rotation| rotation.forced);
    if wanted.owners.is_empty() || forced {
        return at_once;
    }
    let Some(key) = durable.installed.as_ref().map(|installed| installed.spki) else { return at_once };
    let Some(views) = &observed.pins else { return Reload::Step(Step::ObservePins) };
    let here: Vec<_> = wanted.owners.iter().filter_map(|owner| Some((owner, views.get(owner)?))).collect();
    let here: Vec<_> = here.into_iter().filter(|(_, view)| !view.somewhere.is_empty()).collect();
    let stands = here.iter().all(|(_, view)| view.everywhere.contains(&key));
    let owners: Vec<String> = here.iter().map(|(owner, _)| (*owner).clone()).collect();
    let ripe = ripeness::ripe_everywhere(durable, &owners, key, &wanted.policy);
    // Where nobody answered, nobody knows what stands there.
    let unheard =
        wanted.owners.iter().find_map(|owner| Some((owner, views.get(owner).filter(|v| v.unheard)?)));
    if unheard.is_none() && stands && ripe.is_some_and(|ripe| ripe <= now) {
        return at_once;
    }
    let presented = if wanted.proof == Proof::Word {
        // Nobody is asked; but keys that this state does not know are the work of a newer one.
        let ours = pinned(wanted, durable);
        let known = |k: &SpkiDigest| ours.contains(k) || wanted.is_sibling(k);
        if unheard.is_none() && here.iter().all(|(_, view)| view.somewhere.iter().all(known)) {
            return at_once;
        }
        Vec::new()
    } else {
        let Some(view) = &observed.endpoints else { return Reload::Step(Step::ObserveEndpoints) };
        let presence = Presence::new(wanted, durable, view, now);
        let others = presence.others_than(&[key]);
        if others.is_empty() && presence.shows(key) {
            return at_once;
        }
        others
    };
    if let Some((owner, view)) = unheard {
        return Reload::Held(Step::Hold(soon(now, now), refusals::unheard(owner, view)));
    }
    let until = ripe.filter(|ripe| stands && *ripe > now).unwrap_or_else(|| soon(now, now));
    Reload::Held(Step::Hold(until, refusals::reload_unripe(key, stands, &presented)))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::super::plan;
    use super::super::rules_tests::*;
    use super::*;
    use crate::model::ledger;
    use crate::model::plan::Wish;
    use crate::model::rotation::{Phase, Rotation};

    /// A state from before the rotation to B: A is installed, and the servers' folder is not as this state has it.
    fn older() -> Document {
        let durable = steady(WAIT);
        Document { reload_owed: durable.installed.as_ref().map(|i| i.generation), spare: None, ..durable }
    }

    fn step(durable: &Document, pins: &[SpkiDigest], presented: &[SpkiDigest]) -> Step {
        let wanted = Wanted { wish: None, ..wanted() };
        plan(&wanted, durable, Some(3), &seeing(view(pins), presented), now())
    }

    #[test]
    fn an_older_state_brings_its_key_back_only_when_the_pin_is_ripe_again() {
        let mut durable = older();
        assert_eq!(step(&durable, &[B, C], &[B]), Step::Publish(vec![(OWNER.into(), vec![A])]));
        durable.pins.iter_mut().filter(|pin| pin.spki == A).for_each(|pin| pin.seen_everywhere = None);
        let seen = vec![(OWNER.to_owned(), A)];
        assert_eq!(step(&durable, &[A, B, C], &[B]), Step::RecordSeen(seen.clone()));
        ledger::record_seen(&mut durable, &seen, now());
        let held = step(&durable, &[A, B, C], &[B]);
        assert!(matches!(held, Step::Hold(until, _) if until == now() + seconds(WAIT)), "{held:?}");
        durable.pins.iter_mut().for_each(|pin| pin.seen_everywhere = Some(now() - seconds(WAIT)));
        assert_eq!(step(&durable, &[A, B, C], &[B]), Step::Reload(3));
    }

    #[test]
    fn files_for_the_presented_key_are_put_back_at_once_ripe_or_not() {
        let mut durable = older();
        durable.pins.iter_mut().for_each(|pin| pin.seen_everywhere = Some(now()));
        assert_eq!(step(&durable, &[A, B], &[A]), Step::Reload(3));
        assert_eq!(step(&older(), &[A, B], &[]), Step::Reload(3), "ripe: whatever is presented");
        assert_eq!(step(&durable, &[], &[]), Step::Reload(3), "nothing is pinned");
    }

    #[test]
    fn a_state_older_than_two_rotations_touches_neither_files_nor_pins() {
        let d = SpkiDigest([0xdd; 32]);
        let held = step(&older(), &[C, d], &[C]);
        assert!(
            matches!(&held, Step::Hold(_, refusal) if refusal.cause.contains("presents the key")),
            "{held:?}"
        );
    }

    #[test]
    fn a_state_from_the_middle_of_a_rotation_is_no_better() {
        let d = SpkiDigest([0xdd; 32]);
        let rotation =
            |phase, forced| Some(Rotation { phase, from: A, to: B, since: now() - seconds(60), forced });
        let held = |step: Step| assert!(matches!(step, Step::Hold(..)), "{step:?}");
        // from before the switch: the servers present B, and C is the new backup
        let mut durable = Document { rotation: rotation(Phase::Deploying, false), ..older() };
        durable.spare = steady(0).spare;
        assert_eq!(step(&durable, &[B, C], &[B]), Step::Publish(vec![(OWNER.into(), vec![A])]));
        durable.pins.iter_mut().filter(|pin| pin.spki == A).for_each(|pin| pin.seen_everywhere = Some(now()));
        held(step(&durable, &[A, B, C], &[B]));
        // the administrator may end it
        let wanted = Wanted { wish: Some(Wish::Abort), ..wanted() };
        let end = plan(&wanted, &durable, Some(3), &seeing(view(&[A, B, C]), &[B]), now());
        assert!(!matches!(end, Step::Reload(_)), "{end:?}");
        // from its end: the servers present C since
        let late = Document { rotation: rotation(Phase::Retiring, false), ..older() };
        held(step(&Document { installed: Some(certificate(3, B)), ..late }, &[C, d], &[C]));
        // who has said that mail may be deferred is not asked again
        let forced = Document { rotation: rotation(Phase::Deploying, true), ..older() };
        assert_eq!(step(&forced, &[B], &[B]), Step::Reload(3));
    }

    #[test]
    fn where_nobody_asks_the_endpoints_unknown_pins_hold_the_files_back() {
        let mut durable = older();
        durable.pins.iter_mut().for_each(|pin| pin.seen_everywhere = Some(now()));
        let wanted = Wanted { wish: None, proof: Proof::Word, ..wanted() };
        let step = |pins: &[SpkiDigest]| plan(&wanted, &durable, Some(3), &seeing(view(pins), &[]), now());
        assert!(matches!(step(&[A, B, C]), Step::Hold(until, _) if until == now() + seconds(WAIT)));
        assert_eq!(step(&[A, B]), Step::Reload(3));
    }
}
