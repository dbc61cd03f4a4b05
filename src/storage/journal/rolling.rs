//! Switching from one segment to the next: creating spare segments, their disk space, and retiring segments.
//!
//! 1. A spare segment exists before the live segment is full. Once an eighth is full, the background thread makes a
//!    spare. Beyond a half, a change that grows the store needs a spare.
//! 2. A segment is created under the journal's lock only if a call cannot continue without it.
//! 3. The space of a segment is allocated, not written. If a segment is synced often, zeros are written ahead of its
//!    frames, a part at a time: then few syncs change the file's metadata. If a segment is filled within few syncs,
//!    writing it twice would cost more.
//! 4. Retired files are removed without the journal's lock.

use std::path::Path;
use std::time::Duration;

use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::segments::{HeaderFields, Next, Segments, remove};
use super::{Growth, Journal, SegmentImages, Tail};
use crate::model::error::{Error, Result};
use crate::storage::reserve::{Need, REMOVAL_SEGMENT};
use crate::sync::atomic::Ordering;

impl Journal {
    /// Makes sure that a spare segment exists once the live one is half full. Until then the background thread has time
    /// to write one out. Half a segment is left for changes that do not grow the store.
    pub(super) fn keep_reserve(&self, segments: &mut Segments, bytes: u64) -> Result<()> {
        let filled = segments.live().end().saturating_add(bytes);
        if filled > segments.live().capacity() / 2 {
            if !segments.refill(&self.context) {
                let reserve = || Segment::reserve(&self.context, segments.next_number(), self.context.segment_bytes);
                let spare = self.reserve.take_free(reserve);
                segments.adopt(spare.inspect_err(|error| self.note_shortage(error))?);
            }
            self.note_spare();
        }
        Ok(())
    }

    fn note_spare(&self) {
        self.wants_spare.store(false, Ordering::Release);
        self.short.store(false, Ordering::Release);
    }

    fn note_shortage(&self, error: &Error) {
        if error.is_full() {
            self.short.store(true, Ordering::Release);
        }
    }

    /// Switches to the next segment, large enough for a frame of `bytes`.
    pub(super) fn rotate(&self, tail: &mut Tail, bytes: u64, growth: Growth) -> Result<()> {
        let needed = SEGMENT_HEADER_BYTES.saturating_add(bytes);
        if needed <= self.context.segment_bytes {
            tail.segments.refill(&self.context);
        }
        let next = match tail.segments.take_spare(needed) {
            Some(spare) => spare,
            None => self.make_next(&tail.segments, needed, growth)?,
        };
        let fields = HeaderFields {
            first_lsn: self.appended.load(Ordering::Relaxed).saturating_add(1),
            incarnation: self.context.incarnation,
            synced: self.commit.synced(),
        };
        if let Err(cause) = tail.segments.start(next, fields) {
            let cause = Error::io("starting a journal segment", cause);
            return Err(if cause.is_full() { cause } else { Error::Poisoned { cause: self.fail(tail, &cause) } });
        }
        tail.frequency.rotate(self.syncs.load(Ordering::Relaxed));
        // The spare was too small.
        tail.segments.sweep(&self.context);
        self.publish_sizes(&tail.segments);
        self.wants_spare.store(false, Ordering::Release);
        Ok(())
    }

    /// Creates a segment for at least `needed` bytes; for changes that free space, out of the reserve if necessary.
    fn make_next(&self, segments: &Segments, needed: u64, growth: Growth) -> Result<Next> {
        let reserve = |bytes: u64| Segment::reserve(&self.context, segments.next_number(), bytes);
        let usual = needed.max(self.context.segment_bytes);
        let next = match self.reserve.take_free(|| reserve(usual)) {
            Err(error) if error.is_full() && growth == Growth::Frees => {
                let ample = (self.reserve.removal_bytes() / 8).clamp(REMOVAL_SEGMENT, MOST_LEAN_BYTES);
                let ample = if self.reserve.usable(Need::Free) > ample * 2 { ample } else { REMOVAL_SEGMENT };
                let bytes = needed.next_multiple_of(REMOVAL_SEGMENT).max(ample);
                self.reserve.spend(Need::Free, bytes, || reserve(bytes)).map(Next::Lean)
            }
            made => made.map(Next::Made),
        };
        let is_usual = needed <= self.context.segment_bytes;
        let next = next.inspect_err(|error| {
            if is_usual {
                self.note_shortage(error);
            }
        })?;
        self.short.store(matches!(next, Next::Lean(_)), Ordering::Release);
        Ok(next)
    }

    /// Prepares the next segment. If there is no space now, the next change that grows the store asks again. `between`
    /// is called before each sync, with the duration of the last one.
    pub(crate) fn prepare_spare(&self, between: &mut dyn FnMut(Duration)) -> Result<()> {
        if !self.wants_spare() {
            return Ok(());
        }
        let number = {
            let segments = &mut self.tail.lock().segments;
            if segments.refill(&self.context) {
                self.note_spare();
                Err(segments.unsynced_spare())
            } else {
                Ok(segments.take_number())
            }
        };
        let number = match number {
            Ok(number) => number,
            Err(spare) => return spare.map_or(Ok(()), |spare| self.sync_spare(spare, between)),
        };
        let (context, bytes) = (&self.context, self.context.segment_bytes);
        let reserved = self.reserve.take_free(|| Segment::reserve(context, number, bytes));
        let prepared = reserved.and_then(|segment| segment.durable(context, &[], between));
        let prepared = prepared.inspect_err(|error| self.note_shortage(error))?;
        if self.tail.lock().segments.accept_prepared(prepared) {
            self.note_spare();
        } else {
            self.sweep();
        }
        Ok(())
    }

