//! The floor: how fast certificates can be had at all.
//!
//! Sends only what RFC 8555 and RFC 2136 make necessary, and everything at once that may be at once: nonces, orders,
//! authorizations, one UPDATE per zone, looks at all authoritative servers, challenges; the clean-up runs while the
//! CA signs. The directory is cached and the account known. No state is kept, nothing is verified, nothing resumes:
//! this is a ruler, not a client.

pub mod acme;
pub mod dns;
pub mod http;
pub mod issue;

/// Any failure ends the measurement; its text says where.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
