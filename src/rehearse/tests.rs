//! Rehearsals, and what they must show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::run::{Options, Run, rehearse};
use crate::config;
use crate::model::desired::Desired;
use crate::model::rehearsal::{Rehearsal, What};

fn example() -> Desired {
    config::template().unwrap_or_else(|e| panic!("{e:?}"))
}

fn options(days: i64, seed: Option<u64>) -> Options {
    let from: jiff::Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
    let until = from + jiff::SignedDuration::from_hours(24 * days);
    Options { from, until, seed, every: 3600, keep_trace: true }
}

fn rehearsed(desired: &Desired, options: &Options) -> Rehearsal {
    rehearse(desired, options, &|_| None, None).unwrap()
}

#[test]
fn ninety_days_of_the_example() {
    let begun = std::time::Instant::now();
    let mut run = Run::new(example(), &options(90, None), &|_| None, None).unwrap();
    run.all().unwrap();
    println!("{:?}", begun.elapsed());
    for line in run.trace().iter().take(300) {
        println!("{line}");
    }
    let rehearsal = run.finish();
    for event in &rehearsal.events {
        println!("{} {} {:?} {} {:?}", event.at, event.certificate, event.what, event.words, event.caches);
    }
    println!("{:?} {:?}", rehearsal.counts, rehearsal.refusal);
    assert_eq!(rehearsal.refusal, None);
    assert!(rehearsal.events.iter().any(|event| event.what == What::Issued));
}
