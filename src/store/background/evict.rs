//! Eviction: pages leave memory, and are read again when a call needs them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::error::Result;
use crate::state::Purpose;
use crate::store::slot::ActiveQueue;
use crate::store::{QueueSlot, Store};

/// The outcome of a visit to a queue with pages in memory; of a visit to all of them, the best single outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    Nothing,
    /// Another thread has it locked.
    Busy,
    Evicted,
}

impl Store {
    /// Evicts pages until memory is well below its bound, or no queue in the list has pages to evict. A thread that
    /// loads other pages signals the evictor when it unlocks their queue.
    pub(crate) fn evict(&self) -> Result<()> {
        let _turn = self.hot_queues.take_turn();
        if self.is_above_target() {
            self.check_place()?;
            self.clear_deleted();
        }
        // At first, the pages that queues in use need next are spared, and locked queues are skipped.
        let (mut spare, mut timeout) = (true, Duration::ZERO);
        while self.is_above_target() {
            match self.evict_round(spare, timeout)? {
                Round::Evicted => timeout = Duration::ZERO,
                Round::Busy => {
                    spare &= timeout < MOST_TIMEOUT;
                    timeout = timeout.saturating_mul(2).clamp(LEAST_TIMEOUT, MOST_TIMEOUT);
                }
                Round::Nothing if spare => spare = false,
                Round::Nothing => break,
            }
        }
        Ok(())
    }

    fn is_above_target(&self) -> bool {
        self.budget.used() > self.budget.target() && !self.is_closed()
    }

    /// Visits each queue of the list once. Waits for a locked queue at most `timeout`, because another queue may get
    /// pages to evict meanwhile.
    fn evict_round(&self, spare: bool, timeout: Duration) -> Result<Round> {
        let (mut round, mut ticket, last) = (Round::Nothing, 0, self.hot_queues.last_ticket());
        while self.is_above_target()
            && let Some((next, slot)) = self.hot_queues.next_in(ticket, last)
        {
            ticket = next;
            let visit = match slot.try_lock_for(timeout) {
                Some(queue) => self.evict_from(&slot, queue, spare)?,
                None => Round::Busy,
            };
            round = round.max(visit);
        }
        Ok(round)
    }

    /// Evicts some pages of a queue and moves the queue to the end of the list.
    fn evict_from(&self, slot: &Arc<QueueSlot>, mut queue: ActiveQueue<'_>, spare: bool) -> Result<Round> {
        let hot = queue.hot_pages();
        let in_use = std::mem::take(&mut queue.touched) && spare;
        let pages = queue.evict(in_use, PAGES_AT_ONCE);
        let evicted = !pages.is_empty() || queue.hot_pages() < hot;
        self.hot_queues.list_last(slot, &queue);
        drop(queue);
        let mut written = Vec::with_capacity(pages.len());
        let outcome: Result<()> = pages.into_iter().try_for_each(|page| {
            self.relieve_page_files()?;
            let write = || page.write(&self.page_files, &BTreeSet::new(), &self.budget, slot.owner());
            let (image, _) = self.reserve.take_free(write)?;
            written.push((page, image));
            Ok(())
        });
        // After a failure too: the pages that were written leave memory.
        self.set_images(slot, &mut written, Purpose::Eviction);
        outcome?;
        Ok(if evicted { Round::Evicted } else { Round::Nothing })
    }
}

/// The most pages that are evicted from one queue before the next queue is visited.
const PAGES_AT_ONCE: usize = 64;
/// The time that a visit waits for a locked queue: longer each time.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);
const MOST_TIMEOUT: Duration = Duration::from_millis(100);
