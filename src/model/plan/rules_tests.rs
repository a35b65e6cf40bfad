//! The rules of a rotation, one by one, each with the section it comes from. That no interleaving gets round them is shown by
//! the checker (`model::checker`); that real servers see it so, by `tests/rotate`, `tests/mail` and `tests/dnssec.rs`.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::model::document::{Installed, PinRecord};
use crate::model::endpoint::Algorithm;
use crate::model::evidence::Presence;
use crate::model::ledger;
use crate::model::ripeness::ripe_at;
use crate::model::rotation::{OwnerHistory, Phase, Rotation, TtlSeen};
use jiff::SignedDuration;

pub(super) const OWNER: &str = "_25._tcp.mx1.example.org.";
pub(super) const A: SpkiDigest = SpkiDigest([0xaa; 32]);
pub(super) const B: SpkiDigest = SpkiDigest([0xbb; 32]);
pub(super) const C: SpkiDigest = SpkiDigest([0xcc; 32]);
/// Two TTLs of 3600 s and an hour.
pub(super) const WAIT: i64 = 10_800;

pub(super) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(super) fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

pub(super) fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

pub(super) fn wanted() -> Wanted {
    Wanted {
        name: "mx".into(),
        names: vec!["mx1.example.org".into()],
        active: A,
        backup: Some(B),
        owners: vec![OWNER.into()],
        proof: Proof::Probe,
        unsigned_ok: BTreeSet::new(),
        renew: Renew::Third,
        backup_usable: true,
        deploys_without_key: false,
        siblings: Vec::new(),
        policy: Policy::default(),
        schedule: Rotate::Manual,
        wish: Some(Wish::Rotate),
        without: None,
    }
}

pub(super) fn rsa(keys: &[SpkiDigest]) -> Sibling {
    let (certificate, owners) = ("rsa".to_owned(), [OWNER.to_owned()].into());
    Sibling { certificate, owners, keys: keys.iter().copied().collect() }
}

pub(super) fn certificate(generation: u64, spki: SpkiDigest) -> Installed {
    Installed {
        generation,
        names: wanted().names,
        spki,
        not_before: now() - days(10),
        not_after: now() + days(80),
        serial: "01".into(),
        issuer: "CN=test".into(),
        certificate_id: None,
        revoked: None,
    }
}

/// Key A is served, a certificate for B is staged, and both pins have stood everywhere for so many seconds.
pub(super) fn steady(since: i64) -> Document {
    let pin = |spki| PinRecord {
        owner: OWNER.into(),
        spki,
        first_published: now() - days(9),
        seen_everywhere: Some(now() - seconds(since)),
    };
    let history = OwnerHistory {
        owner: OWNER.into(),
        since: now() - days(30),
        unheard: false,
        target: String::new(),
        ttls: vec![TtlSeen { ttl: 3600, gone: None }],
        others: BTreeSet::new(),
        others_since: None,
        serials: BTreeMap::new(),
    };
    Document {
        installed: Some(certificate(3, A)),
        spare: Some(certificate(4, B)),
        pins: vec![pin(A), pin(B)],
        history: vec![history],
        ..Document::default()
    }
}

pub(super) fn view(keys: &[SpkiDigest]) -> OwnerView {
    let there: BTreeSet<_> = keys.iter().copied().collect();
    let (everywhere, somewhere) = (there.clone(), there);
    OwnerView { everywhere, somewhere, asked_at: Some(now()), ttl: Some(3600), ..OwnerView::default() }
}

pub(super) fn shown(keys: &[SpkiDigest]) -> EndpointView {
    let shown = keys.iter().map(|key| Shown {
        host: "mx1.example.org".into(),
        at: "smtp://mx1.example.org:25".into(),
        algorithm: Algorithm::Ecdsa,
        key: *key,
        chain: Vec::new(),
    });
    EndpointView { shown: shown.collect(), ..EndpointView::default() }
}

pub(super) fn seeing(view: OwnerView, presented: &[SpkiDigest]) -> Observed {
    Observed {
        pins: Some([(OWNER.to_owned(), view)].into()),
        endpoints: Some(shown(presented)),
        unmatched: Some(Vec::new()),
        ..Observed::default()
    }
}

