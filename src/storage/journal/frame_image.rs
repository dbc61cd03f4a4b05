//! Frames that are page images: a large message is written once.
//!
//! A message too large to share a page is posted by one frame. That frame has everything about the page, so it can be
//! the page's image. For that its segment gets a second name, among the page files, and outlives its retirement from
//! the journal.
//!
//! 1. A segment with a second name is not recycled: its bytes never change. Only when none of its frames is an image any
//!    more, or can become one, it is given back to the journal.
//! 2. A segment that is recycled gets no second name. Whichever comes first decides.
//!
//! Memory: 32 B for a page whose frame may become its image, and 100 B for a segment.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What a segment is to the pages that were posted by its frames.
#[derive(Debug)]
pub(crate) struct SegmentImages {
    number: u64,
    path: PathBuf,
    /// The length of the file.
    size: AtomicU64,
    fate: AtomicU8,
    /// The end of the frames.
    end: AtomicU64,
    /// The end of the frames that are durable.
    synced: AtomicU64,
    /// Bytes of the frames that may become images.
    live: AtomicU64,
    /// Set when it is no part of the journal any more.
    is_retired: AtomicBool,
}

/// Neither has a second name nor was recycled.
const OPEN: u8 = 0;
const NAMED: u8 = 1;
const RECYCLED: u8 = 2;

impl SegmentImages {
    pub(super) fn new(number: u64, path: PathBuf, capacity: u64) -> Arc<Self> {
        let [size, end, synced, live] = [capacity, 0, 0, 0].map(AtomicU64::new);
        let (fate, is_retired) = (AtomicU8::new(OPEN), AtomicBool::new(false));
        Arc::new(Self { number, path, size, fate, end, synced, live, is_retired })
    }

    /// The number of the segment.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Records the end of the frames.
    pub(super) fn reach(&self, end: u64) {
        self.end.store(end, Ordering::Relaxed);
    }

    /// The end of the frames.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Records that a sync which began when the frames ended at `end` has succeeded.
    pub(crate) fn note_synced(&self, end: u64) {
        self.synced.fetch_max(end, Ordering::AcqRel);
    }

    /// The end of the frames that are durable.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Bytes of the frames that may become images.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Acquire)
    }

    /// Records that it is no part of the journal any more.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }

    /// Whether the segment has, or is about to get, a second name.
    pub(super) fn is_named(&self) -> bool {
        self.fate.load(Ordering::Acquire) == NAMED
    }

    /// Decides that the segment is recycled; false if it has a second name.
    pub(super) fn give_up(&self) -> bool {
        self.decide(RECYCLED)
    }

    /// Gives up the second name of a retired segment without images, so that it can be recycled; false if a frame of it may
    /// still become an image. The caller has the list of page files locked, so that no frame does meanwhile.
    pub(crate) fn give_back(&self) -> bool {
        let is_unused = self.is_retired() && self.live() == 0;
        let decide = || self.fate.compare_exchange(NAMED, RECYCLED, Ordering::AcqRel, Ordering::Acquire);
        is_unused && decide().is_ok()
    }

    /// The length of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Frees the space behind the frames of a retired segment that stays, if that is much.
    pub(super) fn trim(&self, disk: &dyn Disk) {
        let (end, size) = (self.end(), self.size());
        let is_wasteful = size.saturating_sub(end) > size / WASTED_SHARE;
        // The journal's name may be gone by the time that this fails; then the file is longer than necessary.
        if is_wasteful && disk.open(&self.path).and_then(|file| file.set_len(end)).is_ok() {
            self.size.store(end, Ordering::Release);
        }
    }

    fn decide(&self, fate: u8) -> bool {
        let decided = self.fate.compare_exchange(OPEN, fate, Ordering::AcqRel, Ordering::Acquire);
        decided.map_or_else(|earlier| earlier == fate, |_| true)
    }
}

/// A frame that is everything about a page, and may become its image.
#[derive(Debug)]
pub(crate) struct FrameImage {
    segment: Arc<SegmentImages>,
    pub(crate) offset: u32,
    /// With the frame's header.
    pub(crate) bytes: u32,
    /// CRC-32 of the body.
    pub(crate) checksum: u32,
}

impl FrameImage {
    /// The frame of so many bytes at `offset`; `None` if its place cannot be recorded.
    pub(super) fn new(segment: &Arc<SegmentImages>, offset: u64, bytes: u64, checksum: u32) -> Option<Self> {
        let (offset, size) = (u32::try_from(offset).ok()?, u32::try_from(bytes).ok()?);
        segment.live.fetch_add(bytes, Ordering::Relaxed);
        Some(Self { segment: segment.clone(), offset, bytes: size, checksum })
    }

    pub(crate) fn segment(&self) -> &Arc<SegmentImages> {
        &self.segment
    }

    /// The offset behind the frame.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.bytes))
    }

    /// Whether at least half of the segment's frames are images, which have `images` bytes, or pages that have no image yet:
    /// then the segment stays rather than that they are written again.
    pub(crate) fn is_worth_keeping(&self, images: u64) -> bool {
        self.segment.live().saturating_add(images) >= self.segment.end() / 2
    }

    /// Gives the segment the second name `to`; false if the segment was retired or recycled.
    ///
    /// # Errors
    /// Those of [`Disk::link`].
    pub(crate) fn name_segment(&self, disk: &dyn Disk, to: &Path) -> io::Result<bool> {
        if self.segment.is_retired() || !self.segment.decide(NAMED) {
            return Ok(false);
        }
        let named = disk.link(&self.segment.path, to);
        if named.as_ref().is_err_and(gives_no_names) {
            let _ = self.segment.fate.compare_exchange(NAMED, OPEN, Ordering::AcqRel, Ordering::Acquire);
        }
        named.map(|()| true)
    }
}

/// Whether a disk has refused a second name because it gives none.
pub(crate) fn gives_no_names(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// The part of a file that its unused end may take.
const WASTED_SHARE: u64 = 8;

impl Drop for FrameImage {
    fn drop(&mut self) {
        self.segment.live.fetch_sub(u64::from(self.bytes), Ordering::Release);
    }
}
