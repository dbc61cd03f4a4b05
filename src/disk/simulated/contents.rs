//! The contents of a file, and the changes that a power cut may remove.
//!
//! `bytes` is the content that a reader sees. Each unsynced change stores the bytes it overwrote. So the durable
//! contents are `bytes` with the unsynced changes undone, last first, and a sync only has to forget the changes.
//!
//! A failed sync writes some of the blocks it covers and not the others, and marks all of them as clean, as Linux does.
//! Of a block that was not written, a reader sees the new contents or, after the cache has dropped the block, the old:
//!
//! 1. `lost` has the disk's contents of each block that differ from what the reader sees and that no sync will write.
//! 2. No unsynced write touches a lost block: a write to such a block writes the whole block again, as the cache does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::mem;
use std::ops::Range;

use rustix::io::Errno;

use super::effect::{Effect, SECTOR, copy, put};
use super::random::Random;

/// A file's contents.
#[derive(Default)]
pub(super) struct Contents {
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
    /// By the number of the block.
    lost: BTreeMap<usize, Vec<u8>>,
    /// The ranges that the device cannot read.
    unreadable: Vec<Range<u64>>,
}

impl Contents {
    /// Contents that count as synced.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Reads the contents. Of a block that a failed sync lost, returns the new or the old contents at random.
    /// The length, or the longest that a power cut may bring back.
    pub(super) fn longest(&self) -> u64 {
        let before = self.unsynced.iter().map(|change| change.len_before).max();
        self.bytes.len().max(before.unwrap_or(0)) as u64
    }

    pub(super) fn read_at(&mut self, buf: &mut [u8], offset: u64, random: &mut Random) -> io::Result<usize> {
        let end = offset.saturating_add(buf.len() as u64).min(self.len());
        if self.unreadable.iter().any(|bad| bad.start < end && offset < bad.end) {
            return Err(Errno::IO.into());
        }
        if !self.lost.is_empty() {
            self.evict(|block| random.below(4) == 0 && overlaps(&block_range(block), offset, end));
        }
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        Ok(copy(buf, rest))
    }

    /// Makes a range unreadable until it is written to.
    pub(super) fn make_unreadable(&mut self, range: Range<u64>) {
        self.unreadable.push(range);
    }

    /// Drops clean blocks from the cache: from now on a reader of a lost block sees the contents on the disk.
    pub(super) fn evict(&mut self, mut is_dropped: impl FnMut(usize) -> bool) {
        let bytes = &mut self.bytes;
        self.lost.retain(|block, old| {
            let stays = !is_dropped(*block);
            if !stays {
                put(bytes, block * SECTOR, old);
            }
            stays
        });
    }

    /// The bytes by which `effect` would lengthen the file.
    pub(super) fn growth(&self, effect: &Effect) -> u64 {
        effect.len_after(self.bytes.len()).saturating_sub(self.bytes.len()) as u64
    }

    /// Changes the file; the change is not durable until a sync.
    pub(super) fn change(&mut self, effect: Effect) -> io::Result<()> {
        let len = self.bytes.len();
        let grown = effect.len_after(len);
        self.bytes.try_reserve(grown.saturating_sub(len)).map_err(|_| ErrorKind::StorageFull)?;
        self.make_readable(&effect);
        let effect = self.widen(effect);
        self.rewrite_cut(&effect)?;
        let range = effect.range();
        let mut before = self.bytes.get(range.start.min(len)..range.end.min(len)).unwrap_or_default().to_vec();
        let replaced: Vec<usize> = self.lost.range(blocks(&range)).map(|(block, _)| *block).collect();
        for block in replaced {
            if let Some(old) = self.lost.remove(&block) {
                put(&mut before, (block * SECTOR).saturating_sub(range.start), &old);
            }
        }
        effect.apply(&mut self.bytes);
        self.unsynced.push(Change { effect, before, len_before: len });
        Ok(())
    }

    /// Writes a lost block again when the file is cut inside it (2).
    fn rewrite_cut(&mut self, effect: &Effect) -> io::Result<()> {
        let Effect::SetLen(len) = *effect else { return Ok(()) };
        let start = len / SECTOR * SECTOR;
        match self.bytes.get(start..len) {
            Some(head) if !head.is_empty() && self.lost.contains_key(&(start / SECTOR)) => {
                let bytes = head.to_vec();
                self.change(Effect::Write { at: start, bytes })
            }
            _ => Ok(()),
        }
    }

