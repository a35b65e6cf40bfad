//! SIGKILL before and after every state-changing system call.

use crate::scene::{Live, Scene};
use crate::sweeper::{Statistics, count, run};

/// More calls than this and the sweep would not end: a defect of ours.
const MANY: usize = 2000;
/// How often the calls that were missed are aimed at by what they are. Once is enough but for calls that only some runs
/// make.
const AIMS: usize = 3;

#[test]
fn a_first_issue_survives_a_kill_before_every_change_on_disk() {
    sweep_first_issue("kill before files, first issue", &["--when", "before", "--files"]);
}

#[test]
fn a_first_issue_survives_a_kill_after_every_change_on_disk() {
    sweep_first_issue("kill after files, first issue", &["--when", "after", "--files"]);
}

#[test]
fn a_first_issue_survives_a_kill_before_every_message() {
    sweep_first_issue("kill before network, first issue", &["--when", "before", "--net"]);
}

#[test]
fn a_renewal_survives_a_kill_before_every_change_on_disk() {
    sweep_renewal("kill before files, renewal", &["--when", "before", "--files"]);
}

#[test]
fn a_renewal_survives_a_kill_after_every_change_on_disk() {
    sweep_renewal("kill after files, renewal", &["--when", "after", "--files"]);
}

#[test]
fn a_renewal_survives_a_kill_before_every_message() {
    sweep_renewal("kill before network, renewal", &["--when", "before", "--net"]);
}

fn sweep_first_issue(what: &str, when: &[&str]) {
    let scene = Scene::new();
    let mut extra_orders = 0;
    let reset = || scene.reset();
    let statistics = sweep(what, &scene, &when[2..], reset, |aim| {
        scene.reset();
        let killed = run(&scene, &[&["kill"], aim, when].concat());
        let context = format!("{what} {aim:?}: {}", killed.call);
        if !killed.reached {
            assert_eq!(killed.code, Some(0), "{context}");
            scene.assert_done(&context);
            return None;
        }
        scene.assert_whole_or_absent(&context);
        scene.apply_well(&context);
        scene.assert_done(&context);
        extra_orders += orders_of(&scene, &context) - 1;
        Some(killed.shape)
    });
    statistics.print(&format!("{extra_orders} of them cost a second order"));
}

fn sweep_renewal(what: &str, when: &[&str]) {
    let scene = Scene::new();
    scene.grow_old();
    let (old, pins) = (scene.assert_done("the old certificate"), scene.pins());
    let mut extra_orders = 0;
    let rewind = || scene.rewind();
    let statistics = sweep(what, &scene, &when[2..], rewind, |aim| {
        scene.rewind();
        let killed = run(&scene, &[&["kill"], aim, when].concat());
        let context = format!("{what} {aim:?}: {}", killed.call);
        assert_eq!(scene.pins(), pins, "{context}: pins");
        let live =
            scene.assert_whole_or_absent(&context).unwrap_or_else(|| panic!("{context}: live is gone"));
        if !killed.reached {
            assert_eq!(killed.code, Some(0), "{context}");
            assert_renewed(&scene, &old, &context);
            return None;
        }
        assert!(live == old || live.generation == old.generation + 1, "{context}: {live:?}");
        scene.apply_well(&context);
        assert_renewed(&scene, &old, &context);
        assert_eq!(scene.pins(), pins, "{context}: pins");
        extra_orders += orders_of(&scene, &context) - 1;
        Some(killed.shape)
    });
    statistics.print(&format!("{extra_orders} of them cost a second order"));
}

/// Every number from 1 on, then what was missed, each by its shape: how many calls come before one differs between runs.
pub(crate) fn sweep(
    what: &str,
    scene: &Scene,
    filter: &[&str],
    reset: impl Fn(),
    mut point: impl FnMut(&[&str]) -> Option<String>,
) -> Statistics {
    let mut statistics = Statistics::new(what);
    for n in 1..MANY {
        let Some(shape) = point(&[&n.to_string()]) else { break };
        statistics.add(&shape);
    }
    for _ in 0..AIMS {
        reset();
        let missed = statistics.missed(count(scene, filter));
        if missed.is_empty() {
            return statistics;
        }
        for shape in missed.iter().filter_map(|shape| point(&["1", "--shape", shape])) {
            statistics.add(&shape);
        }
    }
    reset();
    let missed = statistics.missed(count(scene, filter));
    assert!(missed.is_empty(), "{what}: never at {missed:#?}");
    statistics
}

fn assert_renewed(scene: &Scene, old: &Live, context: &str) {
    let new = scene.assert_done(context);
    assert_eq!(new.spki, old.spki, "{context}: a renewal keeps the key");
    assert_eq!(new.generation, old.generation + 1, "{context}");
    assert_ne!(new.cert, old.cert, "{context}");
}

fn orders_of(scene: &Scene, context: &str) -> usize {
    let orders = scene.orders();
    assert!((1..=2).contains(&orders), "{context}: {orders} orders");
    orders
}
