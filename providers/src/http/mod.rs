//! DNS hosts behind HTTP interfaces, each described by a file (`catalog/`, FORMAT.md). One engine reads the file, asks
//! what stands, writes the difference and reads it back.

mod crypto;
mod expression;
mod fields;
mod load;
mod settings;
mod spec;
mod steps;
mod template;
mod totp;
mod value;
mod yaml;

pub use spec::{Evidence, Field, Level, Semantics, Spec, TtlRules};
pub use yaml::{At, Problem};
