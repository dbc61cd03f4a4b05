//! One page file, and the bounded number of open ones.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::disk::{Disk, DiskFile};
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::journal::SegmentImages;
use crate::storage::journal::frame::Stamp;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;

/// Distinguishes a page file's frames from those of the journal segment or the snapshot with the same number.
const PAGE_FILE: u64 = 1 << 62;

#[derive(Debug)]
pub(crate) struct PageFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Set if this run created the file.
    pub(super) is_new: bool,
    files: Arc<OpenFiles>,
    /// The offset of the next image.
    written: AtomicU64,
    /// The number of images being written.
    writing: AtomicUsize,
    /// Set when a failed write may have left a part of an image, which takes space.
    is_ragged: AtomicBool,
    /// Bytes of the images in use.
    pub(super) live: AtomicU64,
    pub(super) unsynced: AtomicBool,
    /// Set when a sync has failed: it is unknown which images are durable, whatever a later sync returns.
    pub(super) failed: AtomicBool,
    /// The segment of this run's journal that it is.
    segment: Option<Arc<SegmentImages>>,
}

impl PageFile {
    pub(super) fn create(files: &Arc<OpenFiles>, path: PathBuf, number: u64) -> Result<Arc<Self>> {
        let file = files.disk().create(&path).map_err(|e| Error::io("creating a page file", e))?;
        let made = Arc::new(Self { is_new: true, ..Self::new(files, path, number, 0) });
        files.keep(&made, file);
        Ok(made)
    }

    /// A segment of the journal under a second name. It may have frames that are not synced.
    pub(super) fn of_segment(files: &Arc<OpenFiles>, path: PathBuf, number: u64, segment: &Arc<SegmentImages>) -> Self {
        Self { is_new: true, segment: Some(segment.clone()), ..Self::new(files, path, number, 0) }
    }

    /// Whether it has images that may not be durable and that no sync of the journal covers.
    pub(super) fn is_unsynced(&self) -> bool {
        match &self.segment {
            Some(segment) => segment.is_retired() && segment.synced() < self.written.load(Ordering::Acquire),
            None => self.unsynced.load(Ordering::Acquire),
        }
    }

    /// Records an image that ends at `end` and was written to the segment.
    pub(super) fn reach(&self, end: u64) {
        self.written.fetch_max(end, Ordering::AcqRel);
    }

    /// Whether the image that ends at `end` is a frame of this run's journal that a sync of the journal covers.
    pub(super) fn has_synced_frame(&self, end: u64) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.synced() >= end)
    }

    /// Bytes of the images in use, and of the frames that may become images of this file.
    pub(super) fn live(&self) -> u64 {
        let to_come = self.segment.as_ref().map_or(0, |segment| segment.live());
        self.live.load(Ordering::Acquire).saturating_add(to_come)
    }

    /// The segment, if the journal can have it back. The caller has the list of files locked, and no image is left.
    pub(super) fn give_back(&self) -> Option<Arc<SegmentImages>> {
        self.segment.as_ref().filter(|segment| segment.give_back()).cloned()
    }

    /// Whether it is a part of the journal too.
    pub(super) fn is_in_journal(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| !segment.is_retired())
    }

    /// A page file of an earlier run, which is only read.
    pub(super) fn open(files: &Arc<OpenFiles>, path: PathBuf, number: u64) -> Result<Arc<Self>> {
        let opened = files.disk().open_read(&path).and_then(|file| Ok((file.len()?, file)));
        match opened {
            Ok((len, file)) => {
                let found = Arc::new(Self::new(files, path, number, len));
                files.keep(&found, file);
                Ok(found)
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Err(Damage { file: path, offset: 0, reason: "a page file is missing".into() }.into())
            }
            Err(cause) => Err(Error::file("opening", &path, cause)),
        }
    }

    fn new(files: &Arc<OpenFiles>, path: PathBuf, number: u64, written: u64) -> Self {
        let (written, live) = (AtomicU64::new(written), AtomicU64::new(0));
        let (unsynced, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        let (writing, is_ragged) = (AtomicUsize::new(0), AtomicBool::new(false));
        let files = files.clone();
        let segment = None;
        Self { number, path, is_new: false, files, written, writing, is_ragged, live, unsynced, failed, segment }
    }

    /// The open file.
    ///
    /// # Errors
    /// `Corrupt` if the file is missing, `Unavailable` if there is no descriptor for it now, `Io` otherwise.
    pub(super) fn file(self: &Arc<Self>) -> Result<Arc<dyn DiskFile>> {
        self.files.get(self).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => {
                Damage { file: self.path.clone(), offset: 0, reason: "a page file is missing".into() }.into()
            }
            _ => Error::io("opening a page file", cause),
        })
    }

    /// Makes its images durable. After a failed sync the file is never trusted again; a file that could not be opened is as
    /// before.
    pub(super) fn sync(self: &Arc<Self>) -> io::Result<()> {
        let file = self.files.get(self)?;
        // Cleared first: the sync may not cover an image that is written from here on.
        self.unsynced.store(false, Ordering::Release);
        let end = self.segment.as_ref().map_or(0, |segment| segment.end());
        let synced = file.sync_data();
        match &synced {
            Ok(()) => self.segment.iter().for_each(|segment| segment.note_synced(end)),
            Err(_) => self.failed.store(true, Ordering::Release),
        }
        synced
    }

    pub(super) fn written(&self) -> u64 {
        match &self.segment {
            Some(segment) if segment.is_retired() => segment.size(),
            Some(segment) => segment.end(),
            None => self.written.load(Ordering::Acquire),
        }
    }

    /// Reserves `bytes` behind all images, for one [`write`](Self::write); returns their offset. The caller has the list
    /// of files locked.
    pub(super) fn reserve(&self, bytes: u64) -> u64 {
        self.writing.fetch_add(1, Ordering::AcqRel);
        self.written.fetch_add(bytes, Ordering::AcqRel)
    }

    /// Whether the file has to be cut off behind its images.
    pub(super) fn is_ragged(&self) -> bool {
        self.is_ragged.load(Ordering::Acquire) && self.writing.load(Ordering::Acquire) == 0
    }

    /// Frees the space of what failed writes have left behind the images. The caller has the list of files locked, so
    /// that no other write begins.
    pub(super) fn cut_off(self: &Arc<Self>) {
        if !self.is_ragged() {
            return;
        }
        let cut = self.files.get(self).and_then(|file| file.set_len(self.written()));
        // After a failure the end of the next write tries again.
        self.is_ragged.store(cut.is_err(), Ordering::Release);
    }

    /// Writes into reserved space. The bytes that a failed write leaves are garbage, or their space is reserved again.
    pub(super) fn write(self: &Arc<Self>, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        // Set before the write: from here on the file stays open.
        self.unsynced.store(true, Ordering::Release);
        let written =
            self.file().and_then(|file| file.write_all_at(bytes, offset).map_err(|e| Error::io("writing a page", e)));
        let written = written.inspect_err(|_| {
            // If others have written behind it, its space stays unused.
            let _ = self.written.compare_exchange(end, offset, Ordering::AcqRel, Ordering::Acquire);
            self.is_ragged.store(true, Ordering::Release);
        });
        self.writing.fetch_sub(1, Ordering::AcqRel);
        // Set again, because a sync may have cleared it during the write.
        self.unsynced.store(true, Ordering::Release);
        written
    }
}

