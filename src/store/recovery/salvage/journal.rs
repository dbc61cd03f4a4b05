//! The intact parts of the journal: the runs of frames in its segments, and the gaps between them.

use std::path::{Path, PathBuf};

use super::reading::{self, frames};
use crate::disk::{Disk, REACH, list_or_empty};
use crate::model::error::{Error, Result};
use crate::storage::journal::Kept;
use crate::storage::journal::naming;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::journal::segment::{self, FORMAT, Heading, SEGMENT_HEADER_BYTES};

/// Frames that follow one another, in the file and by their LSNs.
#[derive(Debug, Clone, Copy)]
struct Run {
    offset: usize,
    lsn: u64,
    count: u64,
    end: usize,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    bytes: u64,
    first_lsn: u64,
    runs: Vec<Run>,
    /// Frames from here on were replaced by a later segment's.
    limit: u64,
}

/// The readable part of the journal.
#[derive(Debug, Default)]
pub(super) struct Journal {
    segments: Vec<Segment>,
    /// Numbers of files that are not segments.
    occupied: Vec<u64>,
    /// Files of the journal's without a frame.
    pub(super) spares: Vec<u64>,
    pub(super) highest_number: u64,
    pub(super) highest_lsn: u64,
    pub(super) incarnation: u32,
    /// The highest LSN that a frame or header proves to have been synced.
    proven: u64,
    pub(super) damages: Vec<Damage>,
}

