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

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::storage::archive::ArchiveMark;
use crate::storage::codec;
use crate::storage::frame_file::{self, FrameReader, FrameWriter, Space};
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::records::{Digest, Record};
use crate::storage::reserve::Reserve;

pub(crate) use crate::storage::frame_file::Fault;

pub(crate) const FORMAT: u32 = 5;
/// Distinguishes a snapshot's frames from those of the segment with the same number.
const SNAPSHOT: u64 = 1 << 63;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Part<'a> {
    Head {
        format: u32,
        from: u64,
        /// The archive that has the queues without a record here.
        archive: Option<ArchiveMark>,
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
    frames: FrameWriter<'a>,
    from: u64,
    digest: Digest,
}

impl<'a> Writer<'a> {
    /// Begins a snapshot. If the disk has no other space, the snapshot uses the space that `reserve` holds back for it.
    pub(crate) fn create(
        place: (&dyn Disk, &Path),
        store: [u8; 16],
        number: u64,
        (from, archive): (u64, Option<ArchiveMark>),
        reserve: &'a Reserve,
    ) -> Result<Self> {
        let (id, space) = (frame_id(store, number), Space::Reserved(reserve));
        let mut frames = FrameWriter::create(place, "writing a snapshot", id, space)?;
        frames.push(&Part::Head { format: FORMAT, from, archive })?;
        Ok(Self { frames, from, digest: Digest::default() })
    }

    pub(crate) fn record(&mut self, record: &Record) -> Result<()> {
        self.digest.add(record.tree, &record.key, &record.value);
        let (key, value) = (Cow::from(&record.key), Cow::from(&record.value));
        self.frames.push(&Part::Record { tree: record.tree.tag(), key, value })
    }

    /// Writes the footer and syncs; returns the file's size.
    pub(crate) fn finish(mut self, to: u64, time: u64, next_queue: u64) -> Result<u64> {
        let footer = Footer { from: self.from, to, time, next_queue, digest: self.digest };
        self.frames.push(&Part::Footer(footer))?;
        self.frames.finish()
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
    let file = frame_file::open(disk, path, "snapshot")?;
    let mut frames = FrameReader::new(&*file, path, frame_id(store, number));
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

/// The path of the snapshot `number` of the store in `root`.
pub(crate) fn path(root: &Path, number: u64) -> PathBuf {
    root.join(file_name(number))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::storage::records;

    fn written(disk: &SimulatedDisk, path: &Path) -> u64 {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 4096, &crate::storage::budget::Budget::unlimited());
        let mut writer = Writer::create((disk, path), [7; 16], 3, (10, None), &reserve).unwrap();
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
