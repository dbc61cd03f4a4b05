//! The flavor controller (contract 10): names for groups of pools.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Flavor, FlavorMarker, FlavorName, FlavorUpdate, ListOptions, NewFlavor, Page, Project};

/// The flavors: a project's names for groups of pools. A queue asks for a flavor by the key
/// `_flavor` of its metadata (contract 10).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, FlavorName, NewFlavor, NewPool, PoolGroup};
/// # use zaqar_sled::{PoolName, Project, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
/// let ssd = PoolGroup::new("ssd")?;
/// let pool = NewPool::new("sled:/mnt/one".parse()?).group(ssd.clone());
/// engine.pools().create(&PoolName::new("one")?, &pool)?;
/// engine.flavors().create(&shop, &gold, &NewFlavor::of(ssd))?;
/// assert!(engine.flavors().exists(&shop, &gold)?);
/// assert!(!engine.flavors().exists(&Project::none(), &gold)?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "FlavorsController")]
pub trait Flavors: Sealed + Send + Sync {
    /// Registers a flavor, or replaces the flavor of that name (contract 10). A flavor without a
    /// group ([`NewFlavor::new`](crate::NewFlavor::new)) stands for the group of its own name,
    /// which need not have pools yet.
    ///
    /// Cost: O(pools).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found)
    /// ([`PoolGroupDoesNotExist`](crate::Error::PoolGroupDoesNotExist)) if the flavor names a group
    /// that has no pools, as in MongoDB's driver; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// let missing = NewFlavor::of(PoolGroup::new("ssd")?);
    /// let error = engine.flavors().create(&shop, &gold, &missing).unwrap_err();
    /// assert!(matches!(error, Error::PoolGroupDoesNotExist { .. }));
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(&self, project: &Project, name: &FlavorName, flavor: &NewFlavor) -> Result<()>;

    /// One flavor of the project. Its capabilities are included only if `detailed` is set (contract
    /// 10). Zaqar's.
    ///
    /// Cost: O(log flavors), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the project has no such flavor, even if
    /// another project has one; the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// assert_eq!(engine.flavors().get(&shop, &gold, false)?.capabilities(), None);
    /// let other = engine.flavors().get(&Project::none(), &gold, false);
    /// assert!(other.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, name: &FlavorName, detailed: bool) -> Result<Flavor>;

    /// Whether the project has a flavor of that name. Zaqar's.
    ///
    /// Cost: O(log flavors), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing flavor is
    /// `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// assert!(!engine.flavors().exists(&shop, &gold)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, project: &Project, name: &FlavorName) -> Result<bool>;

    /// One page of the project's flavors, by name in byte order (contract 10). Limit 0 means no
    /// limit. Zaqar's.
    ///
    /// Cost: O(log flavors + page), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let shop = Project::named("shop")?;
    /// for name in ["silver", "gold"] {
    ///     engine.flavors().create(&shop, &FlavorName::new(name)?, &NewFlavor::new())?;
    /// }
    /// let page = engine.flavors().list(&shop, &ListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].name().as_str(), "gold");
    /// assert_eq!(page.next, Some("gold".parse()?));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(&self, project: &Project, options: &ListOptions<FlavorMarker>) -> Result<Page<Flavor, FlavorMarker>>;

    /// Changes the fields that the update sets (contract 10). A new group need have no pools. Zaqar's.
    ///
    /// Cost: O(log flavors).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// in this order: [`is_invalid`](crate::Error::is_invalid) if the update sets nothing;
    /// [`is_not_found`](crate::Error::is_not_found) if the flavor is missing; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// let update = FlavorUpdate::new().capabilities(Metadata::new().with("fast", true)?);
    /// assert!(engine.flavors().update(&shop, &gold, &update).unwrap_err().is_not_found());
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// engine.flavors().update(&shop, &gold, &update)?;
    /// assert!(engine.flavors().get(&shop, &gold, true)?.capabilities().is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn update(&self, project: &Project, name: &FlavorName, update: &FlavorUpdate) -> Result<()>;

    /// Removes a flavor. A missing flavor is no error. Queues that were made with the flavor stay
    /// in their pools (contract 10). Zaqar's.
    ///
    /// Cost: O(log flavors).
    ///
    /// Durability: a change, durable even if there was no flavor.
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
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// engine.flavors().delete(&shop, &gold)?;
    /// assert!(!engine.flavors().exists(&shop, &gold)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, name: &FlavorName) -> Result<()>;

    /// Removes the flavors of all projects (contract 10). Zaqar's.
    ///
    /// Cost: O(flavors).
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
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// engine.flavors().drop_all()?;
    /// assert!(engine.flavors().list(&shop, &ListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn drop_all(&self) -> Result<()>;
}
