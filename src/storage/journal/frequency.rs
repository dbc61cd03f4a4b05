//! How often the live segment is synced, which decides whether zeros are written ahead of its frames.

use super::segments::AHEAD;

/// The number of syncs of the journal when its live segment was started.
#[derive(Debug, Default)]
pub(super) struct SyncFrequency {
    before: u64,
}

impl SyncFrequency {
    /// Records that a segment was started, after so many syncs.
    pub(super) fn rotate(&mut self, syncs: u64) {
        self.before = syncs;
    }

    /// Whether the live segment, of which `end` bytes are in use, is synced often: zeros that are written ahead now
    /// save several of the later syncs a change of metadata. `syncs` is the number of syncs that the journal has made.
    pub(super) fn is_high(&self, syncs: u64, end: u64) -> bool {
        let of_live = syncs.saturating_sub(self.before);
        of_live >= LEAST_SYNCS && end <= of_live.saturating_mul(AHEAD / LEAST_SYNCS)
    }
}

/// The syncs that zeros written ahead have to serve: so many were made in the live segment, and so many will be made
/// in the next [`AHEAD`] bytes if they come as often.
const LEAST_SYNCS: u64 = 8;
