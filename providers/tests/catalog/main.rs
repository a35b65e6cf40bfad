//! The catalog: every file loads, is counted, and is driven against a fake of its host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures
)]

mod carried;
mod case;
mod drive;
#[path = "../support/fetched.rs"]
mod fetched;
mod files;
mod known;
mod models;
mod mutated;
mod reach;
mod sample;
mod signature;
mod steps;
mod table;
mod tree;
mod wire;
mod zone;
