//! The journal: the file that makes a call durable.
//!
//! 1. One frame is one atomic change; frames have consecutive LSNs from 1.
//! 2. The kernel has a frame before [`Journal::append`] returns: the frame survives the death of the process.
//! 3. [`Journal::wait_durable`] returns once everything up to an LSN is on the device: it survives power loss.
//! 4. A segment is synced before a frame of the next one is acknowledged as synced, unless a snapshot that counts has
//!    made the segment unnecessary.
//! 5. A failed write or sync poisons the journal: nothing is appended or acknowledged afterwards.
//! 6. Lack of space is not a failure: it is reported before anything is written. Changes that free space continue in
//!    segments made of the reserve, and no other change is written to such a *lean* segment.
//!
//! Neither `tail` nor `commit` is held during a sync. [`segments`] has the life of a segment from its creation to its
//! removal, [`rolling`] the switch to the next segment, and [`syncing`] the calls that wait for a sync.

pub(crate) mod commit;
mod context;
mod cutting;
pub(crate) mod frame;
mod frame_image;
mod frequency;
pub(crate) mod naming;
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
use crate::storage::timer::Timer;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use commit::Commit;
pub(crate) use context::JournalContext;
use frame::{HEADER_BYTES, Stamp};
pub(crate) use frame_image::{FrameImage, SegmentImages, gives_no_names};
use frequency::SyncFrequency;
pub(crate) use segment::Kept;
use segments::Segments;
pub(crate) use segments::Start;

/// The effect of an operation on the store's size. On a disk that fills up, operations that grow the store are refused
/// first, then those that neither grow nor free: in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Growth {
    /// Adds messages, queues or records.
    Grows,
    /// Claims, renewals, releases.
    Leases,
    /// Removes data.
    Frees,
}

#[derive(Debug)]
pub(crate) struct Journal {
    context: JournalContext,
    reserve: Arc<Reserve>,
    /// The events that waiting posts wait for; poisoning the journal is one.
    events: Arc<EventCount>,
    tail: Mutex<Tail>,
    commit: Commit,
    sync_timer: Timer,
    /// Highest LSN appended; written under `tail`, read without it.
    appended: AtomicU64,
    /// Bytes appended by this process; written under `tail`.
    appended_bytes: AtomicU64,
    /// Set while there are appends for which no sync was requested.
    unsynced: AtomicBool,
    /// The earliest possible time of the oldest such append, in nanoseconds after `born`.
    unsynced_since: AtomicU64,
    born: Instant,
    /// The number of syncs so far.
    syncs: AtomicU64,
    /// Set while a spare segment is needed.
    wants_spare: AtomicBool,
    /// Set while there is no space for one.
    short: AtomicBool,
    /// Bytes of the segments on disk, and of the full ones; written under `tail`, read without it.
    kept_bytes: AtomicU64,
    full_bytes: AtomicU64,
    /// The last `full_bytes` that [`Journal::has_filled_segment`] saw.
    full_noted: AtomicU64,
}

/// A frame that was written.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) lsn: u64,
    /// The buffer, to be used again.
    pub(crate) frame: Vec<u8>,
    /// The frame as a page's image, if it is a page.
    pub(crate) image: Option<FrameImage>,
}

/// The end of the journal.
#[derive(Debug)]
struct Tail {
    segments: Segments,
    frequency: SyncFrequency,
    /// Set when the store is being closed: nothing is appended any more.
    closed: bool,
    failed: Option<Arc<str>>,
}

impl Tail {
    /// Writes zeros ahead of the frames, if `syncs` syncs so far say that it is worth it.
    fn write_ahead(&mut self, syncs: u64) {
        let live = self.segments.live_mut();
        if live.has_reached_unwritten() && self.frequency.is_high(syncs, live.end()) {
            live.write_ahead();
        }
    }
}

impl Journal {
    /// A journal that continues at recovery's end. Everything before `start.next_lsn` is synced.
    pub(crate) fn new(context: JournalContext, start: Start, reserve: Arc<Reserve>, events: Arc<EventCount>) -> Self {
        let last = start.next_lsn.saturating_sub(1);
        let kept_bytes: u64 = start.kept.iter().map(|kept| kept.bytes).sum();
        let full_bytes = kept_bytes.saturating_sub(start.live.capacity());
        let tail =
            Tail { segments: Segments::new(start), frequency: SyncFrequency::default(), closed: false, failed: None };
        Self {
            context,
            reserve,
            events,
            tail: Mutex::new(Rank::Tail, tail),
            commit: Commit::new(last),
            sync_timer: Timer::default(),
            appended: AtomicU64::new(last),
            appended_bytes: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            unsynced_since: AtomicU64::new(0),
            born: Instant::now(),
            syncs: AtomicU64::new(0),
            wants_spare: AtomicBool::new(false),
            short: AtomicBool::new(false),
            kept_bytes: AtomicU64::new(kept_bytes),
            full_bytes: AtomicU64::new(full_bytes),
            full_noted: AtomicU64::new(full_bytes),
        }
    }

