//! The catalogue controller (contract 11): which pool holds which queue.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{CatalogueEntry, PoolName, Project, QueueName};

/// The catalogue: which pool holds which queue (contract 11).
///
/// A change of an entry only changes which pool the queue's calls go to. The messages stay in the former
/// pool, and are visible again when the entry names that pool again. To move them too, use
/// [`PooledDriver::move_queue`](crate::PooledDriver::move_queue).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, PoolName, Project, QueueName, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
/// engine.catalogue().update(&shop, &orders, Some(&PoolName::new("two")?))?;
/// assert_eq!(engine.catalogue().get(&shop, &orders)?.pool().as_str(), "two");
/// engine.catalogue().delete(&shop, &orders)?;
/// assert!(engine.catalogue().get(&shop, &orders).unwrap_err().is_not_found());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "CatalogueController")]
pub trait Catalogue: Sealed + Send + Sync {
    /// Maps a queue to a pool, and replaces the entry if there is one. Neither the queue nor the
    /// pool need exist (contract 11). Zaqar's.
    ///
    /// Cost: O(log queues).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
    /// engine.catalogue().insert(&shop, &orders, &PoolName::new("two")?)?;
    /// assert_eq!(engine.catalogue().list(&shop)?.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn insert(&self, project: &Project, queue: &QueueName, pool: &PoolName) -> Result<()>;

    /// The entry of a queue (contract 11). Zaqar's.
    ///
    /// Cost: O(log queues), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found)
    /// ([`QueueNotMapped`](crate::Error::QueueNotMapped)) if the queue has no entry; the errors of
    /// [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let error = engine.catalogue().get(&shop, &orders).unwrap_err();
    /// assert!(matches!(error, Error::QueueNotMapped { .. }));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, queue: &QueueName) -> Result<CatalogueEntry>;

    /// Whether the queue has an entry. Zaqar's.
    ///
    /// Cost: O(log queues), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a queue without an entry
    /// is `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// assert!(!engine.catalogue().exists(&shop, &orders)?);
    /// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
    /// assert!(engine.catalogue().exists(&shop, &orders)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, project: &Project, queue: &QueueName) -> Result<bool>;

    /// All entries of the project in the order of the queues' names, those of topics last, not paged (contract 11). A
    /// project without entries gives an empty list. Zaqar's.
    ///
    /// Cost: O(entries of the project), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let (one, refunds) = (PoolName::new("one")?, QueueName::new("refunds")?);
    /// engine.catalogue().insert(&shop, &refunds, &one)?;
    /// engine.catalogue().insert(&shop, &orders, &one)?;
    /// let entries = engine.catalogue().list(&shop)?;
    /// assert_eq!([entries[0].queue(), entries[1].queue()], [&orders, &refunds]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(&self, project: &Project) -> Result<Vec<CatalogueEntry>>;

    /// Maps a queue that has an entry to another pool. `None` changes nothing: Redis's driver does
    /// that too, MongoDB's stores the `None` (contract 11).
    ///
    /// Cost: O(log queues).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue has no entry; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let two = PoolName::new("two")?;
    /// let error = engine.catalogue().update(&shop, &orders, Some(&two)).unwrap_err();
    /// assert!(error.is_not_found());
    /// engine.catalogue().insert(&shop, &orders, &two)?;
    /// engine.catalogue().update(&shop, &orders, None)?; // nothing to change
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn update(&self, project: &Project, queue: &QueueName, pool: Option<&PoolName>) -> Result<()>;

    /// Removes the entry of a queue. A queue without an entry is no error (contract 11). Zaqar's.
    ///
    /// Cost: O(log queues).
    ///
    /// Durability: a change, durable even if there was no entry.
    ///
    /// # Errors
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
    /// engine.catalogue().delete(&shop, &orders)?;
    /// engine.catalogue().delete(&shop, &orders)?;
    /// assert!(!engine.catalogue().exists(&shop, &orders)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, queue: &QueueName) -> Result<()>;

    /// Removes the entries of all projects (contract 11). Zaqar's.
    ///
    /// Cost: O(entries).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`Moving`](crate::Error::Moving) while a queue is being moved, and then nothing has changed;
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// engine.catalogue().insert(&shop, &orders, &PoolName::new("one")?)?;
    /// engine.catalogue().drop_all()?;
    /// assert!(engine.catalogue().list(&shop)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn drop_all(&self) -> Result<()>;
}
