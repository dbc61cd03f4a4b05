//! The archive: the records of queues that are not in memory, in one sorted file.
//!
//! The file is a sequence of frames: a head, blocks of records in the order of their keys, an index with the first key
//! and the offset of each block, and a footer. The manifest has the offset of the index. So an opening reads only the
//! index and the footer, and a look-up reads one block.
//!
//! 1. An archive never changes. It is synced, read back and checked before the manifest names it.
//! 2. Every block and every record has its own checksum. A damaged block makes the look-ups that need it fail with
//!    `Corrupt`, and no others.
//! 3. A key that lies between two keys of an undamaged block is not in the archive.
//!
//! Cost: a look-up is one read of about 16 KiB. Memory: about 60 B a block, which holds some 150 queues.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::trees::Tree;
use crate::disk::{Disk, DiskFile};
use crate::model::error::{Error, Result};
use crate::storage::codec;
use crate::storage::frame_file::{self, Fault, FrameReader, FrameWriter, Space};
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::records;
use crate::storage::reserve::{RECORD_BYTES, Reserve};

const FORMAT: u32 = 1;
/// Distinguishes an archive's frames from those of the segment and the snapshot with the same number.
const ARCHIVE: u64 = 1 << 62;
/// The size from which a block is complete.
const BLOCK_BYTES: usize = 16 << 10;
/// The blocks in one frame of the index.
const PLACES_A_FRAME: usize = 4096;
/// The number of the first block's frame: the head comes before it.
const FIRST_BLOCK: u64 = 2;

#[derive(Debug, Serialize, Deserialize)]
enum Part<'a> {
    Head { format: u32 },
    Block(#[serde(borrow)] Vec<Entry<'a>>),
    Index(#[serde(borrow)] Vec<Place<'a>>),
    Footer(Footer),
}

/// A queue's record: its key, and its value as in the trees.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(borrow, with = "serde_bytes")]
    key: Cow<'a, [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    value: Cow<'a, [u8]>,
}

/// A block's first key and its offset in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place<'a> {
    #[serde(borrow, with = "serde_bytes")]
    first: Cow<'a, [u8]>,
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Footer {
    blocks: u64,
    records: u64,
    weight: u64,
    incarnation: u32,
}

/// The manifest's entry for an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchiveMark {
    pub(crate) number: u64,
    /// The number and the offset of the index's first frame.
    index: (u64, u64),
}

/// A record: key and value.
pub(crate) type Archived = (Vec<u8>, Vec<u8>);

/// An open archive.
#[derive(Debug)]
pub(crate) struct Archive {
    number: u64,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    id: SegmentId,
    /// The first key and the offset of each block, in order.
    blocks: Vec<(Box<[u8]>, u64)>,
    footer: Footer,
}

pub(crate) fn path(root: &Path, number: u64) -> PathBuf {
    root.join(format!("{number:016x}.archive"))
}

pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".archive").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

pub(crate) fn frame_id(store: [u8; 16], number: u64) -> SegmentId {
    SegmentId::new(store, number | ARCHIVE)
}

impl Archive {
    /// Opens the archive that a manifest names; reads its index.
    pub(crate) fn open(disk: &dyn Disk, root: &Path, store: [u8; 16], mark: ArchiveMark) -> Result<Self, Fault> {
        let path = path(root, mark.number);
        let (file, id) = (frame_file::open(disk, &path, "archive")?, frame_id(store, mark.number));
        let mut blocks: Vec<(Box<[u8]>, u64)> = Vec::new();
        let mut frames = FrameReader::new(&*file, &path, id).from(mark.index);
        let footer = loop {
            let (offset, body) = frames.next()?;
            let damaged = |reason: String| Fault::Damaged(Damage { file: path.clone(), offset, reason });
            match codec::decode::<Part<'_>>(body).map_err(damaged)? {
                Part::Index(places) => {
                    blocks.extend(places.into_iter().map(|place| (place.first.into_owned().into(), place.offset)));
                }
                Part::Footer(footer) if footer.blocks == blocks.len() as u64 => break footer,
                Part::Head { .. } | Part::Block(_) | Part::Footer(_) => {
                    return Err(damaged("the archive's index is not what its footer counts".into()));
                }
            }
        };
        blocks.push((Box::default(), mark.index.1));
        Ok(Self { number: mark.number, file, path, id, blocks, footer })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The number of its records.
    pub(crate) fn len(&self) -> u64 {
        self.footer.records
    }

