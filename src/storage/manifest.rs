//! The manifest: one small file that names the snapshot and the trees of a store. A directory without it is not a
//! store.
//!
//! It is a file as in [`whole_file`](super::whole_file): a new manifest replaces the old one by a rename.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::model::error::Result;
use crate::storage::archive::ArchiveMark;
use crate::storage::records::Digest;
use crate::storage::whole_file::WholeFile;

pub(crate) const FILE: &str = "MANIFEST";
pub(crate) const FRESH: &str = "MANIFEST.new";
/// The mark of a restore that is not finished, which becomes the manifest.
pub(crate) const RESTORING: &str = "MANIFEST.restoring";
const WHOLE: WholeFile = WholeFile { name: FILE, fresh: FRESH, kind: "the manifest", magic: *b"zaqarman", format: 6 };

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) store: [u8; 16],
    /// Raised at every open that does not follow a clean close, before the first write, so that no number of an earlier
    /// run is assigned again.
    pub(crate) incarnation: u32,
    pub(crate) snapshot: Option<SnapshotMark>,
    /// The number of the current directory of trees.
    pub(crate) generation: u64,
    /// Set by a clean close and removed by an open. The trees are valid only while it is set.
    pub(crate) clean: Option<CleanMark>,
    /// An LSN known to be synced when the manifest was written.
    pub(crate) synced: u64,
    /// A journal segment that had been started and synced when the manifest was written. If it is missing, recovery
    /// reports damage.
    pub(crate) segment: u64,
    /// The archive that the snapshot builds upon.
    pub(crate) archive: Option<ArchiveMark>,
}

/// The snapshot recovery starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotMark {
    pub(crate) number: u64,
    /// Operations above this one are replayed.
    pub(crate) from: u64,
    /// No queue in the snapshot has a higher LSN.
    pub(crate) to: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CleanMark {
    /// The last operation; the trees hold everything up to it.
    pub(crate) lsn: u64,
    pub(crate) time: u64,
    /// Over every record in the trees.
    pub(crate) digest: Digest,
}

impl Manifest {
    /// The manifest of an empty store.
    pub(crate) fn new(store: [u8; 16]) -> Self {
        Self { store, incarnation: 1, snapshot: None, generation: 1, clean: None, synced: 0, segment: 0, archive: None }
    }

    /// Reads the manifest of the store in `root`; `None` when there is none.
    pub(crate) fn load(disk: &dyn Disk, root: &Path) -> Result<Option<Self>> {
        WHOLE.load(disk, root)
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        WHOLE.bytes(self)
    }

    /// Replaces the store's manifest by this one, durably.
    pub(crate) fn save(&self, disk: &dyn Disk, root: &Path) -> Result<()> {
        WHOLE.save(self, disk, root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;
    use crate::model::error::Error;
    use crate::storage::codec::{self, crc32, crc32_from};

    fn parse(bytes: &[u8]) -> Result<Manifest> {
        WHOLE.parse(bytes, FILE.into())
    }

    fn manifest() -> Manifest {
        Manifest {
            store: [7; 16],
            incarnation: 3,
            snapshot: Some(SnapshotMark { number: 1, from: 2, to: 4 }),
            generation: 5,
            clean: Some(CleanMark { lsn: 6, time: 8, digest: Digest::default() }),
            synced: 9,
            segment: 10,
            archive: None,
        }
    }

    #[test]
    fn golden_bytes() {
        let bytes = manifest().bytes().unwrap();
        assert_eq!(bytes[..12], *b"zaqarman\x06\0\0\0");
        let body = codec::hex(&bytes[16..]);
        assert_eq!(body, format!("{}03010102040501060800 0000090a00", "07".repeat(16)).replace(' ', ""));
    }

    #[test]
    fn it_comes_back_and_no_flipped_bit_does() {
        let disk = SimulatedDisk::new();
        let root = Path::new("/store");
        disk.create_dir_all(root).unwrap();
        assert_eq!(Manifest::load(&disk, root).unwrap(), None);
        manifest().save(&disk, root).unwrap();
        assert_eq!(Manifest::load(&disk, root).unwrap(), Some(manifest()));
        let good = manifest().bytes().unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).unwrap_err().is_corrupt(), "bit {bit}");
        }
        assert!(parse(&good[..10]).unwrap_err().is_corrupt());
    }

    #[test]
    fn an_older_or_newer_format_is_refused_by_name() {
        for format in [5, 7] {
            let mut other = manifest().bytes().unwrap();
            other[8] = format;
            let checksum = crc32_from(crc32(&other[..12]), &other[16..]);
            other[12..16].copy_from_slice(&checksum.to_le_bytes());
            let error = parse(&other).unwrap_err();
            assert!(matches!(error, Error::UnsupportedFormat { supported: 6, .. }), "{error}");
            assert_eq!(error.to_string(), format!("{FILE} has format {format}; this version reads format 6"));
        }
    }
}
