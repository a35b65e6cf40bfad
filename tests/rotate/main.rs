//! `danesmith rotate` at real servers: BIND and Knot with the zone, pebble, two Postfix behind one name, an Exim; Postfix and
//! Exim send all the while.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod dual;
mod emergency;
mod foreign;
mod hourly;
mod neighbours;
mod oracles;
mod owners;
mod phases;
mod post;
mod refusals;
mod rehearsed;
mod restored;
mod schedule;
mod silence;
mod sweep;
mod trouble;
mod twenty;
mod weather;
