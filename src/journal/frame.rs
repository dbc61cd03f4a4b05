//! A frame: one atomic change in the journal or one record in a base.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      4  length of the body, at least 1
//!      4      4  CRC-32 of bytes 0..4, 8..28 and the body's CRC-32, seeded with store id and segment number
//!      8      8  LSN
//!     16      4  incarnation
//!     20      8  highest LSN known to be synced when this was written
//!     28      n  body
//! ```
//!
//! The seed is why a stale frame of a recycled segment, or of another store, never fits. The body's checksum is taken
//! before the journal's lock is, the header's under it.

use crate::codec::{array_at, crc32, crc32_from};
use crate::error::{Error, Result};

use super::segment::SegmentId;

pub(crate) const HEADER_BYTES: usize = 28;

/// Above the largest call (128 MiB) with what surrounds it; a larger length is damage.
pub(crate) const MAX_BODY_BYTES: usize = 256 << 20;

/// What the journal adds to a body.
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

/// The checksum of the body behind the header's place.
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
    let stamped = stamp_bytes(stamp);
    let checksum = header_checksum(id, length, stamped, body_checksum).to_le_bytes();
    let header = length.iter().chain(&checksum).chain(&stamped);
    frame.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
}

/// The frame at the start of `bytes`, if there is a whole and undamaged one.
pub(crate) fn parse(bytes: &[u8], id: SegmentId) -> Option<Frame<'_>> {
    let length: [u8; 4] = array_at(bytes, 0)?;
    let body_bytes = u32::from_le_bytes(length) as usize;
    if body_bytes == 0 || body_bytes > MAX_BODY_BYTES {
        return None;
    }
    let stamped: [u8; 20] = array_at(bytes, 8)?;
    let body = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(body_bytes)?)?;
    let checksum = u32::from_le_bytes(array_at(bytes, 4)?);
    if header_checksum(id, length, stamped, crc32(body)) != checksum {
        return None;
    }
    let stamp = Stamp {
        lsn: u64::from_le_bytes(array_at(&stamped, 0)?),
        incarnation: u32::from_le_bytes(array_at(&stamped, 8)?),
        synced: u64::from_le_bytes(array_at(&stamped, 12)?),
    };
    Some(Frame { stamp, body })
}

/// The LSN a frame at the start of `bytes` would have, without checking it.
pub(crate) fn peek_lsn(bytes: &[u8]) -> Option<u64> {
    let body_bytes = u32::from_le_bytes(array_at(bytes, 0)?) as usize;
    let fits = body_bytes > 0 && HEADER_BYTES.checked_add(body_bytes)? <= bytes.len();
    if fits { array_at(bytes, 8).map(u64::from_le_bytes) } else { None }
}

fn stamp_bytes(stamp: Stamp) -> [u8; 20] {
    let mut bytes = [0; 20];
    let fields = stamp.lsn.to_le_bytes().into_iter();
    let fields = fields.chain(stamp.incarnation.to_le_bytes()).chain(stamp.synced.to_le_bytes());
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

fn header_checksum(id: SegmentId, length: [u8; 4], stamped: [u8; 20], body_checksum: u32) -> u32 {
    let mut covered = [0; 28];
    let fields = length.into_iter().chain(stamped).chain(body_checksum.to_le_bytes());
    covered.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    crc32_from(id.seed(), &covered)
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
        let hex = crate::codec::hex(&sealed());
        assert_eq!(hex, "04000000438b13d8090000000000000002000000050000000000000062 6f6479".replace(' ', ""));
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
