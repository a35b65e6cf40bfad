//! The recipes, top-down: observe → plan → act, one step at a time. Everything that touches the world goes through the
//! traits in [`World`]; the model, the rehearsal and the real run call the same code.

pub mod account;
pub mod account_change;
pub mod apply;
pub mod authoritative;
mod challenge;
pub mod check;
mod deploy;
pub mod forgotten;
pub mod gone;
mod issue;
mod keys;
mod locate;
mod look;
mod observe;
mod order;
pub mod preview;
mod propagation;
mod publish;
mod renewal_info;
pub mod revoke;
mod rotate;
pub mod status;
mod txt;
pub mod verify;
#[cfg(test)]
mod verify_tests;
mod working;
pub mod world;
mod zone_writer;

pub use keys::WantedKeys;
pub use world::World;
