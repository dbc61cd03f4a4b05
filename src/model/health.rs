//! The results of health checks and of garbage collection.

use std::time::Duration;

use super::PoolName;

/// The outcome of a health check, which really posts, claims and deletes in a queue of its own
/// (contract 4).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let health = DataDriver::health(&engine)?;
/// assert!(health.storage_reachable() && health.pools().is_empty());
/// assert!(health.operations().iter().all(|operation| operation.succeeded()));
/// assert_eq!(health.volume().total, 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    pub(crate) storage_reachable: bool,
    pub(crate) operations: Vec<OperationStatus>,
    pub(crate) volume: MessageVolume,
    pub(crate) pools: Vec<PoolHealth>,
}

impl Health {
    /// Whether the storage takes changes; for a pooled driver, the catalogue and every pool.
    #[doc(alias = "catalog_reachable")]
    pub fn storage_reachable(&self) -> bool {
        self.storage_reachable
    }

    /// The health of each pool, by name; empty unless the driver is pooled.
    pub fn pools(&self) -> &[PoolHealth] {
        &self.pools
    }

    /// The outcome of each kind of operation, in the order in which they were tried.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// The number of messages in all queues.
    pub fn volume(&self) -> MessageVolume {
        self.volume
    }
}

/// The health of one pool of a pooled driver.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let driver = Config::new().disk(disk).open_pooled("control")?;
/// driver.pools().create(&PoolName::new("one")?, &NewPool::new("memory:one".parse()?))?;
/// let health = driver.health()?;
/// let pool = &health.pools()[0];
/// assert!(pool.is_reachable() && pool.error().is_none());
/// assert!(pool.operations().iter().all(|operation| operation.succeeded()));
/// assert_eq!((pool.name().as_str(), pool.volume().total), ("one", 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolHealth {
    pub(crate) name: PoolName,
    pub(crate) error: Option<String>,
    pub(crate) operations: Vec<OperationStatus>,
    pub(crate) volume: MessageVolume,
}

impl PoolHealth {
    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// Whether the pool's store is open and takes changes.
    pub fn is_reachable(&self) -> bool {
        self.error.is_none()
    }

    /// The reason why the pool's store is not open or takes no changes.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The outcome of each kind of operation; empty for a pool that cannot be reached.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// The number of messages in the pool.
    pub fn volume(&self) -> MessageVolume {
        self.volume
    }
}

/// The outcome of a control driver's health check.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let health = ControlDriver::health(&engine)?;
/// assert!(health.catalogue_reachable());
/// assert_eq!(health.operations().len(), 3);
/// assert_eq!((health.queues(), health.mapped()), (0, 0));
/// assert_eq!((health.pools(), health.flavors()), (0, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlHealth {
    pub(crate) operations: Vec<OperationStatus>,
    pub(crate) queues: u64,
    pub(crate) pools: u64,
    pub(crate) flavors: u64,
    pub(crate) mapped: u64,
}

impl ControlHealth {
    /// Whether the catalogue takes changes: every operation succeeded.
    #[doc(alias = "catalog_reachable")]
    pub fn catalogue_reachable(&self) -> bool {
        self.operations.iter().all(OperationStatus::succeeded)
    }

    /// The outcome of each kind of operation: `insert_entry`, `get_entry`, `delete_entry`.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// The number of queues in all projects.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// The number of registered pools.
    pub fn pools(&self) -> u64 {
        self.pools
    }

    /// The number of flavors in all projects.
    pub fn flavors(&self) -> u64 {
        self.flavors
    }

    /// The number of entries in the catalogue.
    pub fn mapped(&self) -> u64 {
        self.mapped
    }
}

/// The outcome of one kind of operation in a health check.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let health = DataDriver::health(&engine)?;
/// let first = &health.operations()[0];
/// assert_eq!((first.name(), first.succeeded()), ("create_queue", true));
/// assert!(first.reference().is_none() && first.failure().is_none());
/// assert!(first.elapsed().as_secs() < 60);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationStatus {
    pub(crate) name: &'static str,
    pub(crate) succeeded: bool,
    pub(crate) elapsed: Duration,
    pub(crate) reference: Option<String>,
    pub(crate) failure: Option<String>,
}

impl OperationStatus {
    /// Zaqar's name of the operation, such as `post_messages`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether the operation succeeded.
    pub fn succeeded(&self) -> bool {
        self.succeeded
    }

    /// The duration of the operation.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// For an operation that failed, a random id to find this outcome by; else `None`.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// For an operation that failed, the text of its error; else `None`.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

/// The number of live messages in all queues together.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let orders = engine.queue(Project::named("shop")?, "orders")?;
/// # orders.create(Metadata::new())?;
/// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
/// let _claim = orders.claim(ClaimOptions::new().limit(1))?;
/// let volume = engine.health()?.volume();
/// assert_eq!((volume.claimed, volume.free, volume.total), (1, 1, 2));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageVolume {
    /// Messages under no live claim, delayed ones included.
    pub free: u64,
    /// Messages under a live claim.
    pub claimed: u64,
    /// All live messages: free and claimed.
    pub total: u64,
}

/// The items that a garbage collection freed. None of them was visible any more (contract 4).
///
/// The report counts only what the call freed itself. Other calls free expired items that they meet, and an engine has
/// a thread for that, so the reports of all calls together count less than what has expired.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let freed = engine.gc()?;
/// assert_eq!((freed.messages(), freed.claims()), (0, 0));
/// assert_eq!((freed.subscriptions(), freed.queues()), (0, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GcReport {
    pub(crate) messages: u64,
    pub(crate) claims: u64,
    pub(crate) subscriptions: u64,
    pub(crate) queues: u64,
}

impl GcReport {
    /// The number of expired messages that were freed.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The number of expired claims that were freed.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// The number of expired subscriptions that were freed.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// The number of deleted queues whose space was freed.
    pub fn queues(&self) -> u64 {
        self.queues
    }
}
