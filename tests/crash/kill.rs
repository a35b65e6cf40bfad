//! SIGKILL before and after every state-changing system call.

use crate::scene::{Live, Scene};
use crate::sweeper::{Statistics, count, run};

/// More calls than this and the sweep would not end: a defect of ours.
const MANY: usize = 2000;

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
    scene.reset();
    let calls = count(&scene, &when[2..]);
    let mut statistics = Statistics::new(what);
    let mut extra_orders = 0;
    for n in 1..MANY {
        scene.reset();
        let killed = run(&scene, &[&["kill", &n.to_string()], when].concat());
        let context = format!("{what} {n}: {}", killed.call);
        if !killed.reached {
            assert_eq!(killed.code, Some(0), "{context}");
            scene.assert_done(&context);
            break;
        }
        statistics.add(&killed.call);
        scene.assert_whole_or_absent(&context);
        scene.apply_well(&context);
        scene.assert_done(&context);
        extra_orders += orders_of(&scene, &context) - 1;
    }
    statistics.assert_complete(&calls);
    statistics.print(&format!("{extra_orders} of them cost a second order"));
}

fn sweep_renewal(what: &str, when: &[&str]) {
    let scene = Scene::new();
    scene.grow_old();
    let (old, pins) = (scene.assert_done("the old certificate"), scene.pins());
    scene.rewind();
    let calls = count(&scene, &when[2..]);
    let mut statistics = Statistics::new(what);
    let mut extra_orders = 0;
    for n in 1..MANY {
        scene.rewind();
        let killed = run(&scene, &[&["kill", &n.to_string()], when].concat());
        let context = format!("{what} {n}: {}", killed.call);
        assert_eq!(scene.pins(), pins, "{context}: pins");
        let live =
            scene.assert_whole_or_absent(&context).unwrap_or_else(|| panic!("{context}: live is gone"));
        if !killed.reached {
            assert_eq!(killed.code, Some(0), "{context}");
            assert_renewed(&scene, &old, &context);
            break;
        }
        statistics.add(&killed.call);
        assert!(live == old || live.generation == old.generation + 1, "{context}: {live:?}");
        scene.apply_well(&context);
        assert_renewed(&scene, &old, &context);
        assert_eq!(scene.pins(), pins, "{context}: pins");
        extra_orders += orders_of(&scene, &context) - 1;
    }
    statistics.assert_complete(&calls);
    statistics.print(&format!("{extra_orders} of them cost a second order"));
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
