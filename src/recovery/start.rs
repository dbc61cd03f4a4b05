//! The first segment of a run.

use crate::error::{Error, Result};
use crate::journal::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::journal::{Kept, Place, Start, frame, frame_buffer};

/// The first segment of a run: small, since it is written out while the caller waits, and holding the frames `carried`
/// over, which follow `proven`. Its header is written last: until then it does not count.
pub(super) fn start(
    place: &Place,
    highest_number: u64,
    proven: u64,
    carried: &[Vec<u8>],
    mut kept: Vec<Kept>,
) -> Result<Start> {
    let number = highest_number.saturating_add(1);
    let carried_bytes: usize = carried.iter().map(|body| body.len().saturating_add(frame::HEADER_BYTES)).sum();
    let needed = SEGMENT_HEADER_BYTES.saturating_add(carried_bytes as u64);
    let prepare = |room: u64| Segment::prepare(place, number, needed.saturating_add(room.min(place.segment_bytes)));
    let active = match prepare(FIRST_SEGMENT_BYTES) {
        Err(error) if error.is_full() => prepare(SCANTY_SEGMENT_BYTES)?,
        prepared => prepared?,
    };
    let capacity = active.capacity();
    let mut bytes = Vec::with_capacity(carried_bytes);
    let mut lsn = proven;
    for body in carried {
        lsn = lsn.saturating_add(1);
        let mut one = frame_buffer(Vec::new());
        one.extend_from_slice(body);
        let checksum = frame::body_checksum(&one)?;
        frame::seal(
            &mut one,
            active.id(),
            frame::Stamp { lsn, incarnation: place.incarnation, synced: proven },
            checksum,
        );
        bytes.extend_from_slice(&one);
    }
    let first_lsn = proven.saturating_add(1);
    let write = || {
        if !bytes.is_empty() {
            active.write(&bytes, SEGMENT_HEADER_BYTES)?;
            active.sync()?;
        }
        // It claims no more than was proven before: a kill may leave it in the system's memory alone, and the next open
        // would take the frames it leads to for durable.
        active.write(&active.header(first_lsn, place.incarnation, proven), 0)?;
        active.sync()
    };
    write().map_err(|e| Error::io("starting the journal", e))?;
    kept.push(Kept { number, first_lsn, bytes: capacity });
    let offset = SEGMENT_HEADER_BYTES.saturating_add(bytes.len() as u64);
    Ok(Start { active, offset, next_lsn: lsn.saturating_add(1), kept })
}

const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// The same where the disk is full: enough to delete, and to write a base.
const SCANTY_SEGMENT_BYTES: u64 = 16 << 10;
