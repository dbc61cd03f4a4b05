//! The catalogue's entries: which pool holds a queue.

use super::{PoolName, Project, QueueName};

/// Which pool holds a queue.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, PoolName, Project, QueueName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, orders, fast) = (Project::named("shop")?, QueueName::new("orders")?, PoolName::new("fast")?);
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

    /// The queue.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// The pool that holds it.
    pub fn pool(&self) -> &PoolName {
        &self.pool
    }
}
