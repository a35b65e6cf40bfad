//! Virtual time: a clock that stands still while anybody works and jumps to the next wake-up when everybody waits. One
//! thread, no randomness: the same futures always meet in the same order.

use crate::clock::Clock;
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// True simulated time, milliseconds since 1970-01-01 UTC.
pub(super) type Moment = i64;

/// Milliseconds of a minute, an hour and a day.
pub(super) const MINUTE: Moment = 60_000;
pub(super) const HOUR: Moment = 60 * MINUTE;
pub(super) const DAY: Moment = 24 * HOUR;

/// A moment as a timestamp.
pub(super) fn timestamp(at: Moment) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}

/// Milliseconds of a duration, rounded up: nobody wakes too early.
fn milliseconds(duration: Duration) -> Moment {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX / 4)
}

/// The clock of a rehearsal. The machine's clock may differ from true time: administrators and batteries fail.
pub(super) struct VirtualTime {
    inner: Mutex<Inner>,
}

struct Inner {
    now: Moment,
    start: Moment,
    /// The machine's clock is ahead of true time by this much.
    ahead: Moment,
    sleepers: BTreeMap<(Moment, u64), Waker>,
    next: u64,
    jumps: u64,
}

/// How a piece of work ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended<T> {
    /// With its result.
    Done(T),
    /// It was killed: its future was dropped where it stood.
    Killed,
    /// Everybody waits and nobody will ever wake: a defect.
    Stuck,
}

impl VirtualTime {
    pub(super) fn new(start: Moment) -> Self {
        let inner = Inner { now: start, start, ahead: 0, sleepers: BTreeMap::new(), next: 0, jumps: 0 };
        VirtualTime { inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True time.
    pub(super) fn moment(&self) -> Moment {
        self.inner().now
    }

    /// Nothing happens until then.
    pub(super) fn advance_to(&self, at: Moment) {
        let mut inner = self.inner();
        inner.now = inner.now.max(at);
    }

    /// How often everybody waited.
    pub(super) fn jumps(&self) -> u64 {
        self.inner().jumps
    }

    /// Sets the machine's clock.
    pub(super) fn set_ahead(&self, ahead: Moment) {
        self.inner().ahead = ahead;
    }

    /// Runs `work` to its end; when it waits, time jumps. `killed` is asked after every step.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>, killed: impl Fn() -> bool) -> Ended<T> {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut work = pin!(work);
        loop {
            if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
                return Ended::Done(result);
            }
            if killed() {
                return Ended::Killed;
            }
            if !woken.0.swap(false, Ordering::Relaxed) && !self.jump() {
                return Ended::Stuck;
            }
        }
    }

    /// To the next wake-up; `false` when nobody sleeps.
    fn jump(&self) -> bool {
        let waker = {
            let mut inner = self.inner();
            let Some(((at, _), waker)) = inner.sleepers.pop_first() else { return false };
            inner.now = inner.now.max(at);
            inner.jumps += 1;
            waker
        };
        waker.wake();
        true
    }
}

#[async_trait]
impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        let inner = self.inner();
        timestamp(inner.now + inner.ahead)
    }

    fn elapsed(&self) -> Duration {
        let inner = self.inner();
        Duration::from_millis(u64::try_from(inner.now - inner.start).unwrap_or_default())
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.moment().saturating_add(milliseconds(duration));
        Sleep { time: self, until, place: None }.await;
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Sleep<'t> {
    time: &'t VirtualTime,
    until: Moment,
    place: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (time, until) = (self.time, self.until);
        let mut inner = time.inner();
        if inner.now >= until {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or_else(|| {
            inner.next += 1;
            inner.next
        });
        inner.sleepers.insert((until, place), context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.time.inner().sleepers.remove(&(self.until, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[test]
    fn sleepers_wake_in_the_order_of_their_times_and_no_time_is_lost() {
        let time = VirtualTime::new(1_000);
        let woken = Mutex::new(Vec::new());
        let (time, woken) = (&time, &woken);
        let work = join_all([30_u64, 10, 20, 10].into_iter().enumerate().map(|(who, seconds)| async move {
            time.sleep(Duration::from_secs(seconds)).await;
            woken.lock().unwrap().push((who, time.moment()));
        }));
        assert!(matches!(time.run(work, || false), Ended::Done(_)));
        assert_eq!(*woken.lock().unwrap(), [(1, 11_000), (3, 11_000), (2, 21_000), (0, 31_000)]);
    }

    #[test]
    fn work_that_is_killed_leaves_no_sleeper() {
        let time = VirtualTime::new(0);
        assert_eq!(time.run(time.sleep(Duration::from_secs(5)), || true), Ended::Killed);
        assert_eq!(time.run(std::future::pending::<()>(), || false), Ended::Stuck);
        assert_eq!(time.moment(), 0);
    }

    #[test]
    fn a_wrong_clock_does_not_change_how_long_waiting_takes() {
        let time = VirtualTime::new(DAY);
        time.set_ahead(-HOUR);
        assert_eq!(time.now(), timestamp(DAY - HOUR));
        assert_eq!(time.run(time.sleep(Duration::from_millis(1)), || false), Ended::Done(()));
        assert_eq!((time.moment(), time.elapsed()), (DAY + 1, Duration::from_millis(1)));
    }
}
