//! The control driver.

use super::{Catalogue, Flavors, Pools, Queues};
use crate::model::ControlHealth;
use crate::model::error::Result;

/// The control plane: which queues there are and which pool holds each, by Zaqar's storage contract.
///
/// What holds for every method of a [`DataDriver`](crate::DataDriver) holds here too.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let driver: &dyn ControlDriver = &engine;
/// assert!(driver.health()?.catalogue_reachable());
/// driver.close()?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait ControlDriver: Send + Sync {
    /// The catalogue controller. Cost: none.
    #[doc(alias = "catalogue_controller")]
    fn catalogue(&self) -> &dyn Catalogue;

    /// The pool controller. Cost: none.
    #[doc(alias = "pools_controller")]
    fn pools(&self) -> &dyn Pools;

    /// The flavor controller. Cost: none.
    #[doc(alias = "flavors_controller")]
    fn flavors(&self) -> &dyn Flavors;

    /// The queue controller, the same as the data driver's. Cost: none.
    #[doc(alias = "queue_controller")]
    fn queues(&self) -> &dyn Queues;

    /// Tries every kind of operation on an entry of its own in the catalogue, which is gone afterwards, and counts what is
    /// registered. An operation that fails is in the answer, not an error. Cost: three changes. Ours.
    fn health(&self) -> Result<ControlHealth>;

    /// As [`DataDriver::close`](crate::DataDriver::close). Zaqar's.
    fn close(&self) -> Result<()>;
}
