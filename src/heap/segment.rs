//! One file of the heap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::journal::frame::Stamp;
use crate::journal::scan::Damage;
use crate::journal::segment::SegmentId;

/// Sets a heap segment's frames apart from those of the journal segment or the base of the same number.
const HEAP: u64 = 1 << 62;

#[derive(Debug)]
pub(crate) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Made by this run.
    pub(super) is_new: bool,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next image goes.
    written: AtomicU64,
    /// Bytes of the images in use.
    pub(super) live: AtomicU64,
    pub(super) unsynced: AtomicBool,
    /// A sync has failed: nobody knows what of it is durable, whatever a later sync says.
    pub(super) failed: AtomicBool,
}

impl Segment {
    pub(super) fn create(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Self> {
        let file = disk.create(&path).map_err(|e| Error::io("creating a heap segment", e))?;
        Ok(Self { is_new: true, ..Self::new(path, number, file, 0) })
    }

    /// A segment that an earlier run has written, to be read only.
    pub(super) fn open(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Self> {
        let opened = disk.open_read(&path).and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((len, file)) => Ok(Self::new(path, number, file, len)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(Damage { file: path, offset: 0, reason: "a heap segment is missing".into() }.into())
            }
            Err(cause) => Err(Error::file("opening", &path, cause)),
        }
    }

    fn new(path: PathBuf, number: u64, file: Arc<dyn DiskFile>, written: u64) -> Self {
        let (written, live) = (AtomicU64::new(written), AtomicU64::new(0));
        let (unsynced, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { number, path, is_new: false, file, written, live, unsynced, failed }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Room behind all that was written; returns where it is.
    pub(super) fn take_room(&self, bytes: u64) -> u64 {
        self.written.fetch_add(bytes, Ordering::AcqRel)
    }

    /// Writes into room that was taken. What a failed write leaves behind is garbage, or its room is taken again.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        self.file.write_all_at(bytes, offset).map_err(|cause| {
            let _ = self.written.compare_exchange(end, offset, Ordering::AcqRel, Ordering::Acquire);
            Error::io("writing a page", cause)
        })?;
        self.unsynced.store(true, Ordering::Release);
        Ok(())
    }
}

pub(super) fn id(store: [u8; 16], number: u64) -> SegmentId {
    SegmentId::new(store, number | HEAP)
}

/// An image's frame says where it lies, so that one read from elsewhere does not fit.
pub(super) fn stamp(offset: u32) -> Stamp {
    Stamp { lsn: u64::from(offset), incarnation: 0, synced: 0 }
}

pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.heap"))
}

pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".heap").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