    /// The size of its records, with their overhead.
    pub(crate) fn weight(&self) -> u64 {
        self.footer.weight
    }

    /// The highest incarnation of a number in its records.
    pub(crate) fn incarnation(&self) -> u32 {
        self.footer.incarnation
    }

    /// The value of that key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(block) = self.block_of(key) else { return Ok(None) };
        let mut found = None;
        self.read(block, &mut |one, value| {
            if one == key {
                found = Some(value.to_vec());
            }
        })?;
        Ok(found)
    }

    /// At least `least` records behind `key`, as far as there are any: those of whole blocks.
    pub(crate) fn behind(&self, key: &[u8], least: usize) -> Result<Vec<Archived>> {
        let mut found = Vec::new();
        for block in self.block_of(key).unwrap_or(0)..self.count_blocks() {
            if found.len() >= least {
                break;
            }
            self.read(block, &mut |one, value| {
                if one > key {
                    found.push((one.to_vec(), value.to_vec()));
                }
            })?;
        }
        Ok(found)
    }

    /// The number of records whose keys begin with `prefix`.
    pub(crate) fn count(&self, prefix: &[u8]) -> Result<u64> {
        let (mut count, mut is_past) = (0_u64, false);
        for block in self.block_of(prefix).unwrap_or(0)..self.count_blocks() {
            self.read(block, &mut |key, _| {
                count = count.saturating_add(u64::from(key.starts_with(prefix)));
                is_past |= key > prefix && !key.starts_with(prefix);
            })?;
            if is_past {
                break;
            }
        }
        Ok(count)
    }

    /// Visits every record in order.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        (0..self.count_blocks()).try_for_each(|block| self.read(block, visit))
    }

    /// Checks that every block is whole, and that the records are in order and as many as the footer says.
    pub(crate) fn check(&self) -> Result<()> {
        let (mut last, mut count, mut is_sorted) = (Vec::new(), 0_u64, true);
        self.visit(&mut |key, value| {
            is_sorted &= count == 0 || last.as_slice() < key;
            is_sorted &= records::open(Tree::Queues, key, value).is_ok();
            last.clear();
            last.extend_from_slice(key);
            count = count.saturating_add(1);
        })?;
        if is_sorted && count == self.footer.records {
            return Ok(());
        }
        Err(self.corrupt(0, "the archive's records are not those that its footer counts".into()))
    }

    fn count_blocks(&self) -> usize {
        // The last place is the end of the last block.
        self.blocks.len().saturating_sub(1)
    }

    /// The block that has the key if any has.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        let places = self.blocks.get(..self.count_blocks()).unwrap_or_default();
        places.partition_point(|(first, _)| **first <= *key).checked_sub(1)
    }

    /// Visits the records of a block.
    fn read(&self, block: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let Some([(first, offset), (_, end), ..]) = self.blocks.get(block..) else { return Ok(()) };
        let bytes = usize::try_from(end.saturating_sub(*offset)).unwrap_or(0);
        let number = FIRST_BLOCK.saturating_add(block as u64);
        let mut frames = FrameReader::new(&*self.file, &self.path, self.id).from((number, *offset)).by(bytes);
        let (_, body) = frames.next()?;
        let entries = match codec::decode::<Part<'_>>(body) {
            Ok(Part::Block(entries)) if entries.first().is_some_and(|entry| *entry.key == **first) => entries,
            Ok(_) => return Err(self.corrupt(*offset, "not the block that the index names".into())),
            Err(reason) => return Err(self.corrupt(*offset, reason)),
        };
        entries.iter().for_each(|entry| visit(&entry.key, &entry.value));
        Ok(())
    }

    /// Damage of the archive.
    pub(crate) fn corrupt(&self, offset: u64, reason: String) -> Error {
        Error::Corrupt { file: self.path.clone(), offset, reason }
    }
}

