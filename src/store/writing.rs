//! Appending a change to the journal and applying it.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::thread;

use super::Store;
use super::meters::messages_in;
use crate::model::Durability;
use crate::model::error::Result;
use crate::state::costs::{made_by, price, void_bytes};
use crate::state::op::{Address, Op};
use crate::state::{Freed, Queue};
use crate::storage::codec;
use crate::storage::journal::{Appended, FrameImage, Growth, frame_buffer};
use crate::storage::reserve::Need;

impl Store {
    /// Journals the current time when a call has met newly expired data, so that the data stays expired after a
    /// restart, whatever the wall clock shows then. A store that cannot write continues to read.
    pub(crate) fn record_freed(&self, freed: Freed, now: u64) {
        if freed != Freed::default() {
            self.meters.expired.add(freed.messages);
            self.record_time(now);
        }
    }

    pub(super) fn record_time(&self, now: u64) {
        if self.journaled_time.load(Ordering::Relaxed) < now {
            let recorded = self.record(Growth::Frees, now, &Op::Time, &mut []);
            if recorded.is_ok() && self.journal.leave_unsynced() {
                // No call waits for this sync, but expired data that a caller noticed must not come back.
                self.signals.journal();
            }
        }
    }

    /// Appends `op` and applies it to `queues`; returns its LSN.
    pub(crate) fn record(&self, growth: Growth, now: u64, op: &Op<'_>, queues: &mut [&mut Queue]) -> Result<u64> {
        queues.iter().try_for_each(|queue| queue.prepare(op))?;
        self.recall_all(growth, now, queues)?;
        let key_bytes = queues.iter().map(|queue| queue.key_bytes()).max().unwrap_or(0);
        let (lsn, frame) = self.append_page(key_bytes, growth, now, op)?;
        self.apply(lsn, now, op, queues);
        if let (Some(frame), Op::Post { first, .. }, [queue]) = (frame, op, queues) {
            queue.set_frame(*first, frame);
        }
        Ok(lsn)
    }

    /// Journals the recall of the queues that are in an archive as they are: a replay has to load them.
    pub(super) fn recall_all(&self, growth: Growth, now: u64, queues: &mut [&mut Queue]) -> Result<()> {
        for queue in queues.iter_mut().filter(|queue| queue.is_archived()) {
            let (project, name) = (queue.project().clone(), queue.name().clone());
            let op = Op::Recall { queue: queue.number(), address: Address::of(&project, &name) };
            self.append(growth, now, &op)?;
            queue.set_archived(false);
            // The next snapshot says that the archive's record is void, also if the queue is deleted by then.
            self.reserve.add_records(void_bytes(queue.key_bytes()));
        }
        Ok(())
    }

    /// Applies an appended operation, whose pages have been loaded before.
    pub(super) fn apply(&self, lsn: u64, now: u64, op: &Op<'_>, queues: &mut [&mut Queue]) {
        let poison_on_panic = PoisonOnPanic(self);
        let described = matches!(op, Op::SetMetadata { .. } | Op::Remap { .. });
        let bytes = |queues: &[&mut Queue]| queues.iter().map(|queue| queue.description().bytes() as u64).sum();
        let before = if described { bytes(queues) } else { 0 };
        let messages = messages_in(queues);
        let expired = queues.iter_mut().map(|queue| queue.apply(lsn, now, op)).sum();
        if described {
            self.reserve.change_records(before, bytes(queues));
        }
        self.meters.note(op, (messages, expired), queues);
        drop(poison_on_panic);
        if queues.iter().any(|queue| queue.is_broken()) {
            self.journal.poison("a change could not be applied whole");
        }
    }

    /// Appends `op`; the caller, which holds the locks, applies it.
    pub(crate) fn append(&self, growth: Growth, now: u64, op: &Op<'_>) -> Result<u64> {
        self.append_for(0, growth, now, op)
    }

    /// As [`Self::append`], for an operation on a queue whose key has `key_bytes` bytes.
    pub(super) fn append_for(&self, key_bytes: u64, growth: Growth, now: u64, op: &Op<'_>) -> Result<u64> {
        self.append_page(key_bytes, growth, now, op).map(|(lsn, _)| lsn)
    }

    /// As [`Self::append_for`]; returns the frame too if it posts one message that is a page.
    fn append_page(&self, key_bytes: u64, growth: Growth, now: u64, op: &Op<'_>) -> Result<(u64, Option<FrameImage>)> {
        if !self.process.is_this_as_far_as_known() {
            return Err(self.forked());
        }
        let mut frame = frame_buffer(BUFFER.take());
        codec::encode_into(&EntryRef { time: now, op }, &mut frame)?;
        let bytes = frame.len() as u64;
        let require = || match growth {
            Growth::Frees => Ok(()),
            Growth::Leases => self.reserve.require(Need::Lease, price(op, bytes, key_bytes)),
            Growth::Grows => self.reserve.require(Need::Grow, price(op, bytes, key_bytes)),
        };
        let admitted = match require() {
            Err(error) if error.is_full() && self.journal.release_pool() => require(),
            admitted => admitted,
        };
        let appended = admitted.and_then(|()| self.journal.append(frame, growth, op.is_page()));
        if self.is_short() || self.reserve.wants_housekeeping() || self.journal.has_filled_segment() {
            // A snapshot may free space, or be due; the reserve is lengthened and synced there.
            self.signals.housekeeping();
        }
        let Appended { lsn, frame, image } = appended?;
        if frame.capacity() <= KEPT_BUFFER_BYTES {
            BUFFER.set(frame);
        }
        if growth != Growth::Frees {
            self.reserve.add_records(made_by(op));
        }
        self.journaled_time.fetch_max(now, Ordering::Relaxed);
        if self.journal.wants_spare() {
            self.signals.journal();
        }
        Ok((lsn, image))
    }

    /// Waits until the change `lsn` is durable as requested.
    pub(crate) fn wait_durable(&self, lsn: u64, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.journal.wait_durable(lsn),
            Durability::Buffered => {
                if self.journal.leave_unsynced() {
                    self.signals.journal();
                }
                Ok(())
            }
        }
    }

    /// Waits until every change that a caller may have observed is durable as requested. For calls that found nothing
    /// to do.
    pub(crate) fn wait_seen_durable(&self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.journal.wait_durable(self.journal.appended()),
            Durability::Buffered => Ok(()),
        }
    }
}

/// A [`JournalEntry`](crate::state::op::JournalEntry) that borrows its operation.
#[derive(serde::Serialize)]
pub(super) struct EntryRef<'a, 'b> {
    pub(super) time: u64,
    pub(super) op: &'a Op<'b>,
}

/// Poisons the store on a panic between the append and the end of the apply, because journal and memory then differ.
pub(super) struct PoisonOnPanic<'a>(pub(super) &'a Store);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.journal.poison("a panic while a change was applied");
        }
    }
}

thread_local! {
    /// The memory of the last frame, which the next frame uses again.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

const KEPT_BUFFER_BYTES: usize = 1 << 20;
