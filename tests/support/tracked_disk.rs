//! A disk for one opening of a store. It records the changes that the opening makes after it was marked closed.

use std::fmt;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, DiskFile, HeldDir, Tree, Trees, Visit};

/// One owner's view of a disk. Clones are the same owner.
#[derive(Clone)]
pub(crate) struct TrackedDisk {
    inner: Arc<dyn Disk>,
    owner: Arc<Owner>,
}

#[derive(Default)]
struct Owner {
    closed: AtomicBool,
    late: Mutex<Vec<String>>,
    panics: AtomicBool,
    /// Reads of page files wait, and whether one does.
    holds_reads: AtomicBool,
    reading: AtomicBool,
    /// The state of the random delays.
    state: AtomicU64,
}

impl TrackedDisk {
    pub(crate) fn new(inner: Arc<dyn Disk>, seed: u64) -> Self {
        Self { inner, owner: Arc::new(Owner { state: AtomicU64::new(seed), ..Owner::default() }) }
    }

    /// Marks the owner as closed: every later change is too late.
    pub(crate) fn note_closed(&self) {
        self.owner.closed.store(true, Ordering::SeqCst);
    }

    /// Holds reads of page files, or releases them.
    pub(crate) fn hold_reads(&self, hold: bool) {
        self.owner.holds_reads.store(hold, Ordering::SeqCst);
    }

    /// Whether a read waits.
    pub(crate) fn holds_one(&self) -> bool {
        self.owner.reading.load(Ordering::SeqCst)
    }

    /// The next sync of a file panics.
    pub(crate) fn panic_in_sync(&self) {
        self.owner.panics.store(true, Ordering::SeqCst);
    }

    /// The changes that came too late.
    pub(crate) fn late(&self) -> Vec<String> {
        self.owner.late.lock().unwrap().clone()
    }

    fn change(&self, what: &str, path: &Path) {
        self.owner.change(what, path);
    }

    fn wrap(&self, file: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(TrackedFile { inner: file, owner: self.owner.clone(), path: path.to_owned() })
    }
}

impl Owner {
    fn holds(&self, path: &Path) -> bool {
        let held = path.extension().is_some_and(|kind| kind == "heap") && self.holds_reads.load(Ordering::SeqCst);
        self.reading.store(held, Ordering::SeqCst);
        held
    }

    fn change(&self, what: &str, path: &Path) {
        // Between the check and the action other threads get a turn.
        let drawn = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let drawn = (drawn ^ (drawn >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 60;
        (0..drawn.saturating_sub(8)).for_each(|_| thread::yield_now());
        if self.closed.load(Ordering::SeqCst) {
            self.late.lock().unwrap().push(format!("{what} {}", path.display()));
        }
    }
}

impl fmt::Debug for TrackedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedDisk").finish_non_exhaustive()
    }
}

impl Disk for TrackedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change("create_dir_all", path);
        self.inner.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.inner.open(path)?, path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.inner.open_read(path)?, path))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.change("create", path);
        Ok(self.wrap(self.inner.create(path)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change("rename", from);
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change("remove_file", path);
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change("remove_dir_all", path);
        self.inner.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.inner.lock(path)
    }

    fn hold_dir(&self, path: &Path) -> io::Result<Arc<dyn HeldDir>> {
        self.inner.hold_dir(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, Error> {
        self.change("trees", path);
        let inner = self.inner.trees(path)?;
        Ok(Box::new(TrackedTrees { inner, owner: self.owner.clone(), path: path.to_owned() }))
    }

    fn trees_with(&self, path: &Path, cache_bytes: u64) -> Result<Box<dyn Trees>, Error> {
        self.change("trees", path);
        let inner = self.inner.trees_with(path, cache_bytes)?;
        Ok(Box::new(TrackedTrees { inner, owner: self.owner.clone(), path: path.to_owned() }))
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.inner.size(path)
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.inner.canonical(path)
    }

    fn identity(&self) -> usize {
        self.inner.identity()
    }
}

struct TrackedFile {
    inner: Arc<dyn DiskFile>,
    owner: Arc<Owner>,
    path: PathBuf,
}

impl fmt::Debug for TrackedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl DiskFile for TrackedFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        while self.owner.holds(&self.path) {
            thread::yield_now();
        }
        self.inner.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.owner.change("write", &self.path);
        self.inner.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.owner.change("allocate", &self.path);
        self.inner.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.owner.panics.swap(false, Ordering::SeqCst) {
            // A panic without a message, because it is not a failure of the test.
            panic::resume_unwind(Box::new("a sync that panics"));
        }
        self.inner.sync_data()
    }

    fn will_need(&self, offset: u64, len: u64) {
        self.inner.will_need(offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.owner.change("set_len", &self.path);
        self.inner.set_len(len)
    }
}

struct TrackedTrees {
    inner: Box<dyn Trees>,
    owner: Arc<Owner>,
    path: PathBuf,
}

impl fmt::Debug for TrackedTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Trees for TrackedTrees {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(tree, key)
    }

    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.owner.change("insert into", &self.path);
        self.inner.insert(tree, key, value)
    }

    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.owner.change("remove from", &self.path);
        self.inner.remove(tree, key)
    }

    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), Error> {
        self.inner.scan(tree, visit)
    }

    fn flush(&self) -> Result<(), Error> {
        self.owner.change("flush", &self.path);
        self.inner.flush()
    }
}
