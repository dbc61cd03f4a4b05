//! The engine: an open store behind a handle that is cheap to clone.

mod backing_up;
mod compacting;
mod metrics;
pub(crate) mod opening;
pub(crate) mod opening_paths;

use std::path::Path;
use std::sync::{Arc, Weak};

use crate::config::Config;
use crate::contract::{DataDriver, Queues};
use crate::engine::opening::Opened;
use crate::model::error::Result;
use crate::model::{Durability, Health};
use crate::state::op::Op;
use crate::storage::journal::Growth;
use crate::store::Store;
use crate::store::inspect::Inspection;
use crate::store::recovery::{LostMessages, RecoveryReport};
use crate::store::status::Status;
use crate::store::verify::Verification;

/// An open store. A clone is the same store; the last clone closes the store when it is dropped.
/// [`close`](Self::close) closes it at once and returns the errors of closing.
///
/// The contract's methods are reached through [`queues`](crate::DataDriver::queues),
/// [`messages`](crate::DataDriver::messages) and [`claims`](crate::DataDriver::claims). For work
/// with one queue at a time, [`Engine::queue`] gives a handle.
///
/// ```
/// use zaqar_sled::{ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
///
/// let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// assert_eq!(jobs.stats()?.total(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    opened: Arc<Opened>,
    durability: Durability,
}

/// An engine that does not keep its store open.
#[derive(Debug)]
pub(crate) struct WeakEngine {
    opened: Weak<Opened>,
    durability: Durability,
}

impl WeakEngine {
    pub(crate) fn upgrade(&self) -> Option<Engine> {
        Some(Engine { opened: self.opened.upgrade()?, durability: self.durability })
    }
}

impl Config {
    /// Opens the store in the directory `path`, and creates the store if the directory has none.
    ///
    /// Cost: after a clean close O(pages + queues): the trees are read. In every other case the
    /// snapshot and the journal are read, at more than 500 000 messages a second.
    ///
    /// Durability: a new store is on the disk when the call returns.
    ///
    /// # Errors
    /// [`is_busy`](crate::Error::is_busy) as [`AlreadyOpen`](crate::Error::AlreadyOpen) or
    /// [`Locked`](crate::Error::Locked) if this or another process has the store open;
    /// [`is_conflict`](crate::Error::is_conflict) as
    /// [`SettingsDiffer`](crate::Error::SettingsDiffer) if it is to be [`shared`](Self::shared)
    /// with other settings; [`is_corrupt`](crate::Error::is_corrupt) for damage, unless
    /// [`salvage`](Self::salvage) is set; [`UnsupportedFormat`](crate::Error::UnsupportedFormat)
    /// for a store in another format; [`Io`](crate::Error::Io), [`Trees`](crate::Error::Trees),
    /// [`is_full`](crate::Error::is_full). A failed opening leaves the store as it was.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk.clone()).open("store")?;
    /// let error = Config::new().disk(disk).open("store").unwrap_err();
    /// assert!(error.is_busy()); // it is open already
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<Engine> {
        Ok(Engine { opened: Opened::open(&self, path.as_ref())?, durability: self.durability })
    }
}

