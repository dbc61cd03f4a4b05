//! Opening, distinguishing and closing the stores of pools.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::contract::DataDriver;
use crate::control::next_incarnation;
use crate::disk::SimulatedDisk;
use crate::engine::{Engine, WeakEngine};
use crate::model::error::{Error, Result};
use crate::model::{Durability, Location, Metadata, PoolName, PoolUri};
use crate::state::PoolRow;
use crate::state::op::{Change, Op};
use crate::storage::codec::crc32;
use crate::storage::journal::Growth;
use crate::storage::manifest::Manifest;
use crate::store::recovery;

use super::PooledDriver;
use super::pool::Pool;
use super::shared::Shared;

impl Shared {
    /// The pool of that name, its store open.
    pub(super) fn pool(&self, name: &str) -> Result<Arc<Pool>> {
        if let Some(pool) = self.pools.open.read().get(name) {
            return Ok(pool.clone());
        }
        let unavailable = |source: Arc<Error>| match PoolName::new(name) {
            Ok(pool) => Error::PoolUnavailable { pool, source },
            Err(error) => error,
        };
        let _one = self.pools.opening.lock();
        let _call = self.enter()?;
        if let Some(pool) = self.pools.open.read().get(name) {
            return Ok(pool.clone());
        }
        let row = self.control.store().registry.read().pools.get(name.as_bytes()).cloned();
        let Some(row) = row else { return Err(Error::PoolDoesNotExist { pool: PoolName::new(name)? }) };
        if let Some(error) = self.pools.failure(name) {
            return Err(unavailable(error));
        }
        match self.open_pool(name, &row) {
            Ok(pool) => {
                self.pools.failed.lock().remove(name);
                let pool = Arc::new(pool);
                self.count_pool(&pool);
                self.pools.open.write().insert(name.to_owned(), pool.clone());
                Ok(pool)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.pools.failed.lock().insert(name.to_owned(), (Instant::now(), error.clone()));
                Err(unavailable(error))
            }
        }
    }

    fn open_pool(&self, name: &str, row: &PoolRow) -> Result<Pool> {
        let uri = PoolUri::new(&row.uri)?;
        let (durability, memory) = uri.settings(&Metadata::from_json(&row.options)?)?;
        let control = self.control.store();
        let (control, time) = (Some(control.id()), Some(control.clock.clone()));
        let mut config = Config { control, time, known_store: row.store, pooled: false, ..self.config.clone() };
        config = config.shared(false).memory(memory.unwrap_or(self.config.memory));
        // Stores that repeat their ids from run to run must not repeat each other's, nor those of an earlier opening.
        let opening = self.pools.openings.fetch_add(1, Ordering::Relaxed) << 40;
        let own = opening.wrapping_add(1 + (u64::from(crc32(name.as_bytes())) << 8));
        config.seed = config.seed.map(|seed| seed.wrapping_add(own));
        if config.salvage {
            config.names = Arc::new(self.queues_of(name));
        }
        let engine = match uri.location() {
            Location::Default(_) => self.control.clone(),
            Location::Directory(path) => {
                // Checked first, because another store or an empty directory must stay unchanged.
                self.check_store(path, row.store)?;
                let engine = self.open_directory(config, path)?;
                self.keep_store(name, row, path, &engine)?;
                engine
            }
            Location::Memory(_) => config.disk(Arc::new(SimulatedDisk::memory())).open(Path::new("/memory"))?,
        };
        engine.store().belong_to(self.control.store());
        // The control store too: its sequences have to continue above those of the pool's former store.
        self.allot_incarnation(&engine)?;
        let location = uri.location().clone();
        Ok(Pool { name: name.to_owned(), engine, location, durability, retired: AtomicBool::new(false) })
    }

    /// The queues that are mapped to a pool, by their numbers: under which key.
    fn queues_of(&self, name: &str) -> BTreeMap<u64, Vec<u8>> {
        let registry = self.control.store().registry.read();
        let mapped = registry.catalogue.iter().filter(|(_, mapping)| mapping.pool.as_str() == name);
        mapped.filter_map(|(key, mapping)| Some((mapping.queue?, key.to_vec()))).collect()
    }

