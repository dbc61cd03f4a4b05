//! One file of the heap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::journal::frame::Stamp;
use crate::journal::scan::Damage;
use crate::journal::segment::SegmentId;

use super::files::OpenFiles;

/// Sets a heap segment's frames apart from those of the journal segment or the base of the same number.
const HEAP: u64 = 1 << 62;

#[derive(Debug)]
pub(crate) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Made by this run.
    pub(super) is_new: bool,
    files: Arc<OpenFiles>,
    /// Where the next image goes.
    written: AtomicU64,
    /// Bytes of the images in use.
    pub(super) live: AtomicU64,
    pub(super) unsynced: AtomicBool,
    /// A sync has failed: nobody knows what of it is durable, whatever a later sync says.
    pub(super) failed: AtomicBool,
}

impl Segment {
    pub(super) fn create(files: &Arc<OpenFiles>, path: PathBuf, number: u64) -> Result<Arc<Self>> {
        let file = files.disk().create(&path).map_err(|e| Error::io("creating a heap segment", e))?;
        let made = Arc::new(Self { is_new: true, ..Self::new(files, path, number, 0) });
        files.keep(&made, file);
        Ok(made)
    }

    /// A segment that an earlier run has written, to be read only.
    pub(super) fn open(files: &Arc<OpenFiles>, path: PathBuf, number: u64) -> Result<Arc<Self>> {
        let opened = files.disk().open_read(&path).and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((len, file)) => {
                let found = Arc::new(Self::new(files, path, number, len));
                files.keep(&found, file);
                Ok(found)
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Err(Damage { file: path, offset: 0, reason: "a heap segment is missing".into() }.into())
            }
            Err(cause) => Err(Error::file("opening", &path, cause)),
        }
    }

    fn new(files: &Arc<OpenFiles>, path: PathBuf, number: u64, written: u64) -> Self {
        let (written, live) = (AtomicU64::new(written), AtomicU64::new(0));
        let (unsynced, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { number, path, is_new: false, files: files.clone(), written, live, unsynced, failed }
    }

    /// The open file.
    ///
    /// # Errors
    /// `Corrupt` if it is gone, `Unavailable` if there is no descriptor for it now, `Io` else.
    pub(super) fn file(self: &Arc<Self>) -> Result<Arc<dyn DiskFile>> {
        self.files.get(self).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => {
                Damage { file: self.path.clone(), offset: 0, reason: "a heap segment is missing".into() }.into()
            }
            _ => Error::io("opening a heap segment", cause),
        })
    }

    pub(super) fn sync(self: &Arc<Self>) -> std::io::Result<()> {
        self.files.get(self)?.sync_data()
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Room behind all that was written; returns where it is.
    pub(super) fn take_room(&self, bytes: u64) -> u64 {
        self.written.fetch_add(bytes, Ordering::AcqRel)
    }

    /// Writes into room that was taken. What a failed write leaves behind is garbage, or its room is taken again.
    pub(super) fn write(self: &Arc<Self>, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        // Before it is written: from here on the file stays open.
        self.unsynced.store(true, Ordering::Release);
        let written =
            self.file().and_then(|file| file.write_all_at(bytes, offset).map_err(|e| Error::io("writing a page", e)));
        written.inspect_err(|_| {
            let _ = self.written.compare_exchange(end, offset, Ordering::AcqRel, Ordering::Acquire);
        })?;
        // Again: a sync may have come in between.
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
