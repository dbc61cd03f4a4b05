//! The pooled driver: the data driver's contract over several stores (contract 12).
//!
//! The control store has the queues' records, the pools, the flavors and the catalogue; a queue's messages, claims and
//! subscriptions are in the store of the pool that the catalogue maps it to.
//!
//! 1. The control store assigns queue numbers. It also assigns a separate incarnation to each pool
//!    when the pool is opened, and to each mapping that replaces another. So no two stores ever
//!    assign the same id.
//! 2. A pool creates its side of a queue when content is first added to the queue, from a record
//!    that is already durable.
//! 3. Work that has to follow in another store is journaled before: pending removals, and dead
//!    letters in the outbox. An opening resumes it.
//! 4. A call looks up its queue, locks the queue's side in the pool's store, and then checks that
//!    the mapping is still current.
//!
//! The order of the locks is that of [`Rank`]: the control store's come before those of one pool's
//! store. Nothing of another store is locked under a pool's lock.

mod accounts;
mod backend;
mod backing_up;
mod compacting;
mod control;
mod driver;
mod exporting;
mod importing;
mod locking;
mod moves;
mod outbox;
mod pool;
mod pool_stores;
mod queues;
mod relay;
mod removals;
mod routes;
mod shared;
mod sides;
mod status;
mod subscriptions;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Weak};

use crate::config::Config;
use crate::contract::{DataDriver, Queues};
use crate::engine::Engine;
use crate::engine::opening_paths::{OpeningPaths, StorePath};
use crate::lock::{Mutex, Rank, RwLock};
use crate::model::error::{Error, Result};
use crate::model::{Durability, Health};
use crate::store::calls::Calls;
use crate::store::recovery::{LostMessages, RecoveryReport};

use pool::{Pool, Pools};
use relay::Relay;
use routes::SideCache;
pub(crate) use shared::Shared;

pub use status::PooledStatus;

/// Queues spread over several stores, on different disks or in memory, behind the same contract as
/// one [`Engine`](crate::Engine) (contract 12). A clone is the same driver; the last clone closes
/// all stores when it is dropped.
///
/// A queue is assigned to a pool when it is created; its messages, claims and subscriptions are in that
/// pool's store. The control store keeps the queues' records, the pools, the flavors and the
/// catalogue. See [`docs::pools`](crate::docs::pools).
///
/// ```
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, NewPool, PoolName};
/// use zaqar_sled::Project;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = |name| format!("sled:{}", directory.path().join(name).display());
/// # let (one, two) = (path("one"), path("two"));
/// // Two disks: each new queue goes to one of them, twice as often to the second.
/// let (first, second) = (PoolName::new("first")?, PoolName::new("second")?);
/// let driver = Config::new().open_pooled(directory.path().join("control"))?;
/// driver.pools().create(&first, &NewPool::new(one.parse()?).weight(1))?;
/// driver.pools().create(&second, &NewPool::new(two.parse()?).weight(2))?;
///
/// let orders = driver.queue(Project::named("shop")?, "orders")?;
/// orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
/// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
/// claim.delete(&claim.messages()[0])?;
///
/// // The first disk is to be replaced: it gets no new queues, and its queues are moved away.
/// # use zaqar_sled::PoolUpdate;
/// driver.pools().update(&first, &PoolUpdate::new().weight(0))?;
/// driver.move_queue(orders.project(), orders.name(), &second)?;
/// driver.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PooledDriver {
    opened: Arc<Opened>,
    /// Set by `with_durability`; replaces the pools' own durability.
    durability: Option<Durability>,
}

/// The pooled drivers this process has open, by disk and directory of their control stores.
static DRIVERS: LazyLock<Mutex<BTreeMap<StorePath, Weak<Opened>>>> =
    LazyLock::new(|| Mutex::new(Rank::Drivers, BTreeMap::new()));

/// The paths at which this process opens pooled drivers now.
static OPENING: OpeningPaths = OpeningPaths::new();

/// The part that the last handle closes. The relay's thread holds the shared part, never this.
#[derive(Debug)]
struct Opened {
    shared: Arc<Shared>,
    relay: Mutex<Option<Relay>>,
    /// The result of the close.
    closed: Mutex<Option<Result<()>>>,
}

impl Config {
    /// Opens the store in the directory `path` as the control store of a [`PooledDriver`], and
    /// creates the store if the directory has none. The stores of the pools get the same settings.
    /// The pools' stores are opened one after the other; one that cannot be opened is tried again when
    /// it is needed.
    ///
    /// Cost: as [`open`](Self::open), for the control store and every pool.
    ///
    /// Durability: a new control store is on the disk when the call returns.
    ///
    /// # Errors
    /// as [`open`](Self::open). A pool that cannot be opened is no error here: the calls on its
    /// queues fail.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert!(driver.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn open_pooled(self, path: impl AsRef<Path>) -> Result<PooledDriver> {
        PooledDriver::open_with(self, path.as_ref())
    }
}

