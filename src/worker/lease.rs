//! The lease on a batch of messages.

use std::time::Duration;

use crate::handle::{Claim, Queue};
use crate::model::error::{Error, Result};
use crate::model::time::millis;
use crate::model::{Message, Retry, Timestamp};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A claim whose messages are handled one by one, by several threads.
#[derive(Debug)]
pub(super) struct Lease {
    claim: Claim,
    queue: Queue,
    /// The messages that the run is not done with.
    left: AtomicUsize,
    is_lost: AtomicBool,
    /// When the lease ends by the engine's clock, in milliseconds, as far as the run knows.
    ends: AtomicU64,
}

/// The result of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    Renewed,
    Lost,
    /// Not possible while the queue is moved to another pool.
    Moving,
}

impl Lease {
    pub(super) fn new(claim: Claim, ttl: Duration) -> Self {
        let (queue, left) = (claim.queue(), AtomicUsize::new(claim.messages().len()));
        let claimed = claim.messages().first().and_then(Message::last_claimed).map_or(0, Timestamp::as_millis);
        let ends = AtomicU64::new(claimed.saturating_add(millis(ttl)));
        Self { claim, queue, left, is_lost: AtomicBool::new(false), ends }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn messages(&self) -> &[Message] {
        self.claim.messages()
    }

    /// Whether the lease is known to be lost, or has ended by the clock.
    pub(super) fn is_lost(&self) -> bool {
        self.is_known_lost() || self.left_at(self.queue.now()).is_zero()
    }

    pub(super) fn is_known_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// How long the lease lasts from that time of the engine on.
    pub(super) fn left_at(&self, now: u64) -> Duration {
        Duration::from_millis(self.ends.load(Ordering::SeqCst).saturating_sub(now))
    }

    /// Starts the lease again from now. If it has ended, it is lost. Waits for neither the disk nor the end of a move: a
    /// power cut that loses the renewal ends the run too.
    pub(super) fn renew(&self, ttl: Duration, grace: Duration) -> Result<Renewal> {
        let asked = self.queue.now();
        match self.claim.buffered().renew(ttl, grace) {
            Ok(()) => {
                self.ends.fetch_max(asked.saturating_add(millis(ttl)), Ordering::SeqCst);
                Ok(Renewal::Renewed)
            }
            Err(Error::Moving { .. }) => Ok(Renewal::Moving),
            Err(error) if error.is_lease_lost() => {
                self.is_lost.store(true, Ordering::SeqCst);
                Ok(Renewal::Lost)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a message; false if the lease was lost, or the message is gone.
    pub(super) fn delete(&self, message: &Message) -> Result<bool> {
        if self.is_known_lost() {
            return Ok(false);
        }
        match self.queue.when_not_moving(|| self.claim.finish(message)) {
            Err(Error::MessageDoesNotExist { .. }) => Ok(false),
            done => held(done).map(|done| done.is_some()),
        }
    }

    /// Gives messages back, and returns how many: none if the lease was lost.
    pub(super) fn retry(&self, retries: &[Retry]) -> Result<u64> {
        self.queue.when_not_moving(|| self.retry_at_once(retries))
    }

    /// As [`retry`](Self::retry), but does not wait for the end of a move.
    ///
    /// # Errors
    /// also `Moving`.
    pub(super) fn retry_at_once(&self, retries: &[Retry]) -> Result<u64> {
        if self.is_known_lost() {
            return Ok(0);
        }
        held(self.claim.retry_all(retries)).map(Option::unwrap_or_default)
    }

    /// Records that the run is done with so many messages; whether these were the last.
    pub(super) fn finish(&self, messages: usize) -> bool {
        self.left.fetch_sub(messages, Ordering::SeqCst) == messages
    }

    /// Ends the claim, which is without messages.
    pub(super) fn release(&self) -> Result<()> {
        if self.is_known_lost() {
            return Ok(());
        }
        match self.claim.clone().release() {
            // It is not worth the wait for the end of the move: the claim ends by itself.
            Err(Error::Moving { .. }) => Ok(()),
            released => released,
        }
    }
}

/// The result of a call under a lease; `None` if the claim has ended, or does not hold the message any more.
fn held<R>(result: Result<R>) -> Result<Option<R>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_lease_lost() => Ok(None),
        Err(error) => Err(error),
    }
}
