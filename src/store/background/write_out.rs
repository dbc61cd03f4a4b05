//! Writing the pages of a queue that are only in memory to the page files, so that whoever reads the queue slowly need
//! not keep them in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::error::Result;
use crate::state::Purpose;
use crate::store::{QueueSlot, Store};

impl Store {
    /// Writes the queue's pages that have no image. They stay in memory. Where the disk has no space, the rest stays
    /// unwritten.
    pub(crate) fn write_out(&self, slot: &Arc<QueueSlot>) -> Result<()> {
        let mut after = None;
        loop {
            let pages = {
                let queue = slot.lock();
                if queue.is_deleted() { Vec::new() } else { queue.unwritten_pages(after, PAGES_AT_ONCE) }
            };
            let Some(last) = pages.last() else { return Ok(()) };
            after = Some(last.first);
            let written = self.write_pages(slot, pages, &BTreeSet::new(), Purpose::Reading, &mut |_, _, _| Ok(()));
            match written {
                Err(error) if error.is_full() => return Ok(()),
                written => written?,
            }
        }
    }
}

/// The pages that are referred to while they are written.
const PAGES_AT_ONCE: usize = 64;
