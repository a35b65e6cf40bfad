//! PURE: no I/O, no clock, no randomness (but for the making of keys). What keys, pins and steps are.

pub mod certificate;
pub mod csr;
mod der;
pub mod desired;
pub mod document;
pub mod key;
pub mod memory;
pub mod plan;
pub mod renewal;
mod key_error;
pub mod name;
mod pem;
pub mod pin;
pub mod private_key;
