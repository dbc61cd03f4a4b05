//! A disk that can be cut off from its store: written data stays, and later writes are dropped. For an engine that is
//! dropped afterwards, the effect is that of a killed process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, RealDisk, Trees};

#[derive(Debug, Clone, Default)]
pub(crate) struct Severed {
    is_cut: Arc<AtomicBool>,
}

#[derive(Debug)]
struct SeveredFile {
    file: Arc<dyn DiskFile>,
    is_cut: Arc<AtomicBool>,
}

impl Severed {
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        check(&self.is_cut)
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SeveredFile { file, is_cut: self.is_cut.clone() })
    }
}

fn check(is_cut: &AtomicBool) -> io::Result<()> {
    if is_cut.load(Ordering::SeqCst) { Err(io::Error::other("the process was killed")) } else { Ok(()) }
}

impl Disk for Severed {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        Ok(self.file(RealDisk.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        Ok(self.file(RealDisk.open_read(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        Ok(self.file(RealDisk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.check()?;
        RealDisk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.check()?;
        RealDisk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.check()?;
        RealDisk.lock(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.check().map_err(|cause| Error::Trees { reason: cause.to_string() })?;
        RealDisk.trees(path)
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, Error> {
        self.check().map_err(|cause| Error::Trees { reason: cause.to_string() })?;
        RealDisk.trees_with(path, cache_bytes)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        RealDisk.size(path)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        RealDisk.canonical(path)
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.is_cut) as usize
    }
}

impl DiskFile for SeveredFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        check(&self.is_cut)?;
        self.file.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        check(&self.is_cut)?;
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        check(&self.is_cut)?;
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        check(&self.is_cut)?;
        self.file.set_len(len)
    }
}
