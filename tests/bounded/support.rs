//! A store with little memory, and short words.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{Config, Engine, ManualClock, Metadata, Project, Queue, Result};

pub(crate) use crate::images::{assert_sound, disk_of, files};
pub(crate) use crate::random::Random;
pub(crate) use crate::values::{CLIENT, clock, everything, seconds};

pub(crate) const ROOT: &str = "/store";
pub(crate) const KIB: u64 = 1 << 10;
/// More memory than any of these stores needs.
pub(crate) const AMPLE: u64 = 1 << 30;
/// The largest memory of a page with more than one message: 16 KiB of bodies, 128 messages and the overhead.
pub(crate) const PAGE: u64 = 24 * KIB;

/// A store on a simulated disk, and how it is opened.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: u64,
    pub(crate) engine: Engine,
    /// The number of openings: each opening has other random ids.
    opens: u64,
}

impl World {
    /// A new store with a memory budget. It has no background threads, and its files are as small as possible.
    pub(crate) fn new(memory: u64) -> Self {
        Self::on(SimulatedDisk::new(), clock(), memory)
    }

    pub(crate) fn on(disk: SimulatedDisk, clock: Arc<ManualClock>, memory: u64) -> Self {
        Self::opened(disk, clock, memory, 1)
    }

    fn opened(disk: SimulatedDisk, clock: Arc<ManualClock>, memory: u64, opens: u64) -> Self {
        let engine = config(&disk, &clock, memory).seed(opens).open(ROOT).unwrap();
        Self { disk, clock, memory, engine, opens }
    }

    /// How it would be opened again.
    pub(crate) fn config(&self) -> Config {
        config(&self.disk, &self.clock, self.memory).seed(self.opens + 1)
    }

    /// Sets the memory budget for the next opening.
    pub(crate) fn with_memory(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    /// Closes it and opens it again.
    pub(crate) fn reopened(self) -> Self {
        self.engine.close().unwrap();
        let Self { disk, clock, memory, engine, opens } = self;
        drop(engine);
        Self::opened(disk, clock, memory, opens + 1)
    }

    /// Kills it and opens it again.
    pub(crate) fn killed(self) -> Self {
        let disk = self.disk.kill();
        self.found_as(disk)
    }

    /// Cuts the power, which loses the unsynced data except the part that `keep` keeps, and opens the store again.
    pub(crate) fn cut(self, keep: Keep) -> Self {
        let disk = self.disk.power_loss(keep);
        self.found_as(disk)
    }

    fn found_as(self, disk: SimulatedDisk) -> Self {
        Self::opened(disk, self.clock, self.memory, self.opens + 1)
    }

    /// Evicts pages beyond the budget, and asserts that the store is within it.
    pub(crate) fn chill(&self) {
        self.engine.step().unwrap();
        self.assert_within(0);
    }

    /// As `chill`, with a tiny budget: all pages are cold, except those that posts append to.
    pub(crate) fn freeze(&self) {
        self.chill();
        let status = self.engine.status();
        let warm = status.pages() - status.cold_pages();
        assert!(self.memory <= PAGE && status.pages() > 0, "a test of its own mistake: {status:?}");
        assert!(warm <= status.queues() && status.cold_pages() > 0, "{status:?}");
        assert!(status.page_file_bytes() > 0, "{status:?}");
    }

    /// Asserts that no more is in memory than may be, and so many bytes.
    pub(crate) fn assert_within(&self, more: u64) {
        let status = self.engine.status();
        let most = self.memory + more;
        assert!(status.memory_bytes() <= most, "{} of {most} bytes: {status:?}", status.memory_bytes());
    }

    pub(crate) fn assert_sound(&self, context: &str) {
        assert_sound(&self.engine, context);
    }

    /// The files pages are written to, in order.
    pub(crate) fn page_files(&self) -> Vec<PathBuf> {
        page_files_of(&self.disk)
    }
}

pub(crate) fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, memory: u64) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(1);
    config.background(false).segment_size(4 * KIB).memory(memory)
}

pub(crate) fn page_files_of(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.list_all().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "heap")).collect()
}

/// A new queue.
pub(crate) fn queue(engine: &Engine, name: &str) -> Queue {
    queue_with(engine, name, "{}")
}

pub(crate) fn queue_with(engine: &Engine, name: &str, metadata: &str) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    assert!(queue.create(Metadata::from_json(metadata).unwrap()).unwrap(), "{name} is there already");
    queue
}

/// Bytes that no other number has.
pub(crate) fn body(number: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    let words = (0..bytes.div_ceil(8)).flat_map(|_| random.next().to_le_bytes());
    words.take(bytes).collect()
}

/// Waits for a condition that another thread brings about, and no longer than twenty seconds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < seconds(20), "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes a call in a thread of its own, and fails if the call hangs.
pub(crate) fn promptly<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(call);
    until(what, || thread.is_finished());
    thread.join().unwrap()
}

/// The error of a call that has to fail.
pub(crate) fn refused<T>(result: Result<T>) -> zaqar_sled::Error {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error,
    }
}
