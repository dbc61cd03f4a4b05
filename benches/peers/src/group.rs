//! Group commit: threads that write at once share one batch, and so one sync.
//!
//! 1. At most one thread leads. It writes its batch and those of all threads that came since the former leader began.
//! 2. A thread that waits sleeps until its own batch is written, or until it is to lead. So a thread that has just committed
//!    does not write the next batch alone, while the others wake up.

use std::mem;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::Result;

pub(crate) struct Group<T> {
    pending: Mutex<Pending<T>>,
}

struct Pending<T> {
    led: bool,
    batch: Vec<T>,
    waiting: Vec<Arc<Ticket>>,
}

/// Where one thread waits.
#[derive(Default)]
struct Ticket {
    outcome: Mutex<Option<Outcome>>,
    changed: Condvar,
}

enum Outcome {
    Written(Result<(), String>),
    Lead,
}

/// The turn of a batch that is pending: it has to be waited for.
#[must_use]
pub(crate) struct Turn(Arc<Ticket>);

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { pending: Mutex::new(Pending { led: false, batch: Vec::new(), waiting: Vec::new() }) }
    }
}

impl<T> Group<T> {
    /// Batches are written in the order of these calls.
    pub(crate) fn add(&self, batch: impl IntoIterator<Item = T>) -> Turn {
        let own = Arc::new(Ticket::default());
        let mut pending = self.pending.lock();
        pending.batch.extend(batch);
        pending.waiting.push(Arc::clone(&own));
        if !mem::replace(&mut pending.led, true) {
            own.end(Outcome::Lead);
        }
        Turn(own)
    }

    /// Returns when the batch is written, by this thread or by another.
    pub(crate) fn wait(&self, turn: Turn, write: impl FnOnce(&[T]) -> Result<()>) -> Result<()> {
        match turn.0.wait() {
            Outcome::Written(outcome) => outcome.map_err(Into::into),
            Outcome::Lead => self.lead(write),
        }
    }

    fn lead(&self, write: impl FnOnce(&[T]) -> Result<()>) -> Result<()> {
        let (batch, waiting) = {
            let mut pending = self.pending.lock();
            (mem::take(&mut pending.batch), mem::take(&mut pending.waiting))
        };
        let outcome = write(&batch).map_err(|error| error.to_string());
        {
            let mut pending = self.pending.lock();
            match pending.waiting.first() {
                Some(next) => next.end(Outcome::Lead),
                None => pending.led = false,
            }
        }
        for ticket in waiting {
            ticket.end(Outcome::Written(outcome.clone()));
        }
        outcome.map_err(Into::into)
    }
}

impl Ticket {
    fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.lock();
        loop {
            match outcome.take() {
                Some(outcome) => return outcome,
                None => self.changed.wait(&mut outcome),
            }
        }
    }

    fn end(&self, with: Outcome) {
        *self.outcome.lock() = Some(with);
        self.changed.notify_one();
    }
}
