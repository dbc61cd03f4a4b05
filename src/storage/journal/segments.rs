//! The segments of an open journal. Each segment is in one state, and each transition is a method here.
//!
//! ```text
//!  adopt,           ┌───────┐ start  ┌──────┐ start  ┌────────┐ take_unsynced ┌────────┐
//!  accept_prepared  │ Spare ├───────►│ Live ├───────►│ Sealed ├──────────────►│ Synced │
//! ─────────────────►└───┬───┘ (this) └──────┘ (next) └───┬────┘               └───┬────┘
//!           refill ▲    │ start, finish                  └────┬────────────────────┘
//!                  │    │                                     │ retire_below
//!            ┌─────┴──┐ │       recycle, take_back       ┌────▼────┐
//!            │ Pooled │◄────────────────────────────────┤ Retired │
//!            └────────┘ │                                └────┬────┘
//!                       ▼             discard                 │
//!                  ┌──────────┐◄──────────────────────────────┘
//!                  │ Obsolete │ sweep: the file is removed
//!                  └──────────┘
//! ```
//!
//! | State | Meaning |
//! |---|---|
//! | spare | a file with a number and without a header: an opening treats it as unused |
//! | live | started, and appended to |
//! | sealed | full; no sync that covers its end has begun |
//! | synced | full; synced, or being synced by the call that took it; if that fails, the journal is poisoned |
//! | retired | covered by a snapshot, so it is not needed and need not be synced |
//! | pooled | retired, and kept to be the spare when there is none; under a new number, as a spare |
//! | obsolete | takes space until it can be removed |
//!
//! 1. One segment is live, and at most one is spare. The spare's number is above the live one's, and that is above
//!    those of all full segments, because an opening follows segments by their numbers.
//! 2. A sync takes all sealed segments and the live one, so every LSN before a synced one is synced too. Only the sync
//!    for a snapshot leaves the sealed segments that the snapshot makes unnecessary, and those behind it; nothing counts
//!    as synced by it before the snapshot counts.
//! 3. A number is used once. The number of a file in preparation is above the live one's.
//! 4. The directory is synced before a frame in a segment whose entry may not be durable is acknowledged. The entry of a
//!    spare that was pooled is made durable before it is live, if there is time.
//! 5. The live segment is never retired.
//! 6. A segment that has a second name, or may have got one in an earlier run, is never written again: see
//!    [`frame_image`](super::frame_image).
//!
//! Cost: an append uses only the live segment; everything else is O(segments), once for each segment or each sync.

mod live;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::context::JournalContext;
use super::frame_image::SegmentImages;
use super::segment::{Kept, SEGMENT_HEADER_BYTES, Segment};
use crate::model::error::{Error, Result};
pub(super) use live::AHEAD;
use live::Live;

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
    /// Retired segments that become spares, oldest first.
    pool: VecDeque<Retired>,
    obsolete: Vec<u64>,
    next_number: u64,
    /// Set if a file was created or renamed whose directory entry is not yet durable.
    directory_unsynced: bool,
    /// The same of the spare, as long as it is one.
    spare_unsynced: bool,
}

#[derive(Debug)]
struct Full {
    kept: Kept,
    /// Set while the segment is sealed and not synced.
    unsynced: Option<Arc<Segment>>,
    /// None for a segment of an earlier run: it may have a second name.
    images: Option<Arc<SegmentImages>>,
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

/// A segment that the journal does not need any more, to be recycled or discarded.
#[derive(Debug)]
#[must_use]
pub(super) struct Retired {
    kept: Kept,
    length_is_durable: bool,
    images: Option<Arc<SegmentImages>>,
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
        let full = kept.into_iter().map(|kept| Full { kept, unsynced: None, images: None }).collect();
        let segments = Self {
            live,
            spare: None,
            full,
            pool: VecDeque::new(),
            obsolete: Vec::new(),
            next_number,
            directory_unsynced: false,
            spare_unsynced: false,
        };
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
        self.spare_unsynced = true;
        self.check();
    }

    /// New → spare, or obsolete if a call has created a spare meanwhile or passed the number. The file and its entry
    /// are durable, under a reserved number. True if it is spare.
    pub(super) fn accept_prepared(&mut self, segment: Segment) -> bool {
        debug_assert!(segment.number() < self.next_number, "the number was not taken");
        let is_wanted = self.spare.is_none() && segment.number() > self.live.number();
        if is_wanted {
            self.spare = Some(Arc::new(segment));
            self.spare_unsynced = false;
        } else {
            self.obsolete.push(segment.number());
        }
        self.check();
        is_wanted
    }

    /// Makes a pooled segment the spare, if there is none, under the next number; whether there is one then. A file that
    /// cannot be renamed is obsolete.
    pub(super) fn refill(&mut self, context: &JournalContext) -> bool {
        while self.spare.is_none()
            && let Some(Retired { kept, length_is_durable, .. }) = self.pool.pop_front()
        {
            match Segment::recycle(context, kept.number, self.next_number, length_is_durable) {
                Ok(spare) => self.adopt(spare),
                Err(_) => self.obsolete.push(kept.number),
            }
        }
        self.spare.is_some()
    }

    /// The number of the spare, if its directory entry may not be durable.
    pub(super) fn unsynced_spare(&self) -> Option<u64> {
        self.spare.as_ref().filter(|_| self.spare_unsynced).map(|spare| spare.number())
    }

    /// The entry of `spare` is durable now, if that is still the spare.
    pub(super) fn spare_is_synced(&mut self, spare: u64) {
        self.spare_unsynced &= self.unsynced_spare() != Some(spare);
    }

