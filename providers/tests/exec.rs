//! Exec plugins: the reference plugins against a real BIND on loopback, hostile ones against our patience. What is
//! missing on this host fails a test and is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "exec/hostile.rs"]
mod hostile;
#[path = "exec/plugins.rs"]
mod plugins;
#[allow(dead_code, unused_imports, reason = "shared with the tests of other providers")]
mod support;
#[path = "exec/tools.rs"]
mod tools;
