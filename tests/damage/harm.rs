//! The kinds of harm to a file, and the messages that each affects.

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
    PageFile,
    Other,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("base") => Self::Snapshot,
            Some("journal") => Self::Journal,
            Some("heap") => Self::PageFile,
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

    /// Applies the harm; returns false if that changes nothing.
    pub(crate) fn inflict(self, disk: &SimulatedDisk, path: &Path, older: &[(PathBuf, Vec<u8>)]) -> bool {
        let Ok(bytes) = disk.read(path) else { return false };
        let mut harmed = bytes.clone();
        let block = |at: u64| {
            let start = (at / BLOCK * BLOCK) as usize;
            start..bytes.len().min(start + BLOCK as usize)
        };
        match self {
            Self::Flip(at) => harmed[at as usize] ^= 1 << (at % 8),
            // An unreadable range is also marked on the disk when the store is opened.
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
