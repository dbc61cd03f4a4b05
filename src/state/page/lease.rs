//! The times of a claim: its end, and the extension of its messages' lives.

use crate::model::Timestamp;
use crate::state::page_content::MessageSlot;

/// A claim's times, for the extension rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) now: u64,
    /// The milliseconds that the claim lasts longer, because `now` is rounded down. A message that outlives the ttl alone
    /// is not extended: it may end so much before the claim.
    pub(crate) slack: u8,
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
}

impl Lease {
    /// When the claim ends.
    pub(crate) fn end(self) -> u64 {
        self.now.saturating_add(self.slack.into()).saturating_add(self.ttl)
    }

    pub(super) fn extend(self, slot: &mut MessageSlot) {
        if slot.expires() < self.now.saturating_add(self.ttl) {
            let ttl = self.ttl.saturating_add(self.grace);
            let start = self.now.saturating_add(self.slack.into());
            slot.set_life(ttl, start.saturating_add(ttl).min(Timestamp::MAX.as_millis()));
        }
    }
}
