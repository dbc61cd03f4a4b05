//! The flavor controller.

use crate::model::error::Result;
use crate::model::{Flavor, FlavorMarker, FlavorName, FlavorUpdate, ListOptions, NewFlavor, Page, Project};

/// Registers flavors: a project's names for groups of pools, which its queues ask for by `_flavor`. What holds for every
/// method is told at [`ControlDriver`](crate::ControlDriver).
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, FlavorName, NewFlavor, NewPool, PoolGroup, PoolName, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, gold, ssd) = (Project::named("shop")?, FlavorName::new("gold")?, PoolGroup::new("ssd")?);
/// engine.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/one".parse()?).group(ssd.clone()))?;
/// engine.flavors().create(&shop, &gold, &NewFlavor::of(ssd))?;
/// assert!(engine.flavors().exists(&shop, &gold)?);
/// assert!(!engine.flavors().exists(&Project::none(), &gold)?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "FlavorsController")]
pub trait Flavors: Send + Sync {
    /// Registers a flavor, or replaces the one of that name.
    ///
    /// Errors: `is_not_found` ([`PoolGroupDoesNotExist`](crate::Error::PoolGroupDoesNotExist)) for a group that is named
    /// and has no pools. Cost: O(pools). A change. MongoDB's driver.
    fn create(&self, project: &Project, name: &FlavorName, flavor: &NewFlavor) -> Result<()>;

    /// One flavor of the project; with its capabilities if `detailed`.
    ///
    /// Errors: `is_not_found`, for one of another project too. Cost: O(log flavors). A read. Zaqar's.
    fn get(&self, project: &Project, name: &FlavorName, detailed: bool) -> Result<Flavor>;

    /// Whether the project has it. Cost: O(log flavors). A read. Zaqar's.
    fn exists(&self, project: &Project, name: &FlavorName) -> Result<bool>;

    /// One page of the project's flavors, by name, in byte order. Cost: O(log flavors + page). A read. Zaqar's.
    fn list(&self, project: &Project, options: &ListOptions<FlavorMarker>) -> Result<Page<Flavor, FlavorMarker>>;

    /// Changes what the update sets.
    ///
    /// Errors, in this order: `is_invalid` for an update that sets nothing; `is_not_found` for the flavor, then for a
    /// group without pools. Cost: O(pools). A change. Zaqar's.
    fn update(&self, project: &Project, name: &FlavorName, update: &FlavorUpdate) -> Result<()>;

    /// Removes it; none there is fine. Queues made with it stay where they are. Cost: O(log flavors). A change, durable
    /// even if nothing was there. Zaqar's.
    fn delete(&self, project: &Project, name: &FlavorName) -> Result<()>;

    /// Removes the flavors of all projects. Cost: O(flavors). A change. Zaqar's.
    fn drop_all(&self) -> Result<()>;
}
