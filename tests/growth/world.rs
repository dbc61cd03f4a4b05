//! A store on real files, and its allowed memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use zaqar_sled::{Config, Durability, Engine, ManualClock, Metadata, Project, Queue};

use crate::live;
pub(crate) use crate::values::CLIENT;
use crate::values::clock;

pub(crate) const KIB: u64 = 1 << 10;

/// The tests of this file share one allocator: while a test holds this, no other one runs.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store, opened, and the bytes that were allocated when it was.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    opened: usize,
    _folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// A store with a memory budget and without background threads.
    pub(crate) fn new(memory: u64) -> Self {
        Self::with(|config| config.memory(memory))
    }

    pub(crate) fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        let turn = turn();
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let config = Config::new().clock(clock.clone()).durability(Durability::Buffered).seed(1).background(false);
        let engine = configure(config).open(folder.path().join("store")).unwrap();
        Self { opened: live(), engine, clock, _folder: folder, _turn: turn }
    }

    /// A queue, made if it is not there.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        self.queue_with(name, "{}")
    }

    pub(crate) fn queue_with(&self, name: &str, metadata: &str) -> Queue {
        let queue = self.engine.queue(Project::none(), name).unwrap();
        queue.create(Metadata::from_json(metadata).unwrap()).unwrap();
        queue
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Restarts the count, as if the store's planned memory had been allocated before.
    pub(crate) fn start_over(&mut self) {
        self.opened = live().saturating_sub(usize::try_from(self.planned() - SLACK).unwrap());
    }

    /// Bytes allocated since it was opened.
    pub(crate) fn grown(&self) -> u64 {
        live().saturating_sub(self.opened) as u64
    }

    /// The memory that `docs::bounds` plans for the store's content, and a little for buffers of calls.
    pub(crate) fn planned(&self) -> u64 {
        let status = self.engine.status();
        status.memory_bytes()
            + PAGE * status.pages()
            + QUEUE_IN_USE * status.queues().min(status.pages() + status.claims())
            + QUEUE * status.queues()
            + CLAIM * status.claims()
            + SUBSCRIPTION * status.subscriptions()
            + SLACK
    }
}

/// The figures of `docs::bounds`.
const PAGE: u64 = 170;
const QUEUE_IN_USE: u64 = 1_500;
const QUEUE: u64 = 216;
const CLAIM: u64 = 400;
const SUBSCRIPTION: u64 = 600;
const SLACK: u64 = 192 * KIB;