impl PooledDriver {
    /// Opens the control store in the directory `path` with the default [`Config`], and creates the
    /// store if the directory has none.
    ///
    /// Cost: as [`Config::open_pooled`].
    ///
    /// Durability: a new control store is on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::open_pooled`].
    ///
    /// # Example
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let driver = zaqar_sled::PooledDriver::open(directory.path().join("control"))?;
    /// assert_eq!(driver.recovery().source(), zaqar_sled::RecoverySource::New);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Config::new().open_pooled(path)
    }

    fn open_with(config: Config, path: &Path) -> Result<Self> {
        let root = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        let store_path = (config.disk.identity(), config.disk.canonical(&root));
        let _one = OPENING.take(&store_path);
        // Bound outside the condition: the last handle must not be dropped under the lock.
        let opened = DRIVERS.lock().get(&store_path).and_then(Weak::upgrade);
        if let Some(opened) = opened.filter(|opened| config.shared && opened.is_open()) {
            return match opened.shared.config.differs_from(&config.pooled()) {
                Some(setting) => Err(Error::SettingsDiffer { path: root, setting }),
                None => Ok(Self { opened, durability: None }),
            };
        }
        let driver = Self::open_new(config.shared(false).pooled(), &root)?;
        let mut drivers = DRIVERS.lock();
        drivers.retain(|_, driver| driver.strong_count() > 0);
        drivers.insert(store_path, Arc::downgrade(&driver.opened));
        Ok(driver)
    }

    fn open_new(config: Config, path: &Path) -> Result<Self> {
        let control = config.clone().open(path)?;
        let (signal, signals) = crate::sync::channel::bounded(1);
        let background = config.background;
        let shared = Arc::new(Shared {
            control_pool: Arc::new(Pool::control(control.clone())),
            control,
            config,
            pools: Pools::default(),
            sides: SideCache::default(),
            turn: Mutex::new(Rank::Turn, ()),
            moves: RwLock::new(Rank::Moves, ()),
            subscriptions: AtomicU64::new(0),
            signal,
            calls: Calls::default(),
        });
        shared.allot_incarnation(&shared.control)?;
        shared.count_all();
        // The pending work of an earlier run. Work that is impossible now is tried again later.
        let _ = shared.resume();
        let relay = if background { Some(Relay::start(&*shared.config.spawner, &shared, signals)?) } else { None };
        let (relay, closed) = (Mutex::new(Rank::Relay, relay), Mutex::new(Rank::DriverClosing, None));
        Ok(Self { opened: Arc::new(Opened { shared, relay, closed }), durability: None })
    }

    /// The same driver, with another durability for the changes made through the returned handle,
    /// whatever the pools' settings.
    ///
    /// Cost: one reference count.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// # driver.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// let quick = driver.with_durability(Durability::Buffered);
    /// quick.queue(Project::none(), "metrics")?.create(Metadata::new())?;
    /// assert_eq!(driver.queues().count(&Project::none())?, 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { opened: self.opened.clone(), durability: Some(durability) }
    }

    /// The report of opening the control store: what recovery found and did.
    ///
    /// Cost: none: the report is kept from the opening.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert_eq!(driver.recovery().source(), RecoverySource::New);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn recovery(&self) -> &RecoveryReport {
        self.shared().control.recovery()
    }

    /// Does each kind of background work of every open store once, as [`Engine::step`] does, and
    /// then the work between the stores: it moves dead letters to the stores of their queues, and
    /// removes the data that deleted or moved queues left. For drivers opened with
    /// [`Config::background`]`(false)`.
    ///
    /// Cost: that of the work that is due.
    ///
    /// Durability: after a success, every change in these stores that was acknowledged before the
    /// call is on the disk, at any durability.
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
    /// let driver = Config::new().disk(disk).background(false).open_pooled("control")?;
    /// driver.step()?;
    /// assert_eq!(driver.status().in_transit(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn step(&self) -> Result<()> {
        let _call = self.shared().enter()?;
        let mut outcome = self.shared().resume();
        for engine in self.shared().engines() {
            outcome = outcome.and(engine.step());
        }
        outcome
    }

    /// As [`Engine::sync`](crate::Engine::sync), in every store that is open: every change of any handle
    /// that was acknowledged before the call is durable when the call returns.
    ///
    /// Cost: one `fdatasync` for each store that has something to sync, one store after the other.
    ///
    /// Durability: everything that was acknowledged is durable when the call returns.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed), [`is_poisoned`](crate::Error::is_poisoned);
    /// [`is_outcome_unknown`](crate::Error::is_outcome_unknown) if a sync fails. The first error is
    /// returned after every store has been tried.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk).durability(Durability::Buffered);
    /// let driver = config.open_pooled("control")?;
    /// driver.pools().create(&"one".parse()?, &NewPool::new("sled:/one".parse()?))?;
    /// let orders = driver.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// driver.sync()?;
    /// let status = driver.status();
    /// let unsynced = status.pools()[0].1.as_ref().map(Status::unsynced);
    /// assert_eq!((status.control().unsynced(), unsynced), (0, Ok(0)));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn sync(&self) -> Result<()> {
        let _call = self.shared().enter()?;
        let synced: Vec<Result<()>> = self.shared().engines().iter().map(Engine::sync).collect();
        synced.into_iter().collect()
    }

    /// As [`Engine::drop_damaged`](crate::Engine::drop_damaged), in every store that is open. Dead
    /// letters on their way from one pool to another are in a queue with an empty name.
    ///
    /// Cost: O(queues + damaged pages) in each store.
    ///
    /// Durability: in each store that of the store's own settings, whatever this handle's is.
    ///
    /// # Errors
    /// Those of a deletion. The changes of queues before the failure stay.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let config = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new()));
    /// # let driver = config.open_pooled("control")?;
    /// assert!(driver.drop_damaged()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn drop_damaged(&self) -> Result<Vec<LostMessages>> {
        let _call = self.shared().enter()?;
        let mut dropped = Vec::new();
        for engine in self.shared().engines() {
            dropped.extend(engine.drop_damaged()?);
        }
        Ok(dropped)
    }

    /// The queue controller, which both drivers share.
    ///
    /// Cost: none: the driver is the controller.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert_eq!(driver.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &dyn Queues {
        self
    }

    /// The pool controller of [`ControlDriver::pools`](crate::ControlDriver::pools). With this method
    /// a call need not name the trait.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert!(driver.pools().list(&ListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pools(&self) -> &dyn crate::contract::Pools {
        self
    }

    /// Tries every kind of operation in every pool, as [`DataDriver::health`] does. A pool that
    /// cannot be reached is part of the answer.
    ///
    /// Cost: for each pool that of 20 changes with 100 messages, and O(queues).
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed); failures of single operations are in the answer.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// driver.pools().create(&PoolName::new("one")?, &NewPool::new("memory:one".parse()?))?;
    /// let health = driver.health()?;
    /// assert!(health.storage_reachable() && health.pools()[0].is_reachable());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn health(&self) -> Result<Health> {
        DataDriver::health(self)
    }

    /// Closes all stores, the control store last, as [`DataDriver::close`] does.
    ///
    /// Cost: the sum over the stores that are open.
    ///
    /// Durability: after a success, everything acknowledged at any durability is on the disk.
    ///
    /// # Errors
    /// the first failure that kept a store from being closed cleanly. All stores are closed anyway,
    /// and no acknowledged change is lost. [`Forked`](crate::Error::Forked) in a fork of the
    /// process that opened the driver.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// driver.close()?;
    /// assert!(!driver.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.opened.close()
    }

    /// Whether both are handles on the same open driver.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.opened, &other.opened)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.opened.shared
    }

    /// The control store with the durability that this driver's changes of it have.
    fn control(&self) -> Engine {
        let control = &self.shared().control;
        self.durability.map_or_else(|| control.clone(), |durability| control.with_durability(durability))
    }
}

