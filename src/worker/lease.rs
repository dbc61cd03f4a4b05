//! The lease on a batch of messages.

use std::time::Duration;

use crate::handle::{Claim, Queue};
use crate::model::error::Result;
use crate::model::{Message, Retry};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A claim whose messages are handled one by one, by several threads.
#[derive(Debug)]
pub(super) struct Lease {
    claim: Claim,
    queue: Queue,
    /// The messages that the run is not done with.
    left: AtomicUsize,
    is_lost: AtomicBool,
}

impl Lease {
    pub(super) fn new(claim: Claim) -> Self {
        let (queue, left) = (claim.queue(), AtomicUsize::new(claim.messages().len()));
        Self { claim, queue, left, is_lost: AtomicBool::new(false) }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn messages(&self) -> &[Message] {
        self.claim.messages()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Starts the lease again from now. If it has ended, it is lost.
    pub(super) fn renew(&self, ttl: Duration, grace: Duration) -> Result<()> {
        if !self.under_lease(|| self.claim.renew(ttl, grace))? {
            self.is_lost.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Deletes a message; false if the lease was lost.
    pub(super) fn delete(&self, message: &Message) -> Result<bool> {
        Ok(!self.is_lost() && self.under_lease(|| self.claim.delete(message))?)
    }

    /// Gives messages back; false if the lease was lost.
    pub(super) fn retry(&self, retries: &[Retry]) -> Result<bool> {
        Ok(!self.is_lost() && self.under_lease(|| self.claim.retry_all(retries).map(drop))?)
    }

    /// Records that the run is done with so many messages; whether these were the last.
    pub(super) fn finish(&self, messages: usize) -> bool {
        self.left.fetch_sub(messages, Ordering::SeqCst) == messages
    }

    /// Ends the claim, which is without messages.
    pub(super) fn release(&self) -> Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        self.queue.when_not_moving(|| self.claim.clone().release())
    }

    /// Whether the call succeeded; false if the claim has ended, or does not hold the message any more.
    fn under_lease(&self, call: impl Fn() -> Result<()>) -> Result<bool> {
        match self.queue.when_not_moving(call) {
            Ok(()) => Ok(true),
            Err(error) if error.is_lease_lost() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
