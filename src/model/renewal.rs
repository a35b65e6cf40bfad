//! When a certificate is renewed. Pure arithmetic on its validity and on what the CA said.

use crate::model::desired::Renew;
use crate::model::document::{Document, Installed, RenewalInfo, Window};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// A CA is first asked about a certificate when it has been valid for this long: an order by itself tells when renewal is due
/// by the lifetime, so nothing is lost, and a run that has just issued needs no further request. Let's Encrypt asks to
/// be asked every 6 h (Retry-After).
const FIRST_ASKED: SignedDuration = SignedDuration::from_hours(6);
/// Shortest and longest time between two questions, whatever the CA says, and the time after a failed one (RFC 9773 §4.3).
const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24);
/// RFC 9773 §4.3.3 for answers that are no use.
const USUAL_PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// A suggestion is not followed earlier in a certificate's life than this, or a third of it: a CA that suggests "at once" for each new
/// one must not be ordered from in circles. Our choice; Let's Encrypt's limit is 5 certificates of one set of names in 7
/// days.
const CALM: SignedDuration = SignedDuration::from_hours(24);
/// Nor later than with a sixth of the lifetime left (our choice): mail and visitors do not wait for a CA's calendar.
const LAST_CALL: i32 = 6;

/// When renewal is due: as the CA suggests (RFC 9773 §4.2), within bounds; where it does not, by the lifetime. What the
/// administrator says (`renew: {before: …}`) counts when it is earlier. One that the administrator revoked is due.
pub fn due(installed: &Installed, renew: Renew, info: Option<&RenewalInfo>) -> Timestamp {
    if installed.revoked.is_some() {
        return installed.not_before;
    }
    let own = by_lifetime(installed, renew);
    match (suggested(installed, info), renew) {
        (None, _) => own,
        (Some(suggested), Renew::Third) => suggested,
        (Some(suggested), Renew::Before(_)) => suggested.min(own),
    }
}

/// When renewal is due without the CA's word: with a third of the lifetime left (what Let's Encrypt recommends for clients
/// without ARI), or as long before notAfter as the administrator says. A CA may issue for less than that (six days instead of
/// ninety): a certificate that would be due from its first second on would be ordered again by every run, so then a third counts.
pub fn by_lifetime(installed: &Installed, renew: Renew) -> Timestamp {
    let lifetime = installed.not_after.duration_since(installed.not_before);
    let left = match renew {
        Renew::Third => lifetime / 3,
        Renew::Before(d) => {
            SignedDuration::try_from(d).ok().filter(|left| *left < lifetime).unwrap_or(lifetime / 3)
        }
    };
    installed.not_after.checked_sub(left).unwrap_or(installed.not_before)
}

/// The CA's own time within its window, kept within our bounds.
fn suggested(installed: &Installed, info: Option<&RenewalInfo>) -> Option<Timestamp> {
    let info = info.filter(|info| Some(&info.certificate_id) == installed.certificate_id.as_ref())?;
    let lifetime = installed.not_after.duration_since(installed.not_before);
    let calm = installed.not_before.checked_add(CALM.min(lifetime / 3)).ok()?;
    let last = installed.not_after.checked_sub(lifetime / LAST_CALL).ok()?;
    Some(point(info.window?, &info.certificate_id).min(last).max(calm))
}

/// RFC 9773 §4.2 wants a uniformly random time within the window. The same one each time it is asked for, and another for
/// each certificate, is a digest of its identifier: serial numbers are random (BR 7.1).
fn point(window: Window, certificate_id: &str) -> Timestamp {
    let width = window.end.duration_since(window.start).as_millis().max(0);
    let digest = Sha256::digest(certificate_id);
    let drawn = digest.iter().take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    let millis = width * i128::from(drawn) / (i128::from(u32::MAX) + 1);
    let offset = SignedDuration::from_millis(i64::try_from(millis).unwrap_or_default());
    window.start.checked_add(offset).unwrap_or(window.start)
}

/// From when on the CA may be asked about the installed certificate; `None`: there is none that it could be asked about.
pub fn asked_from(document: &Document) -> Option<Timestamp> {
    let installed = document.installed.as_ref()?;
    let id = installed.certificate_id.as_ref()?;
    match document.renewal_info.as_ref().filter(|info| info.certificate_id == *id) {
        Some(info) => Some(info.ask_again),
        None => installed.not_before.checked_add(FIRST_ASKED).ok(),
    }
}