impl Opened {
    /// Whether it is open, and not in the process that this one is a fork of.
    fn is_open(&self) -> bool {
        !self.shared.calls.are_refused() && self.shared.control.store().check_process().is_ok()
    }

    /// Closes all stores; later calls wait for the first one and answer as it did.
    fn close(&self) -> Result<()> {
        self.shared.control.store().check_process()?;
        self.closed.lock().get_or_insert_with(|| self.close_stores()).clone()
    }

    fn close_stores(&self) -> Result<()> {
        let shared = &self.shared;
        shared.calls.refuse();
        // All waiting calls end, and no call is admitted that could begin to wait.
        shared.control.store().waiters.wake_all();
        shared.engines().iter().for_each(|engine| engine.store().admission.close());
        if let Some(relay) = self.relay.lock().take() {
            relay.stop(shared);
        }
        shared.calls.await_last();
        // No delivery or move runs any more. The control store is closed last, because it has the
        // other stores' accounts.
        let _turn = shared.turn.lock();
        shared.sides.clear();
        let mut outcome = Ok(());
        for engine in shared.engines().iter().rev() {
            outcome = outcome.and(engine.close());
        }
        outcome
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // There is no caller to report to. In a fork there is nothing to close, and no thread to wait for.
        if self.close().is_err_and(|error| matches!(error, Error::Forked { .. })) {
            std::mem::forget(self.relay.lock().take());
        }
    }
}
