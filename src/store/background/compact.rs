//! Compaction: gives back what the store's directory holds beyond need, beside all calls.
//!
//! | Step | Frees | If the process ends here |
//! |---|---|---|
//! | expired data and what deleted queues had is let go | nothing yet | it expires again |
//! | dead messages are dropped from pages, which are to be written again | nothing yet | they are dropped again |
//! | the journal goes on in a new segment, if the live one is longer than a usual one | nothing yet | an opening goes on behind both |
//! | a snapshot is written, for which the pages leave every page file with garbage, and an archive without void records | the journal before it, page files, the former snapshot and archive | the former snapshot and the journal are there, or the new one |
//! | the spare segment is removed | its space | an opening makes another |
//! | the trees are brought up to date, and filled anew if they are much larger than their content | the former trees | an opening uses the snapshot |
//!
//! 1. These are the steps of housekeeping, with lower bounds. So nothing is lost that housekeeping would not lose.
//! 2. Housekeeping is locked for one step at a time.

use crate::model::error::{Error, Result};
use crate::store::Store;
use crate::store::recovery::trees_path;

impl Store {
    /// Frees all disk space that no data needs, but for what the bounds in `docs::bounds` leave.
    pub(crate) fn compact(&self) -> Result<()> {
        self.check_place()?;
        self.collect();
        self.drop_dead()?;
        self.free_garbage()?;
        self.shrink_trees()
    }

    /// Drops what pages have of messages that are not there any more.
    fn drop_dead(&self) -> Result<()> {
        for slot in self.slots() {
            let mut after = None;
            loop {
                // Nothing is evicted any more.
                if self.is_closed() {
                    return Err(Error::Closed);
                }
                let Some(mut queue) = self.lock_as_is(&slot) else { break };
                after = queue.drop_dead(after, PAGES_AT_ONCE)?;
                drop(queue);
                if after.is_none() {
                    break;
                }
                match self.evict() {
                    // The rest can be given back without more pages.
                    Err(error) if error.is_full() => return Ok(()),
                    evicted => evicted?,
                }
            }
        }
        Ok(())
    }

    fn free_garbage(&self) -> Result<()> {
        let mut housekeeping = self.housekeeping.lock();
        // Without space for another segment the snapshot frees all but the last one.
        self.journal.turn_over().or_else(|error| if error.is_full() { Ok(()) } else { Err(error) })?;
        housekeeping.thorough = true;
        let written = self.write_snapshot(&mut housekeeping);
        housekeeping.thorough = false;
        written?;
        self.journal.remove_spare();
        Ok(())
    }

    fn shrink_trees(&self) -> Result<()> {
        let mut housekeeping = self.housekeeping.lock();
        // New ones are not made. On a full disk they would take the space that removals need.
        if housekeeping.filled.is_none() || !self.dirty.has_trees() || self.reserve.is_short() {
            return Ok(());
        }
        self.checkpoint(&mut housekeeping)?;
        let Some(digest) = housekeeping.filled else { return Ok(()) };
        let path = trees_path(&self.root, housekeeping.manifest.generation);
        let size = self.context.disk.size(&path).map_err(|e| Error::file("measuring", &path, e))?;
        if size <= digest.bytes.saturating_mul(TREES_GROWTH).saturating_add(TREES_BYTES) {
            return Ok(());
        }
        self.abandon_trees(&mut housekeeping);
        self.checkpoint(&mut housekeeping)
    }
}

/// The pages that are read while a queue is locked.
const PAGES_AT_ONCE: usize = 16;
/// The size of trees that are kept: so many times their content, and so many bytes more. New ones take about as much.
const TREES_GROWTH: u64 = 4;
const TREES_BYTES: u64 = 4 << 20;
