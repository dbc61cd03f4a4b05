//! Import of an export of a pooled driver: a control store, and a store for each pool in a directory.
//!
//! 1. Every store is marked as unfinished before it is opened. The stores of the pools count before the control store,
//!    because that one alone opens the others.
//! 2. A queue is recorded in the control store and made in its pool before its content is taken in. The order does not
//!    matter to a store that does not count yet, so nothing is synced in between.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PooledDriver;
use super::exporting::is_out_of_reach;
use crate::config::Config;
use crate::contract::Pools;
use crate::data::ExportReport;
use crate::data::import::{Importer, LineReader, NewQueueLine, Target, check_queue, checked_header, filling};
use crate::disk::Disk;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{NewPool, PoolName, PoolUri, Project, QueueName};
use crate::state::op::{NewQueue, Op};
use crate::state::{Description, Queue};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::backup::{begin, check_apart, check_own, finish, give_up, incarnation_above, moved_uri};
use crate::store::random::Random;
use crate::store::{Place, QueueSlot};

impl PooledDriver {
    /// Makes the stores of a driver of an export, as [`Config::import_pooled`](crate::Config::import_pooled) does.
    ///
    /// Cost: as [`Config::import_pooled`](crate::Config::import_pooled).
    ///
    /// Durability: the stores are on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::import_pooled`](crate::Config::import_pooled).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let mut lines = Vec::new();
    /// PooledDriver::open(path("control"))?.export(&mut lines)?;
    /// PooledDriver::import(path("copy"), lines.as_slice(), [])?;
    /// assert!(PooledDriver::open(path("copy"))?.verify()?.is_sound());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn import(
        path: impl AsRef<Path>,
        reader: impl Read,
        pools: impl IntoIterator<Item = (PoolName, PathBuf)>,
    ) -> Result<ExportReport> {
        Config::new().import_pooled(path, reader, pools)
    }
}

impl Config {
    /// Makes the stores of a pooled driver of the [export](PooledDriver::export) that `reader` gives: the control store
    /// in the directory `path`, and the store of each pool in the directory that `pools` has for it, or else in the one
    /// that its URI names. All these directories are created if they are missing, and must else be empty.
    ///
    /// The directories must be apart: none in another. The URIs of the pools in `pools` are those of the new directories.
    /// A queue with messages that is in no pool, as a driver with a
    /// [virtual pool](Self::virtual_pool) has it, is in the control store. A pool in memory is empty, as after every
    /// opening. Everything else is as in [`import`](Self::import).
    ///
    /// Cost: that of [`import`](Self::import) for each store.
    ///
    /// Durability: the stores are on the disk when the call returns.
    ///
    /// # Errors
    /// as [`import`](Self::import), for each directory; [`is_invalid`](crate::Error::is_invalid) for a pool that is not
    /// in the export, or has no directory there. After a failure there is no store. If the process ends in the last step, the directories of pools
    /// may have one, which has to be removed before the next attempt.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let config = Config::new().disk(disk);
    /// # let driver = config.clone().open_pooled("/control")?;
    /// let one = PoolName::new("one")?;
    /// driver.pools().create(&one, &NewPool::new("sled:/one".parse()?))?;
    /// let mut lines = Vec::new();
    /// driver.export(&mut lines)?;
    ///
    /// // The pool's directory has the store of the original.
    /// let taken = config.clone().import_pooled("/copy", lines.as_slice(), []).unwrap_err();
    /// assert!(taken.is_invalid());
    /// let places = [(one.clone(), "/copy-one".into())];
    /// config.clone().import_pooled("/copy", lines.as_slice(), places)?;
    /// let copy = config.open_pooled("/copy")?;
    /// assert_eq!(copy.pools().get(&one, true)?.uri().as_str(), "sled:/copy-one");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn import_pooled(
        self,
        path: impl AsRef<Path>,
        mut reader: impl Read,
        pools: impl IntoIterator<Item = (PoolName, PathBuf)>,
    ) -> Result<ExportReport> {
        let mut lines = LineReader::new(&mut reader);
        let header = checked_header(&mut lines, true)?;
        let incarnation = incarnation_above(header.incarnation)?;
        let disk = self.disk.clone();
        let path = absolute(path.as_ref())?;
        let pools = pools.into_iter().map(|(name, place)| Ok((name.to_string(), absolute(&place)?)));
        let moved: BTreeMap<String, PathBuf> = pools.collect::<Result<_>>()?;
        let (config, store) = filling(self);
        begin(&disk, &path, store, incarnation)?;
        let begun = RefCell::new(vec![(path.clone(), store)]);
        let fill = || {
            let driver = config.open_pooled(&path)?;
            check_own(&disk, &path, store)?;
            let target = PooledTarget { driver: &driver, disk: &disk, moved: &moved, incarnation, begun: &begun };
            let report = Importer::new(&target, &header, incarnation).run(&mut lines)?;
            target.check_moved()?;
            driver.shared().engines().iter().try_for_each(Engine::snapshot)?;
            driver.close()?;
            // The control store last.
            begun.borrow().iter().rev().try_for_each(|(place, store)| finish(&disk, place, *store))?;
            Ok(report)
        };
        fill().inspect_err(|_| begun.borrow().iter().for_each(|(place, store)| give_up(&disk, place, *store)))
    }
}

