//! The state that the handles of an open store share: opening, locking and closing.
//!
//! 1. One process has a store open, once. The lock is on the directory itself and on a file in it.
//! 2. An opening that fails leaves no thread and no lock.
//! 3. No call and no thread works on a closed store: a close waits for the calls, joins the threads, and then unlocks.
//! 4. A fork of the process that opened the store neither writes, closes nor unlocks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use crate::config::Config;
use crate::disk::{Anchored, HeldDir};
use crate::engine::opening_paths::{OpeningPaths, StorePath};
use crate::lock::{Mutex, Rank};
use crate::model::Durability;
use crate::model::error::{Error, Result};
use crate::state::op::{Change, Op};
use crate::storage::journal::Growth;
use crate::storage::manifest;
use crate::store::Store;
use crate::store::background::Threads;
use crate::store::random::Random;
use crate::store::recovery;
use crate::store::signals::Signals;

/// The part that the last handle closes. The background threads hold the store, never this, so closing can wait for
/// them.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    threads: Mutex<Threads>,
    /// The store's lock; `None` once closed.
    lock: Mutex<Option<Lock>>,
    /// The result of the close.
    closed: Mutex<Option<Result<()>>>,
    store_path: StorePath,
    /// The settings that the store was opened with.
    config: Config,
}

struct Lock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Send + Sync>);

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

/// The stores this process has open.
static OPEN: LazyLock<Mutex<BTreeMap<StorePath, Weak<Opened>>>> =
    LazyLock::new(|| Mutex::new(Rank::Open, BTreeMap::new()));

/// The paths at which this process opens stores now.
static OPENING: OpeningPaths = OpeningPaths::new();

impl Opened {
    /// Opens the store in the directory `path`, or finds it open.
    pub(crate) fn open(config: &Config, path: &Path) -> Result<Arc<Self>> {
        let root = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        // The files that are created with a manifest were durable before it.
        let made = config.disk.exists(&root.join(manifest::FILE)).unwrap_or(false);
        if !made {
            config.disk.create_dir_all(&root).map_err(|e| Error::io("creating the store's directory", e))?;
        }
        let store_path = (config.disk.identity(), config.disk.canonical(&root));
        let _one = OPENING.take(&store_path);
        // Bound first: if this is the last handle, dropping it takes the lock on `OPEN`.
        let opened = OPEN.lock().get(&store_path).and_then(Weak::upgrade);
        if let Some(opened) = opened.filter(|opened| opened.is_ours() && !opened.store.is_closed()) {
            return if config.shared {
                opened.shared_with(config, root)
            } else {
                Err(Error::AlreadyOpen { path: root })
            };
        }
        let opened = Arc::new(Self::open_new(config, root, store_path.clone())?);
        OPEN.lock().insert(store_path, Arc::downgrade(&opened));
        Ok(opened)
    }

    fn open_new(config: &Config, root: PathBuf, store_path: StorePath) -> Result<Self> {
        let lock = lock(config, &root)?;
        let (signals, receivers) = Signals::new();
        let mut threads = if config.background {
            Threads::make(&*config.spawner, receivers, config.sync_interval)?
        } else {
            Threads::none()
        };
        let held = config.disk.hold_dir(&root).map_err(|e| Error::io("opening the store's directory", e))?;
        let disk = Arc::new(Anchored::new(config.disk.clone(), root.clone(), held.clone()));
        let anchored = config.clone().disk(disk);
        let store = Store::open(&anchored, root, held, signals)?;
        threads.start(&store);
        let (threads, lock) = (Mutex::new(Rank::Threads, threads), Mutex::new(Rank::LockFile, Some(Lock(lock))));
        let closed = Mutex::new(Rank::Closing, None);
        Ok(Self { store, threads, lock, closed, store_path, config: config.clone() })
    }

    /// Shares the open store with another opening, if that has the same settings.
    fn shared_with(self: Arc<Self>, config: &Config, path: PathBuf) -> Result<Arc<Self>> {
        match self.config.differs_from(config) {
            Some(setting) => Err(Error::SettingsDiffer { path, setting }),
            None => Ok(self),
        }
    }

    /// Whether this process opened the store, and not one that this process is a fork of.
    fn is_ours(&self) -> bool {
        self.store.check_process().is_ok()
    }

