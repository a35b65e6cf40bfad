//! Whether a provider keeps the contract in a real zone: writes, reads and removals under a random owner name of their
//! own. Nothing that stood before is touched, and what was written is removed again, also after a failure.

mod run;
mod sample;
#[cfg(test)]
mod tests;

use crate::Provider;
use crate::authoritative::Authoritative;
use hickory_proto::rr::Name;
use std::time::Duration;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, as a sentence that is true when it passed.
    pub check: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen; empty when there is nothing to say.
    pub detail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As the contract says.
    Passed,
    /// Less than the contract says, but safe: it leaves behind what it should have removed, and says so.
    Limited,
    /// Against the contract.
    Failed,
    /// Not tried; the detail says why.
    Skipped,
}

/// What to check and how.
pub struct Check<'a> {
    /// Under test.
    pub provider: &'a dyn Provider,
    /// A zone in which records may come and go for a moment.
    pub zone: &'a Name,
    /// The servers that the world asks; none: only the provider's own word counts.
    pub authoritative: Option<&'a dyn Authoritative>,
    /// How long a change may take to show, at the provider and at the servers each.
    pub patience: Duration,
}

/// Runs all checks. The first that fails ends the writing; what was written is removed in any case.
///
/// Never fails itself: what goes wrong is a finding.
pub async fn check(check: &Check<'_>) -> Vec<Finding> {
    run::Run::new(check).finish().await
}

/// Whether nothing failed.
pub fn conforms(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.outcome != Outcome::Failed)
}