/// A driver whose stores are being filled.
struct PooledTarget<'a> {
    driver: &'a PooledDriver,
    /// The disk on which the stores do not count yet.
    disk: &'a Arc<dyn Disk>,
    /// The places of pools that get others than those of the export.
    moved: &'a BTreeMap<String, PathBuf>,
    incarnation: u32,
    /// The directories and ids of the stores, the control store's first.
    begun: &'a RefCell<Vec<(PathBuf, [u8; 16])>>,
}

impl PooledTarget<'_> {
    /// Checks that every pool that was to get another place is there.
    fn check_moved(&self) -> Result<()> {
        let registry = self.control().store().registry.read();
        let has_place = |name: &str| {
            let row = registry.pools.get(name.as_bytes());
            row.is_some_and(|row| PoolUri::new(&row.uri).is_ok_and(|uri| uri.directory().is_some()))
        };
        match self.moved.keys().find(|name| !has_place(name)) {
            Some(name) => Err(Error::invalid("pools", format!("the export has no pool {name:?} in a directory"))),
            None => Ok(()),
        }
    }

    /// The engine of the store that has the content of the queue with that key: of its pool, or of the control store if
    /// it has none. `has_content`: an error if no store would keep any.
    fn engine_of(&self, key: &[u8], has_content: bool) -> Result<Engine> {
        let shared = self.driver.shared();
        let control = self.control();
        let (mapping, is_lost) = {
            let registry = control.store().registry.read();
            (registry.catalogue.get(key).cloned(), is_out_of_reach(&registry, key))
        };
        if has_content && is_lost {
            return Err(Error::invalid("queue", "it has content, and is in a pool that keeps none"));
        }
        match mapping.filter(|_| !is_lost) {
            Some(mapping) => Ok(shared.pool(mapping.pool.as_str())?.engine().clone()),
            None => Ok(control.clone()),
        }
    }

    /// Records the queue in the control store.
    fn record(&self, key: &[u8], new: &NewQueueLine) -> Result<Arc<QueueSlot>> {
        let store = self.control().store();
        let (text, description) = check_queue(self.control(), new)?;
        let Place::Free(mut directory) = store.lock_place(key)? else {
            return Err(Error::invalid("queue", "it is there already"));
        };
        let (number, project, name) = (new.number, &new.project, &new.name);
        let mut registry = store.lock_registry();
        let mut queue = Queue::new(number, project.clone(), name.clone(), description, 0, &store.budget);
        let record = NewQueue::new(number, project, name, &text);
        let op = match registry.catalogue.get(key).cloned() {
            Some(mapping) => Op::Register { new: record, pool: mapping.pool.to_string().into(), least_incarnation: 0 },
            None => Op::CreateQueue(record),
        };
        registry.record(Growth::Grows, &op, &mut [&mut queue])?;
        drop(registry);
        let slot = directory.insert(queue, &store.budget);
        store.note_changed(&slot);
        Ok(slot)
    }
}

/// Makes the queue's side in the store of a pool.
fn make_side(pool: &Engine, key: &[u8], new: &NewQueueLine) -> Result<Arc<QueueSlot>> {
    let store = pool.store();
    let Place::Free(mut directory) = store.lock_place(key)? else {
        return Err(Error::invalid("queue", "its pool has it already"));
    };
    let (number, project, name) = (new.number, &new.project, &new.name);
    let op = Op::CreateQueue(NewQueue::new(number, project, name, "{}"));
    let lsn = store.append(Growth::Grows, store.now(), &op)?;
    let description = Description::default().shared();
    let queue = Queue::new(number, project.clone(), name.clone(), description, lsn, &store.budget);
    let slot = directory.insert(queue, &store.budget);
    store.note_changed(&slot);
    Ok(slot)
}

impl Target for PooledTarget<'_> {
    fn control(&self) -> &Engine {
        &self.driver.shared().control
    }

    fn create_pool(&self, name: &PoolName, pool: &NewPool) -> Result<()> {
        let Some(directory) = pool.uri.directory() else { return Pools::create(self.driver, name, pool) };
        let (place, uri) = match self.moved.get(name.as_str()) {
            Some(place) => (place.clone(), moved_uri(pool.uri.as_str(), place)?.parse()?),
            None => (directory.to_owned(), pool.uri.clone()),
        };
        let taken: Vec<PathBuf> = self.begun.borrow().iter().map(|(place, _)| self.disk.canonical(place)).collect();
        check_apart(&**self.disk, &taken, &place)?;
        let store = Random::System.uuid().into_bytes();
        begin(self.disk, &place, store, self.incarnation)?;
        self.begun.borrow_mut().push((place.clone(), store));
        Pools::create(self.driver, name, &NewPool { uri, ..pool.clone() })?;
        self.driver.shared().pool(name.as_str())?;
        check_own(self.disk, &place, store)
    }

    fn create_queue(&self, new: &NewQueueLine) -> Result<(Engine, Arc<QueueSlot>)> {
        let key = keys::queue(&new.project, &new.name);
        let engine = self.engine_of(&key, new.has_messages)?;
        let record = self.record(&key, new)?;
        if engine.is_same(self.control()) || !new.has_history {
            return Ok((self.control().clone(), record));
        }
        let slot = make_side(&engine, &key, new)?;
        Ok((engine, slot))
    }

    fn store_of_subscriptions(&self, project: &Project, name: &QueueName) -> Result<Engine> {
        let key = keys::queue(project, name);
        let is_mapped = self.control().store().registry.read().catalogue.contains(&key);
        // Those of a name without a mapping are in the control store.
        self.engine_of(&key, is_mapped)
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("the store's path", e))
}
