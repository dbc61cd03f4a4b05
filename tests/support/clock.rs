//! A clock that ticks at every reading, and a clock whose readings a test counts, delays and interrupts.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use zaqar_sled::{Clock, ManualClock, Timestamp};

/// A clock that advances by `step` at every reading: time passes between any two steps of a call, as outside of tests.
/// Nothing else moves it, so the calls of one thread always see the same times.
#[derive(Debug)]
pub(crate) struct TickingClock {
    start: u64,
    step: u64,
    /// Milliseconds that have passed.
    passed: AtomicU64,
}

impl TickingClock {
    /// A clock that starts at `start` and advances by `step` at each reading.
    pub(crate) fn new(start: Timestamp, step: Duration) -> Arc<Self> {
        let step = u64::try_from(step.as_millis()).unwrap();
        Arc::new(Self { start: start.as_millis(), step, passed: AtomicU64::new(0) })
    }

    fn read(&self) -> u64 {
        self.passed.fetch_add(self.step, Ordering::SeqCst) + self.step
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

    fn on_jump(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

/// What a reading gave.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    Wall(Timestamp),
    Monotonic(Duration),
}

type Before<C> = Arc<dyn Fn(u64, &C) + Send + Sync>;
type After<C> = Arc<dyn Fn(u64, Reading, &C) + Send + Sync>;

/// The clock within, whose readings are counted. A hook runs before or after each reading, on the thread that reads and
/// whatever locks that thread holds: it can move the clock, delay the thread or wait for another one.
pub(crate) struct WatchedClock<C = ManualClock> {
    clock: Arc<C>,
    readings: AtomicU64,
    before: RwLock<Option<Before<C>>>,
    after: RwLock<Option<After<C>>>,
}

impl WatchedClock {
    /// A clock that starts at `start` and is moved by hand.
    pub(crate) fn at(start: Timestamp) -> Arc<Self> {
        Self::around(Arc::new(ManualClock::new(start)))
    }
}

impl<C> WatchedClock<C> {
    pub(crate) fn around(clock: Arc<C>) -> Arc<Self> {
        Arc::new(Self { clock, readings: AtomicU64::new(0), before: RwLock::default(), after: RwLock::default() })
    }

    /// The clock within. Its readings are not counted.
    pub(crate) fn within(&self) -> &C {
        &self.clock
    }

    /// The number of readings so far. The engine reads both clocks for an instant, which makes two.
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::SeqCst)
    }

    /// Calls `hook` before every reading, with the number of the reading, the first being 1.
    pub(crate) fn before_each(&self, hook: impl Fn(u64, &C) + Send + Sync + 'static) {
        *self.before.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Calls `hook` after every reading and before the reader gets its value, with the number and that value.
    pub(crate) fn after_each(&self, hook: impl Fn(u64, Reading, &C) + Send + Sync + 'static) {
        *self.after.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Calls `event` at the readings that threads choose with [`interrupt_at`], after the reading and before the reader
    /// gets its value.
    pub(crate) fn on_interrupt(&self, event: impl Fn() + Send + Sync + 'static) {
        self.after_each(move |_, _, _| {
            let left = INTERRUPT_AT.get();
            INTERRUPT_AT.set(left.saturating_sub(1));
            if left == 1 {
                event();
            }
        });
    }

    fn read<T: Copy>(&self, read: impl FnOnce(&C) -> T, reading: impl FnOnce(T) -> Reading) -> T {
        let number = self.readings.fetch_add(1, Ordering::SeqCst) + 1;
        // A hook may wait for a thread that sets another one.
        let before = self.before.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = before {
            hook(number, &self.clock);
        }
        let value = read(&self.clock);
        let after = self.after.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = after {
            hook(number, reading(value), &self.clock);
        }
        value
    }
}

thread_local! {
    /// The number of this thread's readings until its interrupt; 0 for none.
    static INTERRUPT_AT: Cell<u64> = const { Cell::new(0) };
}

/// Has the interrupt of the clock happen at the `nth` reading of this thread from now on; 1 is the next.
pub(crate) fn interrupt_at(nth: u64) {
    INTERRUPT_AT.set(nth);
}

/// Whether the interrupt of this thread has happened.
pub(crate) fn was_interrupted() -> bool {
    INTERRUPT_AT.get() == 0
}

impl<C: fmt::Debug> fmt::Debug for WatchedClock<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WatchedClock");
        debug.field("clock", &self.clock).field("readings", &self.readings()).finish_non_exhaustive()
    }
}

impl<C: Clock> Clock for WatchedClock<C> {
    fn wall(&self) -> Timestamp {
        self.read(C::wall, Reading::Wall)
    }

    fn monotonic(&self) -> Duration {
        self.read(C::monotonic, Reading::Monotonic)
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        self.clock.real_wait(duration)
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.clock.on_jump(wake);
    }
}
