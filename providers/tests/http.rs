//! The engine for described DNS hosts: files that are right and wrong, hosts that are real and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "http/format.rs"]
mod format;
