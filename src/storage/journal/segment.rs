//! A segment: one file of the journal.
//!
//! A segment is a header of 64 bytes and frames. The header is written when the segment becomes live. A file without
//! a valid header was never used under its number, whatever else it contains.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      8  "zaqarlog"
//!      8      4  format, 7
//!     12     16  store id
//!     28      8  segment number
//!     36      8  LSN of the first frame
//!     44      4  incarnation
//!     48      8  highest LSN known to be synced when this was written
//!     56      4  length of the file if it was durable before the segment was used, else 0
//!     60      4  CRC-32 of bytes 0..60
//! ```

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::DiskFile;
use crate::model::error::{Error, Result};
use crate::storage::codec::{array_at, crc32};

use super::context::JournalContext;
use super::frame_image::SegmentImages;
use super::naming::SegmentId;

pub(crate) const SEGMENT_HEADER_BYTES: u64 = 64;
pub(crate) const FORMAT: u32 = 7;
const MAGIC: &[u8; 8] = b"zaqarlog";
/// The bytes of zeros in one write. After larger writes the page cache keeps the file in larger units, and ext4 walks
/// all blocks of a unit at every small write into it: at 1 MiB an append took 6 µs instead of 1 µs.
static ZEROS: [u8; 4 << 10] = [0; 4 << 10];

/// A segment's header, read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first_lsn: u64,
    pub(crate) incarnation: u32,
    pub(crate) synced: u64,
    /// The least length of the file; 0 if unknown.
    pub(crate) durable_bytes: u32,
}

/// A segment file that a later recovery would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) bytes: u64,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    id: SegmentId,
    file: Arc<dyn DiskFile>,
    capacity: u64,
    /// Whether the file's length is on the device, so that a shorter file is damage.
    length_is_durable: bool,
    /// Whether all of the space was written before, so that a sync changes no metadata of the file.
    is_written_out: bool,
    images: Arc<SegmentImages>,
}

impl Segment {
    /// A new segment whose space is allocated but not written out. This is fast, for a call that waits.
    pub(crate) fn reserve(context: &JournalContext, number: u64, capacity: u64) -> Result<Self> {
        let path = context.path(number);
        let made = context.disk.create(&path).and_then(|file| {
            file.allocate(capacity)?;
            let images = SegmentImages::new(number, path.clone(), capacity);
            let (length_is_durable, is_written_out) = (false, false);
            Ok(Self { id: context.id(number), file, capacity, length_is_durable, is_written_out, images })
        });
        made.map_err(|cause| {
            // A file that stays takes only space; a later open removes it.
            let _ = context.disk.remove_file(&path);
            Error::io("reserving a journal segment", cause)
        })
    }

    /// The new segment with `frames` after the space for the header, synced, and its directory entry too. `between` is
    /// called before each sync, with the time that the last one took, and can sync the live segment.
    pub(crate) fn durable(
        self,
        context: &JournalContext,
        frames: &[u8],
        between: &mut dyn FnMut(Duration),
    ) -> Result<Self> {
        let synced = (|| {
            self.file.write_all_at(frames, SEGMENT_HEADER_BYTES)?;
            between(Duration::ZERO);
            let started = Instant::now();
            self.file.sync_data()?;
            between(started.elapsed());
            context.kept_directory.sync(&*context.disk)
        })();
        self.prepared(context, synced)
    }

    /// The segment after its length was made durable; or an error, and the file is removed.
    fn prepared(mut self, context: &JournalContext, outcome: io::Result<()>) -> Result<Self> {
        outcome.map_err(|cause| {
            // A file that stays takes only space; a later open removes it.
            let _ = context.disk.remove_file(&context.path(self.number()));
            Error::io("preparing a journal segment", cause)
        })?;
        self.length_is_durable = true;
        Ok(self)
    }

    /// The file of segment `from` under a new number, its space already written out.
    pub(crate) fn recycle(context: &JournalContext, from: u64, number: u64, length_is_durable: bool) -> Result<Self> {
        let path = context.path(number);
        let renamed = context.disk.rename(&context.path(from), &path);
        let file = renamed.and_then(|()| context.disk.open(&path));
        let file = file.map_err(|e| Error::io("recycling a journal segment", e))?;
        let (id, capacity) = (context.id(number), context.segment_bytes);
        let images = SegmentImages::new(number, path, capacity);
        Ok(Self { id, file, capacity, length_is_durable, is_written_out: true, images })
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.id
    }

    pub(crate) fn number(&self) -> u64 {
        self.id.number
    }

    pub(crate) fn length_is_durable(&self) -> bool {
        self.length_is_durable
    }

    pub(crate) fn is_written_out(&self) -> bool {
        self.is_written_out
    }

