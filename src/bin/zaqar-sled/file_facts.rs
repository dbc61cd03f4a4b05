//! The sizes of a store's files, by kind.

use serde::Serialize;
use zaqar_sled::FileSizes;

/// In bytes.
#[derive(Debug, Serialize)]
pub(crate) struct FileFacts {
    journal: u64,
    page_files: u64,
    snapshots: u64,
    archives: u64,
    trees: u64,
    reserve: u64,
    damaged: u64,
    other: u64,
    total: u64,
}

impl FileFacts {
    pub(crate) fn of(sizes: &FileSizes) -> Self {
        Self {
            journal: sizes.journal(),
            page_files: sizes.page_files(),
            snapshots: sizes.snapshots(),
            archives: sizes.archives(),
            trees: sizes.trees(),
            reserve: sizes.reserve(),
            damaged: sizes.damaged(),
            other: sizes.other(),
            total: sizes.total(),
        }
    }

    /// Each kind as it is shown, and all of them.
    pub(crate) fn rows(&self) -> [(&'static str, u64); 9] {
        [
            ("journal", self.journal),
            ("page files", self.page_files),
            ("snapshots", self.snapshots),
            ("archives", self.archives),
            ("trees", self.trees),
            ("reserve", self.reserve),
            ("damaged", self.damaged),
            ("other files", self.other),
            ("all files", self.total),
        ]
    }
}
