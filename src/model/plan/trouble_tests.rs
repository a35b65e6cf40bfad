//! What goes wrong beside a rotation, and what must go on all the same.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::rules_tests::*;
use super::*;
use crate::model::endpoint::FailedProbe;
use crate::model::evidence::Presence;
use crate::model::ledger;
use crate::model::rotation::{GoneHost, Phase, Rotation};

/// B is installed and its deployment owed; the certificate for A is there.
fn switched(phase: Phase, since: i64) -> Document {
    Document {
        rotation: Some(Rotation { phase, from: A, to: B, since: now() - seconds(60), forced: false }),
        installed: Some(certificate(4, B)),
        spare: Some(certificate(3, A)),
        reload_owed: Some(4),
        ..steady(since)
    }
}

fn step(wish: Option<Wish>, durable: &Document, observed: &Observed) -> Step {
    let live = durable.installed.as_ref().map(|i| i.generation);
    plan(&Wanted { wish, ..wanted() }, durable, live, observed, now())
}

fn down(at: &str, nowhere: bool) -> FailedProbe {
    let endpoint = format!("smtp://{at}:25");
    FailedProbe { at: endpoint.clone(), endpoint, host: at.into(), reason: "no answer".into(), nowhere }
}

#[test]
fn a_deployment_that_fails_does_not_keep_the_administrator_from_aborting() {
    let seen = seeing(view(&[A, B]), &[A]);
    let mut durable = switched(Phase::Deploying, WAIT);
    assert_eq!(step(None, &durable, &seen), Step::Reload(4));
    assert_eq!(step(Some(Wish::Abort), &durable, &seen), Step::Abort, "before the deployment is tried again");
    ledger::abort(&mut durable);
    assert_eq!(step(None, &durable, &Observed::default()), Step::ObservePins);
    assert_eq!(step(None, &durable, &seen), Step::ServeSpare(A));
    ledger::serve_spare(&mut durable, true);
    assert_eq!(step(None, &durable, &seen), Step::Reload(3), "the former files are put back");
}

#[test]
fn an_abort_that_has_to_wait_still_deploys_what_is_served() {
    let durable = switched(Phase::Aborting, WAIT - 1);
    assert_eq!(step(None, &durable, &seeing(view(&[A, B]), &[B])), Step::Reload(4));
    let missing = step(None, &durable, &seeing(view(&[B]), &[B]));
    assert!(!matches!(missing, Step::ServeSpare(_)), "{missing:?}");
}

#[test]
fn a_host_that_is_down_does_not_keep_a_vanished_pin_away() {
    let durable = steady(WAIT);
    let mut seen = seeing(view(&[B]), &[A]);
    seen.endpoints.as_mut().unwrap().failed.push(down("mx2.example.org", false));
    assert_eq!(step(None, &durable, &seen), Step::Publish(vec![(OWNER.into(), vec![A])]));
    // where nothing stands at all, the host may serve mail today
    let mut first = seeing(view(&[]), &[A]);
    first.endpoints.as_mut().unwrap().failed.push(down("mx2.example.org", false));
    assert!(matches!(step(None, &durable, &first), Step::Hold(..)));
}

#[test]
fn a_host_that_was_gone_and_has_an_address_again_is_waited_for() {
    let gone = vec![GoneHost { host: "mx2.example.org".into(), from: now() - seconds(1) }];
    let durable = Document { gone, reload_owed: None, ..switched(Phase::Deploying, WAIT) };
    let at = |nowhere| {
        let mut seen = seeing(view(&[A, B]), &[B]);
        seen.endpoints.as_mut().unwrap().failed.push(down("mx2.example.org", nowhere));
        step(None, &durable, &seen)
    };
    assert!(matches!(at(true), Step::Retire(_)));
    assert!(matches!(at(false), Step::Wait(_, why) if why.contains("mx2.example.org")));
    let mut seen = shown(&[B]);
    seen.failed.push(down("mx2.example.org", false));
    assert_eq!(Presence::new(&wanted(), &durable, &seen, now()).failed().len(), 1);
}

#[test]
fn a_pin_at_an_owner_name_that_was_taken_out_meanwhile_is_removed_when_the_name_is_back() {
    const OTHER: &str = "_465._tcp.mx1.example.org.";
    let mut durable = switched(Phase::Retiring, WAIT);
    let pins = durable.pins.clone();
    durable
        .pins
        .extend(pins.into_iter().map(|pin| crate::model::document::PinRecord { owner: OTHER.into(), ..pin }));
    ledger::shift(&mut durable, &[OWNER.into()], Some(C), now());
    let left: Vec<_> = durable.pins.iter().map(|p| (p.owner.as_str(), p.spki)).collect();
    assert_eq!(left, [(OWNER, B), (OTHER, A), (OTHER, B)]);
    durable.reload_owed = None;
    let wanted = Wanted {
        active: B,
        backup: Some(C),
        owners: vec![OWNER.into(), OTHER.into()],
        wish: None,
        ..wanted()
    };
    let both =
        |pins: &[SpkiDigest]| [(OWNER.to_owned(), view(&[B, C])), (OTHER.to_owned(), view(pins))].into();
    ledger::record_seen(&mut durable, &[(OWNER.into(), C), (OTHER.into(), C)], now());
    let seen = Observed { pins: Some(both(&[A, B, C])), ..seeing(view(&[]), &[B]) };
    let step = plan(&wanted, &durable, Some(4), &seen, now());
    assert!(
        matches!(&step, Step::Unpublish(owners, evidence) if *owners == [OTHER] && evidence.key() == A),
        "{step:?}"
    );
}

