//! A disk and a clock that delay threads at random, so that concurrent calls interleave in many ways.
//!
//! The engine reads its clock while a queue is locked, and writes to its disk while a queue and the journal are locked.
//! A thread that is delayed there acts like a thread that the system has preempted.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use zaqar_sled::{Clock, Timestamp};

use crate::random::Random;
use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// From here on this thread is held up as these numbers have it; a thread that never calls this is held up at arbitrary moments.
pub(crate) fn seed_this_thread(seed: u64) {
    RANDOM.set(Random::new(seed));
}

/// A number below `end`, from this thread's generator.
pub(crate) fn random(end: u64) -> u64 {
    RANDOM.with_borrow_mut(|random| random.below(end))
}

/// Delays this thread: mostly not at all, sometimes for a few turns of the other threads.
pub(crate) fn pause() {
    match random(8) {
        0 => (0..random(6)).for_each(|_| thread::yield_now()),
        1 => (0..random(2_000)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

thread_local! {
    static RANDOM: RefCell<Random> = RefCell::new(Random::arbitrary());
}

/// The clock within, read with pauses before and after.
pub(crate) struct TurbulentClock(pub(crate) Arc<dyn Clock>);

impl fmt::Debug for TurbulentClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Clock for TurbulentClock {
    fn wall(&self) -> Timestamp {
        pause();
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        pause();
        self.0.monotonic()
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        self.0.real_wait(duration)
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.0.on_jump(wake);
    }
}

/// Delays threads that write, read or sync.
#[derive(Debug)]
pub(crate) struct Pauses;

/// The disk within, with a pause before every write, read and sync.
pub(crate) type TurbulentDisk = WrappedDisk<Pauses>;

impl Hook for Pauses {
    fn before(&self, call: Call, _: &Path) -> io::Result<()> {
        let pauses = [Call::Write, Call::Read, Call::Sync, Call::SyncDirectory, Call::Rename, Call::Remove];
        if pauses.contains(&call) {
            pause();
        }
        Ok(())
    }
}
