//! Time: how the engine reads it, and why engine time never runs backwards.
//!
//! 1. Engine time never decreases, across calls, threads, restarts and steps of the wall clock.
//! 2. A wall clock that is behind engine time does not stop it: engine time continues at the monotonic clock's rate.
//! 3. Engine time follows a forward jump of the wall clock, unless the reading leaves less than a century until the
//!    last representable date. Such a reading is wrong, and following it once would make the store refuse every
//!    lifetime for ever. The reading is counted and ignored.
//! 4. Engine time is never ahead of a wall clock that does not step, wherever a thread is preempted.
//!
//! The first three follow from one rule: engine time is the monotonic clock plus the largest lead of the wall clock
//! over it that was ever observed. The fourth follows from the order of the two readings. The wall clock is read first;
//! the monotonic clock is read second and rounded up. Time that passes between the two readings makes the observed lead
//! smaller than the real one, never larger, and a lead that is smaller than an earlier one is not used. Cost: two clock
//! reads a call, about 50 ns.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::lock::{Mutex, Rank};
use crate::model::Timestamp;
use crate::model::time::{millis, whole_millis};

/// A source of time. The engine asks the clock for everything that concerns time, so a test that
/// owns the clock decides when messages expire.
///
/// Cost: every call of the engine reads both times once, about 50 ns with [`SystemClock`]. The other
/// methods are called seldom.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.wall(), Timestamp::from_millis(3_000));
/// ```
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. It may step in either direction.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let clock = ManualClock::new(Timestamp::from_millis(1_000));
    /// assert_eq!(clock.wall().as_millis(), 1_000);
    /// ```
    fn wall(&self) -> Timestamp;

    /// The time since an arbitrary start. It never steps and never runs backwards.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let clock = SystemClock::new();
    /// let earlier = clock.monotonic();
    /// assert!(clock.monotonic() >= earlier);
    /// ```
    fn monotonic(&self) -> Duration;

    /// The time for which a thread has to sleep until `duration` of this clock has passed; `None` if only a call of a
    /// test moves the clock.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// let second = Duration::from_secs(1);
    /// assert_eq!(SystemClock::new().real_wait(second), Some(second));
    /// assert_eq!(ManualClock::new(Timestamp::default()).real_wait(second), None);
    /// ```
    fn real_wait(&self, duration: Duration) -> Option<Duration>;

    /// Registers `wake`. The clock calls it whenever its time is moved by hand. A clock that cannot
    /// be moved ignores it.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// # use zaqar_sled::*;
    /// let clock = ManualClock::new(Timestamp::default());
    /// let woken = Arc::new(AtomicU32::new(0));
    /// let count = woken.clone();
    /// clock.on_jump(Box::new(move || drop(count.fetch_add(1, Ordering::Relaxed))));
    /// clock.advance(std::time::Duration::from_secs(1));
    /// assert_eq!(woken.load(Ordering::Relaxed), 1);
    /// ```
    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>);
}

/// The clocks of the machine.
///
/// ```
/// use zaqar_sled::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock::new().wall() > Timestamp::from_millis(1_700_000_000_000));
/// ```
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(SystemClock::new().monotonic().as_secs() < 60);
    /// ```
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(whole_millis(since))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        Some(duration)
    }

    fn on_jump(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

/// A clock that stands still until a test moves it, to test timeouts without sleeping.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
/// let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let options = ClaimOptions::new().ttl(Duration::from_secs(60));
/// assert!(jobs.claim(options.clone())?.is_some());
/// assert!(jobs.claim(options.clone())?.is_none());
/// clock.advance(Duration::from_secs(60)); // the claim ends
/// assert!(jobs.claim(options)?.is_some());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub struct ManualClock {
    /// Since 1970 began, and since the clock was made.
    times: Mutex<(Duration, Duration)>,
    wakers: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
}

impl ManualClock {
    /// A clock whose wall time is `wall` and whose monotonic time is zero.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let clock = ManualClock::new(Timestamp::from_millis(1_000));
    /// assert_eq!((clock.wall().as_millis(), clock.monotonic().as_millis()), (1_000, 0));
    /// ```
    pub fn new(wall: Timestamp) -> Self {
        let times = (Duration::from_millis(wall.as_millis()), Duration::ZERO);
        Self { times: Mutex::new(Rank::Clock, times), wakers: Mutex::new(Rank::Wakers, Vec::new()) }
    }

    /// Moves the wall clock and the monotonic one forward by `by`.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let clock = ManualClock::new(Timestamp::from_millis(1_000));
    /// clock.advance(std::time::Duration::from_millis(500));
    /// assert_eq!((clock.wall().as_millis(), clock.monotonic().as_millis()), (1_500, 500));
    /// ```
    pub fn advance(&self, by: Duration) {
        {
            let mut times = self.times.lock();
            times.0 = times.0.saturating_add(by);
            times.1 = times.1.saturating_add(by);
        }
        self.wake();
    }

    /// Sets the wall clock alone, in either direction, as an administrator or a time server does.
    ///
    /// ```
    /// use zaqar_sled::{Clock, ManualClock, Timestamp};
    ///
    /// let clock = ManualClock::new(Timestamp::from_millis(5_000));
    /// clock.set_wall(Timestamp::from_millis(1_000));
    /// assert_eq!(clock.wall().as_millis(), 1_000);
    /// ```
    pub fn set_wall(&self, wall: Timestamp) {
        self.times.lock().0 = Duration::from_millis(wall.as_millis());
        self.wake();
    }

