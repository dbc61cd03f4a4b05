//! Going on from one segment to the next: when a spare one is made, of what space, and what becomes of those not needed.
//!
//! 1. A spare stands ready before the live segment is full: from an eighth on the background writes one out, and a change
//!    that makes the store grow does not get past a half without.
//! 2. Segments are made under the journal's lock only where a caller cannot go on without; then their space is reserved and
//!    not written out.

use std::time::Duration;

use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::segments::{HeaderFields, Next, Segments};
use super::{Growth, Journal, Tail};
use crate::model::error::{Error, Result};
use crate::storage::reserve::Need;
use crate::sync::atomic::Ordering;

impl Journal {
    /// Makes sure that a segment stands ready behind the live one once that is half full: until then the background has
    /// time to write one out, and half a segment is left to changes that do not grow the store.
    pub(super) fn keep_reserve(&self, segments: &mut Segments, bytes: u64) -> Result<()> {
        let filled = segments.live().end().saturating_add(bytes);
        if !segments.has_spare() && filled > segments.live().capacity() / 2 {
            let spare = Segment::reserve(&self.place, segments.next_number(), self.place.segment_bytes);
            segments.adopt(spare.inspect_err(|error| self.note_shortage(error))?);
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

    /// Goes on to the next segment, large enough for a frame of `bytes`.
    pub(super) fn rotate(&self, tail: &mut Tail, bytes: u64, growth: Growth) -> Result<()> {
        let needed = SEGMENT_HEADER_BYTES.saturating_add(bytes);
        let next = match tail.segments.take_spare(needed) {
            Some(spare) => spare,
            None => self.make_next(&tail.segments, needed, growth)?,
        };
        let fields = HeaderFields {
            first_lsn: self.appended.load(Ordering::Relaxed).saturating_add(1),
            incarnation: self.place.incarnation,
            synced: self.commit.synced(),
        };
        if let Err(cause) = tail.segments.start(next, fields) {
            let cause = Error::io("starting a journal segment", cause);
            return Err(if cause.is_full() { cause } else { self.fail(tail, &cause) });
        }
        // A spare that was too small.
        tail.segments.sweep(&self.place);
        self.publish_sizes(&tail.segments);
        self.wants_spare.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes a segment for at least `needed` bytes; for what frees space, of what is held back for that if need be.
    fn make_next(&self, segments: &Segments, needed: u64, growth: Growth) -> Result<Next> {
        let reserve = |bytes: u64| Segment::reserve(&self.place, segments.next_number(), bytes);
        let next = match reserve(needed.max(self.place.segment_bytes)) {
            Err(error) if error.is_full() && growth == Growth::Frees => {
                let ample = (self.reserve.removal_bytes() / 8).clamp(LEAN_BYTES, MOST_LEAN_BYTES);
                let ample = if self.reserve.usable(Need::Free) > ample * 2 { ample } else { LEAN_BYTES };
                let bytes = needed.next_multiple_of(LEAN_BYTES).max(ample);
                self.reserve.spend(Need::Free, bytes, || reserve(bytes)).map(Next::Lean)
            }
            usual => usual.map(Next::Made),
        };
        let is_usual = needed <= self.place.segment_bytes;
        let next = next.inspect_err(|error| {
            if is_usual {
                self.note_shortage(error);
            }
        })?;
        self.short.store(matches!(next, Next::Lean(_)), Ordering::Release);
        Ok(next)
    }

    /// Prepares the next segment with written-out zeros, so that syncing it later changes no file metadata.
    /// Space that cannot be had now is asked for again by the next change that grows the store. `between` is called before
    /// each slice that is written, with how long the last one took.
    pub(crate) fn prepare_spare(&self, between: &mut dyn FnMut(Duration)) -> Result<()> {
        if !self.wants_spare() {
            return Ok(());
        }
        let number = self.tail.lock().segments.take_number();
        let prepared = Segment::prepare(&self.place, number, self.place.segment_bytes, &[], between);
        let prepared = prepared.inspect_err(|error| self.note_shortage(error))?;
        let segments = &mut self.tail.lock().segments;
        if segments.accept_prepared(prepared) {
            self.note_spare();
        } else {
            segments.sweep(&self.place);
        }
        Ok(())
    }

    /// Gives up the segments below number `first`: one becomes the spare, its space already written out, the rest go.
    pub(crate) fn retire_below(&self, first: u64) -> Result<()> {
        let segments = &mut self.tail.lock().segments;
        let mut recycled = Ok(false);
        for retired in segments.retire_below(first) {
            match recycled {
                Ok(_) => recycled = segments.recycle(&self.place, retired),
                Err(_) => segments.discard(retired),
            }
            if let Ok(true) = recycled {
                self.note_spare();
            }
        }
        segments.sweep(&self.place);
        self.publish_sizes(segments);
        recycled.map(drop)
    }

    /// Goes on to a new segment if the live one is longer than any but the first of a run, which holds what was carried
    /// over: so that a snapshot can free it.
    pub(crate) fn turn_over(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if tail.failed.is_some() || tail.segments.live().end() <= self.place.segment_bytes {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Grows)
    }

    /// Goes on to a new segment, made of what is held back if need be, if the live one is what takes room: so that a snapshot
    /// can free it.
    pub(crate) fn leave_live(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        let live = tail.segments.live();
        let small = live.capacity() <= LEAN_BYTES;
        if tail.failed.is_some() || small || live.end() <= live.capacity() / 2 {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Frees)
    }

    /// Cuts a closed journal's unused space off.
    pub(crate) fn finish(&self) -> Result<()> {
        let segments = &mut self.tail.lock().segments;
        segments.finish().map_err(|e| Error::io("closing the journal", e))?;
        // What stays is removed by the next open.
        segments.sweep(&self.place);
        Ok(())
    }

    /// For those who ask without the lock.
    fn publish_sizes(&self, segments: &Segments) {
        let full = segments.full_bytes();
        self.full_bytes.store(full, Ordering::Relaxed);
        self.kept_bytes.store(full.saturating_add(segments.live().capacity()), Ordering::Relaxed);
    }
}

/// The size of a lean segment, at least and, unless a frame needs more, at most.
const LEAN_BYTES: u64 = 8 << 10;
const MOST_LEAN_BYTES: u64 = 1 << 20;
