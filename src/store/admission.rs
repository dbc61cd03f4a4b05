//! Who waits for room in memory and in the journal. Posts do, while the budget is exceeded or the journal is too long; nothing
//! else does.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::config::Config;
use crate::lock::{Condvar, Mutex, Rank};
use crate::model::error::Result;

#[derive(Debug)]
pub(crate) struct Admission {
    pub(super) state: Mutex<State>,
    pub(super) made: Condvar,
    /// How many wait; so that a call with nobody waiting costs one load.
    pub(super) waiting: AtomicUsize,
    /// Least length of the journal from which posts wait, in bytes.
    journal_max: u64,
    pub(super) patience: Duration,
    /// Whether a thread makes room; otherwise whoever needs it does.
    pub(super) background: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Why the last attempt to make room failed, and whether for lack of space on the disk.
    pub(super) fault: Option<(String, bool)>,
    /// Set when the store is being closed: nobody waits any more.
    pub(super) closed: bool,
}

impl Admission {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::new(Rank::Admission, State::default()),
            made: Condvar::default(),
            waiting: AtomicUsize::new(0),
            journal_max: config.journal_max.max(config.segment_bytes.saturating_mul(LEAST_JOURNAL)),
            patience: config.busy_timeout,
            background: config.background,
        }
    }

    /// The least length of the journal from which posts wait, in bytes.
    pub(crate) fn journal_max(&self) -> u64 {
        self.journal_max
    }

    /// Lets those who wait look again.
    pub(crate) fn tell(&self, outcome: &Result<()>) {
        self.state.lock().fault = outcome.as_ref().err().map(|error| (error.to_string(), error.is_full()));
        self.made.notify_all();
    }

    /// Ends every wait, now and later, with `Closed`.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.made.notify_all();
    }

    /// Has everyone who waits look again.
    pub(super) fn wake_all(&self) {
        let _state = self.state.lock();
        self.made.notify_all();
    }
}

/// The shortest bound on the journal, in segments: a snapshot is written at half of it.
const LEAST_JOURNAL: u64 = 8;