fn step(wanted: &Wanted, durable: &Document, observed: &Observed) -> Step {
    plan(wanted, durable, durable.installed.as_ref().map(|i| i.generation), observed, now())
}

/// The step when all is well at the servers.
pub(super) fn calm(wanted: &Wanted, durable: &Document) -> Step {
    step(wanted, durable, &seeing(view(&[A, B]), &[A]))
}

pub(super) fn begins(step: &Step) -> bool {
    matches!(step, Step::Begin(evidence) if evidence.key() == B)
}

/// Earliest time and reason of a refusal that time heals.
fn held(step: Step) -> (Timestamp, String) {
    match step {
        Step::Hold(until, refusal) => (until, refusal.cause),
        other => panic!("not held: {other:?}"),
    }
}

fn refused(step: Step) -> String {
    match step {
        Step::Refuse(refusal) => refusal.cause,
        other => panic!("not refused: {other:?}"),
    }
}

/// Takes in one round of questions, and says what the view and the document have become.
fn learned(durable: Document, view: OwnerView) -> (Document, OwnerView) {
    let (mut durable, mut views) = (durable, BTreeMap::from([(OWNER.to_owned(), view)]));
    ledger::learn(&mut durable, &mut views, &wanted(), now());
    (durable, views.remove(OWNER).unwrap())
}

fn clocks_run(durable: &Document) -> Vec<bool> {
    durable.pins.iter().map(|p| p.seen_everywhere.is_some()).collect()
}

/// RFC 7671 §8.1.
#[test]
fn rule_3_a_key_may_be_served_two_ttls_and_the_slack_after_its_pin_was_seen_everywhere() {
    assert!(begins(&calm(&wanted(), &steady(WAIT))));
    let (until, cause) = held(calm(&wanted(), &steady(WAIT - 1)));
    assert_eq!(until, now() + seconds(1));
    assert!(cause.contains("is not ripe before") && cause.contains("3600 s"), "{cause}");
}

/// RFC 7671 §8.1: the clock starts when the round of questions began, not when it ended.
#[test]
fn rule_3_a_clock_that_runs_is_not_started_again() {
    let mut durable = steady(WAIT);
    ledger::record_seen(&mut durable, &[(OWNER.to_owned(), B)], now());
    assert!(begins(&calm(&wanted(), &durable)));
}

/// RFC 7671 §8.1: the TTL that counts is that of the sets in caches, not the present one.
#[test]
fn rule_4_a_ttl_that_was_lowered_just_now_still_counts() {
    let mut durable = steady(WAIT);
    durable.history[0].ttls = vec![TtlSeen { ttl: 86_400, gone: None }];
    let (durable, _) = learned(durable, view(&[A, B]));
    let clock = now() - seconds(WAIT);
    assert_eq!(held(calm(&wanted(), &durable)).0, clock + seconds(2 * 86_400 + 3600));
}

/// RFC 7671 §8.1: a TTL that was gone before the clock started is waited for from its last sight on.
#[test]
fn rule_4_a_ttl_of_the_past_counts_from_its_last_sight() {
    let mut durable = steady(WAIT);
    let gone = now() - seconds(WAIT + 5000);
    durable.history[0].ttls.push(TtlSeen { ttl: 9000, gone: Some(gone) });
    assert_eq!(held(calm(&wanted(), &durable)).0, gone + seconds(2 * 9000 + 3600));
}

/// RFC 7671 §8.1: what stood before danesmith first looked may have had any TTL; a day is taken for it.
#[test]
fn rule_4_without_history_the_floor_counts_from_the_first_look() {
    let mut durable = steady(WAIT);
    durable.history[0].since = now() - seconds(WAIT);
    assert_eq!(held(calm(&wanted(), &durable)).0, now() - seconds(WAIT) + seconds(86_400));
}

