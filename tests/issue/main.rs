//! The main job against real servers: BIND, Knot, unbound and pebble in a world of their own (tests/lab).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod account;
mod authority;
mod counts;
mod credentials;
mod deploy;
mod dnssec;
mod endpoints;
mod first;
mod foreign;
mod names;
mod propagation;
mod providers;
mod site;
mod verify;
mod zones;
