//! Rotations that begin by themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::rules_tests::*;
use super::*;
use crate::model::document::Installed;
use crate::model::ledger;
use std::time::Duration;

#[test]
fn a_schedule_begins_a_rotation_when_it_is_due_and_ripe() {
    let every = Wanted { wish: None, schedule: Rotate::Every(Duration::from_secs(86_400)), ..wanted() };
    let serving = |since, served| Document { serving_since: Some(now() - seconds(served)), ..steady(since) };
    assert!(begins(&calm(&every, &serving(WAIT, 86_400))));
    assert_eq!(calm(&every, &serving(WAIT, 86_399)), Step::Nothing(now() + seconds(1)));
    assert!(matches!(calm(&every, &serving(WAIT - 1, 86_400)), Step::Wait(t, _) if t == now() + seconds(1)));
}

#[test]
fn a_schedule_by_renewals_never_lets_a_certificate_expire() {
    let renewals = Wanted { wish: None, schedule: Rotate::Renewals(1), ..wanted() };
    let due = |left: i64, since| {
        let installed = Installed { not_after: now() + days(left), ..certificate(3, A) };
        let not_before = installed.not_after - days(90);
        let installed = Installed { not_before, ..installed };
        Document { installed: Some(installed), renewals: 1, ..steady(since) }
    };
    assert!(begins(&calm(&renewals, &due(29, WAIT))));
    assert!(matches!(calm(&renewals, &due(29, WAIT - 1)), Step::Wait(..)));
    assert_eq!(calm(&renewals, &due(15, WAIT - 1)), Step::Issue(Reason::Due, A));
    let mut begun = due(29, WAIT);
    ledger::begin(&mut begun, A, B, false, now());
    assert_eq!(calm(&renewals, &begun), Step::ServeSpare(B), "no order for the key that goes");
}
