//! Reading the journal: the consecutive frames, their end, and whether the end is valid.
//!
//! 1. Frames count while their LSNs are consecutive. A later segment whose first LSN is not above a former one's
//!    replaces it from there on: recovery copies frames it cannot prove synced into a new segment.
//! 2. The scan stops at the first frame that does not follow. If anything (a later frame, a segment header, the
//!    manifest, the snapshot) proves that its LSN had been synced, the journal is damaged. Otherwise it is the torn end
//!    of an unfinished write, and no frame behind it was acknowledged as synced.
//! 3. Nothing is written.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, REACH, list_or_empty, read_all};
use crate::model::error::{Error, Result};

use super::Kept;
use super::frame::{self, Frame, HEADER_BYTES, Stamp};
use super::naming::{self, SegmentId};
use super::segment::{self, FORMAT, Header, Heading, SEGMENT_HEADER_BYTES};

/// The input of a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) directory: &'a Path,
    pub(crate) store: [u8; 16],
    /// Frames up to this LSN are not needed, because a snapshot covers them.
    pub(crate) after: u64,
    /// Highest LSN already known to have been synced.
    pub(crate) proven: u64,
    /// A segment that is known to have been started; 0 if there is none.
    pub(crate) named: u64,
}

/// The result of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) end: JournalEnd,
    pub(crate) files: SegmentFiles,
    pub(crate) faults: Faults,
}

/// The LSN at which the journal ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JournalEnd {
    /// LSN of the last frame that follows; `after` when there is none.
    pub(crate) last_lsn: u64,
    /// Highest LSN known to have been synced.
    pub(crate) proven: u64,
    /// Highest LSN of any frame met, whether or not it follows.
    pub(crate) highest_lsn: u64,
    /// Highest incarnation met.
    pub(crate) incarnation: u32,
    /// Undamaged frames behind the stop, which are dropped.
    pub(crate) dropped: u64,
}

/// The kinds of the journal's files. Every file of the store is in one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentFiles {
    /// The segments that the frames came from, oldest first.
    pub(crate) kept: Vec<Kept>,
    /// Files that were never used.
    pub(crate) spares: Vec<u64>,
    /// The segments that were replaced or are behind the stop.
    pub(crate) unused: Vec<u64>,
    /// Files with frames behind the stop whose header is lost.
    pub(crate) without_header: Vec<u64>,
    /// The highest used segment number.
    pub(crate) highest_number: u64,
}

/// The damage of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The place and reason of the stop, if the scan stopped before a synced LSN.
    pub(crate) stopped_early: Option<Damage>,
    /// Set if the segment that is known to have been started is missing, or has lost its header.
    pub(crate) named_segment_missing: Option<Damage>,
    /// Set if the last segment's file is shorter than it was, which is damage unless the store was closed.
    pub(crate) truncated: Option<Damage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) file: PathBuf,
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Corrupt { file: damage.file, offset: damage.offset, reason: damage.reason }
    }
}

struct FoundSegment {
    number: u64,
    header: Header,
    bytes: u64,
}

/// Visits every frame above `source.after` in order.
///
/// # Errors
/// Those of `visit`, reading, and a segment of a newer format. Damage is not an error here: see [`Scan::damage`].
pub(crate) fn scan(source: &Source<'_>, visit: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<Scan> {
    let end = JournalEnd { last_lsn: source.after, proven: source.proven, ..JournalEnd::default() };
    let mut scan = Scan { end, ..Scan::default() };
    let Headings { started, not_started } = read_headings(source, &mut scan)?;
    let stop = follow(source, &started, &mut scan, visit)?;
    scan.faults.truncated = started.last().and_then(|last| truncated(source, last));
    search_unreached(source, &started, stop.as_ref(), &mut scan)?;
    search_not_started(source, not_started, &mut scan)?;
    scan.faults.stopped_early = stopped_early(source, stop, &scan);
    Ok(scan)
}

/// The data of the segments' headers.
struct Headings {
    /// The segments in use, oldest first, without segments that a later one replaces from their first frame on.
    started: Vec<FoundSegment>,
    /// Files without a valid header.
    not_started: Vec<u64>,
}