    pub(super) fn has_pool(&self) -> bool {
        !self.pool.is_empty()
    }

    /// Pooled → obsolete.
    pub(super) fn discard_pool(&mut self) {
        self.obsolete.extend(self.pool.drain(..).map(|retired| retired.kept.number));
        self.check();
    }

    /// Spare → obsolete, and pooled → obsolete.
    pub(super) fn discard_spare(&mut self) {
        self.discard_pool();
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
        self.directory_unsynced |= !was_spare || self.spare_unsynced;
        let live = Live::new(segment, fields.first_lsn, SEGMENT_HEADER_BYTES, lean);
        let sealed = std::mem::replace(&mut self.live, live);
        let images = Some(sealed.segment.images().clone());
        self.full.push_back(Full { kept: sealed.kept(), unsynced: Some(sealed.segment), images });
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

    /// Sealed → synced: the files with a second name.
    pub(super) fn take_named(&mut self) -> Unsynced {
        let named = self.full.iter_mut().filter(|full| full.images.as_ref().is_some_and(|images| images.is_named()));
        let sealed = named.filter_map(|full| full.unsynced.take()).collect();
        let live = Some(self.live.segment.clone()).filter(|live| live.images().is_named());
        Unsynced { directory: std::mem::take(&mut self.directory_unsynced), sealed, live }
    }

    /// Whether a file with a second name has frames behind `synced`; up to there everything is synced. `appended` is the last
    /// frame.
    pub(super) fn has_unsynced_named(&self, synced: u64, appended: u64) -> bool {
        let nexts = self.full.iter().skip(1).map(|next| next.kept.first_lsn).chain([self.live.first_lsn]);
        let is_named = |images: &SegmentImages| images.is_named();
        let mut full = self.full.iter().zip(nexts);
        full.any(|(full, next)| next > synced.saturating_add(1) && full.images.as_deref().is_some_and(is_named))
            || appended > synced && is_named(self.live.segment.images())
    }

    /// Whether a sealed segment is left.
    pub(super) fn has_sealed(&self) -> bool {
        self.full.iter().any(|full| full.unsynced.is_some())
    }

    /// Sealed or synced → retired: the segments below number `first`, oldest first.
    pub(super) fn retire_below(&mut self, first: u64) -> Vec<Retired> {
        let end = self.full.iter().take_while(|full| full.kept.number < first).count();
        let end = self.full.drain(..end);
        let retired = end.inspect(|full| full.images.iter().for_each(|images| images.retire())).map(|full| Retired {
            kept: full.kept,
            length_is_durable: full.unsynced.is_none_or(|sealed| sealed.length_is_durable()),
            images: full.images,
        });
        let retired = retired.collect();
        self.check();
        retired
    }

    /// Retired → pooled if that makes no more than `most` full and pooled ones, or there is no spare, if the file has the
    /// usual size and no second name; otherwise obsolete. A pooled file has a new number: to an opening it is an unused
    /// spare. The old frames never pass for new ones, because their checksums are seeded with the old number.
    ///
    /// # Errors
    /// That of renaming the file, which is then obsolete.
    pub(super) fn recycle(&mut self, context: &JournalContext, mut retired: Retired, most: usize) -> Result<()> {
        let is_usual = retired.kept.bytes == context.segment_bytes;
        // Decided in any case: it gets no second name any more.
        let is_free = retired.images.as_ref().is_some_and(|images| images.give_up());
        if !is_usual || !is_free || !self.is_wanted(most) {
            self.discard(retired);
            return Ok(());
        }
        let number = self.take_number();
        if let Err(cause) = context.disk.rename(&context.path(retired.kept.number), &context.path(number)) {
            self.discard(retired);
            return Err(Error::io("recycling a journal segment", cause));
        }
        retired.kept.number = number;
        self.pool.push_back(retired);
        self.check();
        Ok(())
    }

    fn is_wanted(&self, most: usize) -> bool {
        let lacks_spare = self.spare.is_none() && self.pool.is_empty();
        lacks_spare || self.full.len().saturating_add(self.pool.len()) < most
    }

    /// A file that was retired with a second name, which is `from`, and has nothing of use any more → pooled. False if there
    /// are enough, or if it cannot be renamed; then it keeps the name `from`.
    pub(super) fn take_back(
        &mut self,
        context: &JournalContext,
        (images, from): (&SegmentImages, &Path),
        most: usize,
    ) -> bool {
        if images.size() != context.segment_bytes || !self.is_wanted(most) {
            return false;
        }
        let number = self.take_number();
        let is_back = context.disk.rename(from, &context.path(number)).is_ok();
        if is_back {
            let kept = Kept { number, first_lsn: 0, bytes: images.size() };
            self.pool.push_back(Retired { kept, length_is_durable: false, images: None });
            self.check();
        }
        is_back
    }

    /// Retired → obsolete.
    pub(super) fn discard(&mut self, retired: Retired) {
        if let Some(images) = &retired.images {
            // Nor does it get a second name before it is removed.
            let _ = images.give_up();
        }
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
        self.discard_pool();
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

impl Retired {
    /// The segment, if it has a second name.
    pub(super) fn second_name(&self) -> Option<&Arc<SegmentImages>> {
        self.images.as_ref().filter(|images| images.is_named())
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
        self.sealed.iter().chain(&self.live).try_for_each(|segment| {
            let end = segment.images().end();
            segment.sync()?;
            segment.images().note_synced(end);
            Ok(())
        })
    }
}

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