/// RFC 7671 §8.1: a silent server may go on giving the former TTL to caches.
#[test]
fn rule_4_a_ttl_is_gone_only_when_every_server_answered() {
    let mut durable = steady(WAIT);
    durable.history[0].ttls = vec![TtlSeen { ttl: 86_400, gone: None }];
    let (durable, _) = learned(durable, OwnerView { silent: vec!["ns2".into()], ..view(&[A, B]) });
    let former = durable.history[0].ttls.iter().find(|t| t.ttl == 86_400);
    assert_eq!(former, Some(&TtlSeen { ttl: 86_400, gone: None }));
    let (durable, _) = learned(durable, view(&[A, B]));
    let former = durable.history[0].ttls.iter().find(|t| t.ttl == 86_400);
    assert_eq!(former.and_then(|t| t.gone), Some(now()));
}

/// RFC 7671 §8.1.
#[test]
fn rule_5_a_pin_that_some_server_lacks_loses_its_clock() {
    let mut lacking = view(&[A, B]);
    lacking.everywhere.remove(&B);
    assert_eq!(clocks_run(&learned(steady(WAIT), lacking).0), [true, false]);
}

/// RFC 7672 §2.1.2: who does not answer, or not validly, is no witness.
#[test]
fn rule_5_a_silent_or_doubtful_server_stops_all_clocks() {
    let silent = OwnerView { silent: vec!["ns2: timeout".into()], ..view(&[A, B]) };
    let doubtful = OwnerView { doubtful: vec!["ns2: bogus".into()], ..view(&[A, B]) };
    for view in [silent, doubtful] {
        assert_eq!(clocks_run(&learned(steady(WAIT), view).0), [false, false]);
    }
}

/// RFC 1982 §3.2: a serial goes forward past 4294967295, and backwards from 5 to 4.
#[test]
fn rule_5_a_serial_that_goes_backwards_stops_all_clocks() {
    let serial = |n| OwnerView { serials: [("ns1".to_owned(), n)].into(), ..view(&[A, B]) };
    for (former, next, runs) in [(u32::MAX, 0, true), (7, 7, true), (5, 4, false), (0, u32::MAX, false)] {
        let (durable, _) = learned(steady(WAIT), serial(former));
        let (durable, view) = learned(durable, serial(next));
        assert_eq!(clocks_run(&durable), [runs, runs], "{former} to {next}");
        assert_eq!(view.doubtful.is_empty(), runs, "{former} to {next}");
    }
}

/// RFC 7671 §8.4, RFC 7672 §4.
#[test]
fn rule_6_the_old_pin_goes_only_when_every_probe_showed_another_key() {
    let (wanted, durable) = (wanted(), steady(WAIT));
    let nobody =
        |view: &EndpointView| NobodyPresents::of(A, &Presence::new(&wanted, &durable, view, now())).is_some();
    assert!(nobody(&shown(&[B, B])));
    assert!(!nobody(&shown(&[B, A])));
    assert!(!nobody(&shown(&[])));
    let (host, at) = ("mx2.example.org".to_owned(), "smtp://mx2.example.org:25".to_owned());
    let (endpoint, reason) = (at.clone(), "no answer".into());
    let failed = vec![FailedProbe { endpoint, host, at, reason, nowhere: true }];
    assert!(!nobody(&EndpointView { failed, ..shown(&[B]) }));
}

/// RFC 7672 §2.1.2.
#[test]
fn rule_8_a_server_that_does_not_answer_holds_the_switch() {
    let observed = seeing(OwnerView { silent: vec!["ns2: timeout".into()], ..view(&[A, B]) }, &[A]);
    let (until, cause) = held(step(&wanted(), &steady(WAIT), &observed));
    assert!(until > now() && cause.contains("ns2: timeout"), "{cause}");
}

