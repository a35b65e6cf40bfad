//! Rehearsals, and what they must show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::run::{Options, Run, rehearse};
use super::standing::{Standing, State};
use super::universe::lock;
use crate::config;
use crate::model::desired::{ActiveKey, BackupKey, Certificate, Desired, KeyAlgorithm, Keys, Rotate};
use crate::model::policy::Policy;
use crate::model::rehearsal::{Rehearsal, What};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The example of `init`.
fn example() -> Desired {
    config::template().unwrap_or_else(|e| panic!("{e:?}"))
}

/// Two mail hosts with keys that danesmith makes: one is reloaded, one looks for new files by itself.
fn two_hosts() -> Desired {
    let mut desired = example();
    desired.certificates.retain(|name, _| name == "mx1" || name == "mx2");
    desired.certificates.get_mut("mx1").unwrap().tlsa.truncate(1);
    desired.certificates.get_mut("mx2").unwrap().keys = Keys::Managed(KeyAlgorithm::P256);
    // Nobody waits long for a late secondary: the next run goes on.
    desired.zones.values_mut().for_each(|zone| zone.propagation = Duration::from_secs(15));
    desired
}

fn one_host(name: &str) -> Desired {
    let mut desired = two_hosts();
    desired.certificates.retain(|other, _| other == name);
    desired
}

fn options(days: i64, seed: Option<u64>) -> Options {
    let from: Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
    let until = from + SignedDuration::from_hours(24 * days);
    Options { from, until, seed, every: 3600, rotate: None, keep_trace: false }
}

fn rehearsed(desired: &Desired, options: &Options) -> Rehearsal {
    rehearse(desired, options, &|_| None, None).unwrap()
}

fn count(rehearsal: &Rehearsal, certificate: &str, what: What) -> usize {
    rehearsal.events.iter().filter(|event| event.certificate == certificate && event.what == what).count()
}

/// Seeds from `first` on, side by side; `found` ends it.
fn seeds(desired: &Desired, days: i64, (first, end): (u64, u64), found: impl Fn(Rehearsal) + Sync) {
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < end
                {
                    found(rehearsed(desired, &options(days, Some(seed))));
                }
            });
        }
    });
}

fn refused(rehearsal: &Rehearsal) -> String {
    format!("seed {:?}: {:#?}", rehearsal.seed, rehearsal.refusal)
}

#[test]
fn two_years_of_the_example_are_told_from_the_first_certificate_to_the_last_rotation() {
    let rehearsal = rehearsed(&example(), &options(730, None));
    assert_eq!(rehearsal.refusal, None);
    for certificate in ["mx1", "mx2", "mx3", "mx4", "www"] {
        assert_eq!(count(&rehearsal, certificate, What::Issued), 1, "{certificate}");
    }
    // 90 days at first, 64 from 2027-02-10 on, 45 from 2028-02-16 on; renewed when a third is left.
    assert_eq!(count(&rehearsal, "www", What::Renewed), 18);
    // By hand once a year; the servers of mx4 are unchecked, so nobody can rotate there, and www has no pins.
    for (certificate, rotations) in [("mx1", 2), ("mx2", 2), ("mx3", 2), ("mx4", 0), ("www", 0)] {
        assert_eq!(count(&rehearsal, certificate, What::Rotated), rotations, "{certificate}");
        assert_eq!(count(&rehearsal, certificate, What::Switched), rotations, "{certificate}");
        assert_eq!(count(&rehearsal, certificate, What::Retired), rotations, "{certificate}");
    }
    // One every hour, and six rotations by hand.
    assert_eq!(rehearsal.counts.runs, 730 * 24 + 6);
    // Pins are put off while the second server has yet to take its files; nothing fails.
    let put_off = rehearsal.events.iter().filter(|event| event.what == What::PutOff);
    let put_off: Vec<_> = put_off.map(|event| event.certificate.as_str()).collect();
    assert_eq!(put_off, ["mx1", "mx2", "mx3"]);
    assert!((1..=4).contains(&rehearsal.counts.put_off), "{} in the four hours", rehearsal.counts.put_off);
    assert!(rehearsal.events.iter().all(|event| event.what != What::Failed));
    assert_eq!(rehearsal.counts.failed, 0);
    // Five TLSA owners, two name servers, two mail servers, one cache for each minute of the hour.
    let each_minute = 5 * 2 * 2 * 60;
    let minutes = 730 * 24 * 60;
    assert!(rehearsal.counts.deliveries > each_minute * (minutes - 600), "{}", rehearsal.counts.deliveries);
    assert!(rehearsal.counts.deliveries <= each_minute * minutes, "{}", rehearsal.counts.deliveries);
    assert!(rehearsal.counts.budgets.iter().all(|b| b.most < b.limit), "{:?}", rehearsal.counts.budgets);
}

