//! The journal: the file that makes a call durable.
//!
//! 1. One frame is one atomic change; frames bear consecutive LSNs from 1.
//! 2. A frame is in the kernel's hands before [`Journal::append`] returns: it survives the death of the process.
//! 3. [`Journal::wait_durable`] returns once everything up to an LSN is on the device: it survives power loss.
//! 4. A segment is synced before a frame of the next one is acknowledged as synced.
//! 5. A failed write or sync poisons the journal: nothing is appended or acknowledged afterwards.
//! 6. Lack of space is no failure: it is told before anything is written. Changes that free space go on in segments made
//!    of what the reserve holds back for them, and no other change is written to such a *lean* segment.
//!
//! Neither `tail` nor `commit` is held over a sync.

pub(crate) mod commit;
pub(crate) mod frame;
pub(crate) mod naming;
mod place;
pub(crate) mod scan;
pub(crate) mod segment;
mod syncing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::event_count::EventCount;
use crate::storage::reserve::{Need, Reserve};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use commit::Commit;
use frame::{HEADER_BYTES, Stamp};
pub(crate) use place::Place;
use segment::{SEGMENT_HEADER_BYTES, Segment};

/// What an operation does to what the store holds: on a disk that fills up what grows is refused first, then what neither
/// grows nor frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Adds messages, queues or records.
    Grows,
    /// Claims, renewals, releases.
    Leases,
    /// Takes something away.
    Frees,
}

#[derive(Debug)]
pub(crate) struct Journal {
    place: Place,
    reserve: Arc<Reserve>,
    /// The events that posts without room wait for; poisoning the journal is one.
    events: Arc<EventCount>,
    tail: Mutex<Tail>,
    commit: Commit,
    /// Highest LSN appended; written under `tail`, read without it.
    appended: AtomicU64,
    /// Bytes appended by this process; written under `tail`.
    appended_bytes: AtomicU64,
    /// Set while there is something no sync has been asked for.
    unsynced: AtomicBool,
    /// Since when that is, at most, in nanoseconds after `born`.
    unsynced_since: AtomicU64,
    born: Instant,
    /// Set while a spare segment is wanted.
    wants_spare: AtomicBool,
    /// Set while there is no space for one.
    short: AtomicBool,
    /// Bytes of the segments on disk, and of those that nothing is appended to any more; written under `tail`, read without
    /// it.
    kept_bytes: AtomicU64,
    full_bytes: AtomicU64,
}

/// Where the next frame goes.
#[derive(Debug)]
struct Tail {
    active: Arc<Segment>,
    offset: u64,
    /// The active segment is made of what is held back for changes that free space.
    lean: bool,
    /// The next segment, prepared.
    spare: Option<Arc<Segment>>,
    next_number: u64,
    /// Full segments that no sync has covered yet, oldest first.
    unsynced: Vec<Arc<Segment>>,
    /// A segment was made whose directory entry is not yet durable.
    directory_unsynced: bool,
    /// Every segment on disk, oldest first, with its first LSN and size.
    kept: VecDeque<Kept>,
    /// Files that are not needed any more and could not be removed yet.
    obsolete: Vec<u64>,
    sealed: bool,
    failed: Option<Arc<str>>,
}

/// A segment file a later recovery would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) bytes: u64,
}

/// A segment written by recovery, ready to take more frames.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) active: Segment,
    pub(crate) offset: u64,
    pub(crate) next_lsn: u64,
    pub(crate) kept: Vec<Kept>,
}

impl Journal {
    /// A journal that goes on where recovery left it. Everything before `start.next_lsn` is synced.
    pub(crate) fn new(place: Place, start: Start, reserve: Arc<Reserve>, events: Arc<EventCount>) -> Self {
        let last = start.next_lsn.saturating_sub(1);
        let kept_bytes: u64 = start.kept.iter().map(|kept| kept.bytes).sum();
        let full_bytes = kept_bytes.saturating_sub(start.active.capacity());
        let next_number = start.active.number().saturating_add(1);
        let tail = Tail {
            active: Arc::new(start.active),
            offset: start.offset,
            lean: false,
            spare: None,
            next_number,
            unsynced: Vec::new(),
            directory_unsynced: false,
            kept: start.kept.into(),
            obsolete: Vec::new(),
            sealed: false,
            failed: None,
        };
        Self {
            place,
            reserve,
            events,
            tail: Mutex::new(Rank::Tail, tail),
            commit: Commit::new(last),
            appended: AtomicU64::new(last),
            appended_bytes: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            unsynced_since: AtomicU64::new(0),
            born: Instant::now(),
            wants_spare: AtomicBool::new(false),
            short: AtomicBool::new(false),
            kept_bytes: AtomicU64::new(kept_bytes),
            full_bytes: AtomicU64::new(full_bytes),
        }
    }

