//! A frame: one atomic change in the journal or one record in a snapshot.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      4  length of the body, at least 1
//!      4      4  CRC-32 of bytes 0..4 and 8..32, seeded with store id and segment number
//!      8      8  LSN
//!     16      4  incarnation
//!     20      8  highest LSN known to be synced when this was written
//!     28      4  CRC-32 of the body
//!     32      n  body
//! ```
//!
//! Because of the seed, a stale frame of a recycled segment, or a frame of another store, never passes the check. The
//! header has a checksum of its own, so that a search for frames in damaged bytes reads no bodies. The body's checksum
//! is computed before the journal is locked, the header's under the lock.

use crate::model::error::{Error, Result};
use crate::storage::codec::{array_at, crc32, crc32_from};

use super::naming::SegmentId;

pub(crate) const HEADER_BYTES: usize = 32;

/// Above the largest call (128 MiB) with its overhead. A larger length is damage.
pub(crate) const MAX_BODY_BYTES: usize = 256 << 20;

/// The values that the journal adds to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) lsn: u64,
    pub(crate) incarnation: u32,
    pub(crate) synced: u64,
}

/// A frame read back and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) stamp: Stamp,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES.saturating_add(self.body.len())
    }
}

/// The checksum of the body behind the space for the header.
pub(crate) fn body_checksum(frame: &[u8]) -> Result<u32> {
    let body = frame.get(HEADER_BYTES..).unwrap_or_default();
    if body.is_empty() || body.len() > MAX_BODY_BYTES {
        return Err(Error::TooLarge { what: "call", size: body.len() as u64, limit: MAX_BODY_BYTES as u64 });
    }
    Ok(crc32(body))
}

/// Fills in the header of `frame`.
pub(crate) fn seal(frame: &mut [u8], id: SegmentId, stamp: Stamp, body_checksum: u32) {
    let body_bytes = frame.len().saturating_sub(HEADER_BYTES);
    let length = u32::try_from(body_bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    let fields: [(usize, &[u8]); 5] = [
        (0, &length),
        (8, &stamp.lsn.to_le_bytes()),
        (16, &stamp.incarnation.to_le_bytes()),
        (20, &stamp.synced.to_le_bytes()),
        (28, &body_checksum.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        put(&mut header, at, bytes);
    }
    let checksum = header_checksum(id, &header);
    put(&mut header, 4, &checksum.to_le_bytes());
    put(frame, 0, &header);
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at.saturating_add(bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

/// A header read back and checked; its body need not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) stamp: Stamp,
    body_bytes: usize,
    body_checksum: u32,
}

impl Header {
    /// The header at the start of `bytes`, if there is an undamaged one.
    pub(crate) fn parse(bytes: &[u8], id: SegmentId) -> Option<Self> {
        let length: [u8; 4] = array_at(bytes, 0)?;
        let body_bytes = u32::from_le_bytes(length) as usize;
        if body_bytes == 0 || body_bytes > MAX_BODY_BYTES {
            return None;
        }
        let header: [u8; HEADER_BYTES] = array_at(bytes, 0)?;
        if header_checksum(id, &header) != u32::from_le_bytes(array_at(&header, 4)?) {
            return None;
        }
        let stamp = Stamp {
            lsn: u64::from_le_bytes(array_at(&header, 8)?),
            incarnation: u32::from_le_bytes(array_at(&header, 16)?),
            synced: u64::from_le_bytes(array_at(&header, 20)?),
        };
        Some(Self { stamp, body_bytes, body_checksum: u32::from_le_bytes(array_at(&header, 28)?) })
    }

    /// The frame this heads, at the start of `bytes`, if its body is whole.
    pub(crate) fn frame(self, bytes: &[u8]) -> Option<Frame<'_>> {
        let body = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(self.body_bytes)?)?;
        (crc32(body) == self.body_checksum).then_some(Frame { stamp: self.stamp, body })
    }
}

/// The frame at the start of `bytes`, if there is a whole and undamaged one.
pub(crate) fn parse(bytes: &[u8], id: SegmentId) -> Option<Frame<'_>> {
    Header::parse(bytes, id)?.frame(bytes)
}

/// The checksum of the length and of everything behind the checksum's own field.
fn header_checksum(id: SegmentId, header: &[u8; HEADER_BYTES]) -> u32 {
    let length = crc32_from(id.seed(), header.get(..4).unwrap_or_default());
    crc32_from(length, header.get(8..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SegmentId {
        SegmentId::new([7; 16], 3)
    }

    fn sealed() -> Vec<u8> {
        let mut frame = super::super::frame_buffer(Vec::new());
        frame.extend_from_slice(b"body");
        let checksum = body_checksum(&frame).unwrap();
        seal(&mut frame, id(), Stamp { lsn: 9, incarnation: 2, synced: 5 }, checksum);
        frame
    }

    #[test]
    fn golden_bytes() {
        let hex = crate::storage::codec::hex(&sealed());
        assert_eq!(hex, "04000000438b13d80900000000000000020000000500000000000000b20ba8db626f6479");
    }

    #[test]
    fn a_frame_comes_back_and_no_flipped_bit_does() {
        let good = sealed();
        let frame = parse(&good, id()).unwrap();
        assert_eq!(frame, Frame { stamp: Stamp { lsn: 9, incarnation: 2, synced: 5 }, body: b"body" });
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bad, id()), None, "bit {bit}");
        }
        for cut in 0..good.len() {
            assert_eq!(parse(&good[..cut], id()), None);
        }
    }

    #[test]
    fn a_frame_of_another_segment_or_store_does_not_fit() {
        let good = sealed();
        assert_eq!(parse(&good, SegmentId::new([7; 16], 4)), None);
        assert_eq!(parse(&good, SegmentId::new([8; 16], 3)), None);
    }

    #[test]
    fn an_empty_body_is_refused() {
        assert!(body_checksum(&[0; HEADER_BYTES]).is_err());
    }
}
