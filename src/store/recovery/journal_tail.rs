//! The end of the journal that an earlier process left. Frames that are not proven to be on the device are made durable
//! before anything depends on them.
//!
//! 1. Nothing is appended to a segment that an earlier process wrote.
//! 2. If there are several segments, or disk space is short, the last segments, as long as they hold little, are copied
//!    into the first segment of this run, which replaces them. So a store that is opened often, also on a full disk,
//!    takes no more space than its data.
//! 3. Earlier unproven frames are written once more in their place, byte for byte, and synced. The bytes are the same,
//!    so a torn write changes nothing. They are written and not only synced, because after a failed sync the system may
//!    treat them as already on the device.
//! 4. Only then does the new segment's header state that they are synced.

use std::sync::Arc;

use super::plan::JournalPlan;
use super::start::{self, CopiedFrames};
use crate::disk::{self, DiskFile};
use crate::model::error::{Error, Result};
use crate::storage::journal::segment::SEGMENT_HEADER_BYTES;
use crate::storage::journal::{JournalContext, Kept, Start, frame};
use crate::storage::reserve::{Need, Reserve};

/// Whether the last segments are copied to the first segment of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyPolicy {
    /// If there are many segments, or unproven frames.
    IfWorthwhile,
    /// To save disk space: the segments that were copied are removed afterwards.
    Always,
    /// Because there is no space for the copies.
    Never,
}

/// The way in which the journal continues.
#[derive(Debug)]
pub(super) struct JournalTail {
    number: u64,
    last: u64,
    proven: u64,
    /// The segments that stay as they are, oldest first.
    kept: Vec<Kept>,
    /// The frames of those that are replaced, and their numbers.
    bodies: Vec<Vec<u8>>,
    replaced: Vec<u64>,
}

impl JournalTail {
    pub(super) fn of(context: &JournalContext, journal: &JournalPlan, policy: CopyPolicy) -> Result<Self> {
        let does_copy = match policy {
            CopyPolicy::IfWorthwhile => journal.kept.len() >= MANY_SEGMENTS || journal.last_lsn > journal.proven,
            CopyPolicy::Always => true,
            CopyPolicy::Never => false,
        };
        let (mut kept, mut bodies, mut replaced) = (journal.kept.clone(), Vec::new(), Vec::new());
        let mut end = journal.last_lsn.saturating_add(1);
        let mut space = COPIED_BYTES.min(context.segment_bytes / 2);
        while let Some(last) = kept.last().copied().filter(|_| does_copy) {
            let Some((frames, bytes)) = copy_frames(context, last, end, space)? else { break };
            space = space.saturating_sub(bytes);
            end = end.min(last.first_lsn);
            bodies.splice(0..0, frames);
            replaced.push(last.number);
            kept.pop();
        }
        let number = journal.highest_number.saturating_add(1);
        Ok(Self { number, last: journal.last_lsn, proven: journal.proven, kept, bodies, replaced })
    }

    /// Makes unproven frames durable, and starts the next segment; returns it with the numbers of the segments it
    /// replaces. The manifest on disk names segment `named`. On a full disk, `minimal`, uses space of the reserve.
    pub(super) fn start(
        &self,
        context: &JournalContext,
        reserve: &Reserve,
        named: u64,
        minimal: bool,
    ) -> Result<(Start, Vec<u64>)> {
        let first = self.last.saturating_add(1).saturating_sub(self.bodies.len() as u64);
        self.rewrite_unproven(context, first, named)?;
        let proven = self.proven.max(first.saturating_sub(1));
        let copied = CopiedFrames { first, bodies: self.bodies.clone(), proven };
        let start = || start::start(context, self.number, &copied, minimal);
        let needed = MINIMAL_BYTES.saturating_add(copied.bytes());
        let mut started = if minimal { reserve.spend(Need::Open, needed, start)? } else { start()? };
        let mut kept = self.kept.clone();
        kept.append(&mut started.kept);
        started.kept = kept;
        Ok((started, self.replaced.clone()))
    }

