//! With all rules nothing is found, in any world: 1,131,000 unique states at least, the sum of the numbers below. Time has no
//! end in any of them; where a number is [`ANY`], neither has it.

use super::*;
use stateright::Checker;

pub(super) const STEADY: World = World {
    instances: 2,
    caches: 1,
    crashes: ANY,
    rotations: ANY,
    aborts: ANY,
    emergency: false,
    silence: false,
    fresh: false,
    administrator: &[],
    broken: None,
};

/// Nothing is found in this world, and it is as large as it was.
fn holds(world: World, at_least: usize) {
    let checker = world.checker().threads(1).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.unique_state_count() >= at_least, "{} states only", checker.unique_state_count());
}

#[test]
fn mail_never_breaks_in_rotations_with_crashes_and_aborts() {
    holds(STEADY, 19_000);
}

#[test]
fn mail_never_breaks_from_the_first_deployment_on() {
    holds(World { fresh: true, ..STEADY }, 19_000);
}

#[test]
fn mail_never_breaks_with_three_instances() {
    holds(World { instances: 3, ..STEADY }, 21_000);
}

#[test]
fn a_second_cache_that_fetches_at_other_times_sees_no_gap() {
    holds(World { caches: 2, instances: 1, ..STEADY }, 56_000);
}

#[test]
fn mail_never_breaks_while_servers_and_instances_do_not_answer() {
    holds(World { silence: true, caches: 2, ..STEADY }, 237_000);
}

/// One instance and one rotation: with an administrator the world is large enough.
const ATTENDED: World = World { instances: 1, rotations: 1, ..STEADY };

#[test]
fn mail_never_breaks_while_an_administrator_deletes_pins() {
    holds(World { administrator: &[Ability::Delete], caches: 2, ..ATTENDED }, 317_000);
}

#[test]
fn mail_never_breaks_while_an_administrator_adds_records() {
    holds(World { administrator: &[Ability::AddForeign], ..ATTENDED }, 22_000);
}

#[test]
fn mail_never_breaks_while_the_ttl_is_lowered_and_servers_do_not_answer() {
    let administrator = &[Ability::LowerTtl];
    holds(World { administrator, silence: true, aborts: 0, ..ATTENDED }, 119_000);
}

#[test]
fn a_forced_switch_defers_mail_for_one_ttl_at_most() {
    holds(World { emergency: true, caches: 2, ..ATTENDED }, 211_000);
}

#[test]
fn mail_never_breaks_while_an_administrator_changes_the_backup_key() {
    let administrator = &[Ability::ChangeBackup];
    holds(World { administrator, crashes: 0, aborts: 0, ..ATTENDED }, 110_000);
}
