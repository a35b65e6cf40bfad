//! The main job against real servers: BIND, Knot, unbound and pebble in a world of their own (tests/lab).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

#[allow(unreachable_pub, dead_code)]
#[path = "../../providers/tests/exec/python.rs"]
mod python;

mod account;
mod adapters;
mod authority;
mod counts;
mod credentials;
mod deceived;
mod deploy;
mod dnssec;
mod endpoints;
mod first;
mod foreign;
mod interrupted;
mod knot;
mod locks;
mod names;
mod propagation;
mod providers;
mod renewal;
mod revoke;
mod secrets;
mod site;
mod terminal;
mod transports;
mod verify;
mod zones;
