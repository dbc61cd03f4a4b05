//! Admission of posts: waiting for memory or a shorter journal.
//!
//! 1. A post that is not admitted signals the evictor for memory, or housekeeping for a shorter journal, and sleeps. It
//!    signals again only after it was woken.
//! 2. A post is woken when there is space: memory fell to the budget, whichever thread freed it, or a snapshot or a
//!    call made the journal short enough. A post is also woken when waiting is useless: the disk is full, the
//!    journal is poisoned, or the store is closed.
//! 3. An attempt that freed nothing wakes no post, so two threads cannot wake each other in a loop. The
//!    attempt is repeated when it may succeed: a queue was unlocked or data was deleted. After a failure it is also
//!    repeated after a pause (see `store::background`).

use std::io::ErrorKind;
use std::time::Instant;

use super::Store;
use super::admission::Shortage;
use super::housekeeping::Pressure;
use crate::model::error::{Error, Result};

impl Store {
    /// Waits until memory and the journal have space for a post.
    ///
    /// # Errors
    /// `Unavailable` when there is no space within the store's `busy_timeout`, `StorageFull` when there is none because
    /// the disk is full.
    pub(crate) fn wait_for_admission(&self) -> Result<()> {
        if !self.has_shortage() {
            return Ok(());
        }
        if !self.admission.background {
            self.free_space();
        }
        let deadline = Instant::now().checked_add(self.admission.timeout);
        let waiter = self.admission.events.wait();
        loop {
            let read = waiter.read();
            self.check_space_may_be_freed()?;
            let lacking: Vec<Shortage> = self.lacking().collect();
            if lacking.is_empty() {
                return Ok(());
            }
            lacking.iter().try_for_each(|shortage| self.request_space(*shortage))?;
            let late = !self.admission.background || waiter.sleep(read, deadline);
            if late && let Some(shortage) = self.lacking().next() {
                let fault = self.admission.fault(shortage).map(|fault| fault.reason);
                let why = fault.as_deref().unwrap_or("space was not freed in time");
                return Err(Error::Unavailable { reason: format!("memory or the journal is full: {why}") });
            }
        }
    }

    /// Checks that space may still be freed.
    fn check_space_may_be_freed(&self) -> Result<()> {
        if self.admission.is_closed() {
            return Err(Error::Closed);
        }
        self.journal.poisoned().map_or(Ok(()), |cause| Err(Error::Poisoned { cause }))
    }

    /// Signals the thread that frees the resource. An error if its last attempt found the disk full.
    fn request_space(&self, shortage: Shortage) -> Result<()> {
        match shortage {
            Shortage::Memory => self.signals.evictor(),
            Shortage::Journal => self.signals.housekeeping(),
        }
        if self.admission.fault(shortage).is_some_and(|fault| fault.is_full) {
            let context = "freeing memory or shortening the journal".to_owned();
            return Err(Error::io(context, ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    /// Ends a call: admits posts that now have space, and evicts if no thread does.
    pub(crate) fn keep_within_budget(&self) {
        self.admit_waiting();
        if !self.admission.background && self.budget.is_high() {
            self.note_attempt(Shortage::Memory, &self.evict());
        }
    }

    /// Ends an attempt to free space.
    pub(super) fn note_attempt(&self, shortage: Shortage, outcome: &Result<()>) {
        let is_full = outcome.as_ref().is_err_and(Error::is_full);
        if is_full && self.journal.release_pool() {
            // There is space now: the attempt is repeated.
            return;
        }
        self.admission.note(shortage, outcome);
        self.admit_waiting();
    }

    /// Wakes the waiting posts, if there is space.
    pub(crate) fn admit_waiting(&self) {
        if self.admission.events.is_awaited() && !self.has_shortage() {
            self.admission.events.count();
        }
    }

    /// Whether posts wait for that resource.
    pub(super) fn is_wanted(&self, shortage: Shortage) -> bool {
        self.admission.events.is_awaited() && self.lacks(shortage)
    }

    fn has_shortage(&self) -> bool {
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

    fn free_space(&self) {
        self.note_attempt(Shortage::Memory, &self.evict());
        if self.lacks(Shortage::Journal) {
            self.note_attempt(Shortage::Journal, &self.housekeep());
        }
    }
}