    /// Closes the store; later calls wait for the first one and answer as it did.
    pub(crate) fn close(&self) -> Result<()> {
        self.store.check_process()?;
        self.closed.lock().get_or_insert_with(|| self.close_store()).clone()
    }

    fn close_store(&self) -> Result<()> {
        self.store.calls.refuse();
        // The calls that wait are woken; the others end by themselves.
        self.store.waiters.wake_all();
        self.store.admission.close();
        self.threads.lock().stop(&self.store);
        self.store.calls.await_last();
        let closed = self.store.close();
        // This engine uses the store no more, so another may open it.
        *self.lock.lock() = None;
        closed
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.is_ours() {
            self.threads.lock().forget();
            return;
        }
        // There is no caller to report to. Changes that could not be written to the trees are in the journal.
        let _ = self.close();
        let mut open = OPEN.lock();
        if open.get(&self.store_path).is_some_and(|opened| opened.strong_count() == 0) {
            open.remove(&self.store_path);
        }
    }
}

impl Store {
    /// Recovers the store in `root`, which is locked, and checks that this opener may use it.
    fn open(config: &Config, root: PathBuf, held: Arc<dyn HeldDir>, signals: Signals) -> Result<Arc<Self>> {
        let random = config.seed.map_or(Random::System, Random::seeded);
        let recovered = recovery::recover(config, &root, &random)?;
        let store = Arc::new(Self::new(config, root, held, recovered, random, signals));
        if let Err(refusal) = store.admit(config.control).and_then(|()| store.open_accounts(config)) {
            // Closes the store as if it had been open. If that fails, the next opening finds it as after a kill.
            store.calls.refuse();
            let _ = store.close();
            return Err(refusal);
        }
        store.wake_on_jumps();
        store.reserve.hold();
        Ok(store)
    }

    /// An empty store joins the first control store that opens it as a pool.
    fn admit(&self, control: Option<[u8; 16]>) -> Result<()> {
        let joined = self.registry.read().control();
        // Recovery has already refused an opener that may not use the store.
        let Some(control) = control.filter(|_| joined.is_none()) else { return Ok(()) };
        let op = Op::Registry(Change::Join { control });
        let lsn = self.lock_registry().record(Growth::Grows, &op, &mut [])?;
        self.wait_durable(lsn, Durability::Sync)
    }

    /// Checks that this is the process that opened the store.
    ///
    /// # Errors
    /// `Forked`.
    pub(crate) fn check_process(&self) -> Result<()> {
        if self.process.is_this() { Ok(()) } else { Err(self.forked()) }
    }

    /// The error for a call in a fork.
    pub(crate) fn forked(&self) -> Error {
        Error::Forked { opened_by: self.process.id() }
    }

    /// Checks that this is the process that opened the store and that its path still leads to it. If not, changes are
    /// refused, because another store may be at the path.
    ///
    /// # Errors
    /// `Forked`, `Displaced`.
    pub(crate) fn check_place(&self) -> Result<()> {
        self.check_process()?;
        // If the check itself fails, the next operation on the path reports the error.
        if !matches!(self.held.is_in_place(), Ok(false)) {
            return Ok(());
        }
        let displaced = Error::Displaced { path: self.root.clone() };
        // The accepted changes are in open files, wherever these are now.
        let _ = self.journal.wait_durable(self.journal.appended());
        self.journal.poison(&displaced.to_string());
        Err(displaced)
    }

    /// Wakes waiters and threads when a manual clock is moved, because messages may become claimable or due.
    fn wake_on_jumps(self: &Arc<Self>) {
        let store = Arc::downgrade(self);
        self.clock.source().on_jump(Box::new(move || {
            if let Some(store) = store.upgrade() {
                store.waiters.wake_all();
                store.signals.gc();
            }
        }));
    }
}

/// Takes the store's lock, and retries a few times if it is taken. When a process that had the store open is killed, a
/// child that it was just starting still shares its files, and so the lock, for an instant.
fn lock(config: &Config, root: &Path) -> Result<Box<dyn Send + Sync>> {
    for _ in 0..LOCK_TRIES {
        let lock = config.disk.lock(&root.join(LOCK)).map_err(|e| Error::io("locking the store", e))?;
        if let Some(lock) = lock {
            return Ok(lock);
        }
        crate::sync::thread::sleep(LOCK_PAUSE);
    }
    Err(Error::Locked { path: root.into() })
}

const LOCK: &str = "LOCK";
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