    /// Makes a written range readable again.
    fn make_readable(&mut self, effect: &Effect) {
        let Range { start, end } = effect.range();
        let (start, end) = (start as u64, end as u64);
        let bad = mem::take(&mut self.unreadable).into_iter();
        let left = bad.flat_map(|bad| [bad.start..bad.end.min(start), bad.start.max(end)..bad.end]);
        self.unreadable = left.filter(|left| !left.is_empty()).collect();
    }

    /// The write, extended to the whole of every lost block it touches (2).
    fn widen(&self, effect: Effect) -> Effect {
        let Effect::Write { at, bytes } = effect else { return effect };
        let (len, end) = (self.bytes.len(), at + bytes.len());
        if bytes.is_empty() {
            return Effect::Write { at, bytes };
        }
        let is_lost = |position: usize| self.lost.contains_key(&(position / SECTOR));
        let start = if is_lost(at) { at / SECTOR * SECTOR } else { at };
        let stop = if is_lost(end - 1) { end.next_multiple_of(SECTOR).min(len).max(end) } else { end };
        // Before a write beyond its end the file is filled up with zeros.
        let mut whole = self.bytes.get(start.min(len)..at.min(len)).unwrap_or_default().to_vec();
        whole.resize(at - start, 0);
        whole.extend_from_slice(&bytes);
        whole.extend_from_slice(self.bytes.get(end..stop).unwrap_or_default());
        Effect::Write { at: start, bytes: whole }
    }

    /// Makes every change durable, except those that an earlier failed sync lost.
    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    /// Writes some of the changed blocks and marks all of them as clean; the cache drops some of the others.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let durable = self.taken_back();
        let unsynced = mem::take(&mut self.unsynced);
        let written = unsynced.iter().filter(|change| matches!(change.effect, Effect::Write { .. }));
        let blocks: BTreeSet<usize> = written.flat_map(|change| blocks(&change.effect.range())).collect();
        let (odds, len) = (random.odds(), self.bytes.len());
        for block in blocks.into_iter().filter(|block| block * SECTOR < len) {
            if odds.keep(random) {
                continue;
            }
            let range = block * SECTOR..(block + 1) * SECTOR;
            let mut old = vec![0; range.end.min(len) - range.start];
            copy(&mut old, durable.get(range.start..).unwrap_or_default());
            self.lost.insert(block, old);
        }
        let by_chance = random.below(3);
        self.evict(|_| random.below(2) < by_chance);
        self.hold_length(&durable);
    }

    /// Records that the current length is not durable yet.
    fn hold_length(&mut self, durable: &[u8]) {
        let len = self.bytes.len();
        if len != durable.len() {
            let before = durable.get(len..).unwrap_or_default().to_vec();
            let effect = if before.is_empty() { Effect::Allocate(len) } else { Effect::SetLen(len) };
            self.unsynced.push(Change { effect, before, len_before: durable.len() });
        }
    }

    /// The contents on the disk.
    fn taken_back(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for change in self.unsynced.iter().rev() {
            change.undo(&mut bytes);
        }
        for (block, old) in &self.lost {
            put(&mut bytes, block * SECTOR, old);
        }
        bytes
    }

    /// Applies a power cut: keeps the durable contents, and a random part of the other changes.
    pub(super) fn lose_power(&mut self, random: Option<&mut Random>) {
        self.bytes = self.taken_back();
        self.lost.clear();
        let unsynced = mem::take(&mut self.unsynced);
        let Some(random) = random else { return };
        let odds = random.odds();
        for change in unsynced {
            if odds.keep(random) {
                let tear = odds.tear(random).then_some(&mut *random);
                change.effect.survive(&mut self.bytes, tear);
            }
        }
    }
}

/// One unsynced change, and how to undo it.
struct Change {
    effect: Effect,
    before: Vec<u8>,
    len_before: usize,
}

impl Change {
    fn undo(&self, file: &mut Vec<u8>) {
        file.resize(self.len_before, 0);
        put(file, self.effect.range().start, &self.before);
    }
}

