//! Messages as bounds and quotas count them.

use super::envelope;
use super::message_slot::MESSAGE_WEIGHT;
use super::op::Posted;
use super::queue::Totals;
use crate::model::NewMessage;

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

    /// Of messages that are to be posted.
    pub(crate) fn of_new(messages: &[NewMessage]) -> Self {
        messages.iter().fold(Self::default(), |sum, message| {
            // Headers that cannot be stored are refused with the post.
            let envelope = envelope::encode(&message.headers, None).map_or(0, |bytes| bytes.len());
            sum.plus((message.body().len() as u64).saturating_add(envelope as u64))
        })
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
