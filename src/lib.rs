//! danesmith: certificates by ACME DNS-01 for keys the administrator controls, and DANE TLSA records that follow them.

pub mod acme;
pub mod atomic;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deploy;
pub mod dns;
pub mod error;
pub mod flow;
pub mod model;
pub mod rehearse;
pub mod report;
pub mod secret;
pub mod store;
pub mod verify;
