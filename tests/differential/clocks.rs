//! A clock that advances whenever the engine reads it, and a clock that shows the model the engine's last reading.
//!
//! The instant of a call is its last reading, when all locks of the call are held. The model reads its clock once a
//! call and gets that reading. So the engine must not depend on the time between two of its readings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zaqar_sled::{Clock, ManualClock, Timestamp};

/// The clock within, with a millisecond passing before every reading.
#[derive(Debug)]
pub(crate) struct Ticking {
    clock: Arc<ManualClock>,
    /// The last readings of the wall clock and of the monotonic clock since they were taken.
    last: Mutex<Option<(Timestamp, Duration)>>,
}

impl Ticking {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self { clock, last: Mutex::new(None) })
    }

    /// The last reading; without one, the current time.
    pub(crate) fn take_last(&self) -> (Timestamp, Duration) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The monotonic one is read a tick after the wall clock.
        last.unwrap_or_else(|| (self.clock.wall(), self.clock.monotonic() + Duration::from_millis(1)))
    }

    fn read(&self) -> (Timestamp, Duration) {
        self.clock.advance(Duration::from_millis(1));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // The engine reads the wall clock first, and the monotonic one after it.
        let read = (self.clock.wall(), self.clock.monotonic());
        let pair = last.map_or(read, |(wall, _)| (wall, read.1));
        *last = Some(pair);
        pair
    }
}

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.read().0
    }

    fn monotonic(&self) -> Duration {
        self.read().1
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        self.clock.real_wait(duration)
    }

    /// No call waits during a comparison.
    fn on_jump(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

/// A clock that shows the time it was set to.
#[derive(Debug)]
pub(crate) struct Shown {
    wall_millis: AtomicU64,
    monotonic_nanos: AtomicU64,
}

impl Shown {
    pub(crate) fn new(wall: Timestamp) -> Arc<Self> {
        let shown = Self { wall_millis: AtomicU64::new(0), monotonic_nanos: AtomicU64::new(0) };
        shown.show((wall, Duration::from_millis(1)));
        Arc::new(shown)
    }

    pub(crate) fn show(&self, (wall, monotonic): (Timestamp, Duration)) {
        self.wall_millis.store(wall.as_millis(), Ordering::SeqCst);
        self.monotonic_nanos.store(u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for Shown {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_millis.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_nanos.load(Ordering::SeqCst))
    }

    fn real_wait(&self, _: Duration) -> Option<Duration> {
        None
    }

    fn on_jump(&self, _: Box<dyn Fn() + Send + Sync>) {}
}
