//! PURE: no I/O, no clock, no randomness (but for the making of keys). What keys, pins and steps are.

pub mod certificate;
#[cfg(test)]
mod checker;
pub mod csr;
pub mod dane;
pub mod dane_others;
mod der;
pub mod desired;
pub mod document;
pub mod endpoint;
pub mod evidence;
pub mod key;
mod key_error;
pub mod ledger;
pub mod memory;
pub mod name;
pub mod outcome;
mod pem;
pub mod pin;
pub mod plan;
pub mod policy;
pub mod private_key;
pub mod provider;
pub mod rehearsal;
pub mod renewal;
pub mod ripeness;
pub mod rotation;
pub mod timeline;
