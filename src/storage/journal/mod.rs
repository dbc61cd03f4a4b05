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
//! Neither `tail` nor `commit` is held over a sync. What becomes of a segment from its making to its removal is in
//! [`segments`]; when the journal goes on to the next, in [`rolling`]; who waits for a sync, in [`syncing`].

pub(crate) mod commit;
pub(crate) mod frame;
pub(crate) mod naming;
mod place;
mod rolling;
pub(crate) mod scan;
pub(crate) mod segment;
mod segments;
mod syncing;

use std::sync::Arc;
use std::time::Instant;

use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::event_count::EventCount;
use crate::storage::reserve::Reserve;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use commit::Commit;
use frame::{HEADER_BYTES, Stamp};
pub(crate) use place::Place;
use segments::Segments;
pub(crate) use segments::{Kept, Start};

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

/// The end of the journal.
#[derive(Debug)]
struct Tail {
    segments: Segments,
    /// Nothing is appended any more, since the store is being closed.
    closed: bool,
    failed: Option<Arc<str>>,
}

impl Journal {
    /// A journal that goes on where recovery left it. Everything before `start.next_lsn` is synced.
    pub(crate) fn new(place: Place, start: Start, reserve: Arc<Reserve>, events: Arc<EventCount>) -> Self {
        let last = start.next_lsn.saturating_sub(1);
        let kept_bytes: u64 = start.kept.iter().map(|kept| kept.bytes).sum();
        let full_bytes = kept_bytes.saturating_sub(start.live.capacity());
        let tail = Tail { segments: Segments::new(start), closed: false, failed: None };
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
        if tail.closed {
            return Err(Error::Closed);
        }
        if growth == Growth::Grows {
            self.keep_reserve(&mut tail.segments, bytes)?;
        }
        let held_back = tail.segments.live().is_lean() && growth != Growth::Frees;
        if held_back || !tail.segments.live().has_room(bytes) {
            self.rotate(&mut tail, bytes, growth)?;
        }
        let lsn = self.appended.load(Ordering::Relaxed).saturating_add(1);
        let stamp = Stamp { lsn, incarnation: self.place.incarnation, synced: self.commit.synced() };
        frame::seal(&mut frame, tail.segments.live().id(), stamp, checksum);
        self.write(&mut tail, &frame)?;
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.appended.store(lsn, Ordering::Release);
        let live = tail.segments.live();
        let far = live.is_lean() || live.end() > live.capacity() / SPARE_FROM;
        if far && !tail.segments.has_spare() && !self.wants_spare() {
            self.wants_spare.store(true, Ordering::Release);
        }
        Ok((lsn, frame))
    }

    fn write(&self, tail: &mut Tail, frame: &[u8]) -> Result<()> {
        let Err(cause) = tail.segments.live_mut().append(frame) else { return Ok(()) };
        match Error::io("writing the journal", cause) {
            // Nothing complete was written and the place is used again, so nothing changed.
            full @ Error::StorageFull { .. } => Err(full),
            other => Err(self.fail(tail, &other)),
        }
    }

    /// Whether the next segment lacks space.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
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
        self.tail.lock().segments.kept().collect()
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
        self.tail.lock().segments.newest_synced(synced)
    }

    /// The first segment that a replay of what follows `lsn` needs.
    pub(crate) fn first_needed(&self, lsn: u64) -> u64 {
        self.tail.lock().segments.first_needed(lsn)
    }

    /// Refuses every later append.
    pub(crate) fn close(&self) {
        self.tail.lock().closed = true;
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

/// A new frame: room for the header, to be followed by the body.
pub(crate) fn frame_buffer(mut reuse: Vec<u8>) -> Vec<u8> {
    reuse.clear();
    reuse.resize(HEADER_BYTES, 0);
    reuse
}