#[test]
fn what_stood_before_the_first_look_is_told_with_the_ttl_that_is_assumed() {
    let mut durable = steady(60);
    durable.history.iter_mut().for_each(|history| history.since = now() - seconds(60));
    let told = |wish: Wish| match step(Some(wish), &durable, &seeing(view(&[A, B]), &[A])) {
        Step::Hold(_, refusal) | Step::Refuse(refusal) => refusal.cause,
        other => panic!("{other:?}"),
    };
    let unknown = "what stood there before the first look is not known, and counts with 86400 s until 2026-11-23 11:59 UTC";
    assert!(told(Wish::Rotate).contains(unknown), "{}", told(Wish::Rotate));
    let leaked = told(Wish::Emergency { switch_now: false });
    assert!(leaked.contains("each for at most 86340 s"), "{leaked}");
    durable.history.iter_mut().for_each(|history| history.since = now() - seconds(86_400));
    let known = step(Some(Wish::Rotate), &durable, &seeing(view(&[A, B]), &[A]));
    assert!(
        matches!(&known, Step::Hold(_, refusal) if refusal.cause.ends_with("(longest TTL seen: 3600 s)")),
        "{known:?}"
    );
}

#[test]
fn a_ca_that_fails_keeps_no_vanished_pin_away_and_no_rotation_from_ending() {
    let due = |durable: &mut Document| {
        durable.installed.as_mut().unwrap().not_after = now() + seconds(86_400);
    };
    let mut durable = steady(WAIT);
    due(&mut durable);
    let mut seen = seeing(view(&[B]), &[A]);
    assert_eq!(step(None, &durable, &seen), Step::Issue(Reason::Due, A));
    seen.unissued = true;
    assert_eq!(step(None, &durable, &seen), Step::Publish(vec![(OWNER.into(), vec![A])]));
    seen.pins = Some([(OWNER.to_owned(), view(&[A, B]))].into());
    assert_eq!(step(None, &durable, &seen), Step::Issue(Reason::Due, A), "what failed is the last word");
    // the next runs leave the CA alone for a while
    let failures = crate::model::document::Failures {
        count: 1,
        last: "rateLimited".into(),
        not_before: now() + seconds(3600),
    };
    durable.failures = Some(failures.clone());
    seen = seeing(view(&[B]), &[A]);
    assert_eq!(step(None, &durable, &seen), Step::Publish(vec![(OWNER.into(), vec![A])]));
    seen.pins = Some([(OWNER.to_owned(), view(&[A, B]))].into());
    assert!(matches!(step(None, &durable, &seen), Step::Wait(_, why) if why.contains("rateLimited")));
    let mut durable =
        Document { failures: Some(failures), reload_owed: None, ..switched(Phase::Deploying, WAIT) };
    due(&mut durable);
    assert!(matches!(step(None, &durable, &seeing(view(&[A, B]), &[B])), Step::Retire(_)));
    // files that are gone cannot be deployed, and a first certificate is waited for
    seen.lost = true;
    assert!(matches!(step(None, &durable, &seen), Step::Wait(..)));
    durable.installed = None;
    seen.lost = false;
    assert!(matches!(step(None, &durable, &seen), Step::Wait(..)));
}

#[test]
fn endpoints_that_were_taken_out_meanwhile_are_asked_for_by_name() {
    let durable = |phase| Document { reload_owed: None, ..switched(phase, WAIT) };
    let word = |durable: &Document| {
        let wanted = Wanted { wish: None, proof: Proof::Word, ..wanted() };
        let live = durable.installed.as_ref().map(|i| i.generation);
        plan(&wanted, durable, live, &seeing(view(&[A, B]), &[]), now())
    };
    let back = Document { installed: Some(certificate(3, A)), ..durable(Phase::Aborting) };
    for durable in [durable(Phase::Deploying), durable(Phase::Retiring), back] {
        let step = word(&durable);
        assert!(
            matches!(&step, Step::Wait(_, why) if why.contains("list the endpoints in zones.yaml")),
            "{step:?}"
        );
    }
}

#[test]
fn owner_names_that_were_taken_out_in_the_middle_of_a_rotation_are_asked_for_by_name() {
    let durable = Document { reload_owed: None, ..switched(Phase::Deploying, WAIT) };
    let live = durable.installed.as_ref().map(|i| i.generation);
    let wanted = Wanted { wish: None, owners: vec![], ..wanted() };
    let step = plan(&wanted, &durable, live, &seeing(view(&[A, B]), &[]), now());
    assert!(
        matches!(&step, Step::Wait(_, why) if why.contains("put `tlsa` back until the rotation is done")),
        "{step:?}"
    );
}

#[test]
fn nobody_is_told_that_mail_is_safe_while_a_server_presents_a_key_that_nobody_pinned() {
    let durable = steady(WAIT);
    let stranger = step(Some(Wish::Rotate), &durable, &seeing(view(&[A, B]), &[C]));
    assert!(
        matches!(&stranger, Step::Hold(_, r) if r.cause.contains("neither") && r.remains.contains("defer")),
        "{stranger:?}"
    );
    // the active key's pin is gone, and the backup's stands alone
    let alone = step(None, &durable, &seeing(view(&[B]), &[C]));
    assert!(matches!(&alone, Step::Hold(_, r) if !r.remains.contains("Mail is safe")), "{alone:?}");
    let none = step(None, &durable, &seeing(view(&[]), &[C]));
    assert!(matches!(&none, Step::Hold(_, r) if r.remains.contains("Mail is safe")), "{none:?}");
}
