//! Looking, before anything is decided.

mod endpoints;
mod pins;

pub(super) use endpoints::endpoints;
pub(super) use pins::{owner_of, pins};
