//! cli

pub mod files;
pub mod keys;
pub mod tlsa;