    /// Writes a frame and returns its LSN. `frame` is [`frame::begin`] followed by the body.
    ///
    /// # Errors
    /// `StorageFull` and nothing written when there is no room; `Poisoned` after a failure.
    pub(crate) fn append(&self, mut frame: Vec<u8>, growth: Growth) -> Result<(u64, Vec<u8>)> {
        let checksum = frame::body_checksum(&frame)?;
        let bytes = frame.len() as u64;
        let mut tail = self.tail.lock();
        if let Some(cause) = &tail.failed {
            return Err(Error::Poisoned { cause: cause.clone() });
        }
        if tail.sealed {
            return Err(Error::Closed);
        }
        if growth == Growth::Grows {
            self.keep_reserve(&mut tail, bytes)?;
        }
        let held_back = tail.lean && growth != Growth::Frees;
        if held_back || tail.offset.saturating_add(bytes) > tail.active.capacity() {
            self.rotate(&mut tail, bytes, growth)?;
        }
        let lsn = self.appended.load(Ordering::Relaxed).saturating_add(1);
        let stamp = Stamp { lsn, incarnation: self.place.incarnation, synced: self.commit.synced() };
        frame::seal(&mut frame, tail.active.id(), stamp, checksum);
        self.write(&mut tail, &frame)?;
        tail.offset = tail.offset.saturating_add(bytes);
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.appended.store(lsn, Ordering::Release);
        let far = tail.lean || tail.offset > tail.active.capacity() / SPARE_FROM;
        if far && tail.spare.is_none() && !self.wants_spare() {
            self.wants_spare.store(true, Ordering::Release);
        }
        Ok((lsn, frame))
    }

    fn write(&self, tail: &mut Tail, frame: &[u8]) -> Result<()> {
        let Err(cause) = tail.active.write(frame, tail.offset) else { return Ok(()) };
        match Error::io("writing the journal", cause) {
            // Nothing complete was written and the place is used again, so nothing changed.
            full @ Error::StorageFull { .. } => Err(full),
            other => Err(self.fail(tail, &other)),
        }
    }

    /// Makes sure that a segment stands ready behind the active one once that is half full: until then the background has
    /// time to write one out, and half a segment is left to changes that do not grow the store.
    fn keep_reserve(&self, tail: &mut Tail, bytes: u64) -> Result<()> {
        let filled = tail.offset.saturating_add(bytes);
        if tail.spare.is_none() && filled > tail.active.capacity() / 2 {
            let spare = Segment::reserve(&self.place, tail.next_number, self.place.segment_bytes);
            let spare = spare.inspect_err(|error| self.note_shortage(error))?;
            self.adopt_spare(tail, spare);
            tail.directory_unsynced = true;
        }
        Ok(())
    }

    fn adopt_spare(&self, tail: &mut Tail, spare: Segment) {
        tail.next_number = spare.number().saturating_add(1);
        tail.spare = Some(Arc::new(spare));
        self.wants_spare.store(false, Ordering::Release);
        self.short.store(false, Ordering::Release);
    }

    fn note_shortage(&self, error: &Error) {
        if error.is_full() {
            self.short.store(true, Ordering::Release);
        }
    }