#[test]
fn rotations_by_schedule_come_by_years_and_by_renewals() {
    let mut desired = two_hosts();
    desired.certificates.get_mut("mx1").unwrap().rotate = Rotate::Every(Duration::from_secs(180 * 86_400));
    desired.certificates.get_mut("mx2").unwrap().rotate = Rotate::Renewals(2);
    let rehearsal = rehearsed(&desired, &options(400, None));
    assert_eq!(rehearsal.refusal, None);
    assert_eq!(count(&rehearsal, "mx1", What::Rotated), 2);
    let renewed = count(&rehearsal, "mx2", What::Renewed);
    let rotated = count(&rehearsal, "mx2", What::Rotated);
    assert!(rotated >= 2 && renewed >= 2 * rotated, "{renewed} renewals, {rotated} rotations");
}

#[test]
fn the_same_seed_gives_the_same_rehearsal_byte_for_byte() {
    let desired = two_hosts();
    let mut digests = BTreeSet::new();
    for seed in [None, Some(1), Some(2), Some(3), Some(4)] {
        let options = Options { keep_trace: true, ..options(30, seed) };
        let (first, second) = (rehearsed(&desired, &options), rehearsed(&desired, &options));
        for (one, other) in first.steps.iter().zip(&second.steps) {
            assert_eq!(one, other, "seed {seed:?}");
        }
        assert_eq!(first, second, "seed {seed:?}");
        let told = |r: &Rehearsal| crate::report::rehearse::rehearsed(r, "zones.yaml");
        assert_eq!(told(&first), told(&second));
        digests.insert(first.trace_digest);
    }
    assert_eq!(digests.len(), 5, "every seed is another story");
}