/// The blocks that a range of bytes touches.
fn blocks(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start / SECTOR..range.end.div_ceil(SECTOR) }
}

/// The bytes of a block.
fn block_range(block: usize) -> Range<u64> {
    let start = block.saturating_mul(SECTOR) as u64;
    start..start.saturating_add(SECTOR as u64)
}

fn overlaps(range: &Range<u64>, start: u64, end: u64) -> bool {
    range.start < end && start < range.end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(contents: &mut Contents, bytes: &[u8], offset: u64) {
        contents.change(Effect::write(bytes, offset).unwrap()).unwrap();
    }

    fn contents(bytes: &[u8]) -> Contents {
        Contents::durable(bytes.to_vec())
    }

    /// The different contents that a power cut leaves after `change`, over many seeds.
    fn survivors(change: impl Fn(&mut Contents)) -> std::collections::BTreeSet<Vec<u8>> {
        (0..500)
            .map(|seed| {
                let mut contents = contents(b"");
                change(&mut contents);
                contents.lose_power(Some(&mut Random::new(seed)));
                contents.bytes
            })
            .collect()
    }

    #[test]
    fn unsynced_changes_are_taken_back_last_first() {
        let mut contents = contents(b"durable");
        write(&mut contents, b"XX", 0);
        contents.change(Effect::set_len(3).unwrap()).unwrap();
        write(&mut contents, b"far", 10);
        contents.change(Effect::allocate(20).unwrap()).unwrap();
        write(&mut contents, b"YYYY", 1);
        assert_eq!(contents.bytes(), b"XYYYY\0\0\0\0\0far\0\0\0\0\0\0\0");
        contents.lose_power(None);
        assert_eq!(contents.bytes(), b"durable");
    }

    fn read(contents: &mut Contents, seed: u64) -> Vec<u8> {
        let mut buffer = vec![0; contents.bytes.len()];
        contents.read_at(&mut buffer, 0, &mut Random::new(seed)).unwrap();
        buffer
    }

    #[test]
    fn reads_end_where_the_file_does() {
        let (mut contents, mut random) = (contents(b"12345"), Random::new(0));
        let mut buffer = [0; 3];
        assert_eq!(contents.read_at(&mut buffer, 3, &mut random).unwrap(), 2);
        assert_eq!(&buffer, b"45\0");
        assert_eq!(contents.read_at(&mut buffer, 5, &mut random).unwrap(), 0);
        assert_eq!(contents.read_at(&mut buffer, u64::MAX, &mut random).unwrap(), 0);
    }

    #[test]
    fn any_of_the_unsynced_writes_may_survive() {
        let left = survivors(|contents| {
            write(contents, b"a", 0);
            write(contents, b"b", 1);
        });
        for expected in [&b""[..], b"a", b"\0b", b"ab"] {
            assert!(left.contains(expected), "{expected:?} of {left:?}");
        }
        assert!(left.iter().all(|bytes| bytes.len() <= 2));
    }

    #[test]
    fn a_long_write_may_survive_in_any_of_its_sectors_but_only_in_whole_ones() {
        let left = survivors(|contents| {
            contents.change(Effect::allocate(2048).unwrap()).unwrap();
            contents.sync();
            write(contents, &[1; 1024], 300);
        });
        // Bytes 300..512, 512..1024 and 1024..1324 are in three sectors.
        assert_eq!(left.len(), 8);
        for bytes in left {
            for piece in [300..512, 512..1024, 1024..1324] {
                assert!(bytes[piece.clone()].iter().all(|&byte| byte == bytes[piece.start]));
            }
        }
    }

    #[test]
    fn a_torn_append_may_lengthen_the_file_with_zeros() {
        let left = survivors(|contents| write(contents, &[1; 1024], 0));
        assert!(left.contains(&[[0; 512], [1; 512]].concat()));
        assert!(left.contains(&[[1; 512], [0; 512]].concat()));
        assert!(left.contains(&[1; 512][..]));
    }

    /// Every state in which a failed sync can leave three blocks: the contents as read, as read later, and as on the
    /// disk after successful syncs.
    #[test]
    fn a_failed_sync_loses_any_of_its_blocks_and_a_reader_sees_them_or_not() {
        let (mut seen, mut later, mut durable) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let letters = |bytes: &[u8]| [0, SECTOR, 2 * SECTOR].map(|at| char::from(bytes[at])).iter().collect::<String>();
        for seed in 0..500 {
            let mut contents = contents(&[b'.'; 3 * SECTOR]);
            write(&mut contents, &[b'x'; 3 * SECTOR], 0);
            contents.fail_sync(&mut Random::new(seed));
            let first = letters(contents.bytes());
            contents.sync();
            let second = letters(&read(&mut contents, seed));
            contents.evict(|_| true);
            let third = letters(contents.bytes());
            contents.lose_power(None);
            assert_eq!(letters(contents.bytes()), third, "an empty cache shows what the disk has");
            seen.insert(first.clone());
            later.insert(format!("{first}{second}"));
            durable.insert(third);
        }
        assert_eq!((seen.len(), durable.len()), (8, 8));
        assert!(later.contains("xxxx.x") && later.contains("x.xx.x") && later.contains("xxxxxx"), "{later:?}");
        assert!(!later.contains("x.xxxx"), "what was dropped does not come back");
    }

    #[test]
    fn a_block_that_was_lost_is_whole_again_once_it_is_written_to_and_synced() {
        let mut healed = 0;
        for seed in 0..100 {
            let mut contents = contents(b"........");
            write(&mut contents, b"AAAABBBB", 0);
            contents.fail_sync(&mut Random::new(seed));
            let seen = contents.bytes().to_vec();
            healed += u32::from(!contents.lost.is_empty());
            write(&mut contents, b"c", 2);
            contents.sync();
            contents.lose_power(None);
            assert_eq!(contents.bytes(), [&seen[..2], b"c", &seen[3..]].concat());
        }
        assert!(healed > 0);
    }

    #[test]
    fn changes_after_a_failed_sync_are_taken_back_to_what_the_disk_has() {
        for seed in 0..200 {
            let mut contents = contents(&[b'.'; SECTOR + 10]);
            write(&mut contents, &[b'x'; SECTOR], 20);
            contents.change(Effect::allocate(SECTOR as u64 * 2).unwrap()).unwrap();
            contents.fail_sync(&mut Random::new(seed));
            let disk = contents.taken_back();
            write(&mut contents, b"y", 30);
            contents.change(Effect::set_len(SECTOR as u64 + 3).unwrap()).unwrap();
            write(&mut contents, b"z", SECTOR as u64 + 1);
            write(&mut contents, b"z", SECTOR as u64 * 4);
            assert_eq!(contents.taken_back(), disk, "seed {seed}");
            contents.lose_power(None);
            assert_eq!(contents.bytes(), disk);
            assert!([SECTOR + 10, SECTOR + 20, SECTOR * 2].contains(&disk.len()), "{}", disk.len());
        }
    }

    #[test]
    fn an_unreadable_range_fails_until_it_is_written() {
        let (mut contents, mut random) = (contents(b"0123456789"), Random::new(0));
        contents.make_unreadable(3..7);
        let mut buffer = [0; 3];
        assert_eq!(contents.read_at(&mut buffer, 0, &mut random).unwrap(), 3);
        assert_eq!(contents.read_at(&mut buffer, 7, &mut random).unwrap(), 3);
        for at in 1..7 {
            let error = contents.read_at(&mut buffer, at, &mut random).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
        }
        write(&mut contents, b"xx", 4);
        assert_eq!(contents.read_at(&mut [0; 2], 4, &mut random).unwrap(), 2);
        contents.read_at(&mut buffer, 4, &mut random).unwrap_err();
        write(&mut contents, b"xxxx", 3);
        assert_eq!(contents.read_at(&mut [0; 10], 0, &mut random).unwrap(), 10);
    }

    #[test]
    fn a_position_beyond_memory_is_an_error() {
        assert!(Effect::write(b"x", u64::MAX).is_err());
        assert!(Effect::allocate(1 << 63).is_err());
        let mut contents = contents(b"");
        let error = contents.change(Effect::set_len((1 << 63) - 1).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(contents.len(), 0);
    }
}
