//! `danesmith rotate` at real servers: BIND and Knot with the zone, pebble, two Postfix behind one name, an Exim; Postfix and
//! Exim send all the while.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod emergency;
mod hourly;
mod owners;
mod phases;
mod post;
mod refusals;
mod sweep;
mod twenty;
