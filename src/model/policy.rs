//! How long a pin must have been published before its key may be served (RFC 7671 §8.1), and the numbers of that rule.

use jiff::SignedDuration;

/// The waiting rule: a pin is ripe `ttls` × the largest TTL of the RRset + `slack` after every authoritative server was
/// seen to have it. Caches that were filled before that moment, without the pin, have expired by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many TTLs; at least 1, which is exact; 2 is what RFC 7671 §8.1 says.
    pub ttls: u32,
    /// Added to that, for servers and caches that nobody can ask.
    pub slack: SignedDuration,
    /// Taken for the TTL while it is not known what TTL the RRset had before us: somebody may have lowered it just now.
    pub floor: SignedDuration,
}

impl Default for Policy {
    /// 2 TTLs; one hour, our choice: it covers an anycast node that missed a NOTIFY and polls by a usual SOA refresh, a
    /// resolver with a forced minimum TTL, and clocks that differ; a day, the longest TTL that TLSA is usually given.
    fn default() -> Self {
        Policy { ttls: 2, slack: SignedDuration::from_hours(1), floor: SignedDuration::from_secs(86_400) }
    }
}
