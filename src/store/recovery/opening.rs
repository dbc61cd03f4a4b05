//! A store that is being opened: its place, and the state that the parts of the opening share.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::disk::Disk;
use crate::model::error::Result;
use crate::state::Contents;
use crate::storage::budget::Budget;
use crate::storage::page_files::PageFiles;
use crate::storage::reserve::Reserve;

#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) config: &'a Config,
    pub(super) root: &'a Path,
    pub(super) store: [u8; 16],
    pub(super) page_files: Arc<PageFiles>,
    pub(super) budget: Arc<Budget>,
    pub(super) reserve: Arc<Reserve>,
}

impl<'a> Opening<'a> {
    /// The opening of the store with that id in `root`. No page file is read.
    pub(super) fn new(config: &'a Config, root: &'a Path, store: [u8; 16]) -> Result<Self> {
        let bytes = config.segment_bytes.saturating_mul(SEGMENTS_A_PAGE_FILE);
        let page_files = Arc::new(PageFiles::open(&config.disk, root, store, bytes, config.page_files)?);
        let budget = Budget::new(config.memory);
        let reserve = Arc::new(Reserve::open(&config.disk, root, config.segment_bytes, &budget));
        Ok(Self { config, root, store, page_files, budget, reserve })
    }

    pub(super) fn disk(&self) -> &'a dyn Disk {
        &*self.config.disk
    }

    /// The state that records are loaded into.
    pub(super) fn empty_contents(&self) -> Contents {
        Contents::new(self.page_files.clone(), self.budget.clone())
    }

    /// Does `work`; if it fails, the page files that it has written are removed.
    pub(super) fn attempt<T>(self, work: impl FnOnce(Self) -> Result<T>) -> Result<T> {
        let page_files = self.page_files.clone();
        work(self).inspect_err(|_| page_files.abandon())
    }
}

/// The size of a page file, in segments of the journal.
const SEGMENTS_A_PAGE_FILE: u64 = 2;