    /// Whether the next segment lacks space.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// Goes on to the next segment, large enough for a frame of `bytes`.
    fn rotate(&self, tail: &mut Tail, bytes: u64, growth: Growth) -> Result<()> {
        let needed = SEGMENT_HEADER_BYTES.saturating_add(bytes);
        let fitting = tail.spare.take_if(|spare| spare.capacity() >= needed);
        let was_spare = fitting.is_some();
        let (next, lean) = match fitting {
            Some(spare) => (spare, false),
            None => self.make_next(tail, needed, growth)?,
        };
        let first_lsn = self.appended.load(Ordering::Relaxed).saturating_add(1);
        let header = next.header(first_lsn, self.place.incarnation, self.commit.synced());
        if let Err(cause) = next.write(&header, 0) {
            let cause = Error::io("starting a journal segment", cause);
            tail.spare = if was_spare { Some(next) } else { tail.spare.take() };
            return Err(if cause.is_full() { cause } else { self.fail(tail, &cause) });
        }
        tail.next_number = tail.next_number.max(next.number().saturating_add(1));
        tail.kept.push_back(Kept { number: next.number(), first_lsn, bytes: next.capacity() });
        self.kept_bytes.fetch_add(next.capacity(), Ordering::Relaxed);
        self.full_bytes.fetch_add(tail.active.capacity(), Ordering::Relaxed);
        let full = std::mem::replace(&mut tail.active, next);
        tail.unsynced.push(full);
        (tail.offset, tail.lean) = (SEGMENT_HEADER_BYTES, lean);
        // Segments are used in the order of their numbers, so a spare that was too small is of no use any more.
        if let Some(small) = tail.spare.take() {
            tail.obsolete.push(small.number());
            self.sweep(tail);
        }
        self.wants_spare.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes a segment for at least `needed` bytes, for what frees space of what is held back for that; with whether it was.
    fn make_next(&self, tail: &mut Tail, needed: u64, growth: Growth) -> Result<(Arc<Segment>, bool)> {
        let reserve = |bytes: u64| Segment::reserve(&self.place, tail.next_number, bytes);
        let usual = reserve(needed.max(self.place.segment_bytes)).map(|next| (next, false));
        let next = match usual {
            Err(error) if error.is_full() && growth == Growth::Frees => {
                let ample = (self.reserve.removal_bytes() / 8).clamp(LEAN_BYTES, MOST_LEAN_BYTES);
                let ample = if self.reserve.usable(Need::Free) > ample * 2 { ample } else { LEAN_BYTES };
                let bytes = needed.next_multiple_of(LEAN_BYTES).max(ample);
                self.reserve.spend(Need::Free, bytes, || reserve(bytes)).map(|lean| (lean, true))
            }
            usual => usual,
        };
        let is_usual = needed <= self.place.segment_bytes;
        let (next, lean) = next.inspect_err(|error| {
            if is_usual {
                self.note_shortage(error);
            }
        })?;
        self.short.store(lean, Ordering::Release);
        tail.directory_unsynced = true;
        Ok((Arc::new(next), lean))
    }

    /// Removes files that are not needed any more; those that stay are tried again.
    fn sweep(&self, tail: &mut Tail) {
        tail.obsolete.retain(|number| match self.place.disk.remove_file(&self.place.path(*number)) {
            Ok(()) => false,
            Err(cause) => cause.kind() != std::io::ErrorKind::NotFound,
        });
    }

    /// Prepares the next segment with written-out zeros, so that syncing it later changes no file metadata.
    /// Space that cannot be had now is asked for again by the next change that grows the store. `between` is called before
    /// each slice that is written, with how long the last one took.
    pub(crate) fn prepare_spare(&self, between: &mut dyn FnMut(Duration)) -> Result<()> {
        if !self.wants_spare() {
            return Ok(());
        }
        let number = {
            let mut tail = self.tail.lock();
            let number = tail.next_number;
            tail.next_number = number.saturating_add(1);
            number
        };
        let prepared = Segment::prepare(&self.place, number, self.place.segment_bytes, &[], between);
        let prepared = prepared.inspect_err(|error| self.note_shortage(error))?;
        let mut tail = self.tail.lock();
        // A caller in a hurry may have made one meanwhile, or gone past this number: then it is not needed.
        if tail.spare.is_none() && number > tail.active.number() {
            tail.spare = Some(Arc::new(prepared));
            self.wants_spare.store(false, Ordering::Release);
            self.short.store(false, Ordering::Release);
            return Ok(());
        }
        tail.obsolete.push(number);
        self.sweep(&mut tail);
        Ok(())
    }

    pub(crate) fn wants_spare(&self) -> bool {
        self.wants_spare.load(Ordering::Acquire)
    }

    /// Highest LSN appended.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Highest LSN known to be synced.
    pub(crate) fn synced(&self) -> u64 {
        self.commit.synced()
    }

    /// Bytes appended by this process.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
    }

