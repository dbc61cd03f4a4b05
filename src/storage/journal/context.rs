//! The directory of a store's journal, and the values that all its segments share.

use std::path::PathBuf;
use std::sync::Arc;

use super::naming::{self, SegmentId};
use crate::disk::{Disk, KeptDir};

/// The values that all segments of a store's run share.
#[derive(Debug, Clone)]
pub(crate) struct JournalContext {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    /// The directory, kept open.
    pub(crate) kept_directory: Arc<KeptDir>,
    pub(crate) store: [u8; 16],
    pub(crate) incarnation: u32,
    pub(crate) segment_bytes: u64,
    /// For the trees.
    pub(crate) cache_bytes: u64,
}

impl JournalContext {
    pub(crate) fn id(&self, number: u64) -> SegmentId {
        SegmentId::new(self.store, number)
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.directory.join(naming::file_name(number))
    }
}
