//! What a rotation is refused for, with the earliest time at which it may succeed, and what a leaked key costs meanwhile.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::rules_tests::*;
use super::*;
use crate::clock::full_minute;
use crate::model::ledger;
use crate::model::rotation::{Phase, Replay, Rotation};

fn step(wish: Option<Wish>, durable: &Document, observed: &Observed) -> Step {
    let live = durable.installed.as_ref().map(|i| i.generation);
    plan(&Wanted { wish, ..wanted() }, durable, live, observed, now())
}

fn refusal(step: Step) -> Refusal {
    match step {
        Step::Hold(_, refusal) | Step::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Takes in one round of questions.
fn learned(durable: Document, view: OwnerView) -> Document {
    let (mut durable, mut views) = (durable, BTreeMap::from([(OWNER.to_owned(), view)]));
    ledger::learn(&mut durable, &mut views, &wanted(), now());
    durable
}

fn clocks_run(durable: &Document) -> bool {
    durable.pins.iter().any(|pin| pin.seen_everywhere.is_some())
}

/// Every name server is silent, or could not even be found.
fn unheard(target: &str) -> OwnerView {
    OwnerView {
        unheard: true,
        silent: vec!["ns1: no answer".into()],
        target: target.into(),
        ..OwnerView::default()
    }
}

/// Says the time from which a rotation may succeed.
#[track_caller]
fn promises(refusal: &Refusal, earliest: Timestamp) {
    let words = format!("it may succeed from {} on", full_minute(earliest));
    assert!(refusal.hint.contains(&words), "no {words:?} in {refusal:#?}");
}

#[test]
fn servers_that_are_silent_one_and_all_stop_the_clocks_and_the_rotation() {
    for target in ["", "_25._tcp.mx1.example.org."] {
        let mut before = steady(WAIT);
        before.history[0].target = "_25._tcp.mx1.example.org.".into();
        let durable = learned(before.clone(), unheard(target));
        assert!(!clocks_run(&durable), "target {target:?}");
        assert_eq!(durable.history, before.history, "what was known of the records is not forgotten");
        let told = refusal(step(Some(Wish::Rotate), &durable, &seeing(unheard(target), &[A])));
        assert!(told.cause.contains("ns1: no answer") && !told.remote, "{told:#?}");
        promises(&told, now() + seconds(WAIT));
        let usual = refusal(step(None, &durable, &seeing(unheard(target), &[A])));
        assert!(usual.remote && usual.cause.contains("ns1: no answer"), "{usual:#?}");
    }
}

#[test]
fn nothing_is_ordered_served_or_published_where_no_server_was_heard() {
    let blind = seeing(unheard(""), &[A]);
    let first = step(None, &Document::default(), &blind);
    assert!(matches!(&first, Step::Hold(_, refusal) if refusal.remote), "{first:?}");
    let owed = Document { reload_owed: Some(3), ..steady(WAIT) };
    assert_eq!(step(None, &owed, &blind), Step::Reload(3), "the servers present its key already");
    let other = step(None, &owed, &seeing(unheard(""), &[B]));
    assert!(matches!(&other, Step::Hold(_, refusal) if refusal.remote), "{other:?}");
}

#[test]
fn a_first_look_that_nobody_answered_is_no_first_look() {
    let durable = learned(Document { history: Vec::new(), ..steady(WAIT) }, unheard(""));
    assert!(durable.history.is_empty(), "{:#?}", durable.history);
}

#[test]
fn each_refusal_names_the_earliest_time_at_which_the_rotation_may_succeed() {
    let again = now() + seconds(WAIT);
    let rotate = |durable: &Document, view: OwnerView, shown: &[SpkiDigest]| {
        refusal(step(Some(Wish::Rotate), durable, &seeing(view, shown)))
    };
    promises(&rotate(&steady(WAIT - 5), view(&[A, B]), &[A]), now() + seconds(5));
    let unsigned = OwnerView { unsigned: Some("no DS".into()), ..view(&[A, B]) };
    let told = rotate(&learned(steady(WAIT), unsigned.clone()), unsigned, &[A]);
    assert!(told.cause.contains("no DS") && told.hint.contains("dnssec: unsigned-ok"), "{told:#?}");
    promises(&told, again);
    promises(&rotate(&steady(WAIT), view(&[A, B]), &[C]), now());
    promises(&rotate(&steady(WAIT - 60), view(&[A, B, C]), &[A, C]), now() + seconds(60));
    let soon = OwnerView { signed_until: Some(now() + seconds(60)), ..view(&[A, B]) };
    promises(&rotate(&steady(WAIT), soon, &[A]), now());
    let silent = OwnerView { silent: vec!["ns2: no answer".into()], ..view(&[A, B]) };
    promises(&rotate(&learned(steady(WAIT), silent.clone()), silent, &[A]), again);
    let digest = Wanted { backup_usable: false, ..wanted() };
    let told = refusal(plan(&digest, &steady(WAIT - 60), Some(3), &seeing(view(&[A, B]), &[A]), now()));
    promises(&told, now() + seconds(60));
    let written = now() + seconds(90);
    promises(&rotate(&Document { written: Some(written), ..steady(WAIT) }, view(&[A, B]), &[A]), written);
}

/// RFC 7672 §2.2: senders see no pins there, so their caches do not learn of them.
#[test]
fn rule_5_a_zone_that_is_not_signed_stops_all_clocks_unless_it_may_be_so() {
    let unsigned = || OwnerView { unsigned: Some("no DS".into()), ..view(&[A, B]) };
    assert!(!clocks_run(&learned(steady(WAIT), unsigned())));
    let (mut durable, mut views) = (steady(WAIT), BTreeMap::from([(OWNER.to_owned(), unsigned())]));
    let allowed = Wanted { unsigned_ok: [OWNER.to_owned()].into(), ..wanted() };
    ledger::learn(&mut durable, &mut views, &allowed, now());
    assert!(clocks_run(&durable));
}

const LEAKED: Option<Wish> = Some(Wish::Emergency { switch_now: false });
const NOW: Option<Wish> = Some(Wish::Emergency { switch_now: true });

#[test]
fn whoever_has_lost_the_backup_of_a_leaked_key_is_told_what_each_way_costs() {
    let seen = seeing(view(&[A, B]), &[A]);
    let costs = |told: &Refusal| {
        for words in
            ["no safe choice", "(1) keep the leaked key until", "(2) switch now", "for at most 3600 s"]
        {
            assert!(told.cause.contains(words), "no {words:?} in {told:#?}");
        }
        assert!(
            told.hint.contains("rotate mx --emergency --switch-now")
                && told.hint.contains("Removing the TLSA"),
            "{told:#?}"
        );
    };
    let retired = Document { retired: [B].into(), ..steady(WAIT) };
    let lost = Wanted { backup: None, wish: LEAKED, ..wanted() };
    let digest = Wanted { backup_usable: false, wish: LEAKED, ..wanted() };
    let at = |wanted: &Wanted, durable: &Document| refusal(plan(wanted, durable, Some(3), &seen, now()));
    for told in [at(&lost, &steady(WAIT)), at(&digest, &steady(WAIT)), refusal(step(LEAKED, &retired, &seen))]
    {
        costs(&told);
    }
    let words = format!("until {}", full_minute(now() + seconds(WAIT)));
    assert!(
        at(&lost, &steady(WAIT)).cause.contains(&words),
        "a new backup's clock starts at its publication"
    );
    assert!(at(&lost, &steady(WAIT)).hint.contains("name a new backup key"), "and has to be named first");
    costs(&refusal(step(LEAKED, &steady(0), &seen)));
    let stopped = learned(steady(WAIT), unheard(""));
    costs(&refusal(step(LEAKED, &stopped, &seeing(unheard(""), &[A]))));
    let silent = seeing(OwnerView { silent: vec!["ns2: no answer".into()], ..view(&[A, B]) }, &[A]);
    costs(&refusal(step(LEAKED, &stopped, &silent)));
}

#[test]
fn a_forced_switch_minds_no_silent_server_as_long_as_another_is_seen_to_have_the_pin() {
    let silent = |keys: &[SpkiDigest]| OwnerView { silent: vec!["ns2: no answer".into()], ..view(keys) };
    let stopped = learned(steady(WAIT), silent(&[A, B]));
    assert!(begins(&step(NOW, &stopped, &seeing(silent(&[A, B]), &[A]))));
    // Nobody is seen to have it: how long mail would be deferred has no bound then, and why is said.
    let told = refusal(step(NOW, &stopped, &seeing(unheard(""), &[A])));
    assert!(told.cause.contains("not even --switch-now goes on") && !told.remote, "{told:#?}");
    assert!(told.hint.contains("show the new pin"), "{told:#?}");
    assert!(!begins(&step(Some(Wish::Rotate), &stopped, &seeing(silent(&[A, B]), &[A]))));
}

fn deploying() -> Document {
    let rotation = Rotation { phase: Phase::Deploying, from: A, to: B, since: now(), forced: false };
    Document {
        rotation: Some(rotation),
        installed: Some(certificate(4, B)),
        spare: Some(certificate(3, A)),
        ..steady(WAIT)
    }
}

/// One place for each list of keys, all of them listed.
fn places(each: &[&[SpkiDigest]]) -> Observed {
    let mut view = EndpointView::default();
    for (place, keys) in each.iter().enumerate() {
        let at = format!("smtp://mx1.example.org:25 at 192.0.2.{place}:25");
        view.listed.insert(at.clone());
        let of_place = shown(keys).shown.into_iter();
        view.shown.extend(of_place.map(|shown| Shown { at: format!("{at}, ECDSA"), ..shown }));
    }
    Observed { endpoints: Some(view), ..seeing(super::rules_tests::view(&[A, B, C]), &[]) }
}

/// RFC 7671 §8.1: its ECDSA certificate may come back as it was.
#[test]
fn rule_6_a_server_that_shows_the_other_algorithm_only_has_not_left_the_old_key() {
    let beside = Wanted { siblings: vec![rsa(&[C])], wish: None, ..wanted() };
    let at = |wanted: &Wanted, durable: &Document, seen: &Observed| {
        plan(wanted, durable, durable.installed.as_ref().map(|i| i.generation), seen, now())
    };
    let late = at(&beside, &deploying(), &places(&[&[B, C], &[C]]));
    assert!(matches!(&late, Step::Wait(_, why) if why.contains("192.0.2.1:25 shows another")), "{late:?}");
    assert!(matches!(at(&beside, &deploying(), &places(&[&[B, C], &[B, C]])), Step::Retire(_)));
    let rotate = Wanted { wish: Some(Wish::Rotate), ..beside };
    let held = at(&rotate, &steady(WAIT), &places(&[&[A, C], &[C]]));
    assert!(matches!(&held, Step::Hold(_, r) if r.cause.contains("no key of this certificate")), "{held:?}");
    assert!(begins(&at(&rotate, &steady(WAIT), &places(&[&[A, C], &[A, C]]))));
}

#[test]
fn an_endpoint_that_is_not_listed_is_waited_for_once_it_has_answered() {
    let endpoint = "tls://mx1.example.org:993".to_owned();
    let (host, reason) = ("mx1.example.org".into(), "connection refused".into());
    let silent =
        FailedProbe { at: endpoint.clone(), endpoint: endpoint.clone(), host, reason, nowhere: false };
    let mut seen = seeing(view(&[A, B]), &[B]);
    seen.endpoints.as_mut().unwrap().unlisted.push(silent);
    assert!(matches!(step(None, &deploying(), &seen), Step::Retire(_)), "nobody ever listened there");
    let mut durable = deploying();
    let answered = EndpointView { answered: [endpoint].into(), ..EndpointView::default() };
    assert!(ledger::learn_endpoints(&mut durable, &answered));
    assert!(!ledger::learn_endpoints(&mut durable, &answered), "nothing new");
    let late = step(None, &durable, &seen);
    assert!(matches!(&late, Step::Wait(_, why) if why.contains("993: connection refused")), "{late:?}");
}

/// RFC 7671 §13.
#[test]
fn rule_9_a_withdrawn_pin_can_be_replayed_until_the_last_signature_of_all_servers_ends() {
    let at = |n| Some(now() + seconds(n));
    let with = |replayable_until, keys: &[SpkiDigest]| OwnerView { replayable_until, ..view(keys) };
    let views = [
        ("a.".to_owned(), with(at(100), &[A, B])),
        ("b.".to_owned(), with(at(300), &[A])),
        ("c.".to_owned(), with(at(900), &[B])),
    ];
    let mut durable = steady(WAIT);
    ledger::note_replay(&mut durable, A, &views.clone().into());
    ledger::note_replay(&mut durable, A, &views[..1].iter().cloned().collect());
    assert_eq!(durable.replayable, [Replay { spki: A, until: now() + seconds(300) }]);
    ledger::learn(&mut durable, &mut BTreeMap::new(), &wanted(), now() + seconds(299));
    assert_eq!(durable.replayable.len(), 1);
    ledger::learn(&mut durable, &mut BTreeMap::new(), &wanted(), now() + seconds(300));
    assert!(durable.replayable.is_empty());
}
