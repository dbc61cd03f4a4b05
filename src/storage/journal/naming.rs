//! The names of segments, on disk and in the checksums of their frames.

use crate::storage::codec::crc32;

/// The id that a segment's frames are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentId {
    pub(crate) store: [u8; 16],
    pub(crate) number: u64,
    seed: u32,
}

impl SegmentId {
    pub(crate) fn new(store: [u8; 16], number: u64) -> Self {
        let mut bytes = [0; 24];
        let fields = store.into_iter().chain(number.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        Self { store, number, seed: crc32(&bytes) }
    }

    /// The seed of the frames' checksums.
    pub(crate) fn seed(self) -> u32 {
        self.seed
    }
}

pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016x}.journal")
}

pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The directory of the segments, in the store's.
pub(crate) const JOURNAL: &str = "journal";
