//! The plan, step by step: every rule a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::model::document::{Failures, Installed, OrderInFlight, OwedTxt, PinRecord};
use jiff::SignedDuration;

const OWNER: &str = "_25._tcp.mx1.example.org.";
const A: SpkiDigest = SpkiDigest([0xaa; 32]);
const B: SpkiDigest = SpkiDigest([0xbb; 32]);
const C: SpkiDigest = SpkiDigest([0xcc; 32]);

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

fn wanted() -> Wanted {
    Wanted {
        name: "mx".into(),
        names: vec!["*.example.org".into(), "example.org".into()],
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
        wish: None,
        without: None,
    }
}

fn installed() -> Document {
    Document {
        installed: Some(Installed {
            generation: 3,
            names: wanted().names,
            spki: A,
            not_before: now() - days(10),
            not_after: now() + days(80),
            serial: "01".into(),
            issuer: "CN=test".into(),
            certificate_id: None,
            revoked: None,
        }),
        ..Document::default()
    }
}

fn pinned() -> Document {
    let pin = |spki| PinRecord {
        owner: OWNER.into(),
        spki,
        first_published: now() - days(9),
        seen_everywhere: Some(now() - days(9)),
    };
    Document { pins: vec![pin(A), pin(B)], ..installed() }
}

fn seeing(keys: &[SpkiDigest]) -> Observed {
    let there: BTreeSet<_> = keys.iter().copied().collect();
    let view = OwnerView {
        everywhere: there.clone(),
        somewhere: there,
        asked_at: Some(now()),
        ..OwnerView::default()
    };
    Observed { pins: Some([(OWNER.to_owned(), view)].into()), ..Observed::default() }
}

fn with_endpoints(mut observed: Observed, with_active: usize, without_active: &[&str]) -> Observed {
    let host = || "mx1.example.org".to_owned();
    let shown = |at: &str, key| {
        let (at, algorithm) = (at.to_owned(), crate::model::endpoint::Algorithm::Ecdsa);
        Shown { host: host(), at, algorithm, key, chain: Vec::new() }
    };
    let active = (0..with_active).map(|_| shown("smtp://mx1:25", A));
    let others = without_active.iter().map(|at| shown(at, C));
    let shown = active.chain(others).collect();
    observed.endpoints = Some(EndpointView { shown, ..EndpointView::default() });
    observed
}

fn step(wanted: &Wanted, durable: &Document, observed: &Observed) -> Step {
    plan(wanted, durable, durable.installed.as_ref().map(|i| i.generation), observed, now())
}

