//! With all rules nothing is found, in any world, and each is as large as ARCHITECTURE.md says: over a million unique states
//! in all. Time has no end in any of them; where a number is [`ANY`], neither has it.

use super::*;
use stateright::Checker;

pub(super) const STEADY: World = World {
    secondaries: 1,
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

/// The rows of ARCHITECTURE.md's tables, as cells.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let lines = include_str!("../../../ARCHITECTURE.md").lines().filter(|line| line.starts_with('|'));
    lines.map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
}

fn figure(cell: &str) -> usize {
    cell.replace(',', "").parse().unwrap_or_else(|e| panic!("ARCHITECTURE.md, {cell:?}: {e}"))
}

/// ARCHITECTURE.md says the same as what was counted.
pub(super) fn as_told(what: &str, counted: &[usize]) {
    let mut matching = rows().filter(|row| row[0] == what);
    let (Some(row), None) = (matching.next(), matching.next()) else {
        panic!("ARCHITECTURE.md needs one row {what:?}: {counted:?}")
    };
    let told: Vec<usize> = row[1..].iter().map(|cell| figure(cell)).collect();
    assert_eq!(
        told, counted,
        "ARCHITECTURE.md, row {what:?}, is told (left) and counted (right) differently"
    );
}

/// Nothing is found in this world, and it is as large as the row of ARCHITECTURE.md says.
fn holds(row: &str, world: World) {
    let checker = world.checker().threads(1).spawn_bfs().join();
    println!("{row}: {} states", checker.unique_state_count());
    checker.assert_properties();
    as_told(row, &[checker.unique_state_count()]);
}

#[test]
fn all_worlds_together_have_over_a_million_states() {
    let worlds = rows().skip_while(|row| row[0] != "world, all rules").skip(2);
    let sum: usize = worlds.take_while(|row| row[0] != "in all").map(|row| figure(row[1])).sum();
    as_told("in all", &[sum]);
    assert!(sum > 1_000_000, "{sum} states");
}

#[test]
fn mail_never_breaks_in_rotations_with_crashes_and_aborts() {
    holds("steady, 2 instances", STEADY);
}

#[test]
fn mail_never_breaks_from_the_first_deployment_on() {
    holds("first deployment, then as above", World { fresh: true, ..STEADY });
}

#[test]
fn mail_never_breaks_with_three_instances() {
    holds("3 instances", World { instances: 3, ..STEADY });
}

#[test]
fn a_second_cache_that_fetches_at_other_times_sees_no_gap() {
    holds("1 instance, 2 caches", World { caches: 2, instances: 1, ..STEADY });
}

#[test]
fn mail_never_breaks_while_servers_and_instances_do_not_answer() {
    holds(
        "2 instances, 2 caches; the secondary or an instance does not answer now and then",
        World { silence: true, caches: 2, ..STEADY },
    );
}

/// One instance and one rotation: with an administrator the world is large enough.
const ATTENDED: World = World { instances: 1, rotations: 1, ..STEADY };

#[test]
fn mail_never_breaks_while_an_administrator_deletes_pins() {
    holds(
        "1 instance, 2 caches, 1 rotation; administrator deletes pins and puts them back once a run has noticed",
        World { administrator: &[Ability::Delete], caches: 2, ..ATTENDED },
    );
}

#[test]
fn mail_never_breaks_with_two_secondaries_that_lag_each_by_itself() {
    holds("1 instance, 2 secondaries", World { secondaries: 2, instances: 1, ..STEADY });
}

#[test]
fn mail_never_breaks_while_an_administrator_adds_records() {
    holds(
        "1 instance; a record of somebody else for the served certificate is added, and removed again",
        World { administrator: &[Ability::AddForeign], instances: 1, ..STEADY },
    );
}

#[test]
fn mail_never_breaks_while_the_ttl_is_lowered_and_servers_do_not_answer() {
    let administrator = &[Ability::LowerTtl];
    holds(
        "1 instance, 1 rotation, no abort; TTL lowered while servers do not answer",
        World { administrator, silence: true, aborts: 0, ..ATTENDED },
    );
}

#[test]
fn a_forced_switch_defers_mail_for_one_ttl_at_most() {
    holds(
        "1 instance, 2 caches, 1 rotation with `--emergency --switch-now`: mail may be deferred for one TTL, no longer",
        World { emergency: true, caches: 2, ..ATTENDED },
    );
}

#[test]
fn mail_never_breaks_while_an_administrator_changes_the_backup_key() {
    let administrator = &[Ability::ChangeBackup];
    holds(
        "1 instance, 1 rotation, 1 kill, no abort; another backup key is named, then the former again, its pin put back",
        World { administrator, crashes: 1, aborts: 0, ..ATTENDED },
    );
}

#[test]
fn mail_never_breaks_while_the_backup_key_is_lost_and_found_in_a_rotation_or_out_of_one() {
    holds(
        "1 instance, 1 rotation; no backup key is named, in a rotation too, then the former again",
        World { administrator: &[Ability::NameNone], ..ATTENDED },
    );
}
