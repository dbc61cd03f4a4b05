//! A disk and a clock that delay threads at random, so that concurrent calls interleave in many ways.
//!
//! The engine reads its clock while a queue is locked, and writes to its disk while a queue and the journal are locked.
//! A thread that is delayed there acts like a thread that the system has preempted.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{Disk, DiskFile, Trees};
use zaqar_sled::{Clock, Timestamp};

/// From here on this thread is held up as these numbers have it; a thread that never calls this is held up by its own.
pub(crate) fn seed_this_thread(seed: u64) {
    STATE.set(seed | 1);
}

/// A number below `end`, from this thread's generator.
pub(crate) fn random(end: u64) -> u64 {
    let mut state = STATE.get();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
}

/// Delays this thread: mostly not at all, sometimes for a few turns of the other threads.
pub(crate) fn pause() {
    match random(8) {
        0 => (0..random(6)).for_each(|_| thread::yield_now()),
        1 => (0..random(2_000)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

thread_local! {
    static STATE: Cell<u64> = Cell::new(own_seed());
}

/// Of a thread that was given none.
fn own_seed() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

/// The clock within, read with pauses before and after.
pub(crate) struct TurbulentClock(pub(crate) Arc<dyn Clock>);

impl fmt::Debug for TurbulentClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Clock for TurbulentClock {
    fn wall(&self) -> Timestamp {
        pause();
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        pause();
        self.0.monotonic()
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        self.0.real_wait(duration)
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.0.on_jump(wake);
    }
}

/// The disk within, with a pause before every write, read and sync.
#[derive(Debug)]
pub(crate) struct TurbulentDisk(pub(crate) Arc<dyn Disk>);

impl Disk for TurbulentDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(path).map(file)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open_read(path).map(file)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(path).map(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        pause();
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        pause();
        self.0.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        pause();
        self.0.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.0.lock(path)
    }

    fn trees(&self, path: &Path) -> Result<Box<dyn Trees>, zaqar_sled::Error> {
        self.0.trees(path)
    }

    fn sync_trees(&self, path: &Path) -> io::Result<()> {
        self.0.sync_trees(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.0.size(path)
    }

    fn is_durable(&self) -> bool {
        self.0.is_durable()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        self.0.canonical(path)
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }
}

fn file(inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
    Arc::new(TurbulentFile(inner))
}

#[derive(Debug)]
struct TurbulentFile(Arc<dyn DiskFile>);

impl DiskFile for TurbulentFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        pause();
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        pause();
        self.0.write_all_at(buf, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        pause();
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
