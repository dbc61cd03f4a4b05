//! The first segment of a run.

use std::path::Path;

use crate::model::error::{Error, Result};
use crate::storage::journal::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::journal::{Kept, Place, Start, frame, frame_buffer};
use crate::storage::manifest::{self, Manifest};

/// Frames that are written again in the first segment of a run: the last ones there are.
#[derive(Debug)]
pub(super) struct Carried {
    /// The LSN of the first.
    pub(super) first: u64,
    pub(super) bodies: Vec<Vec<u8>>,
    /// Highest LSN known to have been synced.
    pub(super) proven: u64,
}

impl Carried {
    /// No frames; the last there is, synced, is `last`.
    pub(super) fn none(last: u64) -> Self {
        Self { first: last.saturating_add(1), bodies: Vec::new(), proven: last }
    }

    fn bytes(&self) -> u64 {
        let bytes: usize = self.bodies.iter().map(|body| body.len().saturating_add(frame::HEADER_BYTES)).sum();
        bytes as u64
    }
}

/// The first segment of a run: small, since it is written out while the caller waits, smaller where the disk is full. Its
/// header is written last: until then it does not count.
pub(super) fn start(place: &Place, number: u64, carried: &Carried, scanty: bool) -> Result<Start> {
    let room = if scanty { SCANTY_SEGMENT_BYTES } else { FIRST_SEGMENT_BYTES };
    let needed = SEGMENT_HEADER_BYTES.saturating_add(carried.bytes());
    let (bytes, next_lsn) = frames(place, number, carried)?;
    let capacity = needed.saturating_add(room.min(place.segment_bytes));
    let live = Segment::prepare(place, number, capacity, &bytes, &mut |_| {})?;
    // It claims no more than was proven before: a kill may leave it in the system's memory alone, and the next open would
    // take the frames it leads to for durable.
    let header = live.header(carried.first, place.incarnation, carried.proven);
    let write = live.write(&header, 0).and_then(|()| live.sync());
    write.map_err(|e| Error::io("starting the journal", e))?;
    let kept = vec![Kept { number, first_lsn: carried.first, bytes: live.capacity() }];
    let offset = SEGMENT_HEADER_BYTES.saturating_add(bytes.len() as u64);
    Ok(Start { live, offset, next_lsn, kept })
}

/// Takes back segment `started` of the store in `root`, unless the manifest on disk names it by now, and not `named`: an opening
/// that is refused leaves the files as they were. It is as if the segment had never been made: what it replaces is still there.
pub(super) fn take_back(place: &Place, root: &Path, named: u64, started: u64) {
    let disk = &*place.disk;
    if matches!(Manifest::load(disk, root), Ok(Some(manifest)) if manifest.segment == named) {
        // What cannot be removed is, by the next opening.
        let _ = disk.remove_file(&place.path(started));
        let _ = disk.remove_file(&root.join(manifest::FRESH));
    }
}

/// The carried frames as they stand in segment `number`, and the LSN behind them.
fn frames(place: &Place, number: u64, carried: &Carried) -> Result<(Vec<u8>, u64)> {
    let (mut bytes, mut lsn) = (Vec::new(), carried.first);
    for body in &carried.bodies {
        let mut one = frame_buffer(Vec::new());
        one.extend_from_slice(body);
        let checksum = frame::body_checksum(&one)?;
        let stamp = frame::Stamp { lsn, incarnation: place.incarnation, synced: carried.proven };
        frame::seal(&mut one, place.id(number), stamp, checksum);
        bytes.extend_from_slice(&one);
        lsn = lsn.saturating_add(1);
    }
    Ok((bytes, lsn))
}

const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// The same where the disk is full: enough to delete, and to write a snapshot.
const SCANTY_SEGMENT_BYTES: u64 = 8 << 10;
