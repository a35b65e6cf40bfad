//! Files for a server: what stands in `deploy.dir`, whose it is, what a kill or a full disk leaves, and what Postfix says.
//! Certificates are made here and put into the state directory, so that `apply` has nothing to do but to deploy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod folder;
mod ground;
mod postfix;
mod site;
mod sweep;
