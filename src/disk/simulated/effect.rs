//! The changes of a file's contents, and the part of a change that a power cut leaves.

use std::io::{self, ErrorKind};
use std::ops::Range;

use super::random::Random;

/// A change of a file. Positions are in bytes.
pub(super) enum Effect {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
    Allocate(usize),
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

    /// The length after the change of a file of length `len`.
    pub(super) fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { bytes, .. } if bytes.is_empty() => len,
            Self::Write { at, bytes } => len.max(at + bytes.len()),
            Self::SetLen(len) => *len,
            Self::Allocate(to) => len.max(*to),
        }
    }

    /// The part that lengthens a file of length `len` by at most `free` bytes.
    pub(super) fn clipped(mut self, len: u64, free: u64) -> Self {
        let most = usize::try_from(len.saturating_add(free)).unwrap_or(usize::MAX);
        match &mut self {
            Self::Write { at, bytes } => bytes.truncate(most.saturating_sub(*at)),
            Self::SetLen(to) | Self::Allocate(to) => *to = most.min(*to),
        }
        self
    }

    /// The part of the old contents that the change overwrites or cuts.
    pub(super) fn range(&self) -> Range<usize> {
        match self {
            Self::Write { at, bytes } => *at..at + bytes.len(),
            Self::SetLen(len) => *len..usize::MAX,
            Self::Allocate(_) => 0..0,
        }
    }

    pub(super) fn apply(&self, file: &mut Vec<u8>) {
        file.resize(self.len_after(file.len()), 0);
        if let Self::Write { at, bytes } = self {
            put(file, *at, bytes);
        }
    }

    /// Applies the change as a whole, or a torn write: any of its sectors, with the file lengthened or not.
    pub(super) fn survive(&self, file: &mut Vec<u8>, tear: Option<&mut Random>) {
        let (Self::Write { at, bytes }, Some(random)) = (self, tear) else {
            return self.apply(file);
        };
        if random.coin() {
            file.resize(self.len_after(file.len()), 0);
        }
        let mut start = *at;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let space = SECTOR - start % SECTOR;
            let (piece, left) = rest.split_at(space.min(rest.len()));
            if random.coin() {
                Self::Write { at: start, bytes: piece.to_vec() }.apply(file);
            }
            start += piece.len();
            rest = left;
        }
    }
}

/// Overwrites part of a file that is long enough.
pub(super) fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    copy(file.get_mut(at..).unwrap_or_default(), bytes);
}

/// Copies the bytes that both have; returns their number.
pub(super) fn copy(to: &mut [u8], from: &[u8]) -> usize {
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

/// The bytes that a disk writes, and a failed sync loses, as a whole or not at all.
pub(super) const SECTOR: usize = 512;
