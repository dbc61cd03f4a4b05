//! The data of housekeeping: the files of the store.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::storage::manifest::{CleanMark, Manifest};
use crate::storage::records::Digest;

/// The data of housekeeping; see the lock order in `store`.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) manifest: Manifest,
    /// The digest of the trees of the manifest's generation; `None` when there are no trees to continue with.
    pub(crate) filled: Option<Digest>,
    /// The mark of the clean close that this run began with, while the trees have not been opened since.
    pub(crate) untouched: Option<CleanMark>,
    /// The page files that the manifest's snapshot names.
    pub(crate) snapshot_files: BTreeSet<u64>,
    /// The journal's appended bytes when the last checkpoint began.
    pub(super) checkpointed: u64,
    pub(crate) checkpoint_lsn: u64,
    /// The number of the last snapshot that was begun. No number is used twice, because after a failed save it is
    /// unknown which snapshot the manifest on disk names.
    pub(super) snapshot_number: u64,
    /// Whether the next snapshot is to leave as little garbage as possible.
    pub(super) thorough: bool,
    /// Whether pages came from the trees, so that it is unknown which of their images the snapshot names.
    pub(super) unproven: bool,
    /// The weight of the live messages, and the appended bytes, when a snapshot on a full disk last did not free
    /// enough.
    pub(super) insufficient: Option<(u64, u64)>,
    /// Files that are not needed any more and could not be removed yet.
    pub(super) obsolete: Vec<PathBuf>,
    /// Files that the manifest on disk may name, because saving it has failed. After the next success it names others.
    pub(super) undecided: Vec<PathBuf>,
    /// Why the last archive could not be written.
    pub(crate) archive_fault: Option<String>,
    /// The failure of the last trees, until new ones are filled.
    pub(crate) trees_fault: Option<String>,
}

impl Housekeeping {
    /// For a run that begins behind `lsn`, with the trees that have the digest `filled`.
    pub(crate) fn new(manifest: Manifest, filled: Option<Digest>, lsn: u64, snapshot_files: BTreeSet<u64>) -> Self {
        let snapshot_number = manifest.snapshot.map_or(0, |mark| mark.number);
        Self {
            unproven: filled.is_some(),
            untouched: filled.map(|digest| CleanMark { lsn, time: 0, digest }),
            manifest,
            filled,
            snapshot_files,
            checkpointed: 0,
            checkpoint_lsn: 0,
            snapshot_number,
            thorough: false,
            insufficient: None,
            obsolete: Vec::new(),
            undecided: Vec::new(),
            archive_fault: None,
            trees_fault: None,
        }
    }
}

/// How urgent a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    Low,
    Due,
    /// Posts wait for it.
    High,
}
