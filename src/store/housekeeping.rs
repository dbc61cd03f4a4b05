//! What housekeeping knows of the files, and what deleted queues left in the trees.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::disk::trees::Tree;
use crate::model::error::Result;
use crate::state::Queue;
use crate::storage::keys;
use crate::storage::manifest::Manifest;
use crate::storage::records::{Digest, Digested};

/// What housekeeping works on; see the lock order in `store`.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub(crate) manifest: Manifest,
    /// What is in the trees of the manifest's generation; `None` when there are none to go on with.
    pub(crate) filled: Option<Digest>,
    /// The page files that the manifest's snapshot names.
    pub(crate) snapshot_files: BTreeSet<u64>,
    pub(super) gone: Vec<DeletedRecords>,
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

/// What a deleted queue left in the trees.
#[derive(Debug)]
pub(crate) struct DeletedRecords {
    key: Vec<u8>,
    number: u64,
    pages: Vec<u64>,
    claims: Vec<u64>,
}

impl DeletedRecords {
    /// Notes what of `queue` is in the trees, and frees the rest; `None` if the trees never had anything of it.
    pub(super) fn of(mut queue: Queue) -> Option<Self> {
        if !queue.is_stored() {
            return None;
        }
        let changes = queue.take_changes();
        let stored = queue.pages().values().filter(|page| page.stored);
        let pages = stored.map(|page| page.first()).chain(changes.gone_pages);
        let claims = queue.claims().iter().filter(|(_, claim)| claim.stored).map(|(number, _)| number);
        Some(Self {
            key: keys::queue(queue.project(), queue.name()),
            number: queue.number(),
            pages: pages.collect(),
            claims: claims.chain(changes.gone_claims).collect(),
        })
    }

    pub(super) fn remove_from(&self, trees: &mut Digested) -> Result<()> {
        trees.remove(Tree::Queues, &self.key)?;
        remove_pages(trees, self.number, &self.pages)?;
        self.claims.iter().try_for_each(|claim| trees.remove(Tree::Claims, &keys::claim(self.number, *claim)))
    }
}

pub(super) fn remove_pages(trees: &mut Digested, queue: u64, pages: &[u64]) -> Result<()> {
    pages.iter().try_for_each(|first| trees.remove(Tree::Messages, &keys::page(queue, *first)))
}

impl Housekeeping {
    pub(crate) fn new(manifest: Manifest, filled: Option<Digest>, snapshot_files: BTreeSet<u64>) -> Self {
        let snapshot_number = manifest.snapshot.map_or(0, |mark| mark.number);
        Self {
            unproven: filled.is_some(),
            manifest,
            filled,
            snapshot_files,
            gone: Vec::new(),
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