/// What was looked at: nobody believes a test that could not fail.
#[test]
fn five_hundred_seeds_of_ninety_days_refuse_no_delivery() {
    let (rotations, killed, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let look = |rehearsal: Rehearsal| {
        assert_eq!(rehearsal.refusal, None, "{}", refused(&rehearsal));
        rotations.fetch_add(rehearsal.counts.rotations, Ordering::Relaxed);
        killed.fetch_add(rehearsal.counts.killed, Ordering::Relaxed);
        failed.fetch_add(rehearsal.counts.failed, Ordering::Relaxed);
    };
    // Most of them one host alone: `tests/nightly` has thousands with five certificates. All take ten minutes of CPU
    // without optimization, so one in five is taken where nobody asks for all (.ci/run does).
    let all = std::env::var_os("DANESMITH_SEEDS").is_some_and(|seeds| seeds == "all");
    let part: u64 = if all { 1 } else { 5 };
    seeds(&one_host("mx1"), 90, (1, 1 + 225 / part), look);
    seeds(&one_host("mx2"), 90, (226, 226 + 225 / part), look);
    seeds(&two_hosts(), 90, (451, 451 + 50 / part), look);
    let [rotations, killed, failed] = [rotations, killed, failed].map(AtomicU64::into_inner);
    println!("{rotations} rotations, {killed} runs killed, {failed} failed");
    let enough = |count: u64| count > 2000 / part;
    assert!(enough(rotations) && enough(killed) && enough(failed), "{rotations}, {killed}, {failed}");
}

#[test]
fn without_the_waiting_fifty_seeds_are_enough_to_see_mail_refused() {
    let mut desired = two_hosts();
    let none = Policy { ttls: 0, slack: SignedDuration::ZERO, floor: SignedDuration::ZERO };
    desired.certificates.values_mut().for_each(|certificate| certificate.policy = none);
    let found = AtomicU64::new(0);
    seeds(&desired, 90, (1, 51), |rehearsal| {
        if let Some(refusal) = &rehearsal.refusal {
            assert_eq!(refusal.trace.len(), 20);
            found.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(found.into_inner() > 0, "nobody noticed");
}

/// The state as a run leaves it, on its way through a rotation.
fn state_after(desired: &Desired, days: i64) -> (State, Timestamp) {
    let options = options(days, None);
    let mut run = Run::new(desired.clone(), &options, &|_| None, None).unwrap();
    run.all().unwrap();
    let disk = lock(&run.universe.disk);
    let of = |name: &String| Standing { document: disk.document(name), live: disk.live(name) };
    (desired.certificates.keys().map(|name| (name.clone(), of(name))).collect(), options.until)
}

#[test]
fn a_rehearsal_goes_on_where_the_real_state_stands() {
    let mut desired = two_hosts();
    desired.certificates.get_mut("mx1").unwrap().rotate = Rotate::Every(Duration::from_secs(40 * 86_400));
    let (mut state, from) = state_after(&desired, 30);
    for history in state.values_mut().flat_map(|standing| &mut standing.document.history) {
        history.target = "_dane.example.net.".into(); // an alias, and a zone that is not new
        history.serials.insert("ns1.example.org. (192.0.2.1:53)".into(), 4_000_000_000);
    }
    let until = from + SignedDuration::from_hours(24 * 60);
    let options = Options { from, until, ..options(0, None) };
    let rehearsal = rehearse(&desired, &options, &|_| None, Some(&state)).unwrap();
    assert_eq!(rehearsal.refusal, None);
    for certificate in ["mx1", "mx2"] {
        assert_eq!(count(&rehearsal, certificate, What::Issued), 0, "{certificate} has a certificate");
        assert_eq!(count(&rehearsal, certificate, What::Stopped), 0, "nothing of the real zone is missed");
    }
    // The certificate for the new key is a fresh one; the other's is due after sixty days.
    assert_eq!((count(&rehearsal, "mx1", What::Renewed), count(&rehearsal, "mx2", What::Renewed)), (0, 1));
    // After 40 days of service, and 40 days later.
    assert_eq!(count(&rehearsal, "mx1", What::Rotated), 2);
    let pinned = rehearsal.events.iter().find(|event| event.what == What::Pinned).unwrap();
    assert_eq!((pinned.certificate.as_str(), pinned.words.as_str()), ("mx1", "C goes into DNS"));
}

#[test]
fn certificates_of_two_algorithms_at_one_host_are_rehearsed_without_their_files() {
    let mut desired = one_host("mx1");
    let absent = |name: &str| PathBuf::from(format!("/absent/{name}.key"));
    let keys = Keys::Own {
        active: ActiveKey::PrivateKey(absent("r1")),
        backup: Some(BackupKey::PrivateKey(absent("r2"))),
    };
    let ec = desired.certificates["mx1"].clone();
    let rsa = Certificate { name: "mx1-rsa".into(), keys, ..ec };
    desired.certificates.insert("mx1-rsa".into(), rsa);
    let rehearsal = rehearsed(&desired, &options(120, None));
    assert_eq!(rehearsal.refusal, None);
    for certificate in ["mx1", "mx1-rsa"] {
        assert_eq!(count(&rehearsal, certificate, What::Issued), 1, "{certificate}");
        assert!(count(&rehearsal, certificate, What::Pinned) > 0, "{certificate}");
    }
    let counts = &rehearsal.counts;
    assert!(counts.put_off < 3 && counts.failed == 0, "{} put off, {} failed", counts.put_off, counts.failed);
}

#[test]
fn a_picture_has_certificates_in_their_order_and_trouble_for_as_long_as_it_lasts() {
    let rehearsal = rehearsed(&two_hosts(), &options(30, Some(7)));
    let timeline = super::timeline(&rehearsal, "zones.yaml");
    let names: Vec<_> = timeline.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["mx1", "mx2"]);
    let lasting: Vec<_> =
        timeline.faults.iter().filter(|f| f.until.is_some_and(|until| until > f.from)).collect();
    assert!(!lasting.is_empty());
    for fault in lasting {
        let length = fault.until.unwrap().duration_since(fault.from);
        let told = [format!("for {} min", length.as_mins()), format!("for {} h", length.as_hours())];
        assert!(told.iter().any(|words| fault.name.ends_with(words)), "{fault:?}");
    }
}

/// A fault that never happens proves nothing: each is seen in a few seeds, as the trace words it.
#[test]
fn every_kind_of_fault_happens() {
    let desired = two_hosts();
    let words = [
        "killed before: UPDATE",
        "killed after: UPDATE",
        "killed before: the document",
        "killed after: the document",
        "killed after: finalize the order",
        "UPDATE: Lost",
        "UPDATE: AnswerLost",
        "the document: Lost",
        "finalize the order: AnswerLost",
        ": Limited",
        ": Broken",
        "DNS problem: SERVFAIL",
        "No space left on device",
        "the reload command fails",
        "the CA has trouble",
        "the resolver does not answer",
        "the primary takes no updates",
        "does not answer danesmith",
        "the CA revokes the certificate",
        "the CA asks for early renewal",
        "somebody deletes its files",
        "somebody deletes the pin of",
        "a foreign TLSA record is added",
        "a foreign TLSA record is removed",
        "the TTL at",
        "min behind",
        "min ahead",
    ];
    let missing = std::sync::Mutex::new(BTreeSet::from(words));
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed <= 60
                    && !missing.lock().unwrap().is_empty()
                {
                    let options = Options { keep_trace: true, ..options(60, Some(seed)) };
                    let steps = rehearsed(&desired, &options).steps;
                    missing.lock().unwrap().retain(|word| !steps.iter().any(|step| step.contains(word)));
                }
            });
        }
    });
    let missing = missing.into_inner().unwrap();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn what_the_ca_revokes_is_replaced_with_the_same_key_before_its_time() {
    let desired = one_host("mx2");
    let replaced = AtomicU64::new(0);
    seeds(&desired, 60, (1, 17), |rehearsal| {
        for revoked in rehearsal.events.iter().filter(|event| event.what == What::Revoked) {
            let soon = revoked.at + SignedDuration::from_hours(72);
            let news = |event: &&crate::model::rehearsal::Event| {
                matches!(event.what, What::Renewed | What::Switched)
                    && event.certificate == revoked.certificate
                    && revoked.at < event.at
                    && event.at < soon
            };
            replaced
                .fetch_add(u64::from(rehearsal.events.iter().any(|event| news(&event))), Ordering::Relaxed);
        }
    });
    assert!(replaced.into_inner() >= 3, "hardly any revoked certificate was replaced within three days");
}

