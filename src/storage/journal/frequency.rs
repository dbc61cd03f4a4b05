//! How often segments are synced, which decides whether the next one is written out in advance.

/// The number of syncs of the journal when its last two segments were started.
#[derive(Debug, Default)]
pub(super) struct SyncFrequency {
    live: u64,
    previous: u64,
}

impl SyncFrequency {
    /// Records that a segment was started, after so many syncs.
    pub(super) fn rotate(&mut self, syncs: u64) {
        (self.previous, self.live) = (self.live, syncs);
    }

    /// Whether segments are synced often: whether the last full segment and the live one together had many of the
    /// `syncs` that the journal has made.
    pub(super) fn is_high(&self, syncs: u64) -> bool {
        syncs.saturating_sub(self.previous) >= MANY_SYNCS
    }
}

/// The number of syncs of a segment from which it is written out. That takes the disk about 50 ms for 16 MiB, and saves
/// each sync a change of metadata.
const MANY_SYNCS: u64 = 128;
