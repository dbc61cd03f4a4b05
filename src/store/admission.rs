//! The state of the waiting posts. A post waits while memory is above the budget or the journal is too long; no other
//! call does.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::lock::{Mutex, Rank};
use crate::model::error::Result;
use crate::storage::event_count::EventCount;
use crate::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Admission {
    /// The events that waiting posts sleep on.
    pub(super) events: Arc<EventCount>,
    /// The errors of the last attempts to free space.
    faults: Mutex<Faults>,
    /// Set when the store is being closed: no post waits any more.
    closed: AtomicBool,
    /// The least length of the journal at which posts wait, in bytes.
    journal_max: u64,
    pub(super) timeout: Duration,
    /// Whether a background thread frees space; otherwise the post itself does.
    pub(super) background: bool,
}

/// The resource that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Memory, which the evictor frees.
    Memory,
    /// The journal, which a snapshot frees.
    Journal,
}

#[derive(Debug, Default)]
struct Faults {
    memory: Option<Fault>,
    journal: Option<Fault>,
}

/// The error of an attempt to free space.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) reason: String,
    /// The disk is full.
    pub(super) is_full: bool,
}

impl Admission {
    /// Creates the state; posts sleep on `events`.
    pub(super) fn new(config: &Config, events: &Arc<EventCount>) -> Self {
        Self {
            events: events.clone(),
            faults: Mutex::new(Rank::Admission, Faults::default()),
            closed: AtomicBool::new(false),
            journal_max: config.journal_max.max(config.segment_bytes.saturating_mul(LEAST_JOURNAL)),
            timeout: config.busy_timeout,
            background: config.background,
        }
    }

    /// The least length of the journal from which posts wait, in bytes.
    pub(crate) fn journal_max(&self) -> u64 {
        self.journal_max
    }

    /// Records the outcome of an attempt to free space. A full disk is an event, because waiting is useless then.
    pub(super) fn note(&self, shortage: Shortage, outcome: &Result<()>) {
        let fault = outcome.as_ref().err().map(|error| Fault { reason: error.to_string(), is_full: error.is_full() });
        let is_full = fault.as_ref().is_some_and(|fault| fault.is_full);
        *self.faults.lock().of(shortage) = fault;
        if is_full {
            self.events.count();
        }
    }

    pub(super) fn fault(&self, shortage: Shortage) -> Option<Fault> {
        self.faults.lock().of(shortage).clone()
    }

    /// Ends every wait, now and later, with `Closed`.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.events.count();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Faults {
    fn of(&mut self, shortage: Shortage) -> &mut Option<Fault> {
        match shortage {
            Shortage::Memory => &mut self.memory,
            Shortage::Journal => &mut self.journal,
        }
    }
}

/// The shortest bound on the journal, in segments: a snapshot is written at half of it.
const LEAST_JOURNAL: u64 = 8;
