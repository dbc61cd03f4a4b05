//! Eviction: pages leave memory, and are read again when somebody needs them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::error::Result;
use crate::state::Purpose;
use crate::store::{QueueSlot, Store};

impl Store {
    /// Lets pages go to the page files until memory is well below its bound.
    pub(crate) fn evict(&self) -> Result<()> {
        let _turn = self.residency.take_turn();
        if self.budget.used() > self.budget.target() {
            self.check_place()?;
            self.clear_deleted();
        }
        let mut visits = 0_usize;
        while self.budget.used() > self.budget.target() && !self.is_closed() {
            let (slot, all) = self.residency.take_oldest();
            let Some(slot) = slot else { break };
            // The first time round, queues in use are spared.
            let hard = visits > all.saturating_mul(2);
            visits = visits.saturating_add(1);
            let evicted = self.evict_from(&slot, hard);
            self.admission.made.notify_all();
            evicted?;
        }
        Ok(())
    }

    /// Evicts some pages of a queue, which stands in the list no more; puts it back if it has others.
    fn evict_from(&self, slot: &Arc<QueueSlot>, hard: bool) -> Result<()> {
        let pages = {
            let mut queue = slot.lock();
            let in_use = std::mem::take(&mut queue.touched) && !hard;
            let pages = queue.evict(in_use, PAGES_AT_ONCE);
            slot.hot.store(0, Ordering::Release);
            self.residency.note_hot(slot, &queue);
            pages
        };
        let mut written = Vec::with_capacity(pages.len());
        for page in pages {
            let (image, _) = page.write(&self.page_files, &BTreeSet::new(), &self.budget, slot.owner())?;
            written.push((page, image));
        }
        self.set_images(slot, &mut written, Purpose::Eviction);
        Ok(())
    }
}

/// Pages evicted from a queue before the next one has its turn.
const PAGES_AT_ONCE: usize = 64;
