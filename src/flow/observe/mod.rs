//! Looking, before anything is decided.

mod endpoints;
mod pins;
mod summary;

pub(super) use endpoints::endpoints;
pub(super) use pins::{owner_of, pins};
