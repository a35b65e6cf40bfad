//! PURE: no I/O, no clock, no randomness (but for the making of keys). What keys, pins and steps are.

pub mod certificate;
pub mod csr;
mod der;
pub mod desired;
pub mod document;
pub mod endpoint;
pub mod key;
mod key_error;
pub mod memory;
pub mod name;
pub mod outcome;
mod pem;
pub mod pin;
pub mod plan;
pub mod policy;
pub mod private_key;
pub mod renewal;
