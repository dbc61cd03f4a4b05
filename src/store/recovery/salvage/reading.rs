//! Reading damaged files: the readable part of a file, and the frames on both sides of unreadable ranges.
//!
//! 1. A range that the device reports as lost (`EIO` and similar) is read as zeros and recorded. Any other refusal is
//!    an error that names the file.
//! 2. A frame is valid by its own checksums, wherever it is.

use std::ops::Range;
use std::path::Path;

use crate::disk::{Disk, DiskFile};
use crate::model::error::is_unreadable;
use crate::model::error::{Error, Result};
use crate::storage::journal::frame::{self, HEADER_BYTES, Stamp};
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;

/// The readable part of a file.
#[derive(Debug, Default)]
pub(super) struct Readable {
    pub(super) bytes: Vec<u8>,
    /// The unreadable ranges, which are zeros in `bytes`.
    pub(super) holes: Vec<Range<u64>>,
}

impl Readable {
    /// The holes as damage of the file.
    pub(super) fn damages(&self, path: &Path) -> impl Iterator<Item = Damage> {
        self.holes.iter().map(|hole| Damage {
            file: path.into(),
            offset: hole.start,
            reason: format!("the device cannot read {} bytes", hole.end.saturating_sub(hole.start)),
        })
    }
}

/// Reads a file; `None` if there is none of that name, or a directory.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Readable>> {
    let opened = disk.open_read(path).and_then(|file| Ok((file.len()?, file)));
    match opened.and_then(|(len, file)| read_file(&*file, len)) {
        Ok(readable) => Ok(Some(readable)),
        Err(cause) if matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory) => {
            Ok(None)
        }
        // Nothing is known about the file, not even its length.
        Err(cause) if is_unreadable(&cause) => Ok(Some(Readable::nothing())),
        Err(cause) => Err(Error::file("reading", path, cause)),
    }
}

fn read_file(file: &dyn DiskFile, len: u64) -> std::io::Result<Readable> {
    let mut readable = Readable { bytes: vec![0; usize::try_from(len).unwrap_or(0)], holes: Vec::new() };
    let mut at = 0;
    while at < readable.bytes.len() {
        let end = at.saturating_add(CHUNK_BYTES).min(readable.bytes.len());
        if !readable.fill(file, at..end)? {
            // A part of the range is unreadable; the rest is read sector by sector.
            let mut sector = at;
            while sector < end {
                let next = sector.saturating_add(SECTOR_BYTES).min(end);
                if !readable.fill(file, sector..next)? {
                    readable.lose(sector as u64..next as u64);
                }
                sector = next;
            }
        }
        at = end;
    }
    Ok(readable)
}

impl Readable {
    fn nothing() -> Self {
        let mut readable = Self::default();
        readable.lose(0..u64::MAX);
        readable
    }

    /// Reads these bytes; false if the device cannot.
    fn fill(&mut self, file: &dyn DiskFile, range: Range<usize>) -> std::io::Result<bool> {
        let offset = range.start as u64;
        let Some(place) = self.bytes.get_mut(range) else { return Ok(true) };
        match file.read_at(place, offset) {
            Ok(_) => Ok(true),
            Err(cause) if is_unreadable(&cause) => {
                place.fill(0);
                Ok(false)
            }
            Err(cause) => Err(cause),
        }
    }

    fn lose(&mut self, range: Range<u64>) {
        match self.holes.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.holes.push(range),
        }
    }
}

/// A frame that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundFrame<'a> {
    pub(super) offset: usize,
    pub(super) stamp: Stamp,
    pub(super) body: &'a [u8],
}

impl FoundFrame<'_> {
    /// Where the next one may begin.
    pub(super) fn end(&self) -> usize {
        self.offset.saturating_add(HEADER_BYTES).saturating_add(self.body.len())
    }
}

/// Every whole frame from `at` on, whatever is between them.
pub(super) fn frames(bytes: &[u8], id: SegmentId, mut at: usize) -> impl Iterator<Item = FoundFrame<'_>> {
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..).filter(|rest| rest.len() > HEADER_BYTES)?;
            if let Some(frame) = frame::parse(rest, id) {
                let found = FoundFrame { offset: at, stamp: frame.stamp, body: frame.body };
                at = found.end();
                return Some(found);
            }
            at = at.saturating_add(1);
        }
    })
}

const CHUNK_BYTES: usize = 1 << 20;
/// The smallest unit that a device loses.
const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A file on a device that has lost a range of it.
    #[derive(Debug)]
    struct Holed {
        bytes: Vec<u8>,
        lost: Range<usize>,
        code: i32,
    }

    impl DiskFile for Holed {
        fn len(&self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }

        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            let from = usize::try_from(offset).unwrap();
            let end = self.bytes.len().min(from + buf.len());
            if from < self.lost.end && end > self.lost.start {
                return Err(io::Error::from_raw_os_error(self.code));
            }
            buf[..end - from].copy_from_slice(&self.bytes[from..end]);
            Ok(end - from)
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            unreachable!("only read")
        }

        fn allocate(&self, _: u64) -> io::Result<()> {
            unreachable!("only read")
        }

        fn sync_data(&self) -> io::Result<()> {
            unreachable!("only read")
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            unreachable!("only read")
        }
    }

    #[test]
    fn what_the_device_cannot_read_is_a_hole_and_the_rest_is_there() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let file = Holed { bytes: bytes.clone(), lost: 1_500_000..1_500_700, code: 5 };
        let readable = read_file(&file, 3_000_000).unwrap();
        let (hole, rest) = readable.holes.split_first().unwrap();
        assert!(rest.is_empty() && hole.end - hole.start <= 1_536, "{hole:?}");
        let place = |at: u64| usize::try_from(at).unwrap();
        assert!(readable.bytes[..place(hole.start)] == bytes[..place(hole.start)]);
        assert!(readable.bytes[place(hole.end)..] == bytes[place(hole.end)..]);
        assert!(readable.bytes[place(hole.start)..place(hole.end)].iter().all(|byte| *byte == 0));
        let damage: Vec<Damage> = readable.damages(Path::new("/file")).collect();
        assert_eq!((damage.len(), damage[0].offset), (1, hole.start));
    }

    #[test]
    fn a_file_that_may_not_be_read_is_an_error() {
        let file = Holed { bytes: vec![1; 100], lost: 0..100, code: 13 };
        assert_eq!(read_file(&file, 100).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
