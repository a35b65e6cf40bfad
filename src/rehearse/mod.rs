//! `danesmith rehearse`: what the shipped flow and plan would do with a zones.yaml, in a simulated world and in virtual
//! time. Nothing here decides anything about keys, pins or certificates: this room is the world around `flow`, behind the
//! same traits as the real one (ARCHITECTURE.md, "The rehearsal").

mod administrator;
mod authority;
mod ca;
mod dice;
mod disk;
mod faults;
mod host;
mod keys;
mod mail;
mod notes;
mod picture;
mod reads;
mod run;
mod senders;
mod signing;
mod stand_ins;
mod standing;
mod story;
mod time;
mod universe;
mod updates;
mod zones;

pub use picture::timeline;
pub use run::{Options, rehearse};
pub use stand_ins::ReadFile;
pub use standing::{Standing, State};

#[cfg(test)]
mod tests;
