//! The catalogue controller.

use crate::model::error::Result;
use crate::model::{CatalogueEntry, PoolName, Project, QueueName};

/// Keeps which pool holds which queue. Changing an entry only routes the queue elsewhere: what it holds stays in the pool
/// it was in, and is there again when it is routed back. To take it along there is
/// [`PooledDriver::move_queue`](crate::PooledDriver::move_queue). What holds for every method is told at
/// [`ControlDriver`](crate::ControlDriver).
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, PoolName, Project, QueueName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
/// engine.catalogue().update(&shop, &orders, Some(&PoolName::new("two")?))?;
/// assert_eq!(engine.catalogue().get(&shop, &orders)?.pool().as_str(), "two");
/// engine.catalogue().delete(&shop, &orders)?;
/// assert!(engine.catalogue().get(&shop, &orders).unwrap_err().is_not_found());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "CatalogueController")]
pub trait Catalogue: Send + Sync {
    /// Maps a queue to a pool, whatever it was mapped to. Neither need exist. Cost: O(log queues). A change. Zaqar's.
    fn insert(&self, project: &Project, queue: &QueueName, pool: &PoolName) -> Result<()>;

    /// The queue's entry.
    ///
    /// Errors: `is_not_found` ([`QueueNotMapped`](crate::Error::QueueNotMapped)). Cost: O(log queues). A read. Zaqar's.
    fn get(&self, project: &Project, queue: &QueueName) -> Result<CatalogueEntry>;

    /// Whether the queue is mapped. Cost: O(log queues). A read. Zaqar's.
    fn exists(&self, project: &Project, queue: &QueueName) -> Result<bool>;

    /// All entries of the project, by queue name. Cost: O(entries of the project). A read. Zaqar's.
    fn list(&self, project: &Project) -> Result<Vec<CatalogueEntry>>;

    /// Maps a mapped queue to another pool; `None` changes nothing (Redis's driver; MongoDB's stores it).
    ///
    /// Errors: `is_not_found` for a queue that is not mapped. Cost: O(log queues). A change.
    fn update(&self, project: &Project, queue: &QueueName, pool: Option<&PoolName>) -> Result<()>;

    /// Unmaps a queue; one that is not mapped is fine. Cost: O(log queues). A change, durable even if nothing was there.
    /// Zaqar's.
    fn delete(&self, project: &Project, queue: &QueueName) -> Result<()>;

    /// Unmaps all queues of all projects. Cost: O(entries). A change. Zaqar's.
    fn drop_all(&self) -> Result<()>;
}