#[test]
fn certificates_live_as_long_as_their_profile_says() {
    let mut desired = two_hosts();
    desired.certificates.get_mut("mx1").unwrap().profile = Some("shortlived".into());
    desired.certificates.get_mut("mx2").unwrap().profile = Some("tlsserver".into());
    let rehearsal = rehearsed(&desired, &options(60, None));
    assert_eq!(rehearsal.refusal, None);
    // 160 h, renewed after half of it; 45 days, renewed after two thirds.
    let (short, long) = (count(&rehearsal, "mx1", What::Renewed), count(&rehearsal, "mx2", What::Renewed));
    assert!((16..=18).contains(&short), "{short} renewals in 60 days");
    assert_eq!(long, 1);
    assert_eq!(rehearsal.counts.failed, 0);
    assert!(rehearsal.counts.budgets.iter().all(|b| b.most < b.limit), "{:?}", rehearsal.counts.budgets);
}

#[test]
fn the_page_of_a_rehearsal_from_state_shows_what_is_served_and_pinned_from_its_first_moment() {
    let desired = two_hosts();
    let (state, from) = state_after(&desired, 10);
    let options = Options { from, until: from + SignedDuration::from_hours(24 * 5), ..options(0, None) };
    let rehearsal = rehearse(&desired, &options, &|_| None, Some(&state)).unwrap();
    let timeline = super::timeline(&rehearsal, "zones.yaml");
    assert_eq!(timeline.groups.len(), 2);
    for group in &timeline.groups {
        let at_first = |kind| {
            let has = |lane: &&crate::model::timeline::Lane| {
                lane.spans.iter().any(|span| span.kind == kind && span.from == from)
            };
            group.lanes.iter().filter(has).map(|lane| lane.label.as_str()).collect::<Vec<_>>()
        };
        use crate::model::timeline::SpanKind;
        assert_eq!(at_first(SpanKind::Served).len(), 1, "{group:#?}");
        assert_eq!(at_first(SpanKind::Ripe).len(), 2, "{group:#?}");
    }
    assert!(rehearsal.events.iter().all(|event| event.at >= from));
    let lines: Vec<_> = timeline.verdict.iter().map(|line| line.what.as_str()).collect();
    assert!(lines.contains(&"orders in 3 h") && lines.contains(&"DNS changes"), "{lines:?}");
}
