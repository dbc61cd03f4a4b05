//! A disk that counts writes and syncs, can be slow to sync, and can refuse to remove files.
#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, Trees};

#[derive(Debug, Default)]
pub(crate) struct Meter {
    written: AtomicU64,
    syncs: AtomicU64,
    /// The duration of a sync of a file, in milliseconds.
    slow: AtomicU64,
    refuses_removals: AtomicBool,
}

impl Meter {
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    pub(crate) fn slow_down(&self, sync: Duration) {
        self.slow.store(u64::try_from(sync.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn refuse_removals(&self, refuses: bool) {
        self.refuses_removals.store(refuses, Ordering::SeqCst);
    }

    fn check_removal(&self) -> io::Result<()> {
        let refuses = self.refuses_removals.load(Ordering::SeqCst);
        if refuses { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    fn sync(&self) {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let slow = self.slow.load(Ordering::SeqCst);
        if slow > 0 {
            std::thread::sleep(Duration::from_millis(slow));
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct MeteredDisk {
    disk: Arc<dyn Disk>,
    pub(crate) meter: Arc<Meter>,
}

#[derive(Debug)]
struct MeteredFile {
    file: Arc<dyn DiskFile>,
    meter: Arc<Meter>,
}

impl MeteredDisk {
    pub(crate) fn new(disk: impl Disk) -> Self {
        Self { disk: Arc::new(disk), meter: Arc::default() }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MeteredFile { file, meter: self.meter.clone() })
    }
}

impl Disk for MeteredDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.meter.sync();
        self.disk.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open_read(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.meter.check_removal()?;
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.meter.check_removal()?;
        self.disk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.meter.sync();
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.disk.trees(path)
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, Error> {
        self.disk.trees_with(path, cache_bytes)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.meter.sync();
        self.disk.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.disk.size(path)
    }

    fn is_durable(&self) -> bool {
        self.disk.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.disk.canonical(path)
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.meter) as usize
    }
}

impl DiskFile for MeteredFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.meter.written.fetch_add(buf.len() as u64, Ordering::SeqCst);
        self.file.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.meter.sync();
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
