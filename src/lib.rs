//! danesmith: certificates by ACME DNS-01 for keys the administrator controls, and DANE TLSA records that follow them.

pub mod acme;
pub mod clock;
pub mod dns;
pub mod error;
