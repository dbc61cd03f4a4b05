//! The snapshot: the directory of the whole state in one file. Once a snapshot counts, the journal before it is
//! removed.
//!
//! A snapshot is a sequence of frames like the journal's, seeded with the snapshot's own number: a head, every queue's
//! records (those of the trees), and a footer with their count and digest. A snapshot without a footer does not count.
//!
//! 1. Every queue's LSN is between the head's `from` and the footer's `to`; replay starts after `from`.
//! 2. A snapshot is synced, read back and checked before the manifest names it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::trees::Tree;
use crate::disk::{Disk, DiskFile};
use crate::model::error::{Error, Result};
use crate::storage::codec;
use crate::storage::journal::frame::{self, HEADER_BYTES, MAX_BODY_BYTES, Stamp};
use crate::storage::journal::frame_buffer;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::records::{Digest, Record};
use crate::storage::reserve::{Need, Reserve};

pub(crate) const FORMAT: u32 = 5;
const BUFFER_BYTES: usize = 1 << 20;
/// Distinguishes a snapshot's frames from those of the segment with the same number.
const SNAPSHOT: u64 = 1 << 63;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Part<'a> {
    Head {
        format: u32,
        from: u64,
    },
    Record {
        tree: u8,
        #[serde(borrow, with = "serde_bytes")]
        key: Cow<'a, [u8]>,
        #[serde(borrow, with = "serde_bytes")]
        value: Cow<'a, [u8]>,
    },
    Footer(Footer),
}

/// The last record of a whole snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footer {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) time: u64,
    pub(crate) next_queue: u64,
    digest: Digest,
}

/// The id that the frames of the snapshot `number` are bound to.
pub(crate) fn frame_id(store: [u8; 16], number: u64) -> SegmentId {
    SegmentId::new(store, number | SNAPSHOT)
}

pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016x}.base")
}

pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".base").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// A snapshot being written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    file: Arc<dyn DiskFile>,
    id: SegmentId,
    from: u64,
    frames: u64,
    digest: Digest,
    buffer: Vec<u8>,
    written: u64,
    reserve: &'a Reserve,
}

impl<'a> Writer<'a> {
    /// Begins a snapshot. If the disk has no other space, the snapshot uses the space that `reserve` holds back for it.
    pub(crate) fn create(
        (disk, path): (&dyn Disk, &Path),
        store: [u8; 16],
        number: u64,
        from: u64,
        reserve: &'a Reserve,
    ) -> Result<Self> {
        let create = || disk.create(path).map_err(|e| Error::io("creating a snapshot", e));
        let file = reserve.spend(Need::Snapshot, 0, create)?;
        let id = frame_id(store, number);
        let digest = Digest::default();
        let mut writer = Self { file, id, from, frames: 0, digest, buffer: Vec::new(), written: 0, reserve };
        writer.push(&Part::Head { format: FORMAT, from })?;
        Ok(writer)
    }

    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.digest.add(record.tree, &record.key, &record.value);
        let (key, value) = (Cow::from(&record.key), Cow::from(&record.value));
        self.push(&Part::Record { tree: record.tree.tag(), key, value })
    }

    /// Writes the footer and syncs; returns the file's size.
    pub(crate) fn finish(mut self, to: u64, time: u64, next_queue: u64) -> Result<u64> {
        let footer = Footer { from: self.from, to, time, next_queue, digest: self.digest };
        self.push(&Part::Footer(footer))?;
        self.write_out()?;
        self.file.sync_data().map_err(|e| Error::io("syncing a snapshot", e))?;
        Ok(self.written)
    }

    fn push(&mut self, part: &Part<'_>) -> Result<()> {
        let mut bytes = frame_buffer(Vec::new());
        codec::encode_into(part, &mut bytes)?;
        let checksum = frame::body_checksum(&bytes)?;
        self.frames = self.frames.saturating_add(1);
        frame::seal(&mut bytes, self.id, Stamp { lsn: self.frames, incarnation: 0, synced: 0 }, checksum);
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<()> {
        let bytes = self.buffer.len() as u64;
        let write =
            || self.file.write_all_at(&self.buffer, self.written).map_err(|e| Error::io("writing a snapshot", e));
        self.reserve.spend(Need::Snapshot, bytes, write)?;
        self.written = self.written.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}

/// The damage of a snapshot, or the error that prevented reading it.
#[derive(Debug)]
pub(crate) enum Fault {
    Damaged(Damage),
    Failed(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(damage) => damage.into(),
            Fault::Failed(error) => error,
        }
    }
}

/// The callback for each record; its error describes the record's damage.
pub(crate) type Visit<'a> = dyn FnMut(Tree, &[u8], &[u8]) -> Result<(), String> + 'a;

