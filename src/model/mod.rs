//! PURE: no I/O, no clock, no randomness. What keys, pins and steps are.

pub mod desired;
pub mod key;
