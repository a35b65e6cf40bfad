//! Exec plugins: the reference plugins against a real BIND on loopback, hostile ones against our patience. What is
//! missing on this host fails a test and is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "exec/acme_sh.rs"]
mod acme_sh;
#[path = "exec/hostile.rs"]
mod hostile;
#[path = "exec/lego.rs"]
mod lego;
#[path = "exec/lexicon.rs"]
mod lexicon;
#[path = "exec/manual.rs"]
mod manual;
#[path = "exec/plugins.rs"]
mod plugins;
#[path = "exec/powerdns.rs"]
mod powerdns;
#[path = "exec/python.rs"]
mod python;
mod support;
#[path = "exec/together.rs"]
mod together;
#[path = "exec/tools.rs"]
mod tools;
