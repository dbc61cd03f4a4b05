//! A disk for one opening of a store. It records the changes that the opening makes after it was marked closed.

use std::fmt;
use std::io;
use std::panic;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::random::Random;
use crate::wrapped_disk::{Call, Hook, WrappedDisk};

/// One owner's view of a disk. Clones are the same owner.
pub(crate) type TrackedDisk = WrappedDisk<Owner>;

/// Who uses the disk, and how.
#[allow(dead_code, reason = "not every test binary asks for all of it")]
pub(crate) struct Owner {
    closed: AtomicBool,
    late: Mutex<Vec<String>>,
    panics: AtomicBool,
    /// Reads of page files wait, and whether one does.
    holds_reads: AtomicBool,
    reading: AtomicBool,
    /// Of the delays.
    random: Mutex<Random>,
}

#[allow(dead_code, reason = "not every test binary asks for all of it")]
impl Owner {
    /// An owner whose threads `seed` holds up.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            closed: AtomicBool::new(false),
            late: Mutex::default(),
            panics: AtomicBool::new(false),
            holds_reads: AtomicBool::new(false),
            reading: AtomicBool::new(false),
            random: Mutex::new(Random::new(seed)),
        }
    }

    /// Marks the owner as closed: every later change is too late.
    pub(crate) fn note_closed(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Holds reads of page files, or releases them.
    pub(crate) fn hold_reads(&self, hold: bool) {
        self.holds_reads.store(hold, Ordering::SeqCst);
    }

    /// Whether a read waits.
    pub(crate) fn holds_one(&self) -> bool {
        self.reading.load(Ordering::SeqCst)
    }

    /// The next sync of a file panics.
    pub(crate) fn panic_in_sync(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// The changes that came too late.
    pub(crate) fn late(&self) -> Vec<String> {
        self.late.lock().unwrap().clone()
    }

    fn holds(&self, path: &Path) -> bool {
        let held = path.extension().is_some_and(|kind| kind == "heap") && self.holds_reads.load(Ordering::SeqCst);
        self.reading.store(held, Ordering::SeqCst);
        held
    }

    /// Between the check and the action other threads get a turn.
    fn set_aside(&self) {
        let turns = self.random.lock().unwrap().below(16).saturating_sub(8);
        (0..turns).for_each(|_| thread::yield_now());
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

impl Hook for Owner {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        if call == Call::Read {
            while self.holds(path) {
                thread::yield_now();
            }
        }
        if call == Call::Sync && self.panics.swap(false, Ordering::SeqCst) {
            // A panic without a message, because it is not a failure of the test.
            panic::resume_unwind(Box::new("a sync that panics"));
        }
        if call.changes() {
            self.set_aside();
            if self.closed.load(Ordering::SeqCst) {
                self.late.lock().unwrap().push(format!("{call:?} {}", path.display()));
            }
        }
        Ok(())
    }
}
