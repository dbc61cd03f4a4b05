//! A disk that counts the bytes read from files of a kind, and the checks of the store's directory, with which every attempt to
//! make room begins. Reads and writes of such files can be held, and writes made to fail.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, HeldDir, SimulatedDisk, Trees};

/// The effect of a write to a file of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Rule {
    #[default]
    Pass,
    /// The write waits until the rule changes.
    Hold,
    Fail(ErrorKind),
}

#[derive(Debug, Default)]
struct State {
    /// By extension.
    rules: BTreeMap<&'static str, Rule>,
    reads: BTreeMap<String, u64>,
    /// How many bytes may be read of the files of an extension before whoever reads is held up.
    readable: BTreeMap<&'static str, u64>,
    held: usize,
    rounds: u64,
}

#[derive(Debug, Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone)]
pub(crate) struct WatchedDisk {
    pub(crate) disk: SimulatedDisk,
    watch: Arc<Watch>,
}

impl WatchedDisk {
    pub(crate) fn new(disk: SimulatedDisk) -> Self {
        Self { disk, watch: Arc::default() }
    }

    pub(crate) fn set(&self, extension: &'static str, rule: Rule) {
        self.watch.lock().rules.insert(extension, rule);
        self.watch.changed.notify_all();
    }

    /// Holds whoever reads files of that extension once so many bytes more have been read; `None` lets them go on.
    pub(crate) fn hold_reads(&self, extension: &'static str, after: Option<u64>) {
        let mut state = self.watch.lock();
        let read = state.reads.get(extension).copied().unwrap_or(0);
        state.readable.insert(extension, after.map_or(u64::MAX, |after| read + after));
        self.watch.changed.notify_all();
    }

    /// How often somebody has begun to make room, by eviction or housekeeping.
    pub(crate) fn rounds(&self) -> u64 {
        self.watch.lock().rounds
    }

    /// How many threads are held up.
    pub(crate) fn held(&self) -> usize {
        self.watch.lock().held
    }

    /// Bytes read of files of that extension so far.
    pub(crate) fn bytes_read(&self, extension: &str) -> u64 {
        self.watch.lock().reads.get(extension).copied().unwrap_or(0)
    }

    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile { file, extension: extension(path), watch: self.watch.clone() })
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn pass(&self, extension: &str) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            match state.rules.get(extension).copied().unwrap_or_default() {
                Rule::Pass => return Ok(()),
                Rule::Fail(kind) => return Err(kind.into()),
                Rule::Hold => {
                    state.held += 1;
                    state = self.changed.wait(state).unwrap();
                    state.held -= 1;
                }
            }
        }
    }
}

impl Watch {
    fn wait_readable(&self, extension: &str) {
        let mut state = self.lock();
        while state.reads.get(extension) > state.readable.get(extension) && state.readable.contains_key(extension) {
            state.held += 1;
            state = self.changed.wait(state).unwrap();
            state.held -= 1;
        }
    }
}

#[derive(Debug)]
struct WatchedDir {
    directory: Arc<dyn HeldDir>,
    watch: Arc<Watch>,
}

impl HeldDir for WatchedDir {
    fn is_in_place(&self) -> io::Result<bool> {
        self.watch.lock().rounds += 1;
        self.directory.is_in_place()
    }

    fn sync(&self) -> Option<io::Result<()>> {
        self.directory.sync()
    }
}

fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |extension| extension.to_string_lossy().into_owned())
}

impl Disk for WatchedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.disk.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.disk.open_read(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.watch.pass(&extension(path))?;
        Ok(self.file(path, self.disk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        let (directory, watch) = (self.disk.hold_dir(path)?, self.watch.clone());
        Ok(Arc::new(WatchedDir { directory, watch }))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.disk.trees(path)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
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
        self.disk.identity()
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    extension: String,
    watch: Arc<Watch>,
}

impl DiskFile for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.watch.wait_readable(&self.extension);
        let read = self.file.read_at(buf, offset)?;
        *self.watch.lock().reads.entry(self.extension.clone()).or_default() += read as u64;
        Ok(read)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.watch.pass(&self.extension)?;
        self.file.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.watch.pass(&self.extension)?;
        self.file.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch.pass(&self.extension)?;
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.watch.pass(&self.extension)?;
        self.file.set_len(len)
    }
}