impl Engine {
    /// Opens the store in the directory `path` with the default [`Config`], and creates the store if
    /// the directory has none.
    ///
    /// Cost: as [`Config::open`].
    ///
    /// Durability: a new store is on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::open`].
    ///
    /// # Example
    ///
    /// ```
    /// let directory = tempfile::tempdir()?;
    /// let engine = zaqar_sled::Engine::open(directory.path().join("store"))?;
    /// assert_eq!(engine.recovery().source(), zaqar_sled::RecoverySource::New);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Config::new().open(path)
    }

    /// The queue controller of [`DataDriver`] and of [`ControlDriver`](crate::ControlDriver). With
    /// this method a call need not name the trait.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert_eq!(engine.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &dyn Queues {
        self
    }

    /// Tries every kind of operation, as [`DataDriver::health`] does.
    ///
    /// Cost: that of 20 changes with 100 messages, and O(queues).
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed); failures of single operations are in the answer.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.health()?.storage_reachable());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn health(&self) -> Result<Health> {
        DataDriver::health(self)
    }

    /// Closes the store for all its handles, as [`DataDriver::close`] does. A second call returns
    /// the same result as the first.
    ///
    /// Cost: O(messages that are not in the page files yet, and changes of the directory since the
    /// last checkpoint).
    ///
    /// Durability: after a success, everything acknowledged at any durability is on the disk.
    ///
    /// # Errors
    /// the failure that kept the store from being closed cleanly. The store is closed anyway, and
    /// no acknowledged change is lost. [`Forked`](crate::Error::Forked) in a fork of the process
    /// that opened the store.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// engine.close()?;
    /// assert!(!engine.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.shut_down()
    }

    /// The same store, with another durability for the changes made through the returned handle.
    ///
    /// Cost: one reference count.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let quick = engine.with_durability(Durability::Buffered);
    /// let metrics = quick.queue(Project::none(), "metrics")?;
    /// metrics.create(Metadata::new())?; // returns without a sync
    /// assert!(engine.queue(Project::none(), "metrics")?.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { opened: self.opened.clone(), durability }
    }

    /// The report of the opening: what recovery found and did.
    ///
    /// Cost: none: the report is kept from the opening.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert_eq!(engine.recovery().source(), RecoverySource::New);
    /// assert!(engine.recovery().notes().is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn recovery(&self) -> &RecoveryReport {
        &self.store().report
    }

    /// The sizes, the lag of syncs and checkpoints, and the health of the store at this instant.
    /// Works also on a poisoned store and on a closed one.
    ///
    /// Cost: O(journal segments), no I/O. The figures of the last checkpoint and snapshot are 0 while
    /// one is written.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert_eq!(engine.status().queues(), 0);
    /// assert_eq!(engine.status().poisoned(), None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn status(&self) -> Status {
        Status::of(self.store())
    }

    /// Checks the running store against itself: recounts every counter, index, deadline and claim,
    /// and compares the state in memory with the state in the trees. Disagreements are in the
    /// result, and are not errors.
    ///
    /// Cost: O(messages): reads every page from disk. Each queue is locked while it is recounted.
    ///
    /// Durability: changes nothing.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed); [`is_corrupt`](crate::Error::is_corrupt),
    /// [`Trees`](crate::Error::Trees) or [`Io`](crate::Error::Io) if the store cannot be read.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let verification = engine.verify()?;
    /// assert!(verification.is_sound());
    /// assert_eq!(verification.messages(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Verification> {
        Verification::of(self.store())
    }

    /// Makes every change durable that was acknowledged before the call, whatever the durability of
    /// the calls: many [`Buffered`](crate::Durability::Buffered) calls and one sync are as safe as
    /// calls at [`Sync`](crate::Durability::Sync), and wait for the disk once.
    ///
    /// Cost: one `fdatasync`, which the call shares with other calls; none if there is nothing to sync.
    ///
    /// Durability: everything that was acknowledged is durable when the call returns.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), [`is_poisoned`](crate::Error::is_poisoned);
    /// [`is_outcome_unknown`](crate::Error::is_outcome_unknown) if the sync fails.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let quick = engine.with_durability(Durability::Buffered);
    /// let orders = quick.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// engine.sync()?;
    /// assert_eq!(engine.status().unsynced(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn sync(&self) -> Result<()> {
        self.store().enter()?.wait_seen_durable(Durability::Sync)
    }

    /// Writes what changed since the last checkpoint into the trees, now instead of when the engine
    /// would do it.
    ///
    /// Cost: O(pages and queues that changed since the last checkpoint). Other calls continue
    /// meanwhile.
    ///
    /// Durability: the trees are synced when the call returns.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), [`is_full`](crate::Error::is_full),
    /// [`Trees`](crate::Error::Trees), [`Io`](crate::Error::Io);
    /// [`Displaced`](crate::Error::Displaced) if the store's directory was moved away. A failure
    /// loses nothing: the journal still has the changes.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// engine.checkpoint()?;
    /// assert!(engine.status().checkpoint_lsn() > 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn checkpoint(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        let mut housekeeping = store.housekeeping.lock();
        store.reserve.hold_durably();
        if store.reserve.is_short() {
            let cause = std::io::ErrorKind::StorageFull.into();
            return Err(crate::Error::io("a checkpoint would take the space that removals need", cause));
        }
        store.checkpoint(&mut housekeeping)
    }

    /// Writes a snapshot and frees the journal before it, now instead of when the engine would do it. A
    /// snapshot is one file with the directory of the store: queues, claims, and the places of all
    /// pages in the page files. Pages that are not in a page file yet are written first.
    ///
    /// Cost: O(queues + pages), plus the messages that are not in page files yet. Other calls
    /// continue meanwhile.
    ///
    /// Durability: the page files and the snapshot are synced when the call returns.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), [`is_poisoned`](crate::Error::is_poisoned),
    /// [`is_full`](crate::Error::is_full), [`Io`](crate::Error::Io);
    /// [`Displaced`](crate::Error::Displaced) if the store's directory was moved away. After a
    /// failure the former snapshot stays in use.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// engine.snapshot()?;
    /// assert!(engine.status().snapshot_lsn() > 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn snapshot(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        let mut housekeeping = store.housekeeping.lock();
        store.write_snapshot(&mut housekeeping)
    }

    /// Deletes the messages of every page that is known to be
    /// [damaged](crate::Status::damaged_pages), in one change for each queue. Returns how many
    /// messages of which queue these were.
    ///
    /// If the journal still has the messages, opening the store again restores them: do that first.
    ///
    /// Cost: O(queues + damaged pages).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of every change. The change of a queue before the failure stays in effect.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.verify()?.is_sound()); // reads every page, and so finds damaged ones
    /// assert_eq!(engine.status().damaged_pages(), 0);
    /// assert!(engine.drop_damaged()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn drop_damaged(&self) -> Result<Vec<LostMessages>> {
        let store = self.store().enter()?;
        let (mut dropped, mut last) = (Vec::new(), None);
        for slot in store.slots() {
            let Some(mut queue) = store.lock_as_is(&slot) else { continue };
            let ranges = queue.state().damaged_ranges();
            let (_, messages) = queue.count_damaged();
            if messages == 0 {
                continue;
            }
            let op = Op::DropDamaged { queue: queue.number(), ranges };
            last = Some(queue.record(Growth::Frees, &op)?);
            let (project, queue) = (queue.project().clone(), queue.name().clone());
            dropped.push(LostMessages::new(project, queue, messages));
        }
        if last.is_some() {
            // The dropped pages may have prevented a snapshot.
            store.signals.housekeeping();
        }
        last.map_or(Ok(()), |lsn| store.wait_durable(lsn, self.durability()))?;
        Ok(dropped)
    }

    /// Does each kind of background work once: sync, collect expired messages, evict pages,
    /// prepare the next journal segment, and write a checkpoint or a snapshot if one is due. For
    /// engines opened with [`Config::background`]`(false)`.
    ///
    /// Cost: that of the work that is due.
    ///
    /// Durability: after a success, every change that was acknowledged before the call is on the
    /// disk, at any durability.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), and those of the single steps. A step that failed is
    /// tried again by the next call.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).background(false).open("store")?;
    /// engine.step()?;
    /// assert_eq!(engine.status().unsynced(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn step(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        store.journal.sync_unwaited()?;
        store.collect();
        store.evict()?;
        // When disk space is short, housekeeping frees some.
        let prepared = store.journal.prepare_spare(&mut |_| {});
        let kept = store.housekeep();
        store.admit_waiting();
        kept.and(prepared)
    }

    /// Reads the snapshot and the journal of a store into memory without opening the store. Writes
    /// nothing, takes no lock and does not read the trees.
    ///
    /// The store may be open, in this or another process: the result is the store at one instant
    /// during the call. A finding that a change of the store could explain is read again. Messages in
    /// page files are read later, when the [`Inspection`] is asked for them. A backup is read in the same way.
    ///
    /// Cost: O(what the snapshot and the journal hold), a few times if the store changes meanwhile.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the directory has no store;
    /// [`is_corrupt`](crate::Error::is_corrupt) for damage;
    /// [`is_busy`](crate::Error::is_busy) if the store is in use and changes faster than it can be
    /// read; [`UnsupportedFormat`](crate::Error::UnsupportedFormat) for a store in another format;
    /// [`Io`](crate::Error::Io).
    ///
    /// # Example
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// drop(zaqar_sled::Engine::open(path)?);
    /// assert!(zaqar_sled::Engine::inspect(path)?.queues().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection> {
        let disk: Arc<dyn crate::disk::Disk> = Arc::new(crate::disk::RealDisk);
        Inspection::of(&disk, path.as_ref())
    }

    /// A weak handle, which does not keep the store open.
    pub(crate) fn downgrade(&self) -> WeakEngine {
        WeakEngine { opened: Arc::downgrade(&self.opened), durability: self.durability }
    }

    /// Whether both are one open store.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.opened, &other.opened)
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.opened.store
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn shut_down(&self) -> Result<()> {
        self.opened.close()
    }
}
