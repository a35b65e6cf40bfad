//! A look at the servers that the world asks. Who they are is found by the caller; this crate only needs their answers:
//! for tools that can write but not list, and for the proof of a conformance check.

use crate::{Error, RrSet};
use async_trait::async_trait;
use hickory_proto::rr::{Name, RecordType};

/// Every authoritative server of a zone, asked directly.
#[async_trait]
pub trait Authoritative: Send + Sync {
    /// What each server answers for `name`, one entry per server; empty sets are answers, too.
    ///
    /// Errors: [`crate::Class::NotFound`] when no server serves `zone`, [`crate::Class::Transient`] when one of them
    /// does not answer (a server nobody heard may hold what must not be removed), [`crate::Class::Conflict`] for an alias at
    /// `name`.
    async fn look(&self, zone: &Name, name: &Name, rtype: RecordType) -> Result<Vec<RrSet>, Error>;
}
