//! Shared by the test tools: programs that test danesmith from outside, never a part of it.
//!
//! - [`sweep`]: runs a program under `ptrace`, numbers its state-changing system calls, and kills it or fails a
//!   call at any one of them (binary `sweeper`).
//! - [`canary`]: finds secrets in logs, state and traces (binary `canary`).
//! - [`floor`]: how fast certificates can be had at all (binary `floor`).
//! - [`usage`]: CPU time and memory of a process (binaries `measure` and `floor`).

pub mod canary;
pub mod floor;
pub mod sweep;
pub mod usage;
