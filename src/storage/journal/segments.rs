//! The segments of an open journal. Each segment is in one state, and each transition is a method here.
//!
//! ```text
//!                     ┌──────────────────────── recycle ────────────────────────┐
//!                     ▼                                                         │
//!  adopt,           ┌───────┐ start  ┌──────┐ start  ┌────────┐ take_unsynced ┌────────┐
//!  accept_prepared  │ Spare ├───────►│ Live ├───────►│ Sealed ├──────────────►│ Synced │
//! ─────────────────►└───┬───┘ (this) └──────┘ (next) └───┬────┘               └───┬────┘
//!                       │ start, finish                  └────┬────────────────────┘
//!                       │                                     │ retire_below
//!                       ▼                                     ▼
//!                  ┌──────────┐        discard           ┌─────────┐
//!                  │ Obsolete │◄─────────────────────────┤ Retired │
//!                  └────┬─────┘                          └─────────┘
//!                       │ sweep
//!                       ▼ the file is removed
//! ```
//!
//! | State | Meaning |
//! |---|---|
//! | spare | a file with a number and without a header: an opening treats it as unused |
//! | live | started, and appended to |
//! | sealed | full; no sync that covers its end has begun |
//! | synced | full; synced, or being synced by the call that took it; if that fails, the journal is poisoned |
//! | retired | covered by a snapshot, so it is not needed and need not be synced |
//! | obsolete | takes space until it can be removed |
//!
//! 1. One segment is live, and at most one is spare. The spare's number is above the live one's, and that is above
//!    those of all full segments, because an opening follows segments by their numbers.
//! 2. A sync takes all sealed segments and the live one, so every LSN before a synced one is synced too. Only the sync
//!    for a snapshot leaves the sealed segments that the snapshot makes unnecessary, and those behind it; nothing counts
//!    as synced by it before the snapshot counts.
//! 3. A number is used once. The number of a file in preparation is above the live one's.
//! 4. The directory is synced before a frame in a segment whose entry may not be durable is acknowledged.
//! 5. The live segment is never retired.
//!
//! Cost: an append uses only the live segment; everything else is O(segments), once for each segment or each sync.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::context::JournalContext;
use super::naming::SegmentId;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::model::error::Result;

/// A segment file that a later recovery would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) bytes: u64,
}

/// A segment written by recovery, ready to take more frames.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) live: Segment,
    pub(crate) offset: u64,
    pub(crate) next_lsn: u64,
    /// The earlier segments, oldest first, and the segment itself.
    pub(crate) kept: Vec<Kept>,
}

#[derive(Debug)]
pub(super) struct Segments {
    live: Live,
    spare: Option<Arc<Segment>>,
    /// The sealed and synced segments, oldest first.
    full: VecDeque<Full>,
    obsolete: Vec<u64>,
    next_number: u64,
    /// Set if a file was created or renamed whose directory entry is not yet durable.
    directory_unsynced: bool,
}

/// The segment that frames are appended to.
#[derive(Debug)]
pub(super) struct Live {
    segment: Arc<Segment>,
    first_lsn: u64,
    /// The offset of the next frame.
    end: u64,
    lean: bool,
    /// The end of the space that was written before.
    written: u64,
}

#[derive(Debug)]
struct Full {
    kept: Kept,
    /// Set while the segment is sealed and not synced.
    unsynced: Option<Arc<Segment>>,
}

/// A segment that may become live.
#[derive(Debug)]
pub(super) enum Next {
    Spare(Arc<Segment>),
    Made(Segment),
    /// A segment made of the reserve, for changes that free space.
    Lean(Segment),
}

/// The fields of a header beside the segment's own number.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderFields {
    pub(super) first_lsn: u64,
    pub(super) incarnation: u32,
    pub(super) synced: u64,
}

/// A segment that is not needed any more, to be recycled or discarded.
#[derive(Debug)]
#[must_use]
pub(super) struct Retired {
    kept: Kept,
    length_is_durable: bool,
}

/// The files that a sync covers.
#[derive(Debug)]
#[must_use]
pub(super) struct Unsynced {
    directory: bool,
    sealed: Vec<Arc<Segment>>,
    live: Option<Arc<Segment>>,
}