fn refused(step: Step) -> Refusal {
    match step {
        Step::Hold(_, refusal) => refusal,
        Step::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn without_a_certificate_the_first_is_issued() {
    assert_eq!(step(&wanted(), &Document::default(), &seeing(&[])), Step::Issue(Reason::First, A));
    let without_tlsa = Wanted { owners: Vec::new(), ..wanted() };
    assert_eq!(
        step(&without_tlsa, &Document::default(), &Observed::default()),
        Step::Issue(Reason::First, A)
    );
}

#[test]
fn a_key_that_was_never_served_is_refused_where_other_keys_are_pinned() {
    assert_eq!(step(&wanted(), &Document::default(), &Observed::default()), Step::ObservePins);
    let refusal = refused(step(&wanted(), &Document::default(), &seeing(&[C])));
    assert_eq!(refusal.cause, format!("TLSA at `_25._tcp.mx1.example.org` pins other keys only ({C})"));
    let resumed = Document { order: Some(in_flight(wanted().names, A)), ..Document::default() };
    assert_eq!(refused(step(&wanted(), &resumed, &seeing(&[C]))), refusal);
    assert_eq!(step(&wanted(), &Document::default(), &seeing(&[A, C])), Step::Issue(Reason::First, A));
}

#[test]
fn installed_files_that_are_gone_are_got_again_for_the_same_key() {
    let lost = Observed { lost: true, ..Observed::default() };
    assert_eq!(step(&wanted(), &pinned(), &lost), Step::Issue(Reason::Lost, A));
    assert_eq!(plan(&wanted(), &pinned(), None, &lost, now()), Step::Issue(Reason::Lost, A));
}

#[test]
fn a_revoked_certificate_is_replaced_at_once_for_the_same_key() {
    let mut durable = pinned();
    durable.installed.as_mut().unwrap().revoked = Some(now());
    assert_eq!(step(&wanted(), &durable, &Observed::default()), Step::Issue(Reason::Revoked, A));
}

#[test]
fn a_renewal_asks_nobody_for_pins() {
    let mut durable = installed();
    durable.pins.clear();
    let late = now() + days(70);
    assert_eq!(plan(&wanted(), &durable, Some(3), &Observed::default(), late), Step::Issue(Reason::Due, A));
}

#[test]
fn a_fresh_certificate_with_all_pins_needs_nothing_until_a_third_is_left() {
    let due = installed().installed.map(|i| renewal::due(&i, Renew::Third, None)).unwrap();
    assert_eq!(step(&wanted(), &pinned(), &seeing(&[A, B])), Step::Nothing(due));
    assert_eq!(due, now() + days(50));
}

#[test]
fn renewal_is_due_to_the_second() {
    let due = now() + days(50);
    let one = SignedDuration::from_secs(1);
    let at = |t| plan(&wanted(), &pinned(), Some(3), &seeing(&[A, B]), t);
    assert_eq!(at(due - one), Step::Nothing(due));
    assert_eq!(at(due), Step::Issue(Reason::Due, A));
}

#[test]
fn the_administrators_own_renewal_time_is_kept() {
    let wanted = Wanted { renew: Renew::Before(std::time::Duration::from_secs(20 * 86_400)), ..wanted() };
    assert_eq!(step(&wanted, &pinned(), &seeing(&[A, B])), Step::Nothing(now() + days(60)));
}

#[test]
fn a_link_that_a_killed_run_left_behind_comes_before_all_else() {
    let mut durable = pinned();
    durable.owed.push(owed());
    for live in [None, Some(2), Some(4)] {
        assert_eq!(plan(&wanted(), &durable, live, &Observed::default(), now()), Step::Relink(3));
    }
}

fn owed() -> OwedTxt {
    OwedTxt {
        zone: "example.org.".into(),
        owner: "_acme-challenge.example.org.".into(),
        value: "v".into(),
        via: "example.org.".into(),
    }
}

#[test]
fn what_is_owed_is_removed_before_anything_is_looked_at() {
    let durable = Document { owed: vec![owed()], ..pinned() };
    assert_eq!(step(&wanted(), &durable, &Observed::default()), Step::CleanUp);
}

fn in_flight(names: Vec<String>, spki: SpkiDigest) -> OrderInFlight {
    OrderInFlight {
        url: "https://ca.example/order/1".into(),
        account: "https://ca.example/dir".into(),
        names,
        spki,
        created: now(),
    }
}

#[test]
fn an_order_in_flight_is_finished_and_not_repeated() {
    let durable =
        Document { order: Some(in_flight(wanted().names, A)), owed: vec![owed()], ..Document::default() };
    assert_eq!(step(&wanted(), &durable, &seeing(&[])), Step::Issue(Reason::Resume, A));
}

#[test]
fn an_order_for_other_names_is_not_resumed() {
    let durable = Document { order: Some(in_flight(vec!["example.org".into()], A)), ..pinned() };
    assert!(matches!(step(&wanted(), &durable, &seeing(&[A, B])), Step::Nothing(_)));
}

#[test]
fn other_names_mean_another_certificate() {
    let wanted = Wanted { names: vec!["example.org".into()], ..wanted() };
    assert_eq!(step(&wanted, &pinned(), &Observed::default()), Step::Issue(Reason::NamesChanged, A));
}

/// RFC 7671 §8.1: a key is served only after its pin has been published for two TTLs.
#[test]
fn another_active_key_is_refused_while_the_former_is_pinned() {
    let wanted = Wanted { active: B, backup: Some(A), ..wanted() };
    let refusal = refused(step(&wanted, &pinned(), &Observed::default()));
    assert!(refusal.cause.contains(&B.to_string()) && refusal.cause.contains(&A.to_string()), "{refusal:?}");
}

#[test]
fn another_active_key_is_refused_even_when_its_order_is_in_flight() {
    let wanted = Wanted { active: B, backup: Some(A), ..wanted() };
    let durable = Document { order: Some(in_flight(wanted.names.clone(), B)), ..pinned() };
    refused(step(&wanted, &durable, &Observed::default()));
}

#[test]
fn without_pins_another_key_is_just_another_certificate() {
    let wanted = Wanted { active: B, backup: None, owners: vec![], ..wanted() };
    assert_eq!(step(&wanted, &installed(), &seeing(&[])), Step::Issue(Reason::KeyChanged, B));
}

#[test]
fn after_a_failure_the_ca_is_left_alone_until_its_time() {
    let until = now() + SignedDuration::from_mins(10);
    let failures = Failures { count: 2, not_before: until, last: "dns".into() };
    let durable = Document { failures: Some(failures), ..Document::default() };
    assert!(matches!(step(&wanted(), &durable, &Observed::default()), Step::Wait(t, _) if t == until));
    assert_eq!(plan(&wanted(), &durable, None, &seeing(&[]), until), Step::Issue(Reason::First, A));
}

#[test]
fn failures_are_retried_ever_more_rarely() {
    let minutes: Vec<_> = (1..=5).map(|n| renewal::backoff(n).as_mins()).collect();
    assert_eq!(minutes, [1, 10, 100, 1440, 1440]);
}

#[test]
fn the_reload_command_runs_before_pins_are_published() {
    let durable = Document { reload_owed: Some(3), ..installed() };
    assert_eq!(step(&wanted(), &durable, &Observed::default()), Step::ObservePins);
    assert_eq!(step(&wanted(), &durable, &seeing(&[])), Step::Reload(3));
}

#[test]
fn pins_are_looked_at_in_every_run_and_only_where_there_are_owners() {
    assert_eq!(step(&wanted(), &pinned(), &Observed::default()), Step::ObservePins);
    let no_owners = Wanted { owners: vec![], ..wanted() };
    assert!(matches!(step(&no_owners, &installed(), &Observed::default()), Step::Nothing(_)));
}

#[test]
fn the_first_publication_asks_the_endpoints() {
    assert_eq!(step(&wanted(), &installed(), &seeing(&[])), Step::ObserveEndpoints);
}

#[test]
fn active_and_backup_are_published_together_once_every_endpoint_presents_the_active_key() {
    let observed = with_endpoints(seeing(&[]), 2, &[]);
    assert_eq!(step(&wanted(), &installed(), &observed), Step::Publish(vec![(OWNER.into(), vec![A, B])]));
}

#[test]
fn one_endpoint_with_another_key_stops_the_first_publication() {
    let observed = with_endpoints(seeing(&[]), 1, &["smtp://mx2:25"]);
    assert!(
        refused(step(&wanted(), &installed(), &observed)).cause.contains("smtp://mx2:25 presents the key")
    );
}

/// RFC 4592 §2.2.1: records of a name's own hide those of `*._tcp`, so what was hidden must not be needed any more.
#[test]
fn rule_13_a_name_that_a_wildcard_answers_for_gets_records_only_when_all_present_our_key() {
    let by_wildcard = || seeing(&[C]);
    let elsewhere = with_endpoints(by_wildcard(), 1, &["smtp://mx2:25"]);
    assert!(refused(step(&wanted(), &installed(), &elsewhere)).cause.contains("smtp://mx2:25 presents"));
    let everywhere = with_endpoints(by_wildcard(), 2, &[]);
    assert_eq!(step(&wanted(), &installed(), &everywhere), Step::Publish(vec![(OWNER.into(), vec![A, B])]));
}

#[test]
fn endpoints_that_nobody_reached_prove_nothing() {
    refused(step(&wanted(), &installed(), &with_endpoints(seeing(&[]), 0, &[])));
}

#[test]
fn the_administrators_word_replaces_the_probe() {
    let wanted = Wanted { proof: Proof::Word, ..wanted() };
    assert!(matches!(step(&wanted, &installed(), &seeing(&[])), Step::Publish(_)));
}

#[test]
fn a_backup_is_added_beside_a_pinned_active_key_without_asking_the_endpoints() {
    assert_eq!(step(&wanted(), &installed(), &seeing(&[A])), Step::Publish(vec![(OWNER.into(), vec![B])]));
}

#[test]
fn a_foreign_pin_is_no_pin_of_ours() {
    assert_eq!(step(&wanted(), &installed(), &seeing(&[C])), Step::ObserveEndpoints);
}

/// RFC 7672 §2.2: senders ignore TLSA that is not secure.
#[test]
fn an_unsigned_zone_is_refused_unless_the_administrator_says_so() {
    let mut observed = seeing(&[]);
    let view = observed.pins.as_mut().and_then(|p| p.get_mut(OWNER)).unwrap();
    view.unsigned = Some("no DS at the parent".into());
    assert!(refused(step(&wanted(), &installed(), &observed)).cause.contains("no DS"));
    let allowed = Wanted { unsigned_ok: [OWNER.to_owned()].into(), proof: Proof::Word, ..wanted() };
    assert!(matches!(step(&allowed, &installed(), &observed), Step::Publish(_)));
}

#[test]
fn pins_that_stand_everywhere_are_written_down_once() {
    let first = step(&wanted(), &installed(), &seeing(&[A, B]));
    assert_eq!(first, Step::RecordSeen(vec![(OWNER.into(), A), (OWNER.into(), B)]));
    assert!(matches!(step(&wanted(), &pinned(), &seeing(&[A, B])), Step::Nothing(_)));
}

/// ARCHITECTURE.md, "Rules of pins": an unreachable server is no witness.
#[test]
fn a_silent_server_keeps_the_clock_from_starting() {
    let mut observed = seeing(&[A, B]);
    let view = observed.pins.as_mut().and_then(|p| p.get_mut(OWNER)).unwrap();
    view.silent.push("ns2".into());
    assert!(matches!(step(&wanted(), &installed(), &observed), Step::Nothing(_)));
}

#[test]
fn a_pin_that_somebody_deleted_is_published_again() {
    let observed = with_endpoints(seeing(&[B]), 1, &[]);
    assert_eq!(step(&wanted(), &pinned(), &observed), Step::Publish(vec![(OWNER.into(), vec![A])]));
}

#[test]
fn the_unsigned_zone_is_told_before_there_are_keys() {
    let mut views = seeing(&[]).pins.unwrap();
    views.get_mut(OWNER).unwrap().unsigned = Some("no DNSKEY at the apex".into());
    let refusal = unsigned_zone(&BTreeSet::new(), &views).unwrap();
    assert_eq!(refusal.action, "publish TLSA at `_25._tcp.mx1.example.org`");
    assert_eq!(unsigned_zone(&[OWNER.to_owned()].into(), &views), None);
}

/// RFC 9773: what the CA said counts, and it is asked when it wants to be.
mod suggestions {
    use super::*;
    use crate::model::document::{RenewalInfo, Window};

    fn known() -> Document {
        let mut document = installed();
        if let Some(installed) = &mut document.installed {
            installed.certificate_id = Some("YQ.AQ".into());
        }
        document
    }

    fn told(start: Timestamp, again: Timestamp) -> RenewalInfo {
        RenewalInfo {
            certificate_id: "YQ.AQ".into(),
            directory: "https://ca.example/dir".into(),
            window: Some(Window { start, end: start + days(1) }),
            explanation: None,
            ask_again: again,
        }
    }

    fn next(document: &Document) -> Step {
        let wanted = Wanted { owners: Vec::new(), ..wanted() };
        plan(&wanted, document, Some(3), &Observed::default(), now())
    }

    #[test]
    fn a_certificate_that_the_ca_knows_is_asked_about_when_its_time_has_come_and_not_before() {
        assert_eq!(next(&known()), Step::AskRenewal);
        let asked = Document { renewal_info: Some(told(now() + days(40), now() + days(1))), ..known() };
        assert!(matches!(next(&asked), Step::Nothing(at) if at >= now() + days(40) && at < now() + days(41)));
        assert!(matches!(next(&installed()), Step::Nothing(_)), "a certificate without an identifier");
    }

    #[test]
    fn a_window_that_has_begun_is_followed_and_one_for_another_certificate_is_not() {
        let due = Document { renewal_info: Some(told(now() - days(2), now() + days(1))), ..known() };
        assert_eq!(next(&due), Step::Issue(Reason::Suggested, A));
        let mut other = due.clone();
        if let Some(info) = &mut other.renewal_info {
            info.certificate_id = "YQ.Ag".into();
        }
        assert_eq!(next(&other), Step::AskRenewal);
    }

    #[test]
    fn what_a_person_asked_for_waits_for_no_question_to_the_ca() {
        let wanted = Wanted { owners: Vec::new(), wish: Some(Wish::Rotate), ..wanted() };
        assert_ne!(plan(&wanted, &known(), Some(3), &Observed::default(), now()), Step::AskRenewal);
    }
}
