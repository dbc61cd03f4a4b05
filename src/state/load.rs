//! Messages as bounds and quotas count them.

use super::envelope;
use super::message_slot::MESSAGE_WEIGHT;
use super::op::Posted;
use super::page_content::stored_bytes;
use super::queue::Totals;
use crate::model::NewMessage;

/// Messages, and what they weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Load {
    /// Of messages that are posted. One that expires with its post takes no room.
    pub(crate) fn of(posted: &[Posted<'_>]) -> Self {
        let one = |sum: Self, message: &Posted<'_>| {
            sum.plus_new(message.body.len(), message.envelope.len(), message.checksum.is_some())
        };
        posted.iter().filter(|message| message.ttl > 0).fold(Self::default(), one)
    }

    /// Of messages that are to be posted, with checksums or without.
    pub(crate) fn of_new(messages: &[NewMessage], checksums: bool) -> Self {
        let lasting = messages.iter().filter(|message| !message.expires_at_once());
        lasting.fold(Self::default(), |sum, message| {
            // Headers that cannot be stored are refused with the post.
            let envelope = envelope::encode(&message.headers, None).map_or(0, |bytes| bytes.len());
            sum.plus_new(message.body().len(), envelope, checksums && message.can_have_checksum())
        })
    }

    /// With one more message, of which the body and the envelope have so many bytes.
    pub(crate) fn plus_new(self, body: usize, envelope: usize, has_checksum: bool) -> Self {
        self.plus(stored_bytes(body, envelope, has_checksum) as u64)
    }

    /// With one more message, of which so many bytes are stored.
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