impl Segments {
    /// The segments that recovery leaves, all synced.
    pub(super) fn new(start: Start) -> Self {
        let Start { live, offset, mut kept, next_lsn } = start;
        let first_lsn = kept.pop().map_or(next_lsn, |live| live.first_lsn);
        let next_number = live.number().saturating_add(1);
        let live = Live::new(Arc::new(live), first_lsn, offset, false);
        let full = kept.into_iter().map(|kept| Full { kept, unsynced: None }).collect();
        let segments = Self { live, spare: None, full, obsolete: Vec::new(), next_number, directory_unsynced: false };
        segments.check();
        segments
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn live_mut(&mut self) -> &mut Live {
        &mut self.live
    }

    pub(super) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// The number of a segment that is created now.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The number for a segment that is created while others may be created: no other segment gets it.
    pub(super) fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }

    /// New → spare. The file was created under [`Self::next_number`] while there was no spare.
    pub(super) fn adopt(&mut self, segment: Segment) {
        debug_assert!(self.spare.is_none(), "there is a spare segment already");
        debug_assert!(segment.number() >= self.next_number, "the number has been given away");
        self.next_number = segment.number().saturating_add(1);
        self.spare = Some(Arc::new(segment));
        self.directory_unsynced = true;
        self.check();
    }

    /// New → spare, or obsolete if a call has created a spare meanwhile or passed the number. The file and its entry
    /// are durable, under a reserved number. True if it is spare.
    pub(super) fn accept_prepared(&mut self, segment: Segment) -> bool {
        debug_assert!(segment.number() < self.next_number, "the number was not taken");
        let is_wanted = self.spare.is_none() && segment.number() > self.live.number();
        if is_wanted {
            self.spare = Some(Arc::new(segment));
        } else {
            self.obsolete.push(segment.number());
        }
        self.check();
        is_wanted
    }

    /// Spare → obsolete.
    pub(super) fn discard_spare(&mut self) {
        self.obsolete.extend(self.spare.take().map(|spare| spare.number()));
        self.check();
    }

    /// Takes the spare, to start it, if it has space for so many bytes.
    pub(super) fn take_spare(&mut self, bytes: u64) -> Option<Next> {
        self.spare.take_if(|spare| spare.capacity() >= bytes).map(Next::Spare)
    }

    /// New or spare → live, and live → sealed. A spare that was skipped becomes obsolete, because segments are used in
    /// the order of their numbers.
    ///
    /// # Errors
    /// That of writing the header. Then nothing has changed, and a spare is spare again.
    pub(super) fn start(&mut self, next: Next, fields: HeaderFields) -> io::Result<()> {
        let (segment, lean, was_spare) = match next {
            Next::Spare(segment) => (segment, false, true),
            Next::Made(segment) => (Arc::new(segment), false, false),
            Next::Lean(segment) => (Arc::new(segment), true, false),
        };
        debug_assert!(segment.number() > self.live.number(), "segments are used in the order of their numbers");
        let header = segment.header(fields.first_lsn, fields.incarnation, fields.synced);
        if let Err(cause) = segment.write(&header, 0) {
            if was_spare {
                self.spare = Some(segment);
            }
            return Err(cause);
        }
        self.next_number = self.next_number.max(segment.number().saturating_add(1));
        self.directory_unsynced |= !was_spare;
        let live = Live::new(segment, fields.first_lsn, SEGMENT_HEADER_BYTES, lean);
        let sealed = std::mem::replace(&mut self.live, live);
        self.full.push_back(Full { kept: sealed.kept(), unsynced: Some(sealed.segment) });
        self.obsolete.extend(self.spare.take().map(|spare| spare.number()));
        self.check();
        Ok(())
    }

