//! The catalogue's entries: which pool holds a queue.

use super::{PoolName, Project, QueueName};

/// An entry of the catalogue: which pool holds a queue (contract 11).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// let fast = PoolName::new("fast")?;
/// engine.catalogue().insert(&shop, &orders, &fast)?;
/// let entry = engine.catalogue().get(&shop, &orders)?;
/// assert_eq!((entry.project(), entry.queue(), entry.pool()), (&shop, &orders, &fast));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CatalogueEntry {
    pub(crate) project: Project,
    pub(crate) queue: QueueName,
    pub(crate) pool: PoolName,
}

impl CatalogueEntry {
    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// The name of the pool that holds the queue.
    pub fn pool(&self) -> &PoolName {
        &self.pool
    }
}