    /// What it is to the pages that its frames posted.
    pub(crate) fn images(&self) -> &Arc<SegmentImages> {
        &self.images
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Whether these bytes are at that offset.
    pub(crate) fn holds(&self, bytes: &[u8], offset: u64) -> io::Result<bool> {
        let mut found = vec![0; bytes.len()];
        let read = self.file.read_at(&mut found, offset)?;
        Ok(read == bytes.len() && found == bytes)
    }

    /// Writes zeros from `from` to `to`.
    pub(crate) fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            // Whole blocks, apart from the first.
            let end = at.saturating_add(1).next_multiple_of(ZEROS.len() as u64).min(to);
            let bytes = usize::try_from(end - at).unwrap_or(ZEROS.len());
            self.file.write_all_at(ZEROS.get(..bytes).unwrap_or(&ZEROS), at)?;
            at = end;
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Frees unused space. This need not be durable.
    pub(crate) fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    /// The bytes of this segment's header.
    pub(crate) fn header(&self, first_lsn: u64, incarnation: u32, synced: u64) -> Vec<u8> {
        let durable = if self.length_is_durable { self.capacity } else { 0 };
        let durable_bytes = u32::try_from(durable).unwrap_or(0);
        encode_header(self.id, Header { first_lsn, incarnation, synced, durable_bytes })
    }
}

fn encode_header(id: SegmentId, header: Header) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&id.store);
    bytes.extend_from_slice(&id.number.to_le_bytes());
    bytes.extend_from_slice(&header.first_lsn.to_le_bytes());
    bytes.extend_from_slice(&header.incarnation.to_le_bytes());
    bytes.extend_from_slice(&header.synced.to_le_bytes());
    bytes.extend_from_slice(&header.durable_bytes.to_le_bytes());
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes
}

/// The meaning of a file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heading {
    Started(Header),
    /// Never taken into use under this number.
    NotStarted,
    /// Written by another version, in that format.
    Other(u32),
}

pub(crate) fn parse_header(bytes: &[u8], id: SegmentId) -> Heading {
    read_header(bytes, id).unwrap_or(Heading::NotStarted)
}

/// The header of a new segment whose file may have any length.
pub(crate) fn header_of(id: SegmentId, first_lsn: u64, incarnation: u32, synced: u64) -> Vec<u8> {
    encode_header(id, Header { first_lsn, incarnation, synced, durable_bytes: 0 })
}

/// The header of a copy of that segment, whose frames begin with LSN `first_lsn`, and whose file may have any length.
pub(crate) fn header_of_copy(bytes: &[u8], id: SegmentId, first_lsn: u64) -> Option<Vec<u8>> {
    match parse_header(bytes, id) {
        Heading::Started(header) => Some(encode_header(id, Header { first_lsn, durable_bytes: 0, ..header })),
        Heading::NotStarted | Heading::Other(_) => None,
    }
}

/// The store a segment belongs to, whatever its number; for a store that has lost its manifest.
pub(crate) fn store_of(bytes: &[u8]) -> Option<[u8; 16]> {
    let covered: [u8; 60] = array_at(bytes, 0)?;
    let valid = covered.starts_with(MAGIC) && crc32(&covered) == u32::from_le_bytes(array_at(bytes, 60)?);
    if valid { array_at(&covered, 12) } else { None }
}

/// The id of a segment of `store`, whatever its file is called.
pub(crate) fn id_of(bytes: &[u8], store: [u8; 16]) -> Option<SegmentId> {
    let id = SegmentId::new(store, u64::from_le_bytes(array_at(bytes, 28)?));
    matches!(read_header(bytes, id), Some(Heading::Started(_))).then_some(id)
}

fn read_header(bytes: &[u8], id: SegmentId) -> Option<Heading> {
    let covered: [u8; 60] = array_at(bytes, 0)?;
    let valid = crc32(&covered) == u32::from_le_bytes(array_at(bytes, 60)?);
    let ours = array_at(&covered, 0)? == *MAGIC
        && array_at(&covered, 12)? == id.store
        && u64::from_le_bytes(array_at(&covered, 28)?) == id.number;
    if !valid || !ours {
        return None;
    }
    let format = u32::from_le_bytes(array_at(&covered, 8)?);
    if format != FORMAT {
        return Some(Heading::Other(format));
    }
    Some(Heading::Started(Header {
        first_lsn: u64::from_le_bytes(array_at(&covered, 36)?),
        incarnation: u32::from_le_bytes(array_at(&covered, 44)?),
        synced: u64::from_le_bytes(array_at(&covered, 48)?),
        durable_bytes: u32::from_le_bytes(array_at(&covered, 56)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::naming::{file_name, parse_file_name};
    use super::*;

    fn id() -> SegmentId {
        SegmentId::new([7; 16], 3)
    }
    const HEADER: Header = Header { first_lsn: 9, incarnation: 2, synced: 5, durable_bytes: 6 };

    #[test]
    fn golden_bytes_of_the_header() {
        let hex = crate::storage::codec::hex(&encode_header(id(), HEADER));
        let expected = format!(
            "7a617161726c6f6707000000{}030000000000000009000000000000000200000005000000000000000600000080d1fca0",
            "07".repeat(16)
        );
        assert_eq!(hex, expected);
        assert_eq!(parse_header(&encode_header(id(), HEADER), id()), Heading::Started(HEADER));
    }

    #[test]
    fn a_damaged_or_foreign_header_does_not_count() {
        let good = encode_header(id(), HEADER);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_header(&bad, id()), Heading::NotStarted, "bit {bit}");
        }
        assert_eq!(parse_header(&good, SegmentId::new([7; 16], 4)), Heading::NotStarted);
        assert_eq!(parse_header(&[], id()), Heading::NotStarted);
    }

    #[test]
    fn file_names_sort_by_number_and_come_back() {
        assert_eq!(file_name(255), "00000000000000ff.journal");
        assert_eq!(parse_file_name("00000000000000ff.journal"), Some(255));
        assert_eq!(parse_file_name("ff.journal"), None);
        assert_eq!(parse_file_name("MANIFEST"), None);
    }
}