fn read_headings(source: &Source<'_>, scan: &mut Scan) -> Result<Headings> {
    let names = list_or_empty(source.disk, source.directory)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| naming::parse_file_name(name)).collect();
    numbers.sort_unstable();
    let mut started: Vec<FoundSegment> = Vec::new();
    let (mut all_started, mut not_started, mut occupied) = (Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        let found = match read_heading(source, number) {
            Ok(Some(found)) => found,
            Ok(None) => {
                not_started.push(number);
                continue;
            }
            // Not a file of the journal; later segments get other numbers.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::IsADirectory => {
                occupied.push(number);
                continue;
            }
            Err(error) => return Err(error),
        };
        scan.end.proven = scan.end.proven.max(found.header.synced);
        scan.end.incarnation = scan.end.incarnation.max(found.header.incarnation);
        all_started.push(number);
        while let Some(replaced) = started.pop_if(|last| last.header.first_lsn >= found.header.first_lsn) {
            scan.files.unused.push(replaced.number);
        }
        started.push(found);
    }
    let is_lost = source.named > 0 && !all_started.contains(&source.named);
    scan.faults.named_segment_missing = is_lost.then(|| named_segment_missing(source));
    let highest = all_started.last().copied().unwrap_or(0).saturating_add(REACH);
    not_started.retain(|number| *number <= highest);
    let own = all_started.iter().chain(&not_started).chain(&occupied).filter(|number| **number <= highest);
    scan.files.highest_number = own.max().copied().unwrap_or(0);
    Ok(Headings { started, not_started })
}

fn named_segment_missing(source: &Source<'_>) -> Damage {
    let file = source.directory.join(naming::file_name(source.named));
    let reason = "a segment that had been started is missing or has lost its header".into();
    Damage { file, offset: 0, reason }
}

fn read_heading(source: &Source<'_>, number: u64) -> Result<Option<FoundSegment>> {
    let path = source.directory.join(naming::file_name(number));
    let read = || {
        let file = source.disk.open_read(&path)?;
        let mut bytes = vec![0; 64];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok((bytes, file.len()?))
    };
    let (bytes, len) = read().map_err(|e| Error::file("reading", &path, e))?;
    match segment::parse_header(&bytes, SegmentId::new(source.store, number)) {
        Heading::Started(header) => Ok(Some(FoundSegment { number, header, bytes: len })),
        Heading::NotStarted => Ok(None),
        Heading::Other(found) => Err(Error::UnsupportedFormat { file: path, found, supported: FORMAT }),
    }
}

fn truncated(source: &Source<'_>, last: &FoundSegment) -> Option<Damage> {
    let file = source.directory.join(naming::file_name(last.number));
    let reason = "the journal's last segment has been cut short".into();
    (last.bytes < u64::from(last.header.durable_bytes)).then_some(Damage { file, offset: last.bytes, reason })
}

/// Where following the frames ended.
struct Stop {
    /// Index of the segment among the started ones; past the last when a segment is missing.
    index: usize,
    offset: usize,
    reason: &'static str,
}

/// Walks the chain; `None` when there is no segment at all.
fn follow(
    source: &Source<'_>,
    started: &[FoundSegment],
    scan: &mut Scan,
    visit: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<Option<Stop>> {
    // Segments before the one with the first needed frame are not needed, and need not be consecutive.
    let first = started.iter().rposition(|found| found.header.first_lsn <= source.after.saturating_add(1)).unwrap_or(0);
    let mut expected = match started.get(first) {
        None => return Ok(None),
        Some(found) => found.header.first_lsn.min(source.after.saturating_add(1)),
    };
    for (index, found) in started.iter().enumerate() {
        if index < first {
            scan.files.kept.push(kept(found));
            continue;
        }
        if found.header.first_lsn > expected {
            return Ok(Some(Stop { index, offset: 0, reason: "a segment before this one is missing or cut short" }));
        }
        let next = started.get(index.saturating_add(1));
        let limit = next.map_or(u64::MAX, |next| next.header.first_lsn);
        scan.files.kept.push(kept(found));
        let path = source.directory.join(naming::file_name(found.number));
        let bytes = read_all(source.disk, &path).map_err(|e| Error::file("reading", &path, e))?;
        let id = SegmentId::new(source.store, found.number);
        let mut offset = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64);
        let mut lsn = found.header.first_lsn;
        while lsn < limit {
            let Some(frame) = following(&bytes, offset, id, lsn) else { break };
            note(&mut scan.end, frame.stamp);
            if lsn > source.after {
                visit(lsn, frame.body)?;
                scan.end.last_lsn = lsn;
            }
            offset = offset.saturating_add(frame.bytes());
            lsn = lsn.saturating_add(1);
        }
        expected = lsn;
        if lsn < limit {
            return Ok(Some(Stop { index, offset, reason: "no frame that follows the one before" }));
        }
    }
    Ok(Some(Stop { index: started.len(), offset: 0, reason: "the journal ends" }))
}

