//! Copying the journal up to one LSN, for a backup.

use std::ops::Range;
use std::path::Path;

use super::naming::SegmentId;
use super::scan::Damage;
use super::segment::{self, SEGMENT_HEADER_BYTES};
use super::{Journal, Kept, frame, naming};
use crate::disk::read_all;
use crate::model::error::{Error, Result};

impl Journal {
    /// Passes to `write` the name and the content of each segment that a replay from `from` to `last` reads, with the
    /// frames between the two; returns the number of the last segment. No segment may be retired meanwhile; frames may be
    /// appended.
    ///
    /// # Errors
    /// `Corrupt` if a segment does not have the frames that were written to it; those of reading and of `write`.
    pub(crate) fn copy_frames(
        &self,
        (from, last): (u64, u64),
        write: &mut dyn FnMut(&str, &[u8]) -> Result<()>,
    ) -> Result<u64> {
        let needed: Vec<Kept> = {
            let segments = &self.tail.lock().segments;
            let first = segments.first_needed(from);
            let is_needed = |kept: &Kept| kept.number == first || kept.number > first && kept.first_lsn <= last;
            segments.kept().filter(is_needed).collect()
        };
        let mut number = 0;
        for (index, kept) in needed.iter().enumerate() {
            let next = needed.get(index.saturating_add(1)).map_or(u64::MAX, |next| next.first_lsn);
            let path = self.context.path(kept.number);
            let bytes = read_all(&*self.context.disk, &path).map_err(|e| Error::file("reading", &path, e))?;
            let (start, end) = (from.saturating_add(1).max(kept.first_lsn), next.min(last.saturating_add(1)));
            let cut = cut(&bytes, self.context.id(kept.number), kept.first_lsn, start..end);
            write(&naming::file_name(kept.number), &cut.map_err(|damage| damage.of(&path))?)?;
            number = kept.number;
        }
        Ok(number)
    }
}

/// Damage of a segment.
struct Missing {
    offset: usize,
}

impl Missing {
    fn of(self, path: &Path) -> Error {
        let reason = "a frame that was written is missing".into();
        Damage { file: path.into(), offset: self.offset as u64, reason }.into()
    }
}

/// The segment whose first frame has the LSN `first`, with the frames of `lsns` alone.
fn cut(bytes: &[u8], id: SegmentId, first: u64, lsns: Range<u64>) -> Result<Vec<u8>, Missing> {
    let mut cut = segment::header_of_copy(bytes, id, lsns.start).ok_or(Missing { offset: 0 })?;
    let mut offset = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64);
    let (mut start, mut lsn) = (offset, first);
    while lsn < lsns.end {
        let frame = bytes.get(offset..).and_then(|rest| frame::parse(rest, id));
        let frame = frame.filter(|frame| frame.stamp.lsn == lsn).ok_or(Missing { offset })?;
        offset = offset.saturating_add(frame.bytes());
        if lsn < lsns.start {
            start = offset;
        }
        lsn = lsn.saturating_add(1);
    }
    cut.extend_from_slice(bytes.get(start..offset).unwrap_or_default());
    Ok(cut)
}
