//! A clock that advances by itself: time passes between any two steps of a call, as outside of tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use zaqar_sled::{Clock, Timestamp};

/// Called with the number of a reading, the first being 1, on the thread that reads.
type Hook = Arc<dyn Fn(u64) + Send + Sync>;

/// A clock that advances by `step` at every reading, and by more where a jump is set. Nothing else moves it, so the
/// calls of one thread always see the same times.
pub(crate) struct TickingClock {
    start: u64,
    step: u64,
    readings: AtomicU64,
    /// Milliseconds that have passed.
    passed: Mutex<u64>,
    /// The additional milliseconds at the readings with these numbers.
    jumps: Mutex<BTreeMap<u64, u64>>,
    hook: Mutex<Option<Hook>>,
    wakers: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
}

#[allow(dead_code, reason = "not every test needs every one")]
impl TickingClock {
    /// A clock that starts at `start` and advances by `step` at each reading.
    pub(crate) fn new(start: Timestamp, step: Duration) -> Arc<Self> {
        Arc::new(Self {
            start: start.as_millis(),
            step: millis(step),
            readings: AtomicU64::new(0),
            passed: Mutex::new(0),
            jumps: Mutex::default(),
            hook: Mutex::default(),
            wakers: Mutex::default(),
        })
    }

    /// How often it has been read.
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::SeqCst)
    }

    /// Advances by `by` at the `nth` reading from now on; 1 is the next.
    pub(crate) fn jump_at(&self, nth: u64, by: Duration) {
        held(&self.jumps).insert(self.readings().saturating_add(nth), millis(by));
    }

    /// Forgets the jumps that were not reached.
    pub(crate) fn forget_jumps(&self) {
        held(&self.jumps).clear();
    }

    /// Advances by `by` now, and wakes the threads that sleep by this clock.
    pub(crate) fn advance(&self, by: Duration) {
        *held(&self.passed) += millis(by);
        let wakers = held(&self.wakers).clone();
        wakers.iter().for_each(|wake| wake());
    }

    /// Calls `hook` at every reading, whatever locks the reader holds, so that the hook can stop the thread.
    pub(crate) fn on_reading(&self, hook: impl Fn(u64) + Send + Sync + 'static) {
        *held(&self.hook) = Some(Arc::new(hook));
    }

    fn read(&self) -> u64 {
        let reading = self.readings.fetch_add(1, Ordering::SeqCst) + 1;
        let hook = held(&self.hook).clone();
        if let Some(hook) = hook {
            hook(reading);
        }
        let jump = held(&self.jumps).remove(&reading).unwrap_or_default();
        let mut passed = held(&self.passed);
        *passed += self.step + jump;
        *passed
    }
}

impl fmt::Debug for TickingClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TickingClock").field("readings", &self.readings()).finish_non_exhaustive()
    }
}

impl Clock for TickingClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.start.saturating_add(self.read()))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.read())
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        // Time passes only by readings, so a sleeping thread has to read again soon.
        Some(duration.min(Duration::from_millis(1)))
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        held(&self.wakers).push(Arc::from(wake));
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
