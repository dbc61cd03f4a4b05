//! What housekeeping knows of the files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::storage::manifest::Manifest;
use crate::storage::records::Digest;

/// What housekeeping works on; see the lock order in `store`.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) manifest: Manifest,
    /// What is in the trees of the manifest's generation; `None` when there are none to go on with.
    pub(crate) filled: Option<Digest>,
    /// The page files that the manifest's snapshot names.
    pub(crate) snapshot_files: BTreeSet<u64>,
    /// The journal's appended bytes when the last checkpoint began.
    pub(super) checkpointed: u64,
    pub(crate) checkpoint_lsn: u64,
    /// The number of the last snapshot begun: none is written twice, since after a failed save nobody knows which one the
    /// manifest on disk names.
    pub(super) snapshot_number: u64,
    /// Whether pages came from the trees, so that nobody knows which of their images the snapshot names.
    pub(super) unproven: bool,
    /// What the live messages weighed, and how much had been appended, when a snapshot last was not enough on a full disk.
    pub(super) in_vain: Option<(u64, u64)>,
    /// What is not needed any more and could not be removed yet.
    pub(super) obsolete: Vec<PathBuf>,
    /// Why the last trees were given up, until new ones are filled.
    pub(crate) trees_fault: Option<String>,
}

impl Housekeeping {
    pub(crate) fn new(manifest: Manifest, filled: Option<Digest>, snapshot_files: BTreeSet<u64>) -> Self {
        let snapshot_number = manifest.snapshot.map_or(0, |mark| mark.number);
        Self {
            unproven: filled.is_some(),
            manifest,
            filled,
            snapshot_files,
            checkpointed: 0,
            checkpoint_lsn: 0,
            snapshot_number,
            in_vain: None,
            obsolete: Vec::new(),
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
