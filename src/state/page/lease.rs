//! The times of a claim: its end, and the extension of its messages' lives.

use crate::model::Timestamp;
use crate::state::page_content::MessageSlot;

/// A claim's times, for the extension rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) now: u64,
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
}

impl Lease {
    pub(super) fn extend(self, slot: &mut MessageSlot) {
        if slot.expires() < self.now.saturating_add(self.ttl) {
            let ttl = self.ttl.saturating_add(self.grace);
            slot.set_life(ttl, self.now.saturating_add(ttl).min(Timestamp::MAX.as_millis()));
        }
    }
}
