//! The control driver (contract 4): the controllers of the control plane.

use super::{Catalogue, Flavors, Pools, Queues, Sealed};
use crate::model::ControlHealth;
use crate::model::error::Result;

/// The control plane: which queues there are, and which pool holds each of them (contract 4).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a data driver and their
/// [errors](crate::DataDriver#errors-of-every-call) hold here too.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let driver: &dyn ControlDriver = &engine;
/// assert!(driver.health()?.catalogue_reachable());
/// driver.close()?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait ControlDriver: Sealed + Send + Sync {
    /// The catalogue controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.catalogue().list(&Project::none())?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "catalogue_controller")]
    fn catalogue(&self) -> &dyn Catalogue;

    /// The pool controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(!engine.pools().exists(&PoolName::new("one")?)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "pools_controller")]
    fn pools(&self) -> &dyn Pools;

    /// The flavor controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(!engine.flavors().exists(&Project::none(), &FlavorName::new("gold")?)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "flavors_controller")]
    fn flavors(&self) -> &dyn Flavors;

    /// The queue controller, the one that [`DataDriver::queues`](crate::DataDriver::queues) gives
    /// too.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let driver: &dyn ControlDriver = &engine;
    /// assert_eq!(driver.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "queue_controller")]
    fn queues(&self) -> &dyn Queues;

    /// Tries every kind of operation on one catalogue entry, which the method removes again, and
    /// counts the registered pools, flavors and entries. An operation that fails is part of the
    /// answer and not an error. Ours.
    ///
    /// Cost: three changes.
    ///
    /// Durability: it makes changes, but leaves nothing behind.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed) after [`close`](Self::close).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// engine.pools().create(&PoolName::new("one")?, &NewPool::new("memory:one".parse()?))?;
    /// let health = ControlDriver::health(&engine)?;
    /// assert_eq!((health.pools(), health.queues(), health.mapped()), (1, 0, 0));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn health(&self) -> Result<ControlHealth>;

    /// Closes the store, as [`DataDriver::close`](crate::DataDriver::close) does. Zaqar's.
    ///
    /// Cost: as there.
    ///
    /// Durability: after a success, everything acknowledged at any durability is on the disk.
    ///
    /// # Errors
    /// as [`DataDriver::close`](crate::DataDriver::close).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// ControlDriver::close(&engine)?;
    /// ControlDriver::close(&engine)?; // closing again is allowed
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn close(&self) -> Result<()>;
}