    /// Sealed → synced: all files, which the caller is about to sync. If the sync fails, nothing may be appended any
    /// more.
    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let sealed = self.full.iter_mut().filter_map(|full| full.unsynced.take()).collect();
        let directory = std::mem::take(&mut self.directory_unsynced);
        self.check();
        Unsynced { directory, sealed, live: Some(self.live.segment.clone()) }
    }

    /// Sealed → synced: the file `first` and those behind it with a frame up to `last`.
    pub(super) fn take_needed(&mut self, first: u64, last: u64) -> Unsynced {
        let is_needed = |kept: Kept| kept.number == first || kept.number > first && kept.first_lsn <= last;
        let needed = self.full.iter_mut().filter(|full| is_needed(full.kept));
        let sealed = needed.filter_map(|full| full.unsynced.take()).collect();
        let live = is_needed(self.live.kept()).then(|| self.live.segment.clone());
        let directory = std::mem::take(&mut self.directory_unsynced);
        self.check();
        Unsynced { directory, sealed, live }
    }

    /// Sealed → synced: the oldest file, with the last LSN in it; `None` if only the live segment is left.
    pub(super) fn take_oldest_unsynced(&mut self) -> Option<(Unsynced, u64)> {
        let at = self.full.iter().position(|full| full.unsynced.is_some())?;
        let next = self.full.get(at.saturating_add(1)).map_or(self.live.first_lsn, |next| next.kept.first_lsn);
        let sealed = self.full.get_mut(at).and_then(|full| full.unsynced.take()).into_iter().collect();
        let directory = std::mem::take(&mut self.directory_unsynced);
        Some((Unsynced { directory, sealed, live: None }, next.saturating_sub(1)))
    }

    /// Whether a sealed segment is left.
    pub(super) fn has_sealed(&self) -> bool {
        self.full.iter().any(|full| full.unsynced.is_some())
    }

    /// Sealed or synced → retired: the segments below number `first`, oldest first.
    pub(super) fn retire_below(&mut self, first: u64) -> Vec<Retired> {
        let end = self.full.iter().take_while(|full| full.kept.number < first).count();
        let retired = self.full.drain(..end).map(|full| Retired {
            kept: full.kept,
            length_is_durable: full.unsynced.is_none_or(|sealed| sealed.length_is_durable()),
        });
        let retired = retired.collect();
        self.check();
        retired
    }

    /// Retired → spare if there is none and the file has the usual size, otherwise obsolete. True if it is spare. The
    /// old frames never pass for new ones, because their checksums are seeded with the old number.
    ///
    /// # Errors
    /// That of renaming the file, which is then obsolete.
    pub(super) fn recycle(&mut self, context: &JournalContext, retired: Retired) -> Result<bool> {
        let Retired { kept, length_is_durable } = retired;
        if self.spare.is_some() || kept.bytes != context.segment_bytes {
            self.discard(retired);
            return Ok(false);
        }
        match Segment::recycle(context, kept.number, self.next_number, length_is_durable) {
            Ok(spare) => {
                self.adopt(spare);
                Ok(true)
            }
            Err(error) => {
                self.discard(retired);
                Err(error)
            }
        }
    }

    /// Retired → obsolete.
    pub(super) fn discard(&mut self, retired: Retired) {
        self.obsolete.push(retired.kept.number);
        self.check();
    }

    /// Obsolete → removed. A file that stays is tried again.
    pub(super) fn sweep(&mut self, context: &JournalContext) {
        let obsolete = self.take_obsolete();
        self.keep_obsolete(remove(context, obsolete));
    }

    /// Takes the obsolete segments, to remove them without the journal's lock.
    pub(super) fn take_obsolete(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.obsolete)
    }

    /// Takes back the obsolete segments that could not be removed.
    pub(super) fn keep_obsolete(&mut self, left: Vec<u64>) {
        self.obsolete.extend(left);
        self.check();
    }

    /// Cuts off the unused end of the live segment, and makes the spare obsolete: nothing is appended any more.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.live.segment.truncate(self.live.end)?;
        self.obsolete.extend(self.spare.take().map(|spare| spare.number()));
        self.check();
        Ok(())
    }

    /// The segments that a later recovery would read, oldest first.
    pub(super) fn kept(&self) -> impl DoubleEndedIterator<Item = Kept> {
        self.full.iter().map(|full| full.kept).chain([self.live.kept()])
    }

    /// The first segment that a replay after `lsn` needs.
    pub(super) fn first_needed(&self, lsn: u64) -> u64 {
        let needed = self.kept().rev().find(|kept| kept.first_lsn <= lsn.saturating_add(1));
        needed.or_else(|| self.kept().next()).map_or(0, |kept| kept.number)
    }

    /// The newest segment whose header and first frame are synced, if everything up to `synced` is.
    pub(super) fn newest_synced(&self, synced: u64) -> Option<u64> {
        self.kept().rev().find(|kept| kept.first_lsn <= synced).map(|kept| kept.number)
    }

    /// The first LSN in segment `number`, if that is full.
    pub(super) fn first_of_full(&self, number: u64) -> Option<u64> {
        self.full.iter().find(|full| full.kept.number == number).map(|full| full.kept.first_lsn)
    }

    /// Segment `number`, if it is the live one and its header may not be durable when everything up to `synced` is.
    pub(super) fn unsynced_header(&self, number: u64, synced: u64) -> Option<Arc<Segment>> {
        let is_named = self.live.number() == number;
        (is_named && self.live.first_lsn > synced).then(|| self.live.segment.clone())
    }

    /// Bytes of the full segments.
    pub(super) fn full_bytes(&self) -> u64 {
        self.full.iter().map(|full| full.kept.bytes).sum()
    }

    /// Checks the invariants of this file.
    fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let live = self.live.number();
        let numbers: Vec<u64> = self.kept().map(|kept| kept.number).collect();
        debug_assert!(numbers.is_sorted_by(|one, next| one < next), "1: {numbers:?} are in order");
        let spare = self.spare.as_ref().map(|spare| spare.number());
        debug_assert!(spare.is_none_or(|spare| spare > live), "1: the spare {spare:?} follows {live}");
        debug_assert!(self.next_number > spare.unwrap_or(live), "3: {} is free", self.next_number);
        let in_use = |number: &u64| numbers.contains(number) || spare == Some(*number);
        debug_assert!(!self.obsolete.iter().any(in_use), "no obsolete one of {:?} is in use", self.obsolete);
    }
}