impl Journal {
    /// Reads every segment in `directory`.
    pub(super) fn gather(disk: &dyn Disk, directory: &Path, store: [u8; 16]) -> Result<Self> {
        let names = list_or_empty(disk, directory)?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| naming::parse_file_name(name)).collect();
        numbers.sort_unstable();
        let mut journal = Self::default();
        for number in numbers {
            journal.read_segment(disk, directory.join(naming::file_name(number)), SegmentId::new(store, number))?;
        }
        let reach = journal.highest_number.saturating_add(REACH);
        journal.spares.retain(|number| *number <= reach);
        let taken = journal.spares.iter().chain(&journal.occupied).filter(|number| **number <= reach);
        journal.highest_number = taken.copied().max().unwrap_or(0).max(journal.highest_number);
        let mut limit = u64::MAX;
        for segment in journal.segments.iter_mut().rev() {
            segment.limit = limit;
            limit = limit.min(segment.first_lsn);
        }
        Ok(journal)
    }

    fn read_segment(&mut self, disk: &dyn Disk, path: PathBuf, id: SegmentId) -> Result<()> {
        let Some(file) = reading::read(disk, &path)? else {
            self.occupied.push(id.number);
            return Ok(());
        };
        let header = match segment::parse_header(&file.bytes, id) {
            Heading::Other(found) => return Err(Error::UnsupportedFormat { file: path, found, supported: FORMAT }),
            Heading::Started(header) => Some(header),
            Heading::NotStarted => None,
        };
        let runs = self.find_runs(&file.bytes, id);
        self.damages.extend(file.damages(&path));
        match &header {
            Some(header) => {
                self.proven = self.proven.max(header.synced);
                self.incarnation = self.incarnation.max(header.incarnation);
            }
            None if runs.is_empty() => {
                self.spares.extend(file.holes.is_empty().then_some(id.number));
                return Ok(());
            }
            None => {
                let reason = "a segment has lost its header".into();
                self.damages.push(Damage { file: path.clone(), offset: 0, reason });
            }
        }
        self.highest_number = self.highest_number.max(id.number);
        let first = runs.first().map_or(u64::MAX, |run| run.lsn);
        let first_lsn = header.map_or(first, |header| header.first_lsn);
        let bytes = file.bytes.len() as u64;
        self.segments.push(Segment { number: id.number, path, bytes, first_lsn, runs, limit: u64::MAX });
        Ok(())
    }

    /// The runs of consecutive frames in a segment.
    fn find_runs(&mut self, bytes: &[u8], id: SegmentId) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for found in frames(bytes, id, usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64)) {
            self.proven = self.proven.max(found.stamp.synced);
            self.highest_lsn = self.highest_lsn.max(found.stamp.lsn);
            self.incarnation = self.incarnation.max(found.stamp.incarnation);
            match runs.last_mut() {
                Some(run) if run.end == found.offset && run.lsn.saturating_add(run.count) == found.stamp.lsn => {
                    (run.count, run.end) = (run.count.saturating_add(1), found.end());
                }
                _ => runs.push(Run { offset: found.offset, lsn: found.stamp.lsn, count: 1, end: found.end() }),
            }
        }
        runs
    }

    /// The first LSN in the journal; 1 if no segment was ever retired.
    pub(super) fn first_lsn(&self) -> u64 {
        self.segments.iter().map(|segment| segment.first_lsn).min().unwrap_or(1)
    }

    pub(super) fn proven(&self) -> u64 {
        self.proven
    }

    /// Records the gaps above `after` that had been synced by proof, and those in front of it within a segment; returns the
    /// number of missing changes above it. Without a snapshot, `after` is none, and the journal may begin at any LSN.
    pub(super) fn note_gaps(&mut self, directory: &Path, after: Option<u64>, proven: u64) -> u64 {
        let mut expected = after.map(|after| after.saturating_add(1));
        let (mut missing, mut last) = (0_u64, (directory.to_path_buf(), 0));
        for segment in &self.segments {
            // Frames missing before the first frame of a segment were in that segment, or in a missing one.
            let is_here = expected.is_none_or(|expected| segment.first_lsn <= expected);
            last = if is_here { (segment.path.clone(), SEGMENT_HEADER_BYTES) } else { (directory.to_path_buf(), 0) };
            let mut next = segment.first_lsn;
            for run in &segment.runs {
                let end = run.lsn.saturating_add(run.count).min(segment.limit);
                let from = expected.unwrap_or(run.lsn);
                if run.lsn > from && run.lsn < segment.limit {
                    missing = missing.saturating_add(run.lsn.saturating_sub(from));
                    self.damages.push(gap(last.clone(), from, run.lsn.saturating_sub(1)));
                } else if run.lsn > next && run.lsn < segment.limit {
                    // The snapshot has these changes, but the file is damaged even so.
                    self.damages.push(gap(last.clone(), next, run.lsn.saturating_sub(1)));
                }
                expected = Some(from.max(end));
                next = next.max(end);
                last = (segment.path.clone(), run.end as u64);
            }
        }
        let (next, proven) = (expected.unwrap_or(1), proven.max(self.proven));
        if proven >= next && after.is_some() {
            missing = missing.saturating_add(proven.saturating_sub(next).saturating_add(1));
            self.damages.push(gap(last, next, proven));
        }
        missing
    }

    /// Visits every frame above `after` in order.
    pub(super) fn visit(
        &self,
        disk: &dyn Disk,
        store: [u8; 16],
        after: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut next = after.saturating_add(1);
        for segment in self.segments.iter().filter(|segment| !segment.runs.is_empty()) {
            let Some(file) = reading::read(disk, &segment.path)? else { continue };
            let id = SegmentId::new(store, segment.number);
            for run in &segment.runs {
                for found in frames(file.bytes.get(..run.end).unwrap_or_default(), id, run.offset) {
                    if found.stamp.lsn >= next && found.stamp.lsn < segment.limit {
                        visit(found.stamp.lsn, found.body)?;
                        next = found.stamp.lsn.saturating_add(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// The undamaged segments, which the next snapshot retires.
    pub(super) fn sound(&self) -> Vec<Kept> {
        let sound = self.segments.iter().filter(|one| !self.damages.iter().any(|damage| damage.file == one.path));
        sound.map(|one| Kept { number: one.number, first_lsn: one.first_lsn, bytes: one.bytes }).collect()
    }
}

fn gap((file, offset): (PathBuf, u64), from: u64, to: u64) -> Damage {
    Damage { file, offset, reason: format!("changes {from} to {to} cannot be read here") }
}
