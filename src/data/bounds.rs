//! Bounds of a queue: how much it may hold by its own settings.

use crate::model::error::{Error, Result};
use crate::model::settings::Bound;
use crate::model::{Project, QueueName};
use crate::state::op::Posted;
use crate::state::{MESSAGE_WEIGHT, Totals};

/// Messages, and what they weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Load {
    pub(crate) fn of(posted: &[Posted<'_>]) -> Self {
        let one = |sum: Self, message: &Posted<'_>| sum.plus(message.size() as u64);
        posted.iter().fold(Self::default(), one)
    }

    /// With one more message, of which the body and the headers have so many bytes.
    pub(crate) fn plus(self, bytes: u64) -> Self {
        let bytes = self.bytes.saturating_add(bytes).saturating_add(MESSAGE_WEIGHT);
        Self { messages: self.messages.saturating_add(1), bytes }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let (messages, bytes) = (self.messages.saturating_add(other.messages), self.bytes.saturating_add(other.bytes));
        Self { messages, bytes }
    }

    pub(crate) fn without(self, other: Self) -> Self {
        let (messages, bytes) = (self.messages.saturating_sub(other.messages), self.bytes.saturating_sub(other.bytes));
        Self { messages, bytes }
    }
}

impl From<Totals> for Load {
    fn from(totals: Totals) -> Self {
        Self { messages: totals.total, bytes: totals.weight }
    }
}

/// Checks that a queue may hold this.
///
/// # Errors
/// `QueueIsFull`.
pub(crate) fn check_bound(bound: Option<&Bound>, load: Load, project: &Project, queue: &QueueName) -> Result<()> {
    let Some(bound) = bound else { return Ok(()) };
    for (what, limit, size) in [("messages", bound.messages, load.messages), ("bytes", bound.bytes, load.bytes)] {
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(Error::QueueIsFull { project: project.clone(), queue: queue.clone(), what, limit });
        }
    }
    Ok(())
}
