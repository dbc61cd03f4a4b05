//! Delays of threads at random, also in the calls of a disk, so that concurrent calls interleave in many ways.
//!
//! The engine reads its clock while a queue is locked, and writes to its disk while a queue and the journal are locked.
//! A thread that is delayed there acts like a thread that the system has preempted.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::thread;

use crate::random::Random;
use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// From here on this thread is held up as these numbers have it; a thread that never calls this is held up at arbitrary
/// moments.
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