    /// Calls the wakers outside the lock, because they take locks of their own.
    fn wake(&self) {
        let wakers = self.wakers.lock().clone();
        for wake in wakers {
            wake();
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("wall", &self.wall()).finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(whole_millis(self.times.lock().0))
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().1
    }

    fn real_wait(&self, _: Duration) -> Option<Duration> {
        None
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.wakers.lock().push(Arc::from(wake));
    }
}

/// Engine time in milliseconds, by the module's rule.
#[derive(Debug)]
pub(crate) struct EngineClock {
    clock: Arc<dyn Clock>,
    /// The largest `wall - monotonic` seen, in milliseconds.
    ahead: AtomicI64,
    /// The number of readings of the wall clock that were ignored.
    ignored: AtomicU64,
}

/// An instant of engine time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    /// In whole milliseconds, rounded down.
    pub(crate) millis: u64,
    /// The milliseconds by which a claim has to last longer so that it does not end early: one if the rounding cut
    /// something off, and one if the wall clock may later be observed a millisecond further ahead. From 0 to 2.
    pub(crate) slack: u8,
}

impl EngineClock {
    /// A clock that starts no earlier than `floor`, the highest time the store has used.
    pub(crate) fn new(clock: Arc<dyn Clock>, floor: u64) -> Self {
        let ahead = signed(floor).saturating_sub(signed(whole_millis(clock.monotonic())));
        Self { clock, ahead: AtomicI64::new(ahead), ignored: AtomicU64::new(0) }
    }

    /// Continues from `floor` or later; another store has used the times before it.
    pub(crate) fn raise(&self, floor: u64) {
        let ahead = signed(floor).saturating_sub(signed(whole_millis(self.clock.monotonic())));
        self.ahead.fetch_max(ahead, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.instant().millis
    }

    pub(crate) fn instant(&self) -> Instant {
        // In this order: the time between the two readings must not be added to the lead.
        let wall = self.clock.wall();
        let monotonic = self.clock.monotonic();
        let (down, up) = (signed(whole_millis(monotonic)), signed(millis(monotonic)));
        let mut ahead = self.ahead.load(Ordering::Relaxed);
        let seen = signed(wall.as_millis()).saturating_sub(up);
        if wall > LATEST_BELIEVED {
            self.ignored.fetch_add(1, Ordering::Relaxed);
        } else if seen > ahead {
            ahead = self.ahead.fetch_max(seen, Ordering::Relaxed).max(seen);
        }
        let now = u64::try_from(down.saturating_add(ahead)).unwrap_or(0);
        // In whole milliseconds one of two leads is observed, and the larger one counts.
        let slack = u8::from(up > down) + u8::from(up > down && seen >= ahead);
        Instant { millis: now.min(Timestamp::MAX.as_millis()), slack }
    }

    /// The lead of engine time over the wall clock.
    pub(crate) fn gap(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.clock.wall().as_millis()))
    }

    /// The number of readings of the wall clock that were ignored.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(crate) fn source(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// A century before the last instant: 9899-12-31T23:59:59.999Z.
pub(crate) const LATEST_BELIEVED: Timestamp = Timestamp::from_millis(Timestamp::MAX.as_millis() - 36_524 * 86_400_000);

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_at(millis: u64) -> (Arc<ManualClock>, EngineClock) {
        let manual = Arc::new(ManualClock::new(Timestamp::from_millis(millis)));
        let engine = EngineClock::new(manual.clone(), 0);
        (manual, engine)
    }

    #[test]
    fn time_runs_on_at_the_monotonic_rate_when_the_wall_clock_steps_back() {
        let (manual, engine) = clock_at(10_000);
        assert_eq!(engine.now(), 10_000);
        manual.set_wall(Timestamp::from_millis(4_000));
        assert_eq!(engine.now(), 10_000);
        manual.advance(Duration::from_secs(1));
        assert_eq!(engine.now(), 11_000);
        assert_eq!(engine.gap(), Duration::from_secs(6));
    }

    #[test]
    fn a_forward_jump_is_believed_and_kept() {
        let (manual, engine) = clock_at(10_000);
        manual.set_wall(Timestamp::from_millis(50_000));
        assert_eq!(engine.now(), 50_000);
        manual.set_wall(Timestamp::from_millis(10_000));
        assert_eq!(engine.now(), 50_000);
    }

    #[test]
    fn a_floor_found_later_raises_time_and_never_lowers_it() {
        let (_, engine) = clock_at(10_000);
        engine.raise(12_000);
        engine.raise(11_000);
        assert_eq!(engine.now(), 12_000);
    }

    #[test]
    fn time_starts_no_earlier_than_the_floor() {
        let manual = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
        let engine = EngineClock::new(manual, 9_000);
        assert_eq!(engine.now(), 9_000);
    }

    #[test]
    fn a_reading_past_all_dates_is_left_out_and_counted() {
        let (manual, engine) = clock_at(10_000);
        assert_eq!((engine.now(), engine.ignored()), (10_000, 0));
        for absurd in [Timestamp::MAX, Timestamp::from_millis(LATEST_BELIEVED.as_millis() + 1)] {
            manual.set_wall(absurd);
            manual.advance(Duration::from_secs(1));
        }
        assert_eq!((engine.now(), engine.ignored()), (12_000, 1));
        manual.set_wall(LATEST_BELIEVED);
        assert_eq!((engine.now(), engine.ignored()), (LATEST_BELIEVED.as_millis(), 1));
    }

    #[test]
    fn the_rest_of_a_millisecond_is_slack() {
        let (manual, engine) = clock_at(10_000);
        assert_eq!(engine.instant(), Instant { millis: 10_000, slack: 0 });
        manual.advance(Duration::from_micros(1));
        assert_eq!(engine.instant(), Instant { millis: 10_000, slack: 1 });
    }
}
