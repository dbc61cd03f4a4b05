//! A claim that is renewed in time.

use std::time::{Duration, Instant};

use zaqar_sled::{Claim, Message, Retry};

use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Lease {
    claim: Claim,
    ttl: Duration,
    since: Instant,
}

impl Lease {
    pub(crate) fn new(claim: Claim, ttl: Duration) -> Self {
        Self { claim, ttl, since: Instant::now() }
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.claim.messages().to_vec()
    }

    /// The time of the next renewal: half the ttl after the claim was created or last renewed.
    pub(crate) fn due_in(&self) -> Duration {
        (self.ttl / 2).saturating_sub(self.since.elapsed())
    }

    /// Renews the claim if the time has come.
    pub(crate) fn keep(&mut self) -> Result<(), Failure> {
        if !self.due_in().is_zero() {
            return Ok(());
        }
        self.since = Instant::now();
        unless_ended(self.claim.renew(self.ttl, Duration::ZERO)).map(drop)
    }

    /// Deletes a processed message; `false` if the claim had ended, so that another worker gets the message too.
    pub(crate) fn delete(&self, message: &Message) -> Result<bool, Failure> {
        unless_ended(self.claim.delete(message))
    }

    /// Deletes all messages, as [`delete`](Self::delete) does.
    pub(crate) fn delete_all(&self) -> Result<bool, Failure> {
        unless_ended(self.claim.delete_all())
    }

    /// Gives a message back that could not be processed.
    pub(crate) fn give_back(&self, message: &Message, reason: &impl ToString) -> Result<bool, Failure> {
        unless_ended(self.claim.retry(Retry::from(message).reason(reason.to_string())))
    }

    /// Releases the messages that are left.
    pub(crate) fn release(self) -> Result<(), Failure> {
        Ok(self.claim.release()?)
    }
}

/// A claim that ended early, for example because the machine slept, is no failure: its messages are delivered again.
fn unless_ended(result: zaqar_sled::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() || error.is_not_permitted() || error.is_conflict() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
