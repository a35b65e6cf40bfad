//! Every number that zones.yaml leaves open, with its unit and where it comes from.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The schema version of zones.yaml that this program reads.
pub const VERSION: u64 = 1;

/// Largest zones.yaml in bytes. Our choice: 10,000 certificates fit, an endless device does not.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The state directory, relative to zones.yaml.
pub const STATE: &str = "./state";

/// The account that a certificate uses when it names none.
pub const ACCOUNT: &str = "default";

/// Short names of directories: what the CA documents at letsencrypt.org/docs.
pub const DIRECTORIES: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

/// Whether this is a directory of Let's Encrypt, staging included.
pub fn is_lets_encrypt(directory: &str) -> bool {
    directory.split('/').nth(2).is_some_and(|host| host.ends_with(".api.letsencrypt.org"))
}

/// Time for one UPDATE and its answer: what dig and nsupdate users are used to.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Sensible times for one message. Our choice.
pub const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// How long every server of a zone may take to have a change. Our choice: NOTIFY takes seconds, a lost NOTIFY a retry.
pub const PROPAGATION: Duration = Duration::from_secs(120);

/// Sensible waits for propagation. Our choice; a day is for hidden primaries that poll by refresh.
pub const PROPAGATION_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// TTL of challenge TXT records, seconds: many DNS hosts refuse less.
pub const TXT_TTL: u32 = 60;

/// TTL of TLSA records, seconds. Our choice: a rotation waits for it, and a mistake is forgotten after an hour.
pub const TLSA_TTL: u32 = 3600;

/// TTLs we publish, seconds. Our choice: a rotation waits for twice the TTL, so more than a week helps nobody.
pub const TTL_RANGE: RangeInclusive<u64> = 1..=604_800;

/// Sensible `renew.before`. Our choice: certificates live at most 398 days (CA/Browser Forum, BR 6.3.2).
pub const RENEW_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(398 * 86_400);

/// Sensible `rotate.every`. Our choice: a rotation takes days, since pins ripen twice; nobody plans further than ten years.
pub const ROTATE_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(86_400)..=Duration::from_secs(3650 * 86_400);

/// Sensible `rotate.renewals`. Our choice: 100 renewals are 16 years of 60 days.
pub const RENEWALS_RANGE: RangeInclusive<u64> = 1..=100;

/// `rotation.ttls`: one TTL is exact when all clocks and servers are, RFC 7671 §8.1 says two. More than ten is a mistake.
pub const TTLS_RANGE: RangeInclusive<u64> = 1..=10;

/// Sensible `rotation.slack`. Our choice; longer than any SOA EXPIRE in use helps nobody.
pub const SLACK_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);

/// `rotation.ttl_floor`, seconds; 0 is the administrator's word that the TTL was never longer than it is seen now. At
/// most a week, where most resolvers cut (RFC 8767 §4).
pub const TTL_FLOOR_RANGE: RangeInclusive<u64> = 0..=604_800;

/// The file with key and chain in `deploy.dir`.
pub const CHAINS: &str = "chains.pem";

/// Modes of deployed private keys: no right for others, none to write for the group.
pub const KEY_MODES: [u32; 4] = [0o400, 0o440, 0o600, 0o640];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7671 §13: short enough to replace, long enough for caches.
    #[test]
    fn rule_21_tlsa_records_live_half_an_hour_to_an_hour_unless_told_otherwise() {
        assert!((1800..=3600).contains(&TLSA_TTL));
        let template = crate::config::template().unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(template.zones.values().all(|zone| zone.tlsa_ttl == TLSA_TTL));
    }
}
