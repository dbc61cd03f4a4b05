//! What a compaction has given back.

use std::fmt;

use super::inspect::FileSizes;

/// The sizes of a store's files before and after a [compaction](crate::Engine::compact). Its `Display` text is one line
/// for a log.
///
/// ```
/// # use zaqar_sled::*;
/// # let directory = tempfile::tempdir()?;
/// let engine = Engine::open(directory.path())?;
/// let report = engine.compact()?;
/// assert!(report.before().total() > 0 && report.after().journal() > 0);
/// println!("{report}: {} bytes were freed", report.freed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompactReport {
    before: FileSizes,
    after: FileSizes,
}

impl CompactReport {
    pub(crate) fn of(before: FileSizes, after: FileSizes) -> Self {
        Self { before, after }
    }

    /// Adds the sizes of another store.
    pub(crate) fn add(&mut self, other: &Self) {
        self.before.add(&other.before);
        self.after.add(&other.after);
    }

    /// The sizes when the call began, by kind.
    pub fn before(&self) -> &FileSizes {
        &self.before
    }

    /// The sizes when the call ended, by kind.
    pub fn after(&self) -> &FileSizes {
        &self.after
    }

    /// By how many bytes all files together are smaller than before; 0 if other calls have added more.
    pub fn freed(&self) -> u64 {
        self.before.total().saturating_sub(self.after.total())
    }
}

impl fmt::Display for CompactReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes before, {} bytes after", self.before.total(), self.after.total())
    }
}