    /// Rewrites and syncs the unproven frames, up to the frame before `end`, and the header of a last segment that no
    /// manifest names: the opening that started it may have been killed before the sync.
    fn rewrite_unproven(&self, context: &JournalContext, end: u64, named: u64) -> Result<()> {
        let from = self.proven.saturating_add(1);
        let mut limit = end;
        let mut written = false;
        for kept in self.kept.iter().rev() {
            if limit <= from {
                break;
            }
            if kept.first_lsn < limit {
                rewrite(context, *kept, from, limit)?;
                written = true;
            }
            limit = limit.min(kept.first_lsn);
        }
        if let Some(last) = self.kept.last().filter(|last| !written && last.number > named) {
            rewrite_header(context, *last)?;
        }
        if written {
            context.disk.sync_dir(&context.directory).map_err(|e| Error::io("syncing the journal", e))?;
        }
        Ok(())
    }
}

/// Removes segments that an earlier run left: segments before the snapshot, whose LSN is `snapshot`, and segments
/// behind the end; but not `named`, which the manifest on disk names. Returns the plan for the others.
pub(super) fn free_disk_space(
    context: &JournalContext,
    journal: &JournalPlan,
    snapshot: u64,
    named: u64,
) -> Result<JournalPlan> {
    let nexts = journal.kept.iter().skip(1).map(|next| next.first_lsn);
    let covered = journal.kept.iter().zip(nexts).filter(|(_, next)| *next <= snapshot.saturating_add(1));
    let covered: Vec<u64> = covered.map(|(kept, _)| kept.number).filter(|number| *number != named).collect();
    let (mut removed, unused): (Vec<u64>, Vec<u64>) = journal.unused.iter().partition(|number| **number != named);
    let kept: Vec<Kept> = journal.kept.iter().filter(|kept| !covered.contains(&kept.number)).copied().collect();
    removed.extend(covered);
    if !removed.is_empty() {
        let sync = || {
            journal.kept.iter().try_for_each(|kept| context.disk.open(&context.path(kept.number))?.sync_data())?;
            context.disk.sync_dir(&context.directory)?;
            removed.iter().try_for_each(|number| context.disk.remove_file(&context.path(*number)))
        };
        sync().map_err(|e| Error::io("removing an unused segment", e))?;
    }
    Ok(JournalPlan { kept, unused, ..journal.clone() })
}

/// The frames of a segment below LSN `end`, if they take at most `space` bytes; with their size.
fn copy_frames(context: &JournalContext, kept: Kept, end: u64, space: u64) -> Result<Option<(Vec<Vec<u8>>, u64)>> {
    if kept.first_lsn >= end {
        return Ok(Some((Vec::new(), 0)));
    }
    let read = || {
        let file = context.disk.open_read(&context.path(kept.number))?;
        let most = SEGMENT_HEADER_BYTES.saturating_add(space).saturating_add(frame::HEADER_BYTES as u64);
        let mut bytes = vec![0; usize::try_from(most.min(file.len()?)).unwrap_or(0)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    };
    let bytes = read().map_err(|e| Error::io("reading a journal segment", e))?;
    let mut bodies = Vec::new();
    let mut taken = 0;
    for (_, frame) in Frames::new(context, &bytes, kept, end) {
        taken += frame.bytes() as u64;
        bodies.push(frame.body.to_vec());
    }
    let whole = kept.first_lsn.saturating_add(bodies.len() as u64) == end && taken <= space;
    Ok(whole.then_some((bodies, taken)))
}

/// Writes the frames of a segment from LSN `from` up to `end` again where they are, and its header, and syncs it.
fn rewrite(context: &JournalContext, kept: Kept, from: u64, end: u64) -> Result<()> {
    let path = context.path(kept.number);
    let bytes = disk::read_all(&*context.disk, &path).map_err(|e| Error::io("reading a journal segment", e))?;
    let (mut start, mut stop, mut next) = (None, 0, kept.first_lsn);
    for (offset, frame) in Frames::new(context, &bytes, kept, end) {
        if frame.stamp.lsn >= from {
            start.get_or_insert(offset);
        }
        stop = offset.saturating_add(frame.bytes());
        next = frame.stamp.lsn.saturating_add(1);
    }
    if next != end {
        // Data that a failed sync lost can be read until the system's cache drops it.
        return Err(Error::JournalChanged { file: path });
    }
    let header = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64);
    let write = || {
        let file = context.disk.open(&path)?;
        file.write_all_at(bytes.get(..header).unwrap_or_default(), 0)?;
        let start = start.unwrap_or(stop);
        file.write_all_at(bytes.get(start..stop).unwrap_or_default(), start as u64)?;
        file.sync_data()
    };
    write().map_err(|e| Error::io("syncing the journal", e))
}

