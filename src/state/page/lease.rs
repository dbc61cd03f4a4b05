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
        if slot.expires < self.now.saturating_add(self.ttl) {
            slot.ttl = self.ttl.saturating_add(self.grace);
            let latest = Timestamp::MAX.as_millis();
            slot.expires = self.now.saturating_add(slot.ttl).min(latest);
        }
    }
}