    /// The segments on disk.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.tail.lock().kept.iter().copied().collect()
    }

    /// Bytes of the segments on disk that nothing is appended to any more.
    pub(crate) fn full_bytes(&self) -> u64 {
        self.full_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the segments on disk, the spare one not among them.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    /// The newest segment whose header and first frame are synced.
    pub(crate) fn newest_synced(&self) -> Option<u64> {
        let synced = self.synced();
        self.tail.lock().kept.iter().rev().find(|kept| kept.first_lsn <= synced).map(|kept| kept.number)
    }

    /// The first segment that a replay of what follows `lsn` needs.
    pub(crate) fn first_needed(&self, lsn: u64) -> u64 {
        let tail = self.tail.lock();
        let needed = tail.kept.iter().rev().find(|kept| kept.first_lsn <= lsn.saturating_add(1)).or(tail.kept.front());
        needed.map_or(0, |kept| kept.number)
    }

    /// Gives up the segments below number `first`: one becomes the spare, its space already written out, the rest go.
    pub(crate) fn retire_below(&self, first: u64) -> Result<()> {
        let retired: Vec<Kept> = {
            let mut tail = self.tail.lock();
            let keep_from = tail.kept.iter().take_while(|kept| kept.number < first).count();
            tail.kept.drain(..keep_from).collect()
        };
        self.kept_bytes.fetch_sub(retired.iter().map(|kept| kept.bytes).sum(), Ordering::Relaxed);
        let bytes = retired.iter().map(|kept| kept.bytes).sum();
        self.full_bytes.fetch_sub(bytes, Ordering::Relaxed);
        for kept in retired {
            let reusable = kept.bytes == self.place.segment_bytes;
            if !reusable || !self.recycle(kept)? {
                self.tail.lock().obsolete.push(kept.number);
            }
        }
        self.sweep(&mut self.tail.lock());
        Ok(())
    }

    /// Renames a retired segment to the next number. Its old frames cannot be taken for new ones: their checksums are
    /// seeded with the old number.
    fn recycle(&self, kept: Kept) -> Result<bool> {
        let mut tail = self.tail.lock();
        if tail.spare.is_some() {
            return Ok(false);
        }
        let spare = Segment::recycle(&self.place, kept.number, tail.next_number)?;
        self.adopt_spare(&mut tail, spare);
        tail.directory_unsynced = true;
        Ok(true)
    }

    /// Goes on to a new segment if the active one is longer than any but the first of a run, which holds what was carried
    /// over: so that a snapshot can free it.
    pub(crate) fn turn_over(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        if tail.failed.is_some() || tail.offset <= self.place.segment_bytes {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Grows)
    }

    /// Goes on to a new segment, made of what is held back if need be, if the active one is what takes room: so that a snapshot
    /// can free it.
    pub(crate) fn leave_active(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        let small = tail.active.capacity() <= LEAN_BYTES;
        if tail.failed.is_some() || small || tail.offset <= tail.active.capacity() / 2 {
            return Ok(());
        }
        self.rotate(&mut tail, 0, Growth::Frees)
    }

    /// Refuses every later append.
    pub(crate) fn seal(&self) {
        self.tail.lock().sealed = true;
    }

    /// Cuts a sealed journal's unused space off.
    pub(crate) fn finish(&self) -> Result<()> {
        let mut tail = self.tail.lock();
        let offset = tail.offset;
        tail.active.truncate(offset).map_err(|e| Error::io("closing the journal", e))?;
        if let Some(spare) = tail.spare.take() {
            tail.obsolete.push(spare.number());
        }
        // What stays is removed by the next open.
        self.sweep(&mut tail);
        Ok(())
    }

    /// Refuses every later append and wakes everyone who waits; returns the first cause.
    pub(crate) fn poison(&self, cause: &str) -> Arc<str> {
        let mut tail = self.tail.lock();
        self.fail(&mut tail, &cause);
        tail.failed.clone().unwrap_or_else(|| cause.into())
    }

    fn fail(&self, tail: &mut Tail, cause: &dyn std::fmt::Display) -> Error {
        let cause = tail.failed.get_or_insert_with(|| cause.to_string().into()).clone();
        self.commit.fail(&cause);
        self.events.count();
        Error::Poisoned { cause }
    }

    /// Why the journal was poisoned, if it was.
    pub(crate) fn poisoned(&self) -> Option<Arc<str>> {
        self.commit.failed()
    }
}

/// The part of a segment that is filled when the next one is wanted.
const SPARE_FROM: u64 = 8;
/// The size of a lean segment, at least and, unless a frame needs more, at most.
const LEAN_BYTES: u64 = 8 << 10;
const MOST_LEAN_BYTES: u64 = 1 << 20;

/// A new frame: room for the header, to be followed by the body.
pub(crate) fn frame_buffer(mut reuse: Vec<u8>) -> Vec<u8> {
    reuse.clear();
    reuse.resize(HEADER_BYTES, 0);
    reuse
}