/// An archive being written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    frames: FrameWriter<'a>,
    number: u64,
    block: Vec<Entry<'static>>,
    block_bytes: usize,
    places: Vec<Place<'static>>,
    footer: Footer,
}

impl<'a> Writer<'a> {
    /// Begins an archive; only free disk space is used.
    pub(crate) fn create(
        (disk, root): (&dyn Disk, &Path),
        store: [u8; 16],
        number: u64,
        reserve: &'a Reserve,
    ) -> Result<Self> {
        let (path, id) = (path(root, number), frame_id(store, number));
        let mut frames = FrameWriter::create((disk, &path), "writing an archive", id, Space::Free(reserve))?;
        frames.push(&Part::Head { format: FORMAT })?;
        let footer = Footer { blocks: 0, records: 0, weight: 0, incarnation: 0 };
        Ok(Self { frames, number, block: Vec::new(), block_bytes: 0, places: Vec::new(), footer })
    }

    /// Adds a record, whose numbers have no incarnation above `incarnation`. The keys come in order.
    pub(crate) fn push(&mut self, (key, value): Archived, incarnation: u32) -> Result<()> {
        let bytes = key.len().saturating_add(value.len());
        self.footer.records = self.footer.records.saturating_add(1);
        self.footer.weight = self.footer.weight.saturating_add(bytes as u64).saturating_add(RECORD_BYTES);
        self.footer.incarnation = self.footer.incarnation.max(incarnation);
        self.block_bytes = self.block_bytes.saturating_add(bytes);
        self.block.push(Entry { key: key.into(), value: value.into() });
        if self.block_bytes >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        let Some(first) = self.block.first() else { return Ok(()) };
        let (_, offset) = self.frames.next();
        self.places.push(Place { first: first.key.clone(), offset });
        self.block_bytes = 0;
        self.frames.push(&Part::Block(std::mem::take(&mut self.block)))
    }

    /// The records come from an archive with numbers up to that incarnation.
    pub(crate) fn note_incarnation(&mut self, incarnation: u32) {
        self.footer.incarnation = self.footer.incarnation.max(incarnation);
    }

    /// Writes the index and the footer, and syncs.
    pub(crate) fn finish(mut self) -> Result<ArchiveMark> {
        self.end_block()?;
        let index = self.frames.next();
        self.footer.blocks = self.places.len() as u64;
        for places in self.places.chunks(PLACES_A_FRAME) {
            self.frames.push(&Part::Index(places.to_vec()))?;
        }
        self.frames.push(&Part::Footer(self.footer))?;
        self.frames.finish()?;
        Ok(ArchiveMark { number: self.number, index })
    }
}

