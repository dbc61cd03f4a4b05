//! The bytes of a store's files, by kind.

use std::io::ErrorKind;
use std::path::Path;

use crate::disk::{Disk, list_or_empty};
use crate::model::error::{Error, Result};
use crate::storage::journal::naming::JOURNAL;
use crate::storage::page_files::PAGE_FILES;
use crate::storage::reserve::RESERVE;
use crate::storage::{archive, snapshot};

/// The lengths of a store's files, in bytes, by kind: a part of an [`Inspection`](crate::Inspection).
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let engine = zaqar_sled::Engine::open(path)?;
/// let inspection = zaqar_sled::Engine::inspect(path)?;
/// let sizes = inspection.file_sizes();
/// assert!(sizes.journal() > 0 && sizes.total() >= sizes.journal() + sizes.reserve());
/// assert_eq!((sizes.page_files(), sizes.snapshots(), sizes.archives()), (0, 0, 0));
/// assert_eq!((sizes.trees(), sizes.damaged()), (0, 0)); // before the first checkpoint
/// assert!(sizes.other() > 0); // the manifest
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileSizes {
    journal: u64,
    page_files: u64,
    snapshots: u64,
    archives: u64,
    trees: u64,
    reserve: u64,
    damaged: u64,
    other: u64,
}

impl FileSizes {
    /// The files in the store's directory. A file that is removed meanwhile counts 0, and so does a directory that may
    /// not be read.
    pub(crate) fn of(disk: &dyn Disk, root: &Path) -> Result<Self> {
        let mut sizes = Self::default();
        for name in list_or_empty(disk, root)? {
            let path = root.join(&name);
            let (measured, sum) = (disk.size(&path), sizes.of_kind(&name));
            let bytes = match measured {
                // A directory of somebody else, as `lost+found` is.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => 0,
                measured => measured.map_err(|e| Error::file("measuring", &path, e))?,
            };
            *sum = sum.saturating_add(bytes);
        }
        Ok(sizes)
    }

    /// Adds the files of another store.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { journal, page_files, snapshots, archives, trees, reserve, damaged, other: rest } = *other;
        let sums = [
            (&mut self.journal, journal),
            (&mut self.page_files, page_files),
            (&mut self.snapshots, snapshots),
            (&mut self.archives, archives),
            (&mut self.trees, trees),
            (&mut self.reserve, reserve),
            (&mut self.damaged, damaged),
            (&mut self.other, rest),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    fn of_kind(&mut self, name: &str) -> &mut u64 {
        match name {
            JOURNAL => &mut self.journal,
            PAGE_FILES => &mut self.page_files,
            RESERVE => &mut self.reserve,
            _ if snapshot::parse_file_name(name).is_some() => &mut self.snapshots,
            _ if archive::parse_file_name(name).is_some() => &mut self.archives,
            _ if name.starts_with("trees-") => &mut self.trees,
            _ if name.starts_with("damaged-") => &mut self.damaged,
            _ => &mut self.other,
        }
    }

    /// The journal's segments, with the space that is allocated in advance.
    pub fn journal(&self) -> u64 {
        self.journal
    }

    /// The page files: messages.
    pub fn page_files(&self) -> u64 {
        self.page_files
    }

    /// The snapshots.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// The records of queues that are not in memory.
    pub fn archives(&self) -> u64 {
        self.archives
    }

    /// The trees.
    pub fn trees(&self) -> u64 {
        self.trees
    }

    /// The space that is held back for a full disk.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Damaged files that a salvage has moved aside.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The manifest, the lock files, and files that are not the store's.
    pub fn other(&self) -> u64 {
        self.other
    }

    /// All files together.
    pub fn total(&self) -> u64 {
        let data = [self.journal, self.page_files, self.snapshots, self.archives];
        let rest = [self.trees, self.reserve, self.damaged, self.other];
        data.into_iter().chain(rest).fold(0, u64::saturating_add)
    }
}
