//! DANE as senders see it (RFC 6698, RFC 7671, RFC 7672): which records are usable, what they match, and what that means
//! for mail.

mod chain;
mod dns;
mod finding;
mod judge;
mod ledger;
mod matching;
mod record;
mod served;
mod survey;
mod verdict;

pub use finding::{Finding, Severity};
pub use judge::judge;
pub use ledger::{Ledger, judge_ledger, with_books};
pub use matching::{Mismatch, considered, matching};
pub use record::{Tlsa, Unusable};
pub use survey::{AtServer, Found, HostView, Mail, Probe, Seen, Survey, Trust, Verified};
pub use verdict::{Outcome, Verdict, verdicts};

#[cfg(test)]
mod tests;
