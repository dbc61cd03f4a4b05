//! What is in a file, and what a power cut may take from it.
//!
//! `bytes` is what a reader sees. Each unsynced change remembers what it overwrote, so the durable contents are
//! `bytes` with the unsynced changes taken back, last first; a sync only has to forget them.

use std::io::{self, ErrorKind};
use std::mem;
use std::ops::Range;

use super::random::Random;

/// A file's contents.
#[derive(Default)]
pub(super) struct Contents {
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
}

/// What can be done to a file. Positions are in bytes.
pub(super) enum Effect {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
    Allocate(usize),
}

impl Contents {
    /// Contents that count as synced.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { bytes, unsynced: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let rest = usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        copy(buf, rest)
    }

    /// By how many bytes `effect` would lengthen the file.
    pub(super) fn growth(&self, effect: &Effect) -> u64 {
        effect.len_after(self.bytes.len()).saturating_sub(self.bytes.len()) as u64
    }

    /// Changes the file until it is synced.
    pub(super) fn change(&mut self, effect: Effect) -> io::Result<()> {
        let len = self.bytes.len();
        let Range { start, end } = effect.range();
        let before = self.bytes.get(start.min(len)..end.min(len)).unwrap_or_default().to_vec();
        self.bytes.try_reserve(effect.len_after(len).saturating_sub(len)).map_err(|_| ErrorKind::StorageFull)?;
        effect.apply(&mut self.bytes);
        self.unsynced.push(Change { effect, before, len_before: len, is_dropped: false });
        Ok(())
    }

    /// Makes every change durable but those an earlier failed sync dropped.
    pub(super) fn sync(&mut self) {
        let written: Vec<_> =
            self.unsynced.iter().filter(|change| !change.is_dropped).map(|change| change.effect.range()).collect();
        let len = self.bytes.len();
        self.unsynced.retain_mut(|change| change.stays_dropped(&written, len));
    }

    /// After a failed sync the system takes the pages it could not write for clean: they can still be read, but no
    /// later sync writes them.
    pub(super) fn fail_sync(&mut self) {
        for change in &mut self.unsynced {
            change.is_dropped |= matches!(change.effect, Effect::Write { .. });
        }
    }

    /// Leaves what a power cut leaves: the durable contents, and by chance some of the rest.
    pub(super) fn lose_power(&mut self, random: Option<&mut Random>) {
        let unsynced = mem::take(&mut self.unsynced);
        for change in unsynced.iter().rev() {
            change.undo(&mut self.bytes);
        }
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

impl Effect {
    /// A write of `bytes` at `offset`.
    pub(super) fn write(bytes: &[u8], offset: u64) -> io::Result<Self> {
        let at = position(offset)?;
        position((at as u64).saturating_add(bytes.len() as u64))?;
        Ok(Self::Write { at, bytes: bytes.to_vec() })
    }

    pub(super) fn set_len(len: u64) -> io::Result<Self> {
        Ok(Self::SetLen(position(len)?))
    }

    pub(super) fn allocate(len: u64) -> io::Result<Self> {
        Ok(Self::Allocate(position(len)?))
    }

    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { bytes, .. } if bytes.is_empty() => len,
            Self::Write { at, bytes } => len.max(at + bytes.len()),
            Self::SetLen(len) => *len,
            Self::Allocate(to) => len.max(*to),
        }
    }

    /// The part of the old contents it overwrites or cuts.
    fn range(&self) -> Range<usize> {
        match self {
            Self::Write { at, bytes } => *at..at + bytes.len(),
            Self::SetLen(len) => *len..usize::MAX,
            Self::Allocate(_) => 0..0,
        }
    }

    fn apply(&self, file: &mut Vec<u8>) {
        file.resize(self.len_after(file.len()), 0);
        if let Self::Write { at, bytes } = self {
            put(file, *at, bytes);
        }
    }

    /// Applies it whole, or a write torn: any of the sectors it touches, and the file lengthened or not.
    fn survive(&self, file: &mut Vec<u8>, tear: Option<&mut Random>) {
        let (Self::Write { at, bytes }, Some(random)) = (self, tear) else {
            return self.apply(file);
        };
        if random.coin() {
            file.resize(self.len_after(file.len()), 0);
        }
        let mut start = *at;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let room = SECTOR - start % SECTOR;
            let (piece, left) = rest.split_at(room.min(rest.len()));
            if random.coin() {
                Self::Write { at: start, bytes: piece.to_vec() }.apply(file);
            }
            start += piece.len();
            rest = left;
        }
    }
}

/// One unsynced change, and how to take it back.
struct Change {
    effect: Effect,
    before: Vec<u8>,
    len_before: usize,
    is_dropped: bool,
}

impl Change {
    fn undo(&self, file: &mut Vec<u8>) {
        file.resize(self.len_before, 0);
        put(file, self.effect.range().start, &self.before);
    }

    /// Whether a sync of the ranges in `written` leaves this change dropped: a later change of the same bytes took
    /// it to the disk along with its own. The length, `len`, is durable in any case.
    fn stays_dropped(&mut self, written: &[Range<usize>], len: usize) -> bool {
        let range = self.effect.range();
        let is_rewritten = written.iter().any(|other| other.start < range.end && range.start < other.end);
        self.len_before = len;
        self.before.resize(range.len().min(len), 0);
        self.is_dropped && !is_rewritten
    }
}

/// Overwrites part of a file that is long enough.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    copy(file.get_mut(at..).unwrap_or_default(), bytes);
}

/// Copies as much as both have and returns how much that is.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// A position in a file as one in memory.
fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset)
        .ok()
        .filter(|&offset| isize::try_from(offset).is_ok())
        .ok_or_else(|| ErrorKind::FileTooLarge.into())
}

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(contents: &mut Contents, bytes: &[u8], offset: u64) {
        contents.change(Effect::write(bytes, offset).unwrap()).unwrap();
    }

    fn contents(bytes: &[u8]) -> Contents {
        Contents::durable(bytes.to_vec())
    }

    /// What is left of `change`d contents for each of many seeds, each once.
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

    #[test]
    fn reads_end_where_the_file_does() {
        let contents = contents(b"12345");
        let mut buffer = [0; 3];
        assert_eq!(contents.read_at(&mut buffer, 3), 2);
        assert_eq!(&buffer, b"45\0");
        assert_eq!(contents.read_at(&mut buffer, 5), 0);
        assert_eq!(contents.read_at(&mut buffer, u64::MAX), 0);
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

    #[test]
    fn what_a_failed_sync_dropped_stays_readable_but_no_later_sync_saves_it() {
        let mut contents = contents(b"........");
        write(&mut contents, b"AA", 0);
        write(&mut contents, b"BB", 2);
        write(&mut contents, b"CC", 8);
        contents.fail_sync();
        write(&mut contents, b"b", 3);
        write(&mut contents, b"DD", 10);
        contents.sync();
        assert_eq!(contents.bytes(), b"AABb....CCDD");
        write(&mut contents, b"EE", 12);
        contents.lose_power(None);
        assert_eq!(contents.bytes(), b"..Bb....\0\0DD");
    }

    #[test]
    fn what_fits_no_memory_is_an_error() {
        assert!(Effect::write(b"x", u64::MAX).is_err());
        assert!(Effect::allocate(1 << 63).is_err());
        let mut contents = contents(b"");
        let error = contents.change(Effect::set_len((1 << 63) - 1).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(contents.len(), 0);
    }
}
