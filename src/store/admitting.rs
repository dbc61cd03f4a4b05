//! Admission of posts: how a post without room waits for it.
//!
//! 1. A post without room asks for it, the evictor for memory and housekeeping for a shorter journal, and sleeps. It asks
//!    again only after it was woken.
//! 2. It is woken when it may go on: memory fell to the budget, whichever thread gave it back, or a snapshot or a call made the
//!    journal short enough. It is also woken when it would wait in vain: the disk is full, the journal is poisoned, or the
//!    store is closed.
//! 3. An attempt that made no room wakes no post, so that no two threads ask each other again and again. It is repeated when
//!    something new can come of it: a queue was unlocked or something was deleted. After a failure it is also repeated after
//!    a pause (see `store::background`).

use std::io::ErrorKind;
use std::time::Instant;

use super::Store;
use super::admission::Shortage;
use super::housekeeping::Pressure;
use crate::model::error::{Error, Result};

impl Store {
    /// Waits until there is room for a post.
    ///
    /// # Errors
    /// `Unavailable` when there is still none after the store's `busy_timeout`, `StorageFull` when there is none since the
    /// disk is full.
    pub(crate) fn wait_for_admission(&self) -> Result<()> {
        if !self.lacks_room() {
            return Ok(());
        }
        if !self.admission.background {
            self.make_room();
        }
        let deadline = Instant::now().checked_add(self.admission.patience);
        let waiter = self.admission.events.wait();
        loop {
            let read = waiter.read();
            self.check_may_wait_for_room()?;
            let lacking: Vec<Shortage> = self.lacking().collect();
            if lacking.is_empty() {
                return Ok(());
            }
            lacking.iter().try_for_each(|shortage| self.ask_for_room(*shortage))?;
            let late = !self.admission.background || waiter.sleep(read, deadline);
            if late && let Some(shortage) = self.lacking().next() {
                let fault = self.admission.fault(shortage).map(|fault| fault.reason);
                let why = fault.as_deref().unwrap_or("they are being written out");
                return Err(Error::Unavailable { reason: format!("memory or journal are full: {why}") });
            }
        }
    }

    /// Whether room may still be made.
    fn check_may_wait_for_room(&self) -> Result<()> {
        if self.admission.is_closed() {
            return Err(Error::Closed);
        }
        self.journal.poisoned().map_or(Ok(()), |cause| Err(Error::Poisoned { cause }))
    }

    /// Signals the thread that makes room. An error if its last attempt found the disk full.
    fn ask_for_room(&self, shortage: Shortage) -> Result<()> {
        match shortage {
            Shortage::Memory => self.signals.evictor(),
            Shortage::Journal => self.signals.housekeeping(),
        }
        if self.admission.fault(shortage).is_some_and(|fault| fault.is_full) {
            let context = "making room in memory or in the journal".to_owned();
            return Err(Error::io(context, ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    /// Ends a call: posts go on that have room now, and the call evicts where no thread does.
    pub(crate) fn keep_within_budget(&self) {
        self.admit_waiting();
        if !self.admission.background && self.budget.is_high() {
            self.note_attempt(Shortage::Memory, &self.evict());
        }
    }

    /// Ends an attempt to make room.
    pub(super) fn note_attempt(&self, shortage: Shortage, outcome: &Result<()>) {
        self.admission.note(shortage, outcome);
        self.admit_waiting();
    }

    /// Wakes the posts that wait, if there is room.
    pub(crate) fn admit_waiting(&self) {
        if self.admission.events.is_awaited() && !self.lacks_room() {
            self.admission.events.count();
        }
    }

    /// Whether posts wait for room in that resource.
    pub(super) fn is_wanted(&self, shortage: Shortage) -> bool {
        self.admission.events.is_awaited() && self.lacks(shortage)
    }

    fn lacks_room(&self) -> bool {
        self.lacking().next().is_some()
    }

    fn lacking(&self) -> impl Iterator<Item = Shortage> {
        [Shortage::Memory, Shortage::Journal].into_iter().filter(|shortage| self.lacks(*shortage))
    }

    fn lacks(&self, shortage: Shortage) -> bool {
        match shortage {
            Shortage::Memory => self.budget.is_exceeded(),
            // The first comparison is cheap and mostly false.
            Shortage::Journal => {
                self.journal.full_bytes() > self.admission.journal_max() && self.pressure() == Pressure::High
            }
        }
    }

    fn make_room(&self) {
        self.note_attempt(Shortage::Memory, &self.evict());
        if self.lacks(Shortage::Journal) {
            self.note_attempt(Shortage::Journal, &self.housekeep());
        }
    }
}
