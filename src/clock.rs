//! The only clock. Everything that needs the time or waits takes a [`Clock`]; tests and the rehearsal bring their own.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Time and waiting, as an effect.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// A reading that never goes backwards, for deadlines within one run.
    fn elapsed(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] starts now.
    pub fn new() -> Self {
        SystemClock { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The first full minute that is not before a time: what people can be promised to be late enough.
pub fn full_minute(at: Timestamp) -> String {
    let past = SignedDuration::new(at.as_second().rem_euclid(60), at.subsec_nanosecond());
    let left = if past.is_zero() { past } else { SignedDuration::from_mins(1) - past };
    minute(at.checked_add(left).unwrap_or(at))
}

/// A time as people read it: to the minute, UTC.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_promised_is_never_too_early() {
        let promised = |text: &str| full_minute(text.parse().unwrap());
        assert_eq!(promised("2026-11-22T12:00:00Z"), "2026-11-22 12:00 UTC");
        assert_eq!(promised("2026-11-22T12:00:00.000000001Z"), "2026-11-22 12:01 UTC");
        assert_eq!(promised("2026-11-22T23:59:59Z"), "2026-11-23 00:00 UTC");
    }
}