impl Live {
    fn new(segment: Arc<Segment>, first_lsn: u64, end: u64, lean: bool) -> Self {
        let written = if segment.is_written_out() { segment.capacity() } else { end };
        Self { segment, first_lsn, end, lean, written }
    }

    pub(super) fn number(&self) -> u64 {
        self.segment.number()
    }

    pub(super) fn id(&self) -> SegmentId {
        self.segment.id()
    }

    pub(super) fn capacity(&self) -> u64 {
        self.segment.capacity()
    }

    /// The offset of the next frame.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the segment is made of the reserve.
    pub(super) fn is_lean(&self) -> bool {
        self.lean
    }

    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.end.saturating_add(bytes) <= self.segment.capacity()
    }

    /// Writes a frame behind the last one. After an error the next frame is written at the same offset.
    ///
    /// For lack of space, the beginning of the frame may be all that is written. The file can have the whole frame even
    /// so, because its last bytes were there before. A recovery would find it, so it counts as written.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let bytes = frame.len() as u64;
        debug_assert!(self.fits(bytes), "a frame of {bytes} bytes does not fit");
        if let Err(cause) = self.segment.write(frame, self.end)
            && !(lacks_space(&cause) && self.segment.holds(frame, self.end)?)
        {
            return Err(cause);
        }
        self.end = self.end.saturating_add(bytes);
        Ok(())
    }

    /// Whether the frames have reached space that was not written before.
    pub(super) fn has_reached_unwritten(&self) -> bool {
        self.end > self.written
    }

    /// Writes zeros to the next space. Without them each sync of a few frames changes the file's metadata, because
    /// space that is only allocated becomes written; after them only the next sync does.
    pub(super) fn write_ahead(&mut self) {
        let until = self.end.saturating_add(AHEAD).min(self.capacity());
        // Frames take the place of the zeros anyway: after an error, syncs are slower and nothing else.
        let written = self.segment.write_zeros(self.end, until);
        self.written = if written.is_ok() { until } else { self.capacity() };
    }

    fn kept(&self) -> Kept {
        Kept { number: self.number(), first_lsn: self.first_lsn, bytes: self.capacity() }
    }
}

impl Unsynced {
    /// Whether the live segment is one of the files.
    pub(super) fn has_live(&self) -> bool {
        self.live.is_some()
    }

    /// Syncs the directory, and then the segments, oldest first.
    pub(super) fn sync(&self, context: &JournalContext) -> io::Result<()> {
        if self.directory {
            context.kept_directory.sync(&*context.disk)?;
        }
        self.sealed.iter().chain(&self.live).try_for_each(|segment| segment.sync())
    }
}

fn lacks_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The bytes of zeros written ahead of the frames.
pub(super) const AHEAD: u64 = 256 << 10;

/// Removes files of segments; returns the numbers of those that stay.
pub(super) fn remove(context: &JournalContext, mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.retain(|number| match context.disk.remove_file(&context.path(*number)) {
        Ok(()) => false,
        Err(cause) => cause.kind() != io::ErrorKind::NotFound,
    });
    numbers
}

#[cfg(test)]
mod tests;