/// The open page files, by number. Files with unsynced images stay open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    disk: Arc<dyn Disk>,
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: BTreeMap<u64, OpenFile>,
    /// Counts uses, to find the least recently used file.
    uses: u64,
}

#[derive(Debug)]
struct OpenFile {
    page_file: Weak<PageFile>,
    file: Arc<dyn DiskFile>,
    used: u64,
}

impl OpenFiles {
    pub(super) fn new(disk: Arc<dyn Disk>, most: usize) -> Self {
        Self { disk, most, open: Mutex::new(Rank::OpenFiles, Open::default()) }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The open file of a page file, which is opened if necessary.
    pub(super) fn get(&self, page_file: &Arc<PageFile>) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.lock().get(page_file.number) {
            return Ok(file);
        }
        let opened =
            if page_file.is_new { self.disk.open(&page_file.path) } else { self.disk.open_read(&page_file.path) };
        let file = opened?;
        self.keep(page_file, file.clone());
        Ok(file)
    }

    /// Keeps a file open, and closes others if too many are open.
    pub(super) fn keep(&self, page_file: &Arc<PageFile>, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock();
        open.uses = open.uses.saturating_add(1);
        let kept = OpenFile { page_file: Arc::downgrade(page_file), file, used: open.uses };
        // If two threads have opened the file at once, the one that writes through the other handle keeps that until it
        // has finished.
        open.files.entry(page_file.number).or_insert(kept);
        let closed = open.close_beyond(self.most, page_file.number);
        drop(open);
        // Closed without the lock, because closing may take long.
        drop(closed);
    }

    /// Whether unsynced files are half of the allowed open files.
    pub(super) fn are_held(&self) -> bool {
        let open = self.open.lock();
        open.files.len() >= self.most && open.files.values().filter(|file| file.is_unsynced()).count() * 2 >= self.most
    }

    /// Closes a page file that was removed.
    pub(super) fn close(&self, number: u64) {
        let closed = self.open.lock().files.remove(&number);
        drop(closed);
    }
}

impl Open {
    fn get(&mut self, number: u64) -> Option<Arc<dyn DiskFile>> {
        self.uses = self.uses.saturating_add(1);
        let found = self.files.get_mut(&number)?;
        found.used = self.uses;
        Some(found.file.clone())
    }

    fn close_beyond(&mut self, most: usize, kept: u64) -> Vec<OpenFile> {
        let is_gone = |(_, file): &(&u64, &OpenFile)| file.page_file.strong_count() == 0;
        let gone: Vec<u64> = self.files.iter().filter(is_gone).map(|(number, _)| *number).collect();
        let mut closed: Vec<OpenFile> = gone.iter().filter_map(|number| self.files.remove(number)).collect();
        while self.files.len() > most {
            let idle = self.files.iter().filter(|(number, file)| **number != kept && !file.is_unsynced());
            let Some(oldest) = idle.min_by_key(|(_, file)| file.used).map(|(number, _)| *number) else { break };
            closed.extend(self.files.remove(&oldest));
        }
        closed
    }
}

impl OpenFile {
    fn is_unsynced(&self) -> bool {
        self.page_file.upgrade().is_some_and(|page_file| page_file.is_unsynced())
    }
}

pub(super) fn id(store: [u8; 16], number: u64) -> SegmentId {
    SegmentId::new(store, number | PAGE_FILE)
}

/// The stamp of an image's frame. It contains the offset, so that an image at another offset does not pass the check.
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
