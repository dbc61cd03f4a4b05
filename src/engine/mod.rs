//! The engine: a store that is open, behind a handle that is cheap to clone.

pub(crate) mod opening;
pub(crate) mod places;

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
use crate::store::recovery::RecoveryReport;
use crate::store::status::{DroppedMessages, Status};
use crate::store::verify::Verification;

/// An open store. Clones are the same store; the last one closes it when dropped, and [`close`](Self::close)
/// does so at once and tells of errors.
///
/// The contract's methods are reached through [`queues`](crate::DataDriver::queues),
/// [`messages`](crate::DataDriver::messages) and [`claims`](crate::DataDriver::claims), or, for one queue, through
/// [`Engine::queue`].
///
/// ```
/// use zaqar_sled::{ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
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
    /// Opens the store in the directory `path`, making it if there is none.
    ///
    /// # Errors
    /// `AlreadyOpen` and `Locked` if it is in use ([`is_busy`](crate::Error::is_busy)), `SettingsDiffer`, `Corrupt`, `UnsupportedFormat`,
    /// `Io`, `StorageFull`. A store that could not be opened is as it was.
    ///
    /// Cost: after a clean close the trees are read, after anything else snapshot and journal, at more than 500 000
    /// messages a second.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Engine> {
        Ok(Engine { opened: Opened::open(&self, path.as_ref())?, durability: self.durability })
    }
}

impl Engine {
    /// Opens the store in the directory `path` with the default [`Config`], making it if there is none.
    ///
    /// # Errors
    /// As [`Config::open`].
    ///
    /// ```
    /// let directory = tempfile::tempdir()?;
    /// let engine = zaqar_sled::Engine::open(directory.path().join("store"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Config::new().open(path)
    }

    /// The queue controller, which [`DataDriver`] and [`ControlDriver`](crate::ControlDriver) share.
    ///
    /// ```
    /// # use zaqar_sled::{Config, Project, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// assert_eq!(engine.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &dyn Queues {
        self
    }

    /// As [`DataDriver::health`].
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// assert!(engine.health()?.storage_reachable());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn health(&self) -> Result<Health> {
        DataDriver::health(self)
    }

    /// As [`DataDriver::close`].
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// engine.close()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.shut_down()
    }

    /// The same store with another default for what calls survive. Cost: a reference.
    ///
    /// ```
    /// # use zaqar_sled::{Config, DataDriver, Durability, Metadata, Project, QueueName, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// let quick = engine.with_durability(Durability::Buffered);
    /// quick.queues().create(&Project::none(), &QueueName::new("metrics")?, &Metadata::new())?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { opened: self.opened.clone(), durability }
    }

    /// What opening the store found and did.
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// println!("{}", engine.recovery());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn recovery(&self) -> &RecoveryReport {
        &self.store().report
    }

    /// Sizes, lag and health, as they are now. Works on a poisoned and on a closed store. Cost: O(journal segments).
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// assert_eq!(engine.status().queues(), 0);
    /// assert_eq!(engine.status().poisoned(), None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn status(&self) -> Status {
        Status::of(self.store())
    }

    /// Derives every counter, index, deadline and claim hold again and compares them with the state, and the state with
    /// what a checkpoint left in the trees.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), and those of reading the trees. What does not agree is in the result.
    /// Cost: reads everything; each queue is locked while it is recounted.
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// assert!(engine.verify()?.is_sound());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Verification> {
        Verification::of(self.store())
    }

    /// Writes what changed since the last checkpoint into the trees, now instead of when the engine would.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), `Trees`, `Io`, `StorageFull`. Nothing is lost by a failure.
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// engine.checkpoint()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn checkpoint(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        let mut housekeeping = store.housekeeping.lock();
        store.checkpoint(&mut housekeeping)
    }

    /// Writes a snapshot, the whole state in one file, and lets go of the journal before it, now instead of when the engine
    /// would.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), [`is_poisoned`](crate::Error::is_poisoned), `Io`, `StorageFull`. The former snapshot stays.
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// engine.snapshot()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn snapshot(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        let mut housekeeping = store.housekeeping.lock();
        store.write_snapshot(&mut housekeeping)
    }

    /// Gives up the messages of every page that is known to be [damaged](crate::Status::damaged_pages): they are deleted, as
    /// one change a queue. Returns how many they were in which queue.
    ///
    /// Where the journal still has them, opening the store again restores them: do that first.
    ///
    /// # Errors
    /// Those of a deletion. Queues done before stay done.
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// let verification = engine.verify()?; // Reads every page.
    /// assert!(verification.is_sound());
    /// assert_eq!(engine.status().damaged_pages(), 0);
    /// assert!(engine.drop_damaged()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn drop_damaged(&self) -> Result<Vec<DroppedMessages>> {
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
            dropped.push(DroppedMessages { project, queue, messages });
        }
        last.map_or(Ok(()), |lsn| store.wait_durable(lsn, self.durability()))?;
        Ok(dropped)
    }

    /// One step of everything the background threads do: sync, prepare the next segment, collect, evict, checkpoint and snapshot
    /// if due. For engines opened with [`Config::background`]`(false)`.
    ///
    /// # Errors
    /// Those of the steps; what one could not do is tried again by the next.
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).background(false).open("store")?;
    /// engine.step()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn step(&self) -> Result<()> {
        let store = self.store().enter()?;
        store.check_place()?;
        store.journal.sync_unwaited()?;
        store.collect();
        store.evict()?;
        // Where space is short, housekeeping is what makes room.
        let prepared = store.journal.prepare_spare(&mut |_| {});
        store.housekeep()?;
        prepared
    }

    /// Reads a store without opening it: snapshot and journal into memory. Writes nothing and does not touch the trees.
    ///
    /// Meant for a store that nobody has open: what a running engine is writing may be seen half way.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedFormat`, `Io`; [`is_invalid`](crate::Error::is_invalid) when there is no store.
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

    /// A way back to the store while somebody else has it open.
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
