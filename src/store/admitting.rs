//! Who may post, and how whoever may not waits for it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Store;
use super::housekeeping::Pressure;
use crate::model::error::{Error, Result};

impl Store {
    /// Waits until there is room for a post.
    ///
    /// # Errors
    /// `Unavailable` when there is still none after the store's `busy_timeout`, `StorageFull` when there is none since the
    /// disk is full.
    pub(crate) fn wait_for_admission(&self) -> Result<()> {
        if self.is_admissible() {
            return Ok(());
        }
        if !self.admission.background {
            self.evict_now();
        }
        self.admission.waiting.fetch_add(1, Ordering::SeqCst);
        let outcome = self.wait_admitted();
        self.admission.waiting.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    fn wait_admitted(&self) -> Result<()> {
        let deadline = Instant::now().checked_add(self.admission.patience);
        let mut state = self.admission.state.lock();
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if let Some(cause) = self.journal.poisoned() {
                // No room will ever be made.
                return Err(Error::Poisoned { cause });
            }
            if self.is_admissible() {
                return Ok(());
            }
            self.signals.evictor();
            self.signals.housekeeping();
            if let Some((_, true)) = &state.fault {
                let context = "making room in memory or in the journal".to_owned();
                return Err(Error::io(context, std::io::ErrorKind::StorageFull.into()));
            }
            let late = match deadline {
                _ if !self.admission.background => true,
                Some(deadline) => self.admission.made.wait_until(&mut state, deadline),
                None => {
                    self.admission.made.wait(&mut state);
                    false
                }
            };
            if late && !self.is_admissible() {
                let why = state.fault.as_ref().map_or("they are being written out", |(fault, _)| fault);
                return Err(Error::Unavailable { reason: format!("memory or journal are full: {why}") });
            }
        }
    }

    /// The end of a call: what it freed lets posts in; and where no thread evicts, it does.
    pub(crate) fn keep_within_budget(&self) {
        self.admit_waiting();
        if !self.admission.background && self.budget.is_high() {
            self.admission.tell(&self.evict());
        }
    }

    /// Wakes who waits for room, if there is some.
    pub(crate) fn admit_waiting(&self) {
        if self.admission.waiting.load(Ordering::SeqCst) > 0 && self.is_admissible() {
            self.admission.wake_all();
        }
    }

    fn is_admissible(&self) -> bool {
        !self.budget.is_exceeded() && !self.journal_is_long()
    }

    /// Whether posts wait for a snapshot.
    pub(crate) fn journal_is_long(&self) -> bool {
        // Most of the time a glance is enough.
        self.journal.full_bytes() > self.admission.journal_max() && self.pressure() == Pressure::High
    }

    fn evict_now(&self) {
        let outcome = self.evict();
        let outcome = outcome.and_then(|()| if self.journal_is_long() { self.housekeep() } else { Ok(()) });
        self.admission.tell(&outcome);
    }
}
