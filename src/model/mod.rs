//! PURE: no I/O, no clock, no randomness. What keys, pins and steps are.

pub mod desired;
pub mod document;
pub mod key;
pub mod memory;
pub mod plan;
pub mod renewal;
