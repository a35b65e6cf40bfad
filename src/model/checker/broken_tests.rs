//! Without each rule mail breaks, or something else that must not happen: a rule whose absence nobody noticed would be
//! superfluous, or the world too small.

use super::tests::{STEADY, as_told};
use super::*;
use stateright::{Checker, HasDiscoveries};

const MAIL: &str = "mail never breaks";

/// Somebody notices, after as many states and steps as the row of ARCHITECTURE.md says.
fn noticed(row: &str, world: World, property: &'static str) {
    let broken = world.broken;
    let checker =
        world.checker().threads(1).finish_when(HasDiscoveries::AllOf([property].into())).spawn_bfs().join();
    let path = checker.discovery(property).map(|p| p.into_actions());
    let steps = path.as_ref().map_or(0, Vec::len);
    let states = checker.unique_state_count();
    println!("{broken:?}: {states} states, {steps} steps until not \"{property}\": {path:?}");
    let others: Vec<_> = checker.discoveries().into_iter().map(|(n, p)| (n, p.into_actions())).collect();
    assert!(path.is_some(), "nobody notices {broken:?} in {states} states, only {others:?}");
    as_told(row, &[states, steps]);
}

fn without(guard: Guard) -> Option<Broken> {
    Some(Broken::Guard(guard))
}

#[test]
fn without_the_waiting_mail_breaks() {
    noticed("the waiting", World { broken: without(Guard::Wait), ..STEADY }, MAIL);
}

#[test]
fn one_second_less_than_the_ttl_is_too_short() {
    noticed("its last second", World { broken: Some(Broken::WaitOneLess), ..STEADY }, MAIL);
}

#[test]
fn without_the_ttl_history_a_lowered_ttl_breaks_mail() {
    let broken = without(Guard::TtlHistory);
    noticed("TTLs of the past", World { broken, administrator: &[Ability::LowerTtl], ..STEADY }, MAIL);
}

/// Before the first look the TTL was another.
#[test]
fn taking_the_first_ttl_that_is_seen_for_that_of_the_past_breaks_mail() {
    let broken = Some(Broken::NoFloor);
    noticed(
        "the floor: what stood there before the first look",
        World { broken, administrator: &[Ability::LowerTtl], ..STEADY },
        MAIL,
    );
}

/// A record of somebody else matches the certificate of the former key only.
#[test]
fn switching_although_a_record_of_somebody_else_would_match_nothing_breaks_mail() {
    let broken = without(Guard::Others);
    noticed(
        "records of others match the certificate to come",
        World { broken, administrator: &[Ability::AddForeign], ..STEADY },
        MAIL,
    );
}

/// A record of somebody else for the former certificate was removed, and caches still hold it.
#[test]
fn switching_while_caches_hold_a_record_of_somebody_else_that_is_gone_breaks_mail() {
    let broken = without(Guard::OthersGone);
    noticed(
        "records of others that are gone are waited for",
        World { broken, administrator: &[Ability::AddForeign], ..STEADY },
        MAIL,
    );
}

#[test]
fn waiting_for_the_primary_only_breaks_mail() {
    noticed("the secondary's answer", World { broken: Some(Broken::PrimaryOnly), ..STEADY }, MAIL);
}

#[test]
fn taking_silence_for_consent_breaks_mail() {
    noticed(
        "silence is no consent",
        World { broken: Some(Broken::SilenceIsConsent), silence: true, ..STEADY },
        MAIL,
    );
}

#[test]
fn retiring_after_the_first_instance_breaks_mail() {
    noticed(
        "retire only when every instance has left the key",
        World { broken: without(Guard::AllInstances), ..STEADY },
        MAIL,
    );
}

#[test]
fn a_clock_that_goes_on_although_the_pin_vanished_breaks_mail() {
    let broken = without(Guard::ClockReset);
    noticed(
        "a clock stops when the pin vanishes",
        World { broken, administrator: &[Ability::Delete], ..STEADY },
        MAIL,
    );
}

#[test]
fn replacing_the_set_loses_records_of_others() {
    let world = World { broken: Some(Broken::Replace), administrator: &[Ability::AddForeign], ..STEADY };
    noticed("add and remove by value (a foreign record is lost)", world, "records of others survive");
}

#[test]
fn publishing_before_the_document_is_written_leaves_pins_that_nobody_knows() {
    noticed(
        "document before effect (a pin that nobody knows)",
        World { broken: Some(Broken::WriteLate), ..STEADY },
        "every pin is a known key",
    );
}

#[test]
fn a_clock_that_stops_on_disk_only_after_the_removal_breaks_mail() {
    let world = World { broken: Some(Broken::WriteLate), administrator: &[Ability::ChangeBackup], ..STEADY };
    noticed("a clock stops on disk before the removal", world, MAIL);
}

#[test]
fn pinning_before_the_key_is_served_breaks_mail() {
    noticed(
        "serve before the first pin",
        World { broken: without(Guard::DeployFirst), fresh: true, ..STEADY },
        MAIL,
    );
}

/// Outside the guarantee: nobody can see what happened between two looks.
#[test]
fn a_pin_that_is_deleted_and_put_back_between_two_looks_breaks_mail() {
    noticed(
        "nothing, but a pin is deleted and put back between two looks",
        World { administrator: &[Ability::Delete, Ability::RestoreUnseen], ..STEADY },
        MAIL,
    );
}

/// Between the decision and the switch somebody deletes the new pin: nobody presents its key yet.
#[test]
fn a_switch_that_a_killed_run_had_decided_breaks_mail_unless_it_is_decided_again() {
    let broken = without(Guard::DecidedAgain);
    noticed(
        "a switch that a killed run had decided is decided again",
        World { broken, administrator: &[Ability::Delete], ..STEADY },
        MAIL,
    );
}

/// Somebody deletes the former pin when every instance has left its key, and then the rotation is aborted.
#[test]
fn an_abort_to_a_key_whose_pin_is_not_ripe_breaks_mail() {
    let broken = without(Guard::AbortRipe);
    noticed(
        "an abort waits for the former pin, unless somebody presents its key",
        World { broken, administrator: &[Ability::Delete], ..STEADY },
        MAIL,
    );
}

/// The secondary goes on giving the higher TTL to caches while it does not answer us.
#[test]
fn a_ttl_that_counts_as_gone_while_a_server_is_silent_breaks_mail() {
    let broken = without(Guard::SilentTtl);
    let administrator = &[Ability::LowerTtl];
    noticed(
        "a TTL is gone, and the floor begins, only when every server answered",
        World { broken, silence: true, administrator, instances: 1, aborts: 0, ..STEADY },
        MAIL,
    );
}
