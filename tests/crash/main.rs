//! What a kill, a failing disk or a curious neighbour finds. The sweeps stop danesmith at every state-changing system
//! call it makes, and look at what stands on disk, in the zone and at the CA.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod account;
mod disk;
mod errno;
mod kill;
mod order;
mod scene;
mod secrets;
mod sweeper;