/// Whether the journal goes on by now where a scan of a journal in use has stopped, behind LSN `last`. Then the scan was
/// overtaken, and what it has read is the state of one instant.
pub(crate) fn was_overtaken(source: &Source<'_>, stop: &Damage, last: u64) -> Result<bool> {
    let name = stop.file.file_name().and_then(|name| name.to_str());
    let Some(number) = name.and_then(naming::parse_file_name) else { return Ok(false) };
    let bytes = read_all(source.disk, &stop.file).map_err(|e| Error::file("reading", &stop.file, e))?;
    let offset = usize::try_from(stop.offset).unwrap_or(usize::MAX);
    Ok(following(&bytes, offset, SegmentId::new(source.store, number), last.saturating_add(1)).is_some())
}

fn kept(found: &FoundSegment) -> Kept {
    Kept { number: found.number, first_lsn: found.header.first_lsn, bytes: found.bytes }
}

fn following(bytes: &[u8], offset: usize, id: SegmentId, lsn: u64) -> Option<Frame<'_>> {
    frame::parse(bytes.get(offset..)?, id).filter(|frame| frame.stamp.lsn == lsn)
}

fn note(end: &mut JournalEnd, stamp: Stamp) {
    end.proven = end.proven.max(stamp.synced);
    end.highest_lsn = end.highest_lsn.max(stamp.lsn);
    end.incarnation = end.incarnation.max(stamp.incarnation);
}

/// Whether a segment's bytes begin with a header of number `number` and a frame, whatever the store.
pub(crate) fn holds_frames(bytes: &[u8], number: u64) -> bool {
    let Some(store) = segment::store_of(bytes) else { return false };
    let frames = bytes.get(usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64)..).unwrap_or_default();
    frame::parse(frames, SegmentId::new(store, number)).is_some()
}

/// Whether a segment has a header at most.
pub(crate) fn is_unwritten(bytes: &[u8]) -> bool {
    let header = segment::store_of(bytes).map_or(0, |_| usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64));
    bytes.iter().skip(header).all(|byte| *byte == 0)
}

/// Searches behind the stop, in the remainder of that segment and in later ones, for frames that prove how far the
/// journal had been synced.
fn search_unreached(source: &Source<'_>, started: &[FoundSegment], stop: Option<&Stop>, scan: &mut Scan) -> Result<()> {
    let stopped = stop.map_or((0, 0), |stop| (stop.index, stop.offset));
    for (index, found) in started.iter().enumerate().skip(stopped.0) {
        let from = if index == stopped.0 { stopped.1 } else { 0 };
        search(source, found.number, from, &mut scan.end)?;
        if index > stopped.0 || from == 0 {
            scan.files.unused.push(found.number);
        }
    }
    Ok(())
}

/// Searches also the files without a valid header, which may have lost it.
fn search_not_started(source: &Source<'_>, not_started: Vec<u64>, scan: &mut Scan) -> Result<()> {
    for number in not_started {
        let lacks_header = search(source, number, 0, &mut scan.end)?;
        if lacks_header { scan.files.without_header.push(number) } else { scan.files.spares.push(number) }
    }
    Ok(())
}

/// Notes every frame, and counts those above the last one that followed; true if there are any.
fn search(source: &Source<'_>, number: u64, from: usize, end: &mut JournalEnd) -> Result<bool> {
    let path = source.directory.join(naming::file_name(number));
    let bytes = read_all(source.disk, &path).map_err(|e| Error::file("reading", &path, e))?;
    let id = SegmentId::new(source.store, number);
    let mut at = from.max(usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64));
    let mut found = false;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() > HEADER_BYTES) {
        let Some(header) = frame::Header::parse(rest, id) else {
            at = at.saturating_add(1);
            continue;
        };
        found = true;
        note(end, header.stamp);
        let frame = header.frame(rest);
        if frame.is_some() && header.stamp.lsn > end.last_lsn {
            end.dropped = end.dropped.saturating_add(1);
        }
        at = at.saturating_add(frame.map_or(HEADER_BYTES, |frame| frame.bytes()));
    }
    Ok(found)
}

/// The damage, if the scan stopped before a synced LSN.
fn stopped_early(source: &Source<'_>, stop: Option<Stop>, scan: &Scan) -> Option<Damage> {
    let JournalEnd { last_lsn, proven, .. } = scan.end;
    if last_lsn >= proven {
        return None;
    }
    let kept = scan.files.kept.last().map(|kept| kept.number);
    let beyond = scan.files.without_header.first().copied().or(kept);
    let number = if stop.as_ref().is_some_and(|stop| stop.offset > 0) { kept } else { beyond };
    let file = number.map_or_else(|| source.directory.into(), |n| source.directory.join(naming::file_name(n)));
    let (offset, reason) = stop.map_or((0, "the journal is missing"), |stop| (stop.offset as u64, stop.reason));
    let reason = format!("{reason}: LSN {proven} had been synced, {last_lsn} is the last found");
    Some(Damage { file, offset, reason })
}
