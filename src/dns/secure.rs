//! What DNSSEC says about an answer.

use super::Answer;
use hickory_proto::rr::{Name, RData};
use jiff::Timestamp;

/// The verdict on an answer (RFC 4035 §4.3), whether it holds records or denies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Signed, along an unbroken chain from the trust anchor.
    Secure {
        /// When the first of the signatures over the answer ends.
        until: Timestamp,
        /// When the last of them ends: until then the answer can be replayed.
        last: Timestamp,
    },
    /// A parent proves that there is no chain down to here, or no trust anchor covers the name; why, for people.
    Insecure(String),
    /// It should be signed and is not, or wrongly: validating resolvers answer SERVFAIL. Why, for people.
    Bogus(String),
}

impl Security {
    /// Is it [`Security::Secure`]?
    pub fn is_secure(&self) -> bool {
        matches!(self, Security::Secure { .. })
    }

    /// Why not secure: "insecure: …", "bogus: …".
    pub fn weakness(&self) -> Option<String> {
        match self {
            Security::Secure { .. } => None,
            Security::Insecure(why) => Some(format!("insecure: {why}")),
            Security::Bogus(why) => Some(format!("bogus: {why}")),
        }
    }
}

/// What one authoritative server answered, and whether a validating resolver would believe it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The answer.
    pub answer: Answer,
    /// The verdict on it.
    pub security: Security,
}

/// What a look-up through the recursive resolvers gave, as a sender of mail would see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// The name that was asked for (lower case).
    pub asked: Name,
    /// The name after aliases: where the records are, or are missing.
    pub name: Name,
    /// The aliases on the way, in order.
    pub links: Vec<Link>,
    /// Record data of the asked type at [`Lookup::name`]; empty for NXDOMAIN and NODATA.
    pub records: Vec<RData>,
    /// TTL of these records, seconds: the original TTL (RFC 4034 §3.1.4) of signed ones, otherwise what is left of it in
    /// the resolver's cache; 0 without records.
    pub ttl: u32,
    /// [`Lookup::name`] does not exist.
    pub nxdomain: bool,
    /// The verdict on the whole: links, and records or their denial.
    pub security: Security,
}

/// One alias: a CNAME, its own or made from a DNAME.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The alias.
    pub owner: Name,
    /// What it leads to.
    pub target: Name,
    /// TTL of the CNAME, seconds, as [`Lookup::ttl`].
    pub ttl: u32,
    /// The verdict on the CNAME alone.
    pub security: Security,
}