/// RFC 7672 §2.1.2: bogus answers are as good as none; what they show is not known to be missing, and mail is not safe.
#[test]
fn rule_8_a_zone_that_nobody_believes_holds_everything_and_nothing_is_published() {
    let bogus = OwnerView { unbelieved: true, doubtful: vec!["ns1: bogus".into()], ..view(&[A, B]) };
    let bogus = OwnerView { everywhere: BTreeSet::new(), ..bogus };
    for wish in [None, Some(Wish::Rotate)] {
        let wanted = Wanted { wish, ..wanted() };
        match step(&wanted, &steady(WAIT), &seeing(bogus.clone(), &[A])) {
            Step::Hold(_, refusal) => {
                assert!(refusal.cause.contains("ns1: bogus"), "{}", refusal.cause);
                assert!(refusal.remains.contains("defer mail"), "{}", refusal.remains);
            }
            other => panic!("{wish:?}: {other:?}"),
        }
    }
    let empty = OwnerView { somewhere: BTreeSet::new(), ..bogus };
    let (_, cause) = held(step(&wanted(), &steady(WAIT), &seeing(empty, &[A])));
    assert!(cause.contains("no validator believes"), "{cause}");
}

/// RFC 7671 §11: a set must outlive the caches that are filled with it, and the next look an hour later.
#[test]
fn rule_9_a_signature_that_ends_too_soon_holds_the_switch() {
    let until = |end| seeing(OwnerView { signed_until: Some(end), ..view(&[A, B]) }, &[A]);
    let enough = now() + seconds(3600 + 3600);
    assert!(begins(&step(&wanted(), &steady(WAIT), &until(enough + seconds(1)))));
    let (_, cause) = held(step(&wanted(), &steady(WAIT), &until(enough)));
    assert!(cause.contains("too soon to rely on"), "{cause}");
}

/// RFC 7671 §6: behind another alias stands another RRset.
#[test]
fn rule_11_another_target_of_an_alias_stops_all_clocks() {
    let target = |name: &str| OwnerView { target: name.into(), ..view(&[A, B]) };
    let (durable, _) = learned(steady(WAIT), target(""));
    assert_eq!(clocks_run(&learned(durable, target("tlsa.example.net.")).0), [false, false]);
}

/// RFC 7671 §5.1: RSA beside ECDSA; the other certificate's key is no stranger.
#[test]
fn rule_15_the_key_of_a_certificate_beside_it_is_no_third_key() {
    let observed = seeing(view(&[A, B, C]), &[A, C]);
    let (until, cause) = held(step(&wanted(), &steady(WAIT), &observed));
    assert!(until > now() && cause.contains("neither the active nor the backup key"), "{cause}");
    let beside = Wanted { siblings: vec![rsa(&[C])], ..wanted() };
    assert!(begins(&step(&beside, &steady(WAIT), &observed)));
}

/// RFC 7671 §9: with a `3 1 2` of the old key in its cache, a sender looks at no `3 1 1`.
#[test]
fn rule_18_records_of_others_are_waited_for_like_our_own() {
    let mut durable = steady(9 * WAIT);
    let look = |durable: &mut Document, data: Option<u8>, differ: bool| {
        let others = data.map(|n| OtherTlsa { kind: (3, 1, 2), data: vec![n; 64] }).into_iter().collect();
        let mut views = BTreeMap::from([(
            OWNER.to_owned(),
            OwnerView { others, others_differ: differ, ..view(&[A, B]) },
        )]);
        ledger::learn(durable, &mut views, &wanted(), now());
    };
    let ripe = |durable: &Document| ripe_at(durable, OWNER, B, &wanted().policy).unwrap() <= now();
    look(&mut durable, None, false);
    assert!(ripe(&durable), "there was none and there is none");
    look(&mut durable, Some(1), false);
    assert!(!ripe(&durable), "caches lack the new one");
    durable.history[0].others_since = Some(now() - seconds(WAIT));
    look(&mut durable, Some(1), false);
    assert!(ripe(&durable), "the waiting is over");
    look(&mut durable, Some(1), true);
    assert!(!ripe(&durable), "a server lacks it, and goes on filling caches");
    durable.history[0].others_since = Some(now() - seconds(WAIT));
    look(&mut durable, None, false);
    assert!(!ripe(&durable), "caches still hold it");
}

/// RFC 7671 §8: whoever put them there vouches for them.
#[test]
fn rule_18_pins_of_others_are_left_alone() {
    let observed = seeing(view(&[A, B, C]), &[A]);
    let idle = Wanted { wish: None, ..wanted() };
    assert!(matches!(step(&idle, &steady(WAIT), &observed), Step::Nothing(_)));
}

