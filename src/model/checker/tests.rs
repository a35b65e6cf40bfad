//! What the checker finds: nothing with all rules, a counterexample without each.

use super::*;

const STEADY: World = World {
    instances: 2,
    caches: 1,
    horizon: 7,
    crashes: 1,
    rotations: 1,
    aborts: 1,
    fresh: false,
    administrator: false,
    broken: None,
};

fn holds(world: World) -> usize {
    let checker = world.checker().threads(1).spawn_bfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// How many states were looked at before somebody noticed, and how.
fn noticed(world: World, property: &'static str) {
    let broken = world.broken;
    let checker =
        world.checker().threads(1).finish_when(HasDiscoveries::AllOf([property].into())).spawn_bfs().join();
    let path = checker.discovery(property).map(|p| p.into_actions());
    println!("{broken:?}: {} states until not \"{property}\": {path:?}", checker.unique_state_count());
    let others: Vec<_> = checker.discoveries().into_iter().map(|(n, p)| (n, p.into_actions())).collect();
    assert!(path.is_some(), "nobody notices {broken:?}, only {others:?}");
}

fn without(guard: Guard) -> Option<Broken> {
    Some(Broken::Guard(guard))
}

#[test]
fn mail_never_breaks_in_a_rotation_with_crashes_and_aborts() {
    println!("{} states", holds(STEADY));
}

#[test]
fn mail_never_breaks_at_the_first_deployment() {
    println!("{} states", holds(World { fresh: true, rotations: 0, aborts: 0, ..STEADY }));
}

#[test]
fn mail_never_breaks_while_an_administrator_edits() {
    println!(
        "{} states",
        holds(World { administrator: true, aborts: 0, instances: 1, horizon: 5, ..STEADY })
    );
}

#[test]
fn a_second_cache_that_fetches_at_other_times_sees_no_gap() {
    println!("{} states", holds(World { caches: 2, aborts: 0, crashes: 0, instances: 1, ..STEADY }));
}

#[test]
fn without_the_waiting_mail_breaks() {
    noticed(World { broken: without(Guard::Wait), ..STEADY }, "mail never breaks");
}

#[test]
fn one_second_less_than_the_ttl_is_too_short() {
    noticed(World { broken: Some(Broken::WaitOneLess), ..STEADY }, "mail never breaks");
}

#[test]
fn without_the_ttl_history_a_lowered_ttl_breaks_mail() {
    let broken = without(Guard::TtlHistory);
    noticed(World { broken, administrator: true, horizon: 9, ..STEADY }, "mail never breaks");
}

#[test]
fn waiting_for_the_primary_only_breaks_mail() {
    noticed(World { broken: Some(Broken::PrimaryOnly), ..STEADY }, "mail never breaks");
}

#[test]
fn retiring_after_the_first_instance_breaks_mail() {
    noticed(World { broken: without(Guard::AllInstances), ..STEADY }, "mail never breaks");
}

#[test]
fn a_clock_that_goes_on_although_the_pin_vanished_breaks_mail() {
    let broken = without(Guard::ClockReset);
    noticed(World { broken, administrator: true, ..STEADY }, "mail never breaks");
}

#[test]
fn replacing_the_set_loses_records_of_others() {
    let world = World { broken: Some(Broken::Replace), administrator: true, ..STEADY };
    noticed(world, "records of others survive");
}

#[test]
fn publishing_before_the_document_is_written_leaves_pins_that_nobody_knows() {
    noticed(World { broken: Some(Broken::WriteLate), ..STEADY }, "every pin is a known key");
}

#[test]
fn a_clock_that_stops_on_disk_only_after_the_removal_breaks_mail() {
    let world = World { broken: Some(Broken::WriteLate), administrator: true, ..STEADY };
    noticed(world, "mail never breaks");
}

#[test]
fn pinning_before_the_key_is_served_breaks_mail() {
    let broken = without(Guard::DeployFirst);
    noticed(World { broken, fresh: true, ..STEADY }, "mail never breaks");
}