/// Reads a snapshot through, visiting every record, and checks it against its footer.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    store: [u8; 16],
    number: u64,
    visit: &mut Visit<'_>,
) -> Result<Footer, Fault> {
    let file = match disk.open_read(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(Fault::Damaged(Damage {
                file: path.into(),
                offset: 0,
                reason: "the snapshot is missing".into(),
            }));
        }
        Err(cause) => return Err(Fault::Failed(Error::file("opening", path, cause))),
    };
    let id = frame_id(store, number);
    let mut frames = Frames { file: &*file, path, id, window: Vec::new(), at: 0, offset: 0, lsn: 0 };
    let mut from = None;
    let mut digest = Digest::default();
    loop {
        let (offset, body) = frames.next()?;
        let damaged = |reason: String| Fault::Damaged(Damage { file: path.into(), offset, reason });
        match codec::decode::<Part<'_>>(body).map_err(damaged)? {
            Part::Head { format, .. } if format != FORMAT => {
                let other = Error::UnsupportedFormat { file: path.into(), found: format, supported: FORMAT };
                return Err(Fault::Failed(other));
            }
            Part::Head { from: head, .. } => from = Some(head),
            Part::Record { tree, key, value } => {
                let tree = Tree::from_tag(tree).ok_or_else(|| damaged("an unknown tree".into()))?;
                digest.add(tree, &key, &value);
                visit(tree, &key, &value).map_err(damaged)?;
            }
            Part::Footer(footer) if footer.digest == digest && from == Some(footer.from) => return Ok(footer),
            Part::Footer(_) => return Err(damaged("the snapshot's digest does not match".into())),
        }
    }
}

/// The frames of a file, one after another, through a window that grows only for a frame that needs it.
struct Frames<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    id: SegmentId,
    window: Vec<u8>,
    /// The offset in the window at which the next frame starts.
    at: usize,
    /// The offset in the file at which the window starts.
    offset: u64,
    lsn: u64,
}

impl Frames<'_> {
    fn next(&mut self) -> Result<(u64, &[u8]), Fault> {
        let needed = self.peek(HEADER_BYTES)?;
        let body_bytes = u32::from_le_bytes(codec::array_at(needed, 0).unwrap_or_default()) as usize;
        self.peek(HEADER_BYTES.saturating_add(body_bytes.min(MAX_BODY_BYTES)))?;
        let offset = self.offset.saturating_add(self.at as u64);
        self.lsn = self.lsn.saturating_add(1);
        let start = self.at;
        let frame = self.window.get(start..).and_then(|bytes| frame::parse(bytes, self.id));
        let Some(frame) = frame.filter(|frame| frame.stamp.lsn == self.lsn) else {
            let reason = "no frame that follows the one before".into();
            return Err(Fault::Damaged(Damage { file: self.path.into(), offset, reason }));
        };
        self.at = self.at.saturating_add(frame.bytes());
        Ok((offset, frame.body))
    }

    /// Makes sure that the window has `bytes` from the next frame on, or all up to the end of the file.
    fn peek(&mut self, bytes: usize) -> Result<&[u8], Fault> {
        if self.window.len().saturating_sub(self.at) < bytes {
            self.window.drain(..self.at);
            self.offset = self.offset.saturating_add(self.at as u64);
            self.at = 0;
            let filled = self.fill(bytes.max(BUFFER_BYTES));
            filled.map_err(|e| Fault::Failed(Error::file_at("reading", self.path, self.offset, e)))?;
        }
        Ok(self.window.get(self.at..).unwrap_or_default())
    }

    fn fill(&mut self, bytes: usize) -> std::io::Result<()> {
        // A damaged length must not allocate more memory than the file has bytes.
        let there = self.file.len()?.saturating_sub(self.offset);
        let bytes = bytes.min(usize::try_from(there).unwrap_or(usize::MAX));
        let mut filled = self.window.len();
        self.window.resize(bytes.max(filled), 0);
        while let Some(rest) = self.window.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.offset.saturating_add(filled as u64))? {
                0 => break,
                read => filled = filled.saturating_add(read),
            }
        }
        self.window.truncate(filled);
        Ok(())
    }
}

/// The path of the snapshot `number` of the store in `root`.
pub(crate) fn path(root: &Path, number: u64) -> PathBuf {
    root.join(file_name(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::storage::records;

    fn written(disk: &SimulatedDisk, path: &Path) -> u64 {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 4096, &crate::storage::budget::Budget::unlimited());
        let mut writer = Writer::create((disk, path), [7; 16], 3, 10, &reserve).unwrap();
        for i in 0..200_u64 {
            writer.record(&records::seal(Tree::Claims, i.to_be_bytes().to_vec(), &vec![i; 100]).unwrap()).unwrap();
        }
        writer.finish(20, 1_000, 5).unwrap()
    }

    fn count(disk: &SimulatedDisk, path: &Path) -> Result<(u64, Footer), Fault> {
        let mut records = 0;
        let footer = read(disk, path, [7; 16], 3, &mut |_, _, _| {
            records += 1;
            Ok(())
        })?;
        Ok((records, footer))
    }

    #[test]
    fn a_snapshot_is_read_back_whole() {
        let (disk, path) = (SimulatedDisk::new(), Path::new("/snapshot"));
        written(&disk, path);
        let (records, footer) = count(&disk, path).unwrap();
        assert_eq!((records, footer.from, footer.to, footer.time, footer.next_queue), (200, 10, 20, 1_000, 5));
    }

    #[test]
    fn a_damaged_cut_or_missing_snapshot_does_not_count() {
        let path = Path::new("/snapshot");
        let size = written(&SimulatedDisk::new(), path);
        for offset in (0..size).step_by(97) {
            let disk = SimulatedDisk::new();
            written(&disk, path);
            disk.corrupt(path, offset, 0x10).unwrap();
            assert!(matches!(count(&disk, path), Err(Fault::Damaged(_))), "offset {offset}");
            disk.corrupt(path, offset, 0x10).unwrap();
            disk.truncate(path, offset).unwrap();
            assert!(matches!(count(&disk, path), Err(Fault::Damaged(_))), "cut at {offset}");
        }
        assert!(matches!(count(&SimulatedDisk::new(), path), Err(Fault::Damaged(_))));
    }
}