/// The records of a block, from the body of a frame; `None` if it is not a block.
pub(crate) fn decode_block(body: &[u8]) -> Option<Vec<Archived>> {
    let Ok(Part::Block(entries)) = codec::decode::<Part<'_>>(body) else { return None };
    Some(entries.into_iter().map(|entry| (entry.key.into_owned(), entry.value.into_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::storage::budget::Budget;

    const STORE: [u8; 16] = [7; 16];

    fn key(number: u64) -> Vec<u8> {
        format!("key-{number:08}").into_bytes()
    }

    /// An archive of the even numbers.
    fn written(disk: &SimulatedDisk, count: u64) -> ArchiveMark {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let reserve = Reserve::open(&shared, Path::new("/"), 4096, &Budget::unlimited());
        let mut writer = Writer::create((disk, Path::new("/")), STORE, 3, &reserve).unwrap();
        for number in 0..count {
            let record = records::seal(Tree::Queues, key(2 * number), &[number; 30]).unwrap();
            writer.push((record.key, record.value), 5).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(disk: &SimulatedDisk, mark: ArchiveMark) -> Result<Archive, Fault> {
        Archive::open(disk, Path::new("/"), STORE, mark)
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        for count in [0, 1, 2, 5_000] {
            let disk = SimulatedDisk::new();
            let archive = open(&disk, written(&disk, count)).unwrap();
            archive.check().unwrap();
            assert_eq!((archive.number(), archive.len()), (3, count));
            assert!(archive.weight() >= count * (12 + 35 + RECORD_BYTES));
            assert_eq!(archive.incarnation(), if count > 0 { 5 } else { 0 });
            for number in (0..2 * count + 2).chain([99_999_999]) {
                let there = number < 2 * count && number % 2 == 0;
                assert_eq!(archive.get(&key(number)).unwrap().is_some(), there, "{number} of {count}");
            }
            assert_eq!(archive.get(b"").unwrap(), None);
        }
    }

    #[test]
    fn the_records_behind_a_key_come_in_order() {
        let disk = SimulatedDisk::new();
        let archive = open(&disk, written(&disk, 2_000)).unwrap();
        for after in [None, Some(0), Some(1), Some(777), Some(3_997), Some(3_998), Some(5_000)] {
            let found = archive.behind(&after.map(key).unwrap_or_default(), 700).unwrap();
            let expected = (0..2_000).map(|n| 2 * n).filter(|n| after.is_none_or(|after| *n > after));
            let expected: Vec<_> = expected.map(key).collect();
            assert!(found.len() >= expected.len().min(700));
            assert!(found.iter().map(|(key, _)| key).eq(expected.iter().take(found.len())));
        }
        assert_eq!(archive.count(b"key-0000").unwrap(), 2_000);
        assert_eq!((archive.count(b"key-0000012").unwrap(), archive.count(b"k").unwrap()), (5, 2_000));
        assert_eq!((archive.count(b"").unwrap(), archive.count(b"l").unwrap()), (2_000, 0));
        let mut all = 0;
        archive.visit(&mut |_, _| all += 1).unwrap();
        assert_eq!(all, 2_000);
    }

    #[test]
    fn damage_of_a_block_costs_that_block_and_damage_of_the_index_the_archive() {
        let disk = SimulatedDisk::new();
        let mark = written(&disk, 2_000);
        let file = path(Path::new("/"), 3);
        let size = disk.size(&file).unwrap();
        for offset in (0..size).step_by(1_471).chain([mark.index.1 + 40, size - 20]) {
            disk.corrupt(&file, offset, 0x10).unwrap();
            match open(&disk, mark) {
                Ok(archive) => {
                    // The head is needed only by a reader of the whole file.
                    let (mut lost, mut wrong) = (0, 0);
                    for number in (0..2_000).step_by(9) {
                        match archive.get(&key(2 * number)) {
                            Ok(value) => wrong += u64::from(value.is_none()),
                            Err(error) => {
                                assert!(error.is_corrupt());
                                lost += 1;
                            }
                        }
                    }
                    assert!(wrong == 0 && lost < 60, "{lost} lost by damage at {offset}");
                    assert_eq!(archive.check().is_err(), lost > 0);
                }
                Err(fault) => assert!(matches!(fault, Fault::Damaged(_)) && offset >= mark.index.1, "{offset}"),
            }
            disk.corrupt(&file, offset, 0x10).unwrap();
        }
        disk.truncate(&file, size - 1).unwrap();
        assert!(matches!(open(&disk, mark), Err(Fault::Damaged(_))));
        disk.remove_file(&file).unwrap();
        assert!(matches!(open(&disk, mark), Err(Fault::Damaged(_))));
    }

    #[test]
    fn a_block_is_read_by_itself() {
        let disk = SimulatedDisk::new();
        written(&disk, 500);
        let bytes = disk.read(path(Path::new("/"), 3)).unwrap();
        let mut at = 0;
        let mut records = Vec::new();
        while let Some(found) = crate::storage::journal::frame::parse(&bytes[at..], frame_id(STORE, 3)) {
            records.extend(decode_block(found.body).unwrap_or_default());
            at += found.bytes();
        }
        assert!(records.len() == 500 && at == bytes.len());
    }
}
