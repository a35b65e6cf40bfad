//! The danesmith command.
fn main() {}
