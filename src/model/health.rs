//! What a driver tells of its own condition.

use std::time::Duration;

use super::PoolName;

/// The outcome of a health check, which really posts, claims and deletes in a queue of its own.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let health = engine.health()?;
/// assert!(health.storage_reachable());
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
    /// Whether the storage answers; of a pooled driver, the catalogue and every pool.
    #[doc(alias = "catalog_reachable")]
    pub fn storage_reachable(&self) -> bool {
        self.storage_reachable
    }

    /// How each pool is, by name; none unless the driver is pooled.
    pub fn pools(&self) -> &[PoolHealth] {
        &self.pools
    }

    /// How each kind of operation went, in the order they were tried.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// How many messages are stored.
    pub fn volume(&self) -> MessageVolume {
        self.volume
    }
}

/// How one pool of a pooled driver is.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, NewPool, PoolName, SimulatedDisk};
/// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
/// driver.pools().create(&PoolName::new("one")?, &NewPool::new("memory:one".parse()?))?;
/// let health = driver.health()?;
/// let pool = &health.pools()[0];
/// assert!(pool.is_reachable() && pool.error().is_none());
/// assert!(pool.operations().iter().all(|operation| operation.succeeded()));
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
    /// The pool.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// Whether its store is open and takes changes.
    pub fn is_reachable(&self) -> bool {
        self.error.is_none()
    }

    /// Why it is not.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// How each kind of operation went; none in a pool that cannot be reached.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// How many messages it holds.
    pub fn volume(&self) -> MessageVolume {
        self.volume
    }
}

/// The outcome of a control driver's health check.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let health = ControlDriver::health(&engine)?;
/// assert!(health.catalogue_reachable());
/// assert_eq!((health.queues(), health.pools(), health.flavors(), health.mapped()), (0, 0, 0, 0));
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

    /// How each kind of operation went: `insert_entry`, `get_entry`, `delete_entry`.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// Queues of all projects.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// Registered pools.
    pub fn pools(&self) -> u64 {
        self.pools
    }

    /// Flavors of all projects.
    pub fn flavors(&self) -> u64 {
        self.flavors
    }

    /// Entries of the catalogue.
    pub fn mapped(&self) -> u64 {
        self.mapped
    }
}

/// How one kind of operation went in a health check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationStatus {
    pub(crate) name: &'static str,
    pub(crate) succeeded: bool,
    pub(crate) elapsed: Duration,
    pub(crate) reference: Option<String>,
}

impl OperationStatus {
    /// Zaqar's name for it, such as `post_messages`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether it succeeded.
    pub fn succeeded(&self) -> bool {
        self.succeeded
    }

    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// For a failure, what to look it up by.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

/// How many live messages all queues hold together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageVolume {
    /// Under no live claim.
    pub free: u64,
    /// Under a live claim.
    pub claimed: u64,
    /// Both.
    pub total: u64,
}

/// What a garbage collection gave back. Nothing it frees was visible any more.
///
/// What the call freed itself is counted, and nothing else: whoever uses a queue frees what has expired in it on the way, and
/// an engine has a thread that does nothing else. So the counts of all calls do not add up to what has expired.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, GcReport, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.gc()?, GcReport::default());
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
    /// Expired messages freed.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Expired claims freed.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// Expired subscriptions freed.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// Deleted queues whose space was freed.
    pub fn queues(&self) -> u64 {
        self.queues
    }
}