/// RFC 7671 §8: every usage, selector and matching type that is published must match what is served.
#[test]
fn rule_18_records_of_others_that_would_match_nothing_refuse_the_switch() {
    let mut observed = seeing(view(&[A, B]), &[A]);
    observed.unmatched = Some(vec!["2 1 1 abcd".into()]);
    assert!(refused(step(&wanted(), &steady(WAIT), &observed)).contains("2 1 1 abcd"));
}

/// RFC 7671 §8.1.
#[test]
fn rule_20_no_certificate_is_asked_for_with_a_backup_known_by_its_digest() {
    let digest = Wanted { backup_usable: false, ..wanted() };
    assert!(refused(calm(&digest, &steady(WAIT))).contains("only the digest or public key is known"));
}

/// RFC 7671 §8.1: the key that is served, and its certificate, change together.
#[test]
fn rule_20_a_chain_is_not_deployed_beside_another_private_key_than_its_own() {
    let elsewhere = Wanted { deploys_without_key: true, ..wanted() };
    assert!(refused(calm(&elsewhere, &steady(WAIT))).contains("stops TLS"));
}

/// RFC 7671 §8.1: a key that is served before its pin is ripe stops mail.
#[test]
fn rule_20_a_renewal_never_takes_the_backup_key() {
    let idle = Wanted { wish: None, ..wanted() };
    let late = now() + days(60);
    let step = plan(&idle, &steady(WAIT), Some(3), &seeing(view(&[A, B]), &[A]), late);
    assert_eq!(step, Step::Issue(Reason::Due, A));
}

/// RFC 7671 §8.1: the next key is one that nobody has had.
#[test]
fn rule_20_a_retired_key_is_no_backup() {
    let durable = Document { retired: [B].into(), ..steady(WAIT) };
    assert!(refused(calm(&wanted(), &durable)).contains("is retired"));
    let none = Wanted { backup: None, ..wanted() };
    assert!(refused(calm(&none, &steady(WAIT))).contains("there is no backup key"));
}

/// All clocks would lie.
#[test]
fn a_machine_whose_clock_went_back_decides_nothing_until_the_last_entry() {
    let written = now() + seconds(1);
    let durable = Document { written: Some(written), ..steady(WAIT) };
    assert_eq!(held(calm(&wanted(), &durable)).0, written);
    assert!(begins(&calm(&wanted(), &Document { written: Some(now()), ..steady(WAIT) })));
}

fn deploying(phase: Phase, durable: Document) -> Document {
    let rotation = Rotation { phase, from: A, to: B, since: now(), forced: false };
    Document { rotation: Some(rotation), ..durable }
}

/// Killed between document and link; then the new pin vanished.
#[test]
fn a_switch_that_was_decided_but_not_done_is_decided_again() {
    let decided = Document {
        installed: Some(certificate(4, B)),
        spare: Some(certificate(3, A)),
        ..deploying(Phase::Deploying, steady(WAIT))
    };
    let at = |observed| plan(&wanted(), &decided, Some(3), &observed, now());
    assert_eq!(at(Observed::default()), Step::ObservePins);
    assert_eq!(at(seeing(view(&[A, B]), &[A])), Step::Relink(4));
    assert_eq!(at(seeing(view(&[A]), &[A])), Step::ServeSpare(A));
}

/// RFC 7671 §8.1 holds for the former key too, once no server presents it.
#[test]
fn an_abort_waits_for_the_former_pin_unless_somebody_presents_its_key() {
    let aborting = |since| Document {
        installed: Some(certificate(4, B)),
        spare: Some(certificate(3, A)),
        ..deploying(Phase::Aborting, steady(since))
    };
    let at = |since, presented: &[SpkiDigest]| {
        plan(&wanted(), &aborting(since), Some(4), &seeing(view(&[A, B]), presented), now())
    };
    assert_eq!(at(WAIT, &[B]), Step::ServeSpare(A));
    assert!(matches!(at(WAIT - 1, &[B]), Step::Wait(until, _) if until == now() + seconds(1)));
    assert_eq!(at(WAIT - 1, &[A, B]), Step::ServeSpare(A));
}