    /// Makes the directory entry of the spare durable, so that no call has to wait for that.
    fn sync_spare(&self, spare: u64, between: &mut dyn FnMut(Duration)) -> Result<()> {
        between(Duration::ZERO);
        let synced = self.context.kept_directory.sync(&*self.context.disk);
        synced.map_err(|e| Error::io("syncing the journal's directory", e))?;
        self.tail.lock().segments.spare_is_synced(spare);
        Ok(())
    }

    /// Removes obsolete segments.
    fn sweep(&self) {
        let obsolete = self.tail.lock().segments.take_obsolete();
        self.remove_retired(obsolete);
    }

    /// Retires the segments below number `first`. Some are kept to be used again, up to `most` together with the full ones,
    /// with their space already written out. Returns the numbers of the others, to be
    /// [removed](Self::remove_retired).
    pub(crate) fn retire_below(&self, first: u64, most: usize) -> Result<Vec<u64>> {
        let mut named = Vec::new();
        let (recycled, obsolete) = {
            let segments = &mut self.tail.lock().segments;
            let mut recycled = Ok(());
            for retired in segments.retire_below(first) {
                named.extend(retired.second_name().cloned());
                match recycled {
                    Ok(()) => recycled = segments.recycle(&self.context, retired, most),
                    Err(_) => segments.discard(retired),
                }
            }
            if segments.refill(&self.context) {
                self.note_spare();
            }
            self.publish_sizes(segments);
            (recycled, segments.take_obsolete())
        };
        named.iter().for_each(|segment| segment.trim(&*self.context.disk));
        match recycled {
            Ok(()) => Ok(obsolete),
            Err(error) => {
                self.remove_retired(obsolete);
                Err(error)
            }
        }
    }

    /// Removes the files of retired segments. Files that stay are tried again.
    pub(crate) fn remove_retired(&self, obsolete: Vec<u64>) {
        let left = remove(&self.context, obsolete);
        if !left.is_empty() {
            self.tail.lock().segments.keep_obsolete(left);
        }
    }

    /// Takes back a retired segment that is of no use as a page file any more, `from`, to be used again, if there are fewer
    /// than `most` full ones and such; whether it did.
    pub(crate) fn take_back(&self, segment: (&SegmentImages, &Path), most: usize) -> bool {
        self.tail.lock().segments.take_back(&self.context, segment, most)
    }

    /// Whether a segment is there to follow the live one.
    pub(crate) fn has_spare(&self) -> bool {
        self.tail.lock().segments.has_spare()
    }

    /// Whether retired segments are kept to be used again.
    pub(crate) fn has_pool(&self) -> bool {
        self.tail.lock().segments.has_pool()
    }

    /// Gives up the retired segments that are kept to be used again, for their space; whether there were any.
    pub(crate) fn release_pool(&self) -> bool {
        let had_some = {
            let segments = &mut self.tail.lock().segments;
            let had_some = segments.has_pool();
            segments.discard_pool();
            had_some
        };
        if had_some {
            self.sweep();
        }
        had_some
    }

    /// Switches to a new segment, so that a snapshot can free the live one, if that is longer than a usual segment, as
    /// the first segment of a run with copied frames may be.
    pub(crate) fn turn_over(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if tail.failed.is_some() || tail.segments.live().end() <= self.context.segment_bytes {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Grows)
    }

    /// Removes the spare segment, until the live one is so full that another is made.
    pub(crate) fn remove_spare(&self) {
        self.tail.lock().segments.discard_spare();
        self.sweep();
    }

    /// Switches to a new segment, made of the reserve if necessary, so that a snapshot can free a large live one.
    pub(crate) fn leave_live(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        let live = tail.segments.live();
        let small = live.capacity() <= REMOVAL_SEGMENT;
        if tail.failed.is_some() || small || live.end() <= live.capacity() / 2 {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Frees)
    }

    /// Cuts off the unused space of a closed journal.
    pub(crate) fn finish(&self) -> Result<()> {
        let segments = &mut self.tail.lock().segments;
        segments.finish().map_err(|e| Error::io("closing the journal", e))?;
        // Files that stay are removed by the next open.
        segments.sweep(&self.context);
        Ok(())
    }

    /// Publishes the sizes for readers without the lock.
    fn publish_sizes(&self, segments: &Segments) {
        let full = segments.full_bytes();
        self.full_bytes.store(full, Ordering::Relaxed);
        self.kept_bytes.store(full.saturating_add(segments.live().capacity()), Ordering::Relaxed);
    }
}

/// The most bytes of a lean segment, unless a frame needs more.
const MOST_LEAN_BYTES: u64 = 1 << 20;
