//! Dropping what pages have of messages that are not there any more.
//!
//! A page drops its dead messages by itself when it is changed in memory and half of its bytes are of dead messages.
//! Else they stay until the last message of the page is gone.

use std::ops::Bound;

use super::{Queue, Result};

impl Queue {
    /// Drops the dead messages of up to `most` pages behind the page `after` of which they take more than a sixteenth.
    /// Returns the last of these pages; `None` if there are no more. The pages are then in memory, to be written.
    ///
    /// # Errors
    /// Those of reading a page. A page that is damaged stays as it is.
    pub(crate) fn drop_dead(&mut self, after: Option<u64>, most: usize) -> Result<Option<u64>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.pages.range((start, Bound::Unbounded));
        let wasteful: Vec<u64> =
            behind.filter(|(_, page)| page.is_wasteful()).map(|(first, _)| *first).take(most).collect();
        for first in &wasteful {
            let Some(page) = self.pages.get(first) else { continue };
            match self.load(page) {
                Err(_) if page.is_damaged() => continue,
                loaded => loaded?,
            }
            self.pages.get_mut(first).into_iter().for_each(|page| page.compact());
            self.note_entry(*first);
        }
        self.settle_damage();
        Ok(wasteful.last().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::disk::SimulatedDisk;
    use crate::model::{ClaimOptions, ClientId, MessageListOptions, Metadata, NewMessage, Project, Timestamp};
    use crate::{Config, DataDriver, ManualClock};

    #[test]
    fn dead_messages_leave_pages_of_few_large_messages_too() {
        // A message shows when it was read, so time stands still.
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).background(false);
        let engine = config.open("/store").unwrap();
        let queue = engine.queue(Project::none(), "jobs").unwrap();
        queue.create(Metadata::new()).unwrap();
        let large = vec![NewMessage::new("x".repeat(2_000)); 24];
        let ids = queue.post(ClientId::from_bytes([1; 16]), &large).unwrap();
        let claim = queue.claim(ClaimOptions::new().limit(10)).unwrap().unwrap();
        let dead: Vec<_> = ids.iter().copied().enumerate().filter(|(at, _)| at % 3 == 1).map(|(_, id)| id).collect();
        queue.bulk_delete(&dead).unwrap();
        let all = MessageListOptions::new().include_claimed(true);
        let before = queue.list(&all).unwrap().items;
        let slot = engine.store().find(&Project::none(), queue.name()).unwrap().unwrap();
        let bytes = |slot: &crate::store::QueueSlot| -> usize {
            slot.lock().pages().values().map(|page| page.freeze().body_bytes()).sum()
        };
        assert_eq!(bytes(&slot), 24 * 2_000, "housekeeping leaves them");
        let last = slot.lock().drop_dead(None, 2).unwrap();
        assert!(slot.lock().drop_dead(last, 9).unwrap().is_some());
        assert!(slot.lock().drop_dead(None, 9).unwrap().is_none());
        assert_eq!(bytes(&slot), 16 * 2_000);
        drop(slot);
        assert_eq!(queue.list(&all).unwrap().items, before);
        assert!(engine.verify().unwrap().is_sound());
        engine.claims().delete(&Project::none(), queue.name(), &claim.id()).unwrap();
        assert_eq!(queue.stats().unwrap().free(), 16);
    }
}