/// Writes the header of a segment again, and syncs the segment.
fn rewrite_header(context: &JournalContext, kept: Kept) -> Result<()> {
    let write = || {
        let file = context.disk.open(&context.path(kept.number))?;
        let mut header = vec![0; usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64)];
        let read = file.read_at(&mut header, 0)?;
        file.write_all_at(header.get(..read).unwrap_or_default(), 0)?;
        file.sync_data()
    };
    write().map_err(|e| Error::io("syncing the journal", e))
}

/// Frees the unused space of the segment before the started one. The manifest names the started one by now: until then
/// a shorter segment would be damage, because it would be the last one if the opening failed.
pub(super) fn trim_last(context: &JournalContext, start: &mut Start) {
    let end = start.kept.last().map_or(0, |live| live.first_lsn);
    if let Some(last) = start.kept.iter_mut().rev().nth(1) {
        last.bytes = trim(context, *last, end).unwrap_or(last.bytes);
    }
}

/// Cuts off the unused end of a segment, which has only zeros or torn frames; returns the new length. The cut may fail.
fn trim(context: &JournalContext, kept: Kept, end: u64) -> Option<u64> {
    let path = context.path(kept.number);
    let bytes = disk::read_all(&*context.disk, &path).ok()?;
    let (at, frame) = Frames::new(context, &bytes, kept, end).last()?;
    let last = at.saturating_add(frame.bytes());
    if frame.stamp.lsn.saturating_add(1) != end || bytes.len().saturating_sub(last) < WORTH_TRIMMING {
        return None;
    }
    let cut: Arc<dyn DiskFile> = context.disk.open(&path).ok()?;
    cut.set_len(last as u64).ok()?;
    Some(last as u64)
}

/// The consecutive frames of a segment below an LSN, with their offsets.
struct Frames<'a> {
    bytes: &'a [u8],
    id: crate::storage::journal::naming::SegmentId,
    offset: usize,
    lsn: u64,
    end: u64,
}

impl<'a> Frames<'a> {
    fn new(context: &JournalContext, bytes: &'a [u8], kept: Kept, end: u64) -> Self {
        let offset = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64);
        Self { bytes, id: context.id(kept.number), offset, lsn: kept.first_lsn, end }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (usize, frame::Frame<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).filter(|_| self.lsn < self.end)?;
        let frame = frame::parse(rest, self.id).filter(|frame| frame.stamp.lsn == self.lsn)?;
        let at = self.offset;
        self.offset = self.offset.saturating_add(frame.bytes());
        self.lsn = self.lsn.saturating_add(1);
        Some((at, frame))
    }
}

/// The number of segments from which the last ones are copied together.
const MANY_SEGMENTS: usize = 4;
/// The most bytes that are copied of the journal's end, unless half a segment is less.
const COPIED_BYTES: u64 = 256 << 10;
/// The least number of bytes that is worth cutting off.
const WORTH_TRIMMING: usize = 4 << 10;
/// The size of the first segment of a run on a full disk, beside the copied frames.
const MINIMAL_BYTES: u64 = 12 << 10;
