//! The pooled driver: the data driver's contract over several stores (contract 12).
//!
//! The control store has the queues' records, the pools, the flavors and the catalogue; a queue's messages, claims and
//! subscriptions are in the store of the pool that the catalogue maps it to.
//!
//! 1. The control store gives out queue numbers, and to each pool as it is opened, and to each mapping that takes the place
//!    of another, an incarnation of its own: no two stores ever give out one id.
//! 2. A pool makes its side of a queue when something is first put in it, from a record that is durable by then.
//! 3. What has to follow in another store is journaled before: what to remove from which pool, which letters are on their
//!    way. Opening resumes it.
//! 4. A call looks its queue up, locks it in the pool's store, and then checks that the mapping it went by still holds.
//!
//! The order of the locks is that of [`Rank`]: the control store's come before those of one pool's store. Nothing of another
//! store is locked under a pool's lock.

mod backend;
mod control;
mod driver;
mod moves;
mod outbox;
mod pool;
mod pool_stores;
mod queues;
mod relay;
mod removals;
mod routes;
mod routing;
mod shared;
mod status;
mod subscriptions;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Weak};

use crate::config::Config;
use crate::contract::{DataDriver, Queues};
use crate::engine::Engine;
use crate::engine::places::{Place, Places};
use crate::lock::{Mutex, Rank, RwLock};
use crate::model::error::{Error, Result};
use crate::model::{Durability, Health};
use crate::store::calls::Calls;
use crate::store::recovery::RecoveryReport;
use crate::store::status::DroppedMessages;

use pool::{Pool, Pools};
use relay::Relay;
use routes::FoundSides;
pub(crate) use shared::Shared;

pub use status::PooledStatus;

/// Queues spread over several stores, on disks of their own or in memory, behind the same contract as one
/// [`Engine`](crate::Engine). Clones are the same driver; the last one closes all stores when dropped.
///
/// ```
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, NewPool, PoolName, Project};
///
/// # let directory = tempfile::tempdir()?;
/// # let (here, there) = (directory.path().join("one"), directory.path().join("two"));
/// # let (one, two) = (format!("sled:{}", here.display()), format!("sled:{}", there.display()));
/// // Two disks: each new queue goes to one of them, twice as often to the second.
/// let driver = Config::new().open_pooled(directory.path().join("control"))?;
/// driver.pools().create(&PoolName::new("first")?, &NewPool::new(one.parse()?).weight(1))?;
/// driver.pools().create(&PoolName::new("second")?, &NewPool::new(two.parse()?).weight(2))?;
///
/// let orders = driver.queue(Project::named("shop")?, "orders")?;
/// orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
/// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
/// claim.delete(&claim.messages()[0])?;
///
/// // A disk is to be replaced: no new queues for it, and those it has go elsewhere.
/// # use zaqar_sled::{Catalogue, ControlDriver, Pools, PoolUpdate};
/// driver.pools().update(&PoolName::new("first")?, &PoolUpdate::new().weight(0))?;
/// driver.move_queue(orders.project(), orders.name(), &PoolName::new("second")?)?;
/// driver.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PooledDriver {
    opened: Arc<Opened>,
    /// Set by `with_durability`: instead of what the pools are set to.
    durability: Option<Durability>,
}

/// The pooled drivers this process has open, by disk and directory of their control stores.
static DRIVERS: LazyLock<Mutex<BTreeMap<Place, Weak<Opened>>>> =
    LazyLock::new(|| Mutex::new(Rank::Drivers, BTreeMap::new()));

/// Where this process opens pooled drivers now.
static OPENING: Places = Places::new();

/// What the last handle closes. The relay's thread holds the shared part, never this.
#[derive(Debug)]
struct Opened {
    shared: Arc<Shared>,
    relay: Mutex<Option<Relay>>,
    /// How closing ended.
    closed: Mutex<Option<Result<()>>>,
}

impl Config {
    /// Opens the store in the directory `path` as the control store of a [`PooledDriver`], making it if there is none. The
    /// stores of its pools are opened with the same settings, each when it is first needed.
    ///
    /// # Errors
    /// As [`open`](Self::open). A pool that cannot be opened is no error here: its queues answer with one.
    pub fn open_pooled(self, path: impl AsRef<Path>) -> Result<PooledDriver> {
        PooledDriver::open_with(self, path.as_ref())
    }
}

