//! The open files of the heap, no more than so many at a time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use super::segment::Segment;
use crate::disk::{Disk, DiskFile};
use crate::lock::{Mutex, Rank};

/// Open files by segment. Those with something unsynced stay open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    disk: Arc<dyn Disk>,
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: BTreeMap<u64, OpenFile>,
    /// Counts uses, to tell which was used last.
    uses: u64,
}

#[derive(Debug)]
struct OpenFile {
    segment: Weak<Segment>,
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

    /// The open file of a segment, opened if it is not.
    pub(super) fn get(&self, segment: &Arc<Segment>) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.lock().get(segment.number) {
            return Ok(file);
        }
        let opened = if segment.is_new { self.disk.open(&segment.path) } else { self.disk.open_read(&segment.path) };
        let file = opened?;
        self.keep(segment, file.clone());
        Ok(file)
    }

    /// Keeps a file open, and closes others where there are too many.
    pub(super) fn keep(&self, segment: &Arc<Segment>, file: Arc<dyn DiskFile>) {
        let mut open = self.open.lock();
        open.uses = open.uses.saturating_add(1);
        let kept = OpenFile { segment: Arc::downgrade(segment), file, used: open.uses };
        // Where two have opened it at once, who wrote through the other file has that one until he is done.
        open.files.entry(segment.number).or_insert(kept);
        let closed = open.close_beyond(self.most, segment.number);
        drop(open);
        // Closing takes its time.
        drop(closed);
    }

    /// Whether unsynced files take up half of the places.
    pub(super) fn are_held(&self) -> bool {
        let open = self.open.lock();
        open.files.len() >= self.most && open.files.values().filter(|file| file.is_unsynced()).count() * 2 >= self.most
    }

    /// Closes the file of a segment that is gone.
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
        let mut closed: Vec<OpenFile> =
            self.files.extract_if(.., |_, file| file.segment.strong_count() == 0).map(|(_, file)| file).collect();
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
        self.segment.upgrade().is_some_and(|segment| segment.unsynced.load(std::sync::atomic::Ordering::Acquire))
    }
}
