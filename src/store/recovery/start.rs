//! The first segment of a run.

use std::path::Path;

use crate::model::error::{Error, Result};
use crate::storage::journal::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::storage::journal::{JournalContext, Kept, Start, frame, frame_buffer};
use crate::storage::manifest::{self, Manifest};

/// The last frames of the journal, which are copied to the first segment of a run.
#[derive(Debug)]
pub(super) struct CopiedFrames {
    /// The LSN of the first.
    pub(super) first: u64,
    pub(super) bodies: Vec<Vec<u8>>,
    /// Highest LSN known to have been synced.
    pub(super) proven: u64,
}

impl CopiedFrames {
    /// No frames; the last there is, synced, is `last`.
    pub(super) fn none(last: u64) -> Self {
        Self { first: last.saturating_add(1), bodies: Vec::new(), proven: last }
    }

    pub(super) fn bytes(&self) -> u64 {
        let bytes: usize = self.bodies.iter().map(|body| body.len().saturating_add(frame::HEADER_BYTES)).sum();
        bytes as u64
    }
}

/// The first segment of a run: small, since it may be all that is ever written to the store, smaller where the disk is full.
/// Its header is written last: until then it does not count.
pub(super) fn start(context: &JournalContext, number: u64, copied: &CopiedFrames, minimal: bool) -> Result<Start> {
    let space = if minimal { MINIMAL_SEGMENT_BYTES } else { FIRST_SEGMENT_BYTES };
    let needed = SEGMENT_HEADER_BYTES.saturating_add(copied.bytes());
    let (bytes, next_lsn) = frames(context, number, copied)?;
    let capacity = needed.saturating_add(space.min(context.segment_bytes));
    let live = Segment::reserve(context, number, capacity)?.durable(context, &bytes, &mut |_| {})?;
    // The header states no LSN that was not proven before. A kill may leave the header only in the system's cache, and
    // the next open would treat its frames as durable.
    let header = live.header(copied.first, context.incarnation, copied.proven);
    let write = live.write(&header, 0).and_then(|()| live.sync());
    write.map_err(|e| Error::io("starting the journal", e))?;
    let kept = vec![Kept { number, first_lsn: copied.first, bytes: live.capacity() }];
    let offset = SEGMENT_HEADER_BYTES.saturating_add(bytes.len() as u64);
    Ok(Start { live, offset, next_lsn, kept })
}

/// Removes segment `started` of the store in `root` again, unless the manifest on disk names it by now instead of
/// `named`, so that a refused opening leaves the files as they were. The segments that it would have replaced still
/// exist.
pub(super) fn take_back(context: &JournalContext, root: &Path, named: u64, started: u64) {
    let disk = &*context.disk;
    if matches!(Manifest::load(disk, root), Ok(Some(manifest)) if manifest.segment == named) {
        // A file that cannot be removed now is removed by the next opening.
        let _ = disk.remove_file(&context.path(started));
        let _ = disk.remove_file(&root.join(manifest::FRESH));
    }
}

/// The copied frames, for segment `number`, and the LSN after them.
fn frames(context: &JournalContext, number: u64, copied: &CopiedFrames) -> Result<(Vec<u8>, u64)> {
    let (mut bytes, mut lsn) = (Vec::new(), copied.first);
    for body in &copied.bodies {
        let mut one = frame_buffer(Vec::new());
        one.extend_from_slice(body);
        let checksum = frame::body_checksum(&one)?;
        let stamp = frame::Stamp { lsn, incarnation: context.incarnation, synced: copied.proven };
        frame::seal(&mut one, context.id(number), stamp, checksum);
        bytes.extend_from_slice(&one);
        lsn = lsn.saturating_add(1);
    }
    Ok((bytes, lsn))
}

const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// The size on a full disk: enough for deletes, and for writing a snapshot.
const MINIMAL_SEGMENT_BYTES: u64 = 8 << 10;