    /// Checks that a directory has the pool's known store. If its manifest cannot be read, the opening reports that.
    fn check_store(&self, path: &Path, kept: Option<[u8; 16]>) -> Result<()> {
        let Some(kept) = kept else { return Ok(()) };
        let disk = &*self.config.disk;
        let wrong = |other| Err(Error::WrongStore { path: path.into(), other });
        match Manifest::load(disk, path) {
            Ok(Some(manifest)) if manifest.store != kept => wrong(true),
            Ok(Some(_)) | Err(_) => Ok(()),
            // A store that has lost its manifest is damaged, and not missing.
            Ok(None) if recovery::has_lost_manifest(disk, path) => Ok(()),
            Ok(None) => wrong(false),
        }
    }

    /// Stores the id of a pool's store durably, before anything is added to that store.
    fn keep_store(&self, name: &str, row: &PoolRow, path: &Path, engine: &Engine) -> Result<()> {
        let store = engine.store().id();
        if let Some(kept) = row.store {
            return if kept == store { Ok(()) } else { Err(Error::WrongStore { path: path.into(), other: true }) };
        }
        let control = self.control.store();
        let lsn = {
            let mut registry = control.lock_registry();
            if registry.pools.get(name.as_bytes()) != Some(row) {
                return Err(Error::Unavailable { reason: "the pool has been changed meanwhile".into() });
            }
            let change = Change::KeepStore { name: name.into(), store };
            registry.record(Growth::Frees, &Op::Registry(change), &mut [])?
        };
        control.wait_durable(lsn, Durability::Sync)
    }

    /// Abandons a pool's store and creates another.
    fn renew_pool(&self, name: &PoolName) -> Result<()> {
        let _call = self.enter()?;
        self.pools.forget_failures();
        match self.pool(name.as_str()) {
            Ok(_) => return Err(Error::invalid("pool", "its store is where it should be")),
            Err(Error::PoolUnavailable { source, .. }) if matches!(*source, Error::WrongStore { other: false, .. }) => {
            }
            Err(error) => return Err(error),
        }
        let control = self.control.store();
        let change = Change::GiveUpStore { name: name.as_str().into() };
        let lsn = control.lock_registry().record(Growth::Frees, &Op::Registry(change), &mut [])?;
        control.wait_durable(lsn, Durability::Sync)?;
        self.pools.forget_failures();
        self.pool(name.as_str())?;
        self.signal_relay();
        Ok(())
    }