impl PooledDriver {
    /// Opens the control store in the directory `path` with the default [`Config`], making it if there is none.
    ///
    /// # Errors
    /// As [`Config::open_pooled`].
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let driver = zaqar_sled::PooledDriver::open(directory.path().join("control"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Config::new().open_pooled(path)
    }

    fn open_with(config: Config, path: &Path) -> Result<Self> {
        let root = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        let place = (config.disk.identity(), config.disk.canonical(&root));
        let _one = OPENING.take(&place);
        // Bound outside of the condition: should this be the last handle by now, it is not to go under the lock.
        let opened = DRIVERS.lock().get(&place).and_then(Weak::upgrade);
        if let Some(opened) = opened.filter(|opened| config.shared && opened.is_open()) {
            return match opened.shared.config.differs_from(&config.pooled()) {
                Some(setting) => Err(Error::SettingsDiffer { path: root, setting }),
                None => Ok(Self { opened, durability: None }),
            };
        }
        let driver = Self::open_anew(config.shared(false).pooled(), &root)?;
        let mut drivers = DRIVERS.lock();
        drivers.retain(|_, driver| driver.strong_count() > 0);
        drivers.insert(place, Arc::downgrade(&driver.opened));
        Ok(driver)
    }

    fn open_anew(config: Config, path: &Path) -> Result<Self> {
        let control = config.clone().open(path)?;
        let (signal, signals) = crate::sync::channel::bounded(1);
        let background = config.background;
        let shared = Arc::new(Shared {
            control_pool: Arc::new(Pool::control(control.clone())),
            control,
            config,
            pools: Pools::default(),
            found: FoundSides::default(),
            turn: Mutex::new(Rank::Turn, ()),
            moves: RwLock::new(Rank::Moves, ()),
            subscriptions: AtomicU64::new(0),
            signal,
            calls: Calls::default(),
        });
        shared.allot_epoch(&shared.control)?;
        // What an earlier run left to be done. What cannot be done yet is tried again.
        let _ = shared.resume();
        let relay = if background { Some(Relay::start(&*shared.config.spawner, &shared, signals)?) } else { None };
        let (relay, closed) = (Mutex::new(Rank::Relay, relay), Mutex::new(Rank::DriverClosing, None));
        Ok(Self { opened: Arc::new(Opened { shared, relay, closed }), durability: None })
    }

    /// The same driver with another default for what calls survive, whatever the pools are set to. Cost: a reference.
    ///
    /// ```
    /// # use zaqar_sled::{Config, Durability, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// let quick = driver.with_durability(Durability::Buffered);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self { opened: self.opened.clone(), durability: Some(durability) }
    }

    /// What opening the control store found and did. The pools' stores tell of theirs in [`status`](Self::status).
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// println!("{}", driver.recovery());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn recovery(&self) -> &RecoveryReport {
        self.shared().control.recovery()
    }

    /// One step of everything background threads do, in every store that is open, and of what goes on between them:
    /// letters, removals. For drivers opened with [`Config::background`]`(false)`.
    ///
    /// # Errors
    /// Those of the steps; what one could not do is tried again by the next.
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let driver = Config::new().disk(disk).background(false).open_pooled("control")?;
    /// driver.step()?;
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

    /// As [`Engine::drop_damaged`](crate::Engine::drop_damaged), in every store that is open. Dead letters on their way from
    /// one pool to another are in a queue with an empty name.
    ///
    /// # Errors
    /// Those of a deletion. Queues done before stay done.
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// assert!(driver.drop_damaged()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn drop_damaged(&self) -> Result<Vec<DroppedMessages>> {
        let _call = self.shared().enter()?;
        let mut dropped = Vec::new();
        for engine in self.shared().engines() {
            dropped.extend(engine.drop_damaged()?);
        }
        Ok(dropped)
    }

    /// The queue controller, which both drivers share.
    ///
    /// ```
    /// # use zaqar_sled::{Config, Project, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// assert_eq!(driver.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &dyn Queues {
        self
    }

    /// The pool controller, as [`ControlDriver::pools`](crate::ControlDriver::pools).
    ///
    /// ```
    /// # use zaqar_sled::{Config, ListOptions, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// assert!(driver.pools().list(&ListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pools(&self) -> &dyn crate::contract::Pools {
        self
    }

    /// As [`DataDriver::health`].
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// assert!(driver.health()?.storage_reachable());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn health(&self) -> Result<Health> {
        DataDriver::health(self)
    }

    /// Closes all stores; as [`DataDriver::close`].
    ///
    /// ```
    /// # use zaqar_sled::{Config, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// driver.close()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.opened.close()
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
        // Whoever waits for something is told; nobody is let in who could begin to wait again.
        shared.control.store().waiters.wake_all();
        shared.engines().iter().for_each(|engine| engine.store().admission.close());
        if let Some(relay) = self.relay.lock().take() {
            relay.stop(shared);
        }
        shared.calls.await_last();
        // Nobody delivers or moves any more; the control store last, since the others' accounts are in it.
        let _turn = shared.turn.lock();
        shared.found.clear();
        let mut outcome = Ok(());
        for engine in shared.engines().iter().rev() {
            outcome = outcome.and(engine.close());
        }
        outcome
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Nobody is left to tell. In a fork there is nothing to close, and no thread to wait for.
        if self.close().is_err_and(|error| matches!(error, Error::Forked { .. })) {
            std::mem::forget(self.relay.lock().take());
        }
    }
}
