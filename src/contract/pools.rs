//! The pool controller (contract 9): the stores that hold queues.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{
    Capabilities, Flavor, ListOptions, NewPool, Page, Pool, PoolGroup, PoolMarker, PoolName, PoolUpdate,
};

/// The pool controller: registers the stores that hold queues (contract 9).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, ListOptions, NewPool, PoolName, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let pools = engine.pools();
/// let (first, second) = (PoolName::new("first")?, PoolName::new("second")?);
/// pools.create(&first, &NewPool::new("sled:/mnt/one".parse()?).weight(2))?;
/// pools.create(&second, &NewPool::new("sled:/mnt/two".parse()?))?;
/// let twice = NewPool::new("sled:/mnt/../mnt/one".parse()?);
/// assert!(pools.create(&PoolName::new("third")?, &twice).unwrap_err().is_conflict());
/// assert_eq!(pools.list(&ListOptions::new())?.items.len(), 2);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "PoolsController")]
pub trait Pools: Sealed + Send + Sync {
    /// Registers a pool. A pool of that name is replaced whole: weight, URI, group and options
    /// (contract 9).
    ///
    /// Cost: O(pools + flavors).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// in this order: [`is_invalid`](crate::Error::is_invalid) for options with a wrong value;
    /// [`is_conflict`](crate::Error::is_conflict) as
    /// [`PoolCapabilitiesMismatch`](crate::Error::PoolCapabilitiesMismatch) if the other pools of
    /// its group have other capabilities (the pools without a group are a group too);
    /// [`is_conflict`](crate::Error::is_conflict) as
    /// [`PoolAlreadyExists`](crate::Error::PoolAlreadyExists) if another pool has that store,
    /// however its URI is written (as in MongoDB's driver: two pools on one store would double its
    /// weight); [`is_not_permitted`](crate::Error::is_not_permitted) as
    /// [`PoolInUseByFlavor`](crate::Error::PoolInUseByFlavor) if the change takes the last pool out
    /// of a group that a flavor stands for. And the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (disk, memory) = (PoolName::new("disk")?, PoolName::new("memory")?);
    /// engine.pools().create(&disk, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// let weaker = NewPool::new("memory:scratch".parse()?);
    /// let error = engine.pools().create(&memory, &weaker).unwrap_err();
    /// assert!(matches!(error, Error::PoolCapabilitiesMismatch { .. }));
    /// engine.pools().create(&memory, &weaker.group(PoolGroup::new("scratch")?))?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(&self, name: &PoolName, pool: &NewPool) -> Result<()>;

    /// One pool. Its options are included only if `detailed` is set (contract 9). Zaqar's.
    ///
    /// Cost: O(log pools), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if no pool has that name; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let one = PoolName::new("one")?;
    /// assert!(engine.pools().get(&one, false).unwrap_err().is_not_found());
    /// engine.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?).weight(10))?;
    /// assert_eq!(engine.pools().get(&one, false)?.weight(), 10);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, name: &PoolName, detailed: bool) -> Result<Pool>;

    /// Whether a pool of that name is registered. Zaqar's.
    ///
    /// Cost: O(log pools), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing pool is
    /// `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let one = PoolName::new("one")?;
    /// assert!(!engine.pools().exists(&one)?);
    /// engine.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// assert!(engine.pools().exists(&one)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, name: &PoolName) -> Result<bool>;

    /// One page of the pools, by name in byte order. Limit 0 means no limit (contract 9). Zaqar's.
    ///
    /// Cost: O(log pools + page), reads nothing from disk.
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
    /// for name in ["two", "one"] {
    ///     let pool = NewPool::new(format!("sled:/mnt/{name}").parse()?);
    ///     engine.pools().create(&PoolName::new(name)?, &pool)?;
    /// }
    /// let page = engine.pools().list(&ListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].name().as_str(), "one");
    /// let rest = engine.pools().list(&ListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items[0].name().as_str(), "two");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(&self, options: &ListOptions<PoolMarker>) -> Result<Page<Pool, PoolMarker>>;