    /// Writes a frame. `frame` is [`frame_buffer`] followed by the body. If the frame `is_page`, everything about one
    /// page, it may become the page's image.
    ///
    /// # Errors
    /// `StorageFull`, with nothing written, when there is no space; `OutcomeUnknown` if the write fails; `Poisoned`
    /// after a failure.
    pub(crate) fn append(&self, mut frame: Vec<u8>, growth: Growth, is_page: bool) -> Result<Appended> {
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
        if held_back || !tail.segments.live().fits(bytes) {
            self.rotate(&mut tail, bytes, growth)?;
        }
        let lsn = self.appended.load(Ordering::Relaxed).saturating_add(1);
        let stamp = Stamp { lsn, incarnation: self.context.incarnation, synced: self.commit.synced() };
        frame::seal(&mut frame, tail.segments.live().id(), stamp, checksum);
        self.write(&mut tail, &frame)?;
        let image = if is_page { tail.segments.live().last_as_image(bytes, checksum) } else { None };
        tail.write_ahead(self.syncs.load(Ordering::Relaxed));
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.appended.store(lsn, Ordering::Release);
        let live = tail.segments.live();
        let far = live.is_lean() || live.end() > live.capacity() / SPARE_FROM;
        if far && !tail.segments.has_spare() && !self.wants_spare() {
            self.wants_spare.store(true, Ordering::Release);
        }
        Ok(Appended { lsn, frame, image })
    }

    fn write(&self, tail: &mut Tail, frame: &[u8]) -> Result<()> {
        let Err(cause) = tail.segments.live_mut().append(frame) else { return Ok(()) };
        match Error::io("writing the journal", cause) {
            // The file does not have the whole frame, and the space is used again, so nothing has changed.
            full @ Error::StorageFull { .. } => Err(full),
            // The device may have taken all of the frame, and a recovery would find it there.
            other => Err(Error::OutcomeUnknown { cause: self.fail(tail, &other) }),
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

    /// Bytes of the full segments on disk.
    pub(crate) fn full_bytes(&self) -> u64 {
        self.full_bytes.load(Ordering::Relaxed)
    }

    /// Whether a segment was filled since this was last asked.
    pub(crate) fn has_filled_segment(&self) -> bool {
        let full = self.full_bytes();
        let before = self.full_noted.load(Ordering::Relaxed);
        if full != before {
            self.full_noted.store(full, Ordering::Relaxed);
        }
        full > before
    }

    /// Bytes of the segments on disk, without the spare one.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    /// The newest segment whose header and first frame are synced.
    pub(crate) fn newest_synced(&self) -> Option<u64> {
        let synced = self.synced();
        self.tail.lock().segments.newest_synced(synced)
    }

    /// Refuses every later append.
    pub(crate) fn close(&self) {
        self.tail.lock().closed = true;
    }

    /// Refuses every later append and wakes all waiting calls; returns the first cause.
    pub(crate) fn poison(&self, cause: &str) -> Arc<str> {
        let mut tail = self.tail.lock();
        self.fail(&mut tail, &cause)
    }

    /// Poisons the journal; returns the first cause.
    fn fail(&self, tail: &mut Tail, cause: &dyn std::fmt::Display) -> Arc<str> {
        let cause = tail.failed.get_or_insert_with(|| cause.to_string().into()).clone();
        self.commit.fail(&cause);
        self.events.count();
        cause
    }

    /// The cause, if the journal is poisoned.
    pub(crate) fn poisoned(&self) -> Option<Arc<str>> {
        self.commit.failed()
    }
}

/// The part of a segment that is full when the next one is needed.
const SPARE_FROM: u64 = 8;

/// A buffer for a new frame, with space for the header; the body is appended to it.
pub(crate) fn frame_buffer(mut reuse: Vec<u8>) -> Vec<u8> {
    reuse.clear();
    reuse.resize(HEADER_BYTES, 0);
    reuse
}