/// When to ask again, as the CA says (Retry-After, RFC 9773 §4.3.2), within bounds; after a question that failed, and where the CA
/// does not say, in six hours.
pub fn ask_again(now: Timestamp, retry_after: Option<SignedDuration>) -> Timestamp {
    let pause = retry_after.unwrap_or(USUAL_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::key::SpkiDigest;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Ninety days.
    fn installed() -> Installed {
        Installed {
            generation: 1,
            names: vec!["mx1.example.org".into()],
            spki: SpkiDigest([1; 32]),
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
            serial: "01".into(),
            issuer: "CN=test".into(),
            certificate_id: Some("YQ.AQ".into()),
            revoked: None,
        }
    }

    fn info(start: &str, end: &str) -> RenewalInfo {
        RenewalInfo {
            certificate_id: "YQ.AQ".into(),
            directory: "https://ca.example/dir".into(),
            window: Some(Window { start: at(start), end: at(end) }),
            explanation: None,
            ask_again: at("2026-01-02T00:00:00Z"),
        }
    }

    #[test]
    fn the_ca_suggests_when_and_every_certificate_takes_its_own_time_within_the_window() {
        let info = info("2026-02-20T00:00:00Z", "2026-02-22T00:00:00Z");
        let due = due(&installed(), Renew::Third, Some(&info));
        assert!(info.window.unwrap().start <= due && due < info.window.unwrap().end, "{due}");
        let points: std::collections::BTreeSet<_> =
            (0..1000).map(|n| point(info.window.unwrap(), &format!("YQ.{n}"))).collect();
        assert!(points.len() > 990);
        let middle = points.iter().filter(|p| **p < at("2026-02-21T00:00:00Z")).count();
        assert!((400..600).contains(&middle), "{middle} of 1000 in the first half");
    }

    #[test]
    fn a_certificate_that_the_administrator_revoked_is_due_whatever_the_ca_says() {
        let info = info("2026-02-20T00:00:00Z", "2026-02-22T00:00:00Z");
        let revoked = Installed { revoked: Some(at("2026-01-01T01:00:00Z")), ..installed() };
        for renew in [Renew::Third, Renew::Before(Duration::from_secs(86_400))] {
            assert_eq!(due(&revoked, renew, Some(&info)), at("2026-01-01T00:00:00Z"));
        }
    }

    #[test]
    fn a_window_in_the_past_is_now_but_not_in_the_first_day_of_a_certificate() {
        let revoked = info("2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z");
        assert_eq!(due(&installed(), Renew::Third, Some(&revoked)), at("2026-01-02T00:00:00Z"));
    }

    #[test]
    fn a_window_too_late_is_not_waited_for() {
        for window in [
            ("2026-03-31T00:00:00Z", "2026-04-02T00:00:00Z"),
            ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"),
        ] {
            let late = info(window.0, window.1);
            assert_eq!(due(&installed(), Renew::Third, Some(&late)), at("2026-03-17T00:00:00Z"));
        }
    }

    #[test]
    fn the_administrators_time_counts_when_it_is_earlier() {
        let info = info("2026-02-20T00:00:00Z", "2026-02-22T00:00:00Z");
        let days = |days: u64| Renew::Before(Duration::from_secs(days * 86_400));
        assert_eq!(due(&installed(), days(60), Some(&info)), at("2026-01-31T00:00:00Z"));
        assert_eq!(due(&installed(), days(10), Some(&info)), due(&installed(), Renew::Third, Some(&info)));
    }

    #[test]
    fn what_was_said_of_another_certificate_counts_for_nothing() {
        let other = RenewalInfo {
            certificate_id: "YQ.Ag".into(),
            ..info("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z")
        };
        assert_eq!(due(&installed(), Renew::Third, Some(&other)), at("2026-03-02T00:00:00Z"));
        assert_eq!(due(&installed(), Renew::Third, None), at("2026-03-02T00:00:00Z"));
        let document =
            Document { installed: Some(installed()), renewal_info: Some(other), ..Document::default() };
        assert_eq!(asked_from(&document), Some(at("2026-01-01T06:00:00Z")));
    }

    #[test]
    fn the_ca_is_asked_again_when_it_says_but_between_a_minute_and_a_day() {
        let now = at("2026-01-01T00:00:00Z");
        let minutes = |retry: Option<i64>| {
            ask_again(now, retry.map(SignedDuration::from_secs)).duration_since(now).as_mins()
        };
        assert_eq!([Some(0), Some(600), Some(1 << 40), None].map(minutes), [1, 10, 1440, 360]);
    }
}
