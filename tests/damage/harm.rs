//! What can happen to a file, and which messages it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zaqar_sled::disk::{Disk, SimulatedDisk};

/// One piece of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    Flip(u64),
    Zero(u64),
    Garbage(u64),
    /// A block that the device cannot read.
    Unreadable(u64),
    Cut(u64),
    Remove,
    /// An older copy of the file.
    Older,
}

/// The kinds, for the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Manifest,
    Snapshot,
    Journal,
    Heap,
    Other,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("base") => Self::Snapshot,
            Some("journal") => Self::Journal,
            Some("heap") => Self::Heap,
            _ if path.ends_with("MANIFEST") => Self::Manifest,
            _ => Self::Other,
        }
    }
}

const BLOCK: u64 = 512;

impl Harm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flip(_) => "bit flipped",
            Self::Zero(_) => "block of zeros",
            Self::Garbage(_) => "block of garbage",
            Self::Unreadable(_) => "block unreadable",
            Self::Cut(_) => "cut short",
            Self::Remove => "removed",
            Self::Older => "an older copy",
        }
    }

    /// The bytes that the device cannot read.
    pub(crate) fn unreadable(self) -> Option<Range<u64>> {
        match self {
            Self::Unreadable(at) => Some(at / BLOCK * BLOCK..at / BLOCK * BLOCK + BLOCK),
            _ => None,
        }
    }

    /// Does it; false if that changes nothing.
    pub(crate) fn inflict(self, disk: &SimulatedDisk, path: &Path, older: &[(PathBuf, Vec<u8>)]) -> bool {
        let Ok(bytes) = disk.read(path) else { return false };
        let mut harmed = bytes.clone();
        let block = |at: u64| {
            let start = (at / BLOCK * BLOCK) as usize;
            start..bytes.len().min(start + BLOCK as usize)
        };
        match self {
            Self::Flip(at) => harmed[at as usize] ^= 1 << (at % 8),
            // What is unreadable besides is marked when it is opened.
            Self::Zero(at) | Self::Unreadable(at) => harmed[block(at)].fill(0),
            Self::Garbage(at) => {
                let garbage = (at..).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 7) as u8 | 1);
                harmed[block(at)].iter_mut().zip(garbage).for_each(|(to, from)| *to = from);
            }
            Self::Cut(at) => harmed.truncate(at as usize),
            Self::Remove => {
                disk.remove_file(path).unwrap();
                disk.sync_dir(path.parent().unwrap()).unwrap();
                return true;
            }
            Self::Older => match older.iter().find(|(one, _)| one == path) {
                Some((_, old)) => harmed.clone_from(old),
                None => return false,
            },
        }
        let changes = harmed != bytes;
        disk.write(path, harmed).unwrap();
        changes
    }
}

/// The messages whose bodies stand whole in a frame of some file, by number.
pub(crate) fn bodies_in(files: &[(PathBuf, Vec<u8>)]) -> BTreeSet<u64> {
    files.iter().flat_map(|(path, bytes)| whole_frames(path, bytes).flat_map(|range| numbers(&bytes[range]))).collect()
}

/// How often each message's body stands in a whole frame of a file.
pub(crate) fn copies(path: &Path, bytes: &[u8]) -> BTreeMap<u64, usize> {
    let mut copies = BTreeMap::new();
    for number in whole_frames(path, bytes).flat_map(|range| numbers(&bytes[range])) {
        *copies.entry(number).or_default() += 1;
    }
    copies
}

/// The frames of a file whose checksum of the body is right, found as they follow one another and, behind damage, by
/// trying every byte.
fn whole_frames<'a>(path: &Path, bytes: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    let (is_one, mut at) = match Kind::of(path) {
        Kind::Journal => (true, 64),
        Kind::Heap => (true, 0),
        _ => (false, 0),
    };
    std::iter::from_fn(move || {
        while is_one && at + 32 < bytes.len() {
            let word = |from: usize| u32::from_le_bytes(*bytes[from..].first_chunk::<4>().unwrap());
            let (length, sum, start) = (word(at) as usize, word(at + 28), at + 32);
            let fits = length > 0 && length <= bytes.len() - start;
            if fits && crc32fast::hash(&bytes[start..start + length]) == sum {
                at = start + length;
                return Some(start - 32..at);
            }
            at += 1;
        }
        None
    })
}

/// The numbers of the messages of which the body begins in these bytes.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    let marked = bytes.windows(10).filter(|window| window[0] == b'<' && window[9] == b'>');
    marked.filter_map(|window| std::str::from_utf8(&window[1..9]).ok()?.parse().ok()).collect()
}

/// The number of a message, by its body.
pub(crate) fn number(body: &[u8]) -> u64 {
    numbers(&body[..10])[0]
}
