//! What of a store's files a new snapshot takes the place of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::storage::journal::Kept;
use crate::storage::journal::naming;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::Scan;

/// What of the store's files a new snapshot takes the place of.
pub(super) struct Outline {
    /// An LSN above every frame there is: nothing of the old journal is ever replayed over the new snapshot.
    pub(super) last: u64,
    pub(super) incarnation: u32,
    pub(super) highest_number: u64,
    pub(super) spares: Vec<u64>,
    pub(super) beheaded: Vec<u64>,
    /// Segments that stay until the next snapshot.
    pub(super) kept: Vec<Kept>,
    /// Page files whose pages are written anew.
    pub(super) leaving: BTreeSet<u64>,
    /// What is moved aside.
    pub(super) aside: Vec<PathBuf>,
    /// Whether nothing else is removed.
    pub(super) keeps_all: bool,
}

impl Outline {
    /// In place of all of the journal that was scanned, which goes aside with `snapshots`.
    pub(super) fn superseding(scan: Scan, lsn: u64, root: &Path, snapshots: Vec<PathBuf>) -> Self {
        let journal = root.join(JOURNAL);
        let segments = scan.kept.iter().map(|kept| kept.number).chain(scan.unused.iter().copied());
        let aside = segments.map(|number| journal.join(naming::file_name(number)));
        Self {
            last: lsn.max(scan.highest_lsn).max(scan.proven),
            incarnation: scan.incarnation,
            highest_number: scan.highest_number,
            aside: snapshots.into_iter().chain(aside).collect(),
            spares: scan.spares,
            beheaded: scan.beheaded,
            kept: Vec::new(),
            leaving: BTreeSet::new(),
            keeps_all: false,
        }
    }
}