    /// The pools of a group, by name. `None` gives the pools without a group. A group without pools
    /// gives an empty list, as in all of Zaqar's drivers, although the interface page names an
    /// error (contract 9).
    ///
    /// Cost: O(pools), reads nothing from disk.
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
    /// let ssd = PoolGroup::new("ssd")?;
    /// let pool = NewPool::new("sled:/mnt/one".parse()?).group(ssd.clone());
    /// engine.pools().create(&PoolName::new("one")?, &pool)?;
    /// assert_eq!(engine.pools().get_pools_by_group(Some(&ssd), false)?.len(), 1);
    /// assert!(engine.pools().get_pools_by_group(None, false)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get_pools_by_group(&self, group: Option<&PoolGroup>, detailed: bool) -> Result<Vec<Pool>>;

    /// The pools of the flavor's group, by name. `None` gives the pools without a group (contract
    /// 9). Zaqar's since 8.0.0.
    ///
    /// Cost: O(pools), reads nothing from disk.
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
    /// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
    /// let pool = NewPool::new("sled:/mnt/one".parse()?).group(PoolGroup::new("gold")?);
    /// engine.pools().create(&PoolName::new("one")?, &pool)?;
    /// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
    /// let flavor = engine.flavors().get(&shop, &gold, false)?;
    /// let pools = engine.pools().get_pools_by_flavor(Some(&flavor), false)?;
    /// assert_eq!(pools[0].name().as_str(), "one");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get_pools_by_flavor(&self, flavor: Option<&Flavor>, detailed: bool) -> Result<Vec<Pool>> {
        self.get_pools_by_group(flavor.map(Flavor::pool_group), detailed)
    }

    /// Changes the fields that the update sets (contract 9). Zaqar's.
    ///
    /// Cost: O(pools + flavors).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// in this order: [`is_invalid`](crate::Error::is_invalid) if the update sets nothing, even for
    /// a missing pool; [`is_not_found`](crate::Error::is_not_found); then as
    /// [`create`](Self::create). Capabilities and store are compared if the update sets the URI or
    /// the group. The former capabilities of the pool itself do not count, so a pool that is alone
    /// in its group may change them.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let one = PoolName::new("one")?;
    /// engine.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// engine.pools().update(&one, &PoolUpdate::new().weight(0))?;
    /// assert_eq!(engine.pools().get(&one, false)?.weight(), 0);
    /// assert!(engine.pools().update(&one, &PoolUpdate::new()).unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn update(&self, name: &PoolName, update: &PoolUpdate) -> Result<()>;

    /// Removes a pool. A missing pool is no error. The catalogue entries of its queues stay: calls
    /// on these queues fail until a pool of that name is registered again (contract 9).
    ///
    /// Cost: O(pools + flavors).
    ///
    /// Durability: a change, durable even if there was no pool.
    ///
    /// # Errors
    /// [`is_not_permitted`](crate::Error::is_not_permitted)
    /// ([`PoolInUseByFlavor`](crate::Error::PoolInUseByFlavor)) for the last pool of a group that a
    /// flavor stands for; the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (one, gold) = (PoolName::new("one")?, PoolGroup::new("gold")?);
    /// let pool = NewPool::new("sled:/mnt/one".parse()?).group(gold);
    /// engine.pools().create(&one, &pool)?;
    /// engine.flavors().create(&Project::none(), &FlavorName::new("gold")?, &NewFlavor::new())?;
    /// assert!(engine.pools().delete(&one).unwrap_err().is_not_permitted());
    /// engine.flavors().drop_all()?;
    /// engine.pools().delete(&one)?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, name: &PoolName) -> Result<()>;

    /// The capabilities of a group's pools. If `name` is given, the group is that of the named
    /// pool. A group without pools gives none (contract 9). Zaqar's.
    ///
    /// Cost: O(pools), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the named pool is missing; the errors of
    /// [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// engine.pools().create(&PoolName::new("one")?, &NewPool::new("memory:one".parse()?))?;
    /// let promised = engine.pools().capabilities(None, None)?;
    /// assert!(promised.contains(Capability::Fifo));
    /// assert!(!promised.contains(Capability::Durability));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn capabilities(&self, group: Option<&PoolGroup>, name: Option<&PoolName>) -> Result<Capabilities>;

    /// Removes all pools (contract 9). Zaqar's.
    ///
    /// Cost: O(pools).
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
    /// engine.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// engine.pools().drop_all()?;
    /// assert!(engine.pools().list(&ListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn drop_all(&self) -> Result<()>;
}
