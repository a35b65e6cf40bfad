//! When a certificate is renewed. Pure arithmetic on its validity.

use crate::model::desired::Renew;
use crate::model::document::Installed;
use jiff::{SignedDuration, Timestamp};

/// When renewal is due: with a third of the lifetime left (what Let's Encrypt recommends for clients without ARI), or
/// as long before notAfter as the administrator says. A CA may issue for less than that (six days instead of ninety):
/// a certificate that would be due from its first second on would be ordered again by every run, so then a third counts.
pub fn due(installed: &Installed, renew: Renew) -> Timestamp {
    let lifetime = installed.not_after.duration_since(installed.not_before);
    let left = match renew {
        Renew::Third => lifetime / 3,
        Renew::Before(d) => {
            SignedDuration::try_from(d).ok().filter(|left| *left < lifetime).unwrap_or(lifetime / 3)
        }
    };
    installed.not_after.checked_sub(left).unwrap_or(installed.not_before)
}

/// How long to leave the CA alone after the `count`th failed attempt in a row: 1, 10, 100 minutes, then a day. Our
/// choice: five failed validations per name and hour is Let's Encrypt's limit.
pub fn backoff(count: u32) -> SignedDuration {
    match count {
        0 | 1 => SignedDuration::from_mins(1),
        2 => SignedDuration::from_mins(10),
        3 => SignedDuration::from_mins(100),
        _ => SignedDuration::from_hours(24),
    }
}
