//! Keys, CSRs, certificates and pins against OpenSSL and BIND's tools: what they make we read, what we make they take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod dir;
mod matrix;
mod rehearse;
mod status;