    /// Opens the store in a directory. If another pool had the directory until now, uses that
    /// pool's open store or waits for its close.
    fn open_directory(&self, config: Config, path: &Path) -> Result<Engine> {
        let former = self.pools.former.lock().remove(path);
        if let Some(engine) = former.as_ref().and_then(WeakEngine::upgrade) {
            return Ok(engine);
        }
        let deadline = former.and(Instant::now().checked_add(CLOSING));
        loop {
            match config.clone().open(path) {
                Err(error) if error.is_busy() && deadline.is_some_and(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened,
            }
        }
    }

    /// Assigns an incarnation to a store that no other store has had.
    pub(super) fn allot_incarnation(&self, engine: &Engine) -> Result<()> {
        let control = self.control.store();
        let (lsn, incarnation) = {
            let mut registry = control.lock_registry();
            let incarnation =
                next_incarnation(control, &registry)?.max(engine.store().context.incarnation.saturating_add(1));
            let op = Op::Registry(Change::Allot { incarnation });
            (registry.record(Growth::Frees, &op, &mut [])?, incarnation)
        };
        control.wait_durable(lsn, Durability::Sync)?;
        engine.store().raise_incarnation(incarnation);
        Ok(())
    }

    /// Updates the open stores after a change of the pools: closes the stores of moved and removed pools.
    pub(super) fn refresh_pools(&self) {
        // Closing a store takes time, so its last handle is dropped when no lock is held.
        let mut dropped = Vec::new();
        // While this is held, no other thread opens or closes a pool's store.
        let _one = self.pools.opening.lock();
        self.pools.forget_failures();
        for pool in self.pools.open() {
            let row = self.control.store().registry.read().pools.get(pool.name.as_bytes()).cloned();
            let uri = row.as_ref().and_then(|row| PoolUri::new(&row.uri).ok());
            if uri.as_ref().is_none_or(|uri| *uri.location() != pool.location) {
                pool.retired.store(true, Ordering::SeqCst);
                if let Location::Directory(path) = &pool.location {
                    self.pools.former.lock().insert(path.clone(), pool.engine.downgrade());
                }
                dropped.extend(self.pools.open.write().remove(&pool.name));
                self.discount_pool(&pool);
                dropped.push(pool);
                continue;
            }
            let options = row.and_then(|row| Metadata::from_json(&row.options).ok()).unwrap_or_default();
            let durability = uri.and_then(|uri| uri.settings(&options).ok()).and_then(|(durability, _)| durability);
            if durability != pool.durability {
                // Calls that hold the old entry continue in the same store.
                let again = pool.again(durability);
                pool.retired.store(true, Ordering::SeqCst);
                dropped.extend(self.pools.open.write().insert(pool.name.clone(), Arc::new(again)));
            }
            dropped.push(pool);
        }
        self.sides.clear();
        // A pool that is back may have something to deliver or to remove, and messages that calls wait for.
        self.control.store().waiters.wake_all();
        self.signal_relay();
    }

    /// Opens the pool that the queue of that key is mapped to, if that is possible, for a call that uses the pool under a
    /// lock later.
    pub(super) fn open_pool_of(&self, key: &[u8]) {
        let mapping = self.control.store().registry.read().catalogue.get(key).cloned();
        if let Some(mapping) = mapping {
            drop(self.pool(mapping.pool.as_str()));
        }
    }

    /// The pools that are registered, by name, each with its open store or why there is none.
    pub(super) fn all_pools(&self) -> Vec<(String, Result<Arc<Pool>>)> {
        let names: Vec<String> = {
            let registry = self.control.store().registry.read();
            registry.pools.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
        };
        names.into_iter().map(|name| (name.clone(), self.pool(&name))).collect()
    }

    /// Whether every pool's store is open and takes changes.
    pub(super) fn all_alive(&self) -> bool {
        let alive = |pool: Result<Arc<Pool>>| pool.is_ok_and(|pool| pool.engine().is_alive());
        self.control.is_alive() && self.all_pools().into_iter().all(|(_, pool)| alive(pool))
    }
}

impl PooledDriver {
    /// Creates a new, empty store for a pool whose directory is missing or empty, because the
    /// content of the pool is lost permanently: its disk broke, for example.
    ///
    /// Without this call, calls on the pool's queues fail with
    /// [`PoolUnavailable`](crate::Error::PoolUnavailable) ([`is_busy`](crate::Error::is_busy)),
    /// whose source is [`WrongStore`](crate::Error::WrongStore). So a disk that is only not mounted
    /// is never treated as an empty one.
    ///
    /// The pool's queues stay and are empty: their messages, claims and subscriptions are lost, and
    /// so are dead letters that were on their way out of the pool. No id is assigned again. If the
    /// former store comes back later, the driver refuses it.
    ///
    /// Cost: that of creating a store.
    ///
    /// Durability: durable when the call returns, whatever the driver's durability.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) for a pool that is not registered;
    /// [`is_invalid`](crate::Error::is_invalid) if the pool's store is there;
    /// [`is_busy`](crate::Error::is_busy) as [`PoolUnavailable`](crate::Error::PoolUnavailable) if
    /// the store cannot be reached for another reason, for example because the directory has
    /// another store, which has to be moved away first; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// let one = PoolName::new("one")?;
    /// driver.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// assert!(driver.health()?.storage_reachable());
    /// assert!(driver.renew_pool(&one).unwrap_err().is_invalid()); // the store is there
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn renew_pool(&self, name: &PoolName) -> Result<()> {
        self.shared().renew_pool(name)
    }
}

/// The time that a store may take to close.
const CLOSING: Duration = Duration::from_secs(2);
