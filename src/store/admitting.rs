//! Who may post, and how whoever may not waits for it.
//!
//! 1. A post that lacks room asks for it, the evictor for memory and housekeeping for a shorter journal, and sleeps. It asks
//!    again only when it was woken.
//! 2. It is woken when it may go on: memory has come down to its bound, whoever gave it back, or housekeeping or a call has
//!    left the journal short enough. And when it will not: the disk is full, the journal poisoned, the store closed.
//! 3. An attempt that made no room wakes nobody, so no two threads ask each other again and again. It is made again when
//!    something new can come of it: a queue was unlocked, something was taken away; and where it failed, after a pause
//!    (`store::background`).

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

    /// Has whoever can make room do so, unless it has just been found that the disk is too full for it.
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

    /// The end of a call: what it changed may let posts in; and where no thread evicts, it does.
    pub(crate) fn keep_within_budget(&self) {
        self.admit_waiting();
        if !self.admission.background && self.budget.is_high() {
            self.note_attempt(Shortage::Memory, &self.evict());
        }
    }

    /// The end of an attempt to make room.
    pub(super) fn note_attempt(&self, shortage: Shortage, outcome: &Result<()>) {
        self.admission.note(shortage, outcome);
        self.admit_waiting();
    }

    /// Wakes whoever waits for room, if there is some.
    pub(crate) fn admit_waiting(&self) {
        if self.admission.events.is_awaited() && !self.lacks_room() {
            self.admission.events.count();
        }
    }

    /// Whether posts wait that lack room of that kind.
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
            // Most of the time a glance is enough.
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
