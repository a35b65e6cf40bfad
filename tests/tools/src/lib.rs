//! Shared by the test tools: programs that test danesmith from outside, never a part of it.
//!
//! - [`sweep`]: runs a program under `ptrace`, numbers its state-changing system calls, and kills it or fails a
//!   call at any one of them (binary `sweeper`).

pub mod sweep;
