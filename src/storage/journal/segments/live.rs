//! The segment that frames are appended to.

use std::io;
use std::sync::Arc;

use crate::storage::journal::frame_image::FrameImage;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::segment::{Kept, Segment};

/// The segment that frames are appended to.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) segment: Arc<Segment>,
    pub(super) first_lsn: u64,
    /// The offset of the next frame.
    pub(super) end: u64,
    lean: bool,
    /// The end of the space that was written before.
    written: u64,
}

impl Live {
    pub(super) fn new(segment: Arc<Segment>, first_lsn: u64, end: u64, lean: bool) -> Self {
        let written = if segment.is_written_out() { segment.capacity() } else { end };
        Self { segment, first_lsn, end, lean, written }
    }

    pub(crate) fn number(&self) -> u64 {
        self.segment.number()
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.segment.id()
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.segment.capacity()
    }

    /// The offset of the next frame.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the segment is made of the reserve.
    pub(crate) fn is_lean(&self) -> bool {
        self.lean
    }

    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.end.saturating_add(bytes) <= self.segment.capacity()
    }

    /// Writes a frame behind the last one. After an error the next frame is written at the same offset.
    ///
    /// For lack of space, the beginning of the frame may be all that is written. The file can have the whole frame even
    /// so, because its last bytes were there before. A recovery would find it, so it counts as written.
    pub(crate) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let bytes = frame.len() as u64;
        debug_assert!(self.fits(bytes), "a frame of {bytes} bytes does not fit");
        if let Err(cause) = self.segment.write(frame, self.end)
            && !(lacks_space(&cause) && self.segment.holds(frame, self.end)?)
        {
            return Err(cause);
        }
        self.end = self.end.saturating_add(bytes);
        self.segment.images().reach(self.end);
        Ok(())
    }

    /// The last frame, of so many bytes, as an image.
    pub(crate) fn last_as_image(&self, bytes: u64, checksum: u32) -> Option<FrameImage> {
        FrameImage::new(self.segment.images(), self.end.saturating_sub(bytes), bytes, checksum)
    }

    /// Whether the frames have reached space that was not written before.
    pub(crate) fn has_reached_unwritten(&self) -> bool {
        self.end > self.written
    }

    /// Writes zeros to the next space. Without them each sync of a few frames changes the file's metadata, because
    /// space that is only allocated becomes written; after them only the next sync does.
    pub(crate) fn write_ahead(&mut self) {
        let until = self.end.saturating_add(AHEAD).min(self.capacity());
        // Frames take the place of the zeros anyway: after an error, syncs are slower and nothing else.
        let written = self.segment.write_zeros(self.end, until);
        self.written = if written.is_ok() { until } else { self.capacity() };
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { number: self.number(), first_lsn: self.first_lsn, bytes: self.capacity() }
    }
}

fn lacks_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The bytes of zeros written ahead of the frames.
pub(crate) const AHEAD: u64 = 256 << 10;
